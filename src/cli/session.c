#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/id.h"
#include "basic/scoped.h"
#include "cli/command.h"
#include "cli/session.h"

enum { SENTENCE_MAX = 64 * 1024, URL_MAX = 16 * 1024 };

static const char common_usage[] =
    "\nCommon options:\n"
    "  --server URL        the server; else SPOOLGATE_SERVER, else the settings file\n"
    "  --ca FILE           certificate authority, PEM; else SPOOLGATE_CA, the settings file, the system's\n"
    "  --token-file FILE   file with the token, which only you can read; else SPOOLGATE_TOKEN or SPOOLGATE_TOKEN_FILE\n"
    "  --config FILE       settings file instead of ~/.config/spoolgate/config\n"
    "  --json              print JSON, one document a line\n"
    "  -q, --quiet         no progress and no remarks, faults alone\n"
    "  --retry-time TIME   how long to try again what can get better by itself (30s; 0: not at all)\n"
    "  --time-limit TIME   give up after this long (no limit)\n"
    "A TIME is a number with s, m, h or d.\n\n"
    "Exit status: 0 done; 1 a fault of this machine; 2 usage; 3 a job that was waited for has not passed; 4 no connection;\n"
    "5 not found; 6 refused; 7 unauthorized; 8 the server cannot now; 9 the time is over; 10 what came is damaged.\n";

int
session_duration(const struct session *s, const char *option, const char *text, uint64_t *ret_usec)
{
	if (time_parse(text, ret_usec) == 0)
		return 0;
	(void)session_usage(s, "%s %s: not a time like 90s, 5m or 2h", option, text);
	return -EINVAL;
}

int
session_usage(const struct session *s, const char *format, ...)
{
	scoped(strbuf_done) struct strbuf text = STRBUF_INIT(SENTENCE_MAX);
	scoped(strbuf_done) struct strbuf out = STRBUF_INIT(SENTENCE_MAX);
	va_list ap;

	va_start(ap, format);
	strbuf_vaddf(&text, format, ap);
	va_end(ap);
	show_text(&out, strbuf_str(&text), text.len);
	(void)fprintf(stderr, "spoolgate %s: %s\n`spoolgate %s --help` tells how it is used.\n", s->name, strbuf_str(&out), s->name);
	return EXIT_USAGE;
}

int
session_option(struct session *s, int option, const char *usage)
{
	switch (option) {
	case OPTION_SERVER:
		s->where.server = optarg;
		return -1;
	case OPTION_CA:
		s->where.ca = optarg;
		return -1;
	case OPTION_TOKEN_FILE:
		s->where.token_file = optarg;
		return -1;
	case OPTION_CONFIG:
		s->where.config = optarg;
		return -1;
	case OPTION_JSON:
		s->json = true;
		return -1;
	case 'q':
		s->quiet = true;
		return -1;
	case OPTION_RETRY:
		return session_duration(s, "--retry-time", optarg, &s->retry_usec) < 0 ? EXIT_USAGE : -1;
	case OPTION_LIMIT:
		if (session_duration(s, "--time-limit", optarg, &s->limit_usec) < 0)
			return EXIT_USAGE;
		return s->limit_usec > 0 ? -1 : session_usage(s, "--time-limit must be longer than nothing");
	case 'h':
		(void)printf("%s%s", usage, common_usage);
		return session_flush(s);
	default:	/* getopt_long() has said what is wrong */
		(void)fprintf(stderr, "`spoolgate %s --help` tells how it is used.\n", s->name);
		return EXIT_USAGE;
	}
}

static void
on_pause(const char *why, void *ctx)
{
	struct session *s = ctx;
	scoped(strbuf_done) struct strbuf line = STRBUF_INIT(SENTENCE_MAX);

	strbuf_addf(&line, "%s; trying again", why);
	progress_show(&s->progress, strbuf_str(&line));
}

int
session_open(struct session *s)
{
	scoped(faults_done) struct faults f = { NULL, 0 };
	const struct http_options options = { .program = "spoolgate/" PACKAGE_VERSION, .retry_usec = s->retry_usec,
		.limit_usec = s->limit_usec, .on_pause = on_pause, .ctx = s };
	const char *reason = NULL;
	int r;

	progress_init(&s->progress, s->quiet);
	if (settings_load(&s->where, &f, &s->settings) < 0) {
		for (size_t i = 0; i < f.n; i++)
			session_say(s, "%s", f.texts[i] ? f.texts[i] : "out of memory");
		return EXIT_USAGE;
	}
	r = http_new(&s->settings, &options, &s->http, &reason);
	if (r < 0) {
		session_say(s, "%s: %s", s->settings.server, reason ? reason : strerror(-r));
		return r == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
	}
	if (s->settings.token_server && !http_is_own(s->http, s->settings.token_server) && !s->quiet)
		session_say(s, "the token of %s is for %s and not sent to %s", s->settings.token_from, s->settings.token_server,
		    s->settings.server);
	return EXIT_SUCCESS;
}

void
session_done(struct session *s)
{
	progress_clear(&s->progress);
	s->http = http_free(s->http);
	settings_done(&s->settings);
}

/* With --json, the sentence in an object, beside the problem document where the server sent one. */
static void
print_error(const char *sentence, json_object *problem)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	scoped(free_ptr) char *text = NULL;

	jsonw_string(&w, "error", sentence);
	if (problem)
		jsonw_add(&w, "problem", json_object_get(problem));
	if (jsonw_finish(&w, &obj) == 0 && json_format(obj, &text, NULL) == 0)
		(void)fprintf(stderr, "%s\n", text);
}

static void
say(struct session *s, const char *sentence, json_object *problem)
{
	scoped(strbuf_done) struct strbuf out = STRBUF_INIT(SENTENCE_MAX * 10);

	show_text(&out, sentence, strlen(sentence));
	progress_clear(&s->progress);
	(void)fflush(stdout);
	if (s->json)
		print_error(strbuf_str(&out), problem);
	else
		(void)fprintf(stderr, "spoolgate %s: %s\n", s->name, strbuf_str(&out));
}

void
session_say(struct session *s, const char *format, ...)
{
	scoped(strbuf_done) struct strbuf text = STRBUF_INIT(SENTENCE_MAX);
	va_list ap;

	va_start(ap, format);
	strbuf_vaddf(&text, format, ap);
	va_end(ap);
	say(s, strbuf_err(&text) < 0 ? format : strbuf_str(&text), NULL);
}

int
session_broken(struct session *s, int r)
{
	const char *reason = http_reason(s->http);

	if (r == -EPIPE)	/* nobody reads our output any more, who needs no message */
		return EXIT_FAILURE;
	session_say(s, "%s", reason[0] ? reason : strerror(-r));
	switch (r) {
	case -ECONNREFUSED:
	case -ECONNRESET:
		return EXIT_CONNECTION;
	case -ETIMEDOUT:
		return EXIT_TIMEOUT;
	case -EINVAL:
		return EXIT_USAGE;
	default:	/* after -EINTR main() ends the process by the signal */
		return EXIT_FAILURE;
	}
}

static int
exit_status_of(int status)
{
	switch (status) {
	case 401:
	case 403:
		return EXIT_UNAUTHORIZED;
	case 404:
	case 410:
		return EXIT_NOT_FOUND;
	case 429:
		return EXIT_UNAVAILABLE;
	default:
		return status >= 500 ? EXIT_UNAVAILABLE : EXIT_REFUSED;
	}
}

/* RFC 9457: the detail, and each place that is at fault, with what is said of it where that is something else. */
static void
describe_problem(struct strbuf *out, json_object *problem)
{
	static const char *const places[] = { "pointer", "parameter", "part", "header" };
	json_object *errors = NULL;
	const char *detail = "";

	if (json_get_string(problem, "detail", &detail) == 0 || json_get_string(problem, "title", &detail) == 0)
		strbuf_addstr(out, detail);
	if (json_get_array(problem, "errors", &errors) < 0)
		return;
	for (size_t i = 0; i < json_object_array_length(errors); i++) {
		json_object *one = json_object_array_get_idx(errors, i);
		const char *place = "", *own = "";

		for (size_t k = 0; place[0] == '\0' && k < sizeof places / sizeof *places; k++)
			(void)json_get_string(one, places[k], &place);
		(void)json_get_string(one, "detail", &own);
		if (strcmp(own, detail) == 0)
			strbuf_addf(out, " (%s)", place);
		else
			strbuf_addf(out, "; %s: %s", place, own);
	}
}

int
session_fault(struct session *s, const struct http_answer *a)
{
	scoped(strbuf_done) struct strbuf out = STRBUF_INIT(SENTENCE_MAX);
	scoped(put_json) json_object *problem = NULL;
	const char *location = http_header(a, "Location"), *retry = http_header(a, "Retry-After");

	if (a->body.len > 0)
		(void)json_parse(a->body.buf, a->body.len, &problem);
	if (json_object_is_type(problem, json_type_object))
		describe_problem(&out, problem);
	if (out.len == 0 && a->status >= 300 && a->status < 400)
		strbuf_addf(&out, "the server redirects to %s, which is not followed: name the right --server", location ? location : "?");
	else if (out.len == 0)
		strbuf_addf(&out, "%s answers with status %d", http_server(s->http), a->status);
	if (retry && (a->status == 429 || a->status == 503))
		strbuf_addf(&out, "; again in %s s", retry);
	if (a->status == 401 && !s->settings.token)
		strbuf_addstr(&out, "; no token was given: see spoolgate(1), SPOOLGATE_TOKEN_FILE");
	say(s, strbuf_str(&out), problem);
	return exit_status_of(a->status);
}

int
session_call(struct session *s, const struct http_request *q, json_object **ret)
{
	scoped(http_answer_done) struct http_answer a = { 0 };
	int r;

	http_answer_init(&a);
	r = http_do(s->http, q, &a);
	if (r < 0)
		return session_broken(s, r);
	if (a.status < 200 || a.status > 299)
		return session_fault(s, &a);
	if (!ret)
		return EXIT_SUCCESS;
	r = json_parse(strbuf_str(&a.body), a.body.len, ret);
	if (r == 0 && json_object_is_type(*ret, json_type_object))
		return EXIT_SUCCESS;
	session_say(s, "%s: the answer of %s is no JSON object; is it a spoolgate server?", q->url, http_server(s->http));
	return EXIT_DAMAGED;
}

int
session_get(struct session *s, json_object **ret, const char *format, ...)
{
	scoped(strbuf_done) struct strbuf url = STRBUF_INIT(URL_MAX);
	struct http_request q = HTTP_GET(NULL);
	va_list ap;

	va_start(ap, format);
	strbuf_vaddf(&url, format, ap);
	va_end(ap);
	if (strbuf_err(&url) < 0)
		return session_broken(s, strbuf_err(&url));
	q.url = strbuf_str(&url);
	return session_call(s, &q, ret);
}

int
session_print_json(struct session *s, json_object *obj)
{
	scoped(free_ptr) char *text = NULL;
	int r = json_format(obj, &text, NULL);

	if (r < 0) {
		session_say(s, "%s", strerror(-r));
		return EXIT_FAILURE;
	}
	(void)printf("%s\n", text);
	return session_flush(s);
}

int
session_flush(struct session *s)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_SUCCESS;
	session_say(s, "standard output: %s", strerror(errno));
	return EXIT_FAILURE;
}

int
session_job_argument(const struct session *s, const char *text, const char **ret_id)
{
	if (!id_valid(text))
		return session_usage(s, "%s is no job id: 32 digits 0-9a-f", text);
	*ret_id = text;
	return EXIT_SUCCESS;
}
