/* submit.c - `spoolgate submit`. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/escape.h"
#include "basic/fd.h"
#include "basic/id.h"
#include "basic/scoped.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "cli/input.h"
#include "cli/value.h"

enum { PARAMETER_MAX = 1024 * 1024, URL_MAX = 4096, SENTENCE_MAX = 64 * 1024, ONCE_MAX = 255 };

static const char submit_usage[] =
    "usage: spoolgate submit TOOL [-p NAME=VALUE]... [-P NAME=FILE]... [-i INPUT=FILE]... [--name NAME]\n"
    "                             [--idempotency-key KEY] [--callback URL] [--wait] [--follow]\n"
    "Submits a job and prints its id.\n\n"
    "  -p NAME=VALUE       a parameter of the tool\n"
    "  -P NAME=FILE        a parameter whose value is the text of a file, without the newline at its end; for secrets\n"
    "  -i INPUT=FILE       an input file of the tool\n"
    "  --name NAME         a name for the job, for people\n"
    "  --idempotency-key KEY  the same submission under the same key is the same job, for a day\n"
    "  --callback URL      an https URL that the server calls when the job has ended\n"
    "  --wait              wait for its end; exit status 3 where it has not passed\n"
    "  --follow            print its log while it runs, then as --wait\n"
    "A FILE `-` is standard input, once.\n";

/* What the command line asks for. */
struct wish {
	const char *tool, *name, *once, *callback;
	char **words;	/* "p", "P" or "i" before NAME=WHAT, in their order */
	size_t n;
	bool wait, follow;
};

static void
wish_done(struct wish *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->words[i]);
	free(w->words);
}

static int
add_word(const struct session *s, struct wish *w, int kind, const char *text)
{
	char **words = reallocarray(w->words, w->n + 1, sizeof *words);

	if (words)
		w->words = words;
	if (!strchr(text, '=') || text[0] == '=')
		return session_usage(s, "-%c %s: not NAME=%s", kind, text, kind == 'p' ? "VALUE" : "FILE");
	if (!words || asprintf(&words[w->n], "%c%s", kind, text) < 0) {
		(void)fprintf(stderr, "spoolgate %s: out of memory\n", s->name);
		return EXIT_FAILURE;
	}
	w->n++;
	return EXIT_SUCCESS;
}

/* The value of a parameter that lies in a file. */
static int
read_value(struct session *s, const char *path, char **ret, size_t *ret_len)
{
	uint64_t bytes;
	scoped(close_fd) int fd = input_open(s, path, &bytes);
	scoped(free_ptr) char *text = NULL;
	ssize_t n;

	if (fd < 0)
		return EXIT_FAILURE;
	if (bytes > PARAMETER_MAX) {
		session_say(s, "%s: too large for a parameter", path);
		return EXIT_FAILURE;
	}
	text = malloc(bytes + 1);
	n = text ? pread_full(fd, text, bytes, 0) : -ENOMEM;
	if (n < 0) {
		session_say(s, "%s: %s", path, strerror((int)-n));
		return EXIT_FAILURE;
	}
	*ret_len = (size_t)n;
	if (*ret_len > 0 && text[*ret_len - 1] == '\n')
		--*ret_len;
	text[*ret_len] = '\0';
	*ret = take_ptr(text);
	return EXIT_SUCCESS;
}

static int
add_parameter(struct session *s, json_object *tool, bool in_file, const char *name, const char *text, struct jsonw *w)
{
	scoped(strbuf_done) struct strbuf why = STRBUF_INIT(SENTENCE_MAX);
	scoped(free_ptr) char *content = NULL;
	json_object *parameter = tool_parameter(tool, name), *value = NULL;
	size_t len = strlen(text);
	bool secret = false;
	int r;

	if (!parameter) {
		tool_names(&why, tool, "parameters");
		return session_usage(s, "%s has no parameter %s; there are: %s", job_string(tool, "name"), name, strbuf_str(&why));
	}
	(void)json_get_bool(parameter, "secret", &secret);
	if (secret && !in_file)
		return session_usage(s, "%s is a secret, which everybody on this machine could read in the argument vector: "
		    "give it with -P %s=FILE", name, name);
	if (json_object_object_get_ex(w->obj, name, NULL))
		return session_usage(s, "the parameter %s is there twice", name);
	if (in_file) {
		r = read_value(s, text, &content, &len);
		if (r != EXIT_SUCCESS)
			return r;
		text = content;
	}
	r = value_parse(parameter, text, len, &why, &value);
	if (r == -EINVAL)
		return session_usage(s, "%s=%s: %s", name, secret ? "***" : text, strbuf_str(&why));
	if (r < 0)
		return session_broken(s, r);
	jsonw_add(w, name, value);
	return EXIT_SUCCESS;
}

static int
add_input(struct session *s, const char *name, const char *path, uint64_t *left, struct jsonw *w)
{
	uint64_t bytes;
	scoped(close_fd) int fd = -EBADF;
	json_object *input = NULL;
	int r;

	if (json_object_object_get_ex(w->obj, name, NULL))
		return session_usage(s, "the input %s is there twice", name);
	fd = input_open(s, path, &bytes);
	if (fd < 0)
		return EXIT_FAILURE;
	r = input_send(s, name, fd, bytes, left, &input);
	if (r == EXIT_SUCCESS)
		jsonw_add(w, name, input);
	return r;
}

/* What can be wrong before anything is sent: names, and two who want standard input. */
static int
check_words(struct session *s, const struct wish *wish, json_object *tool)
{
	scoped(strbuf_done) struct strbuf names = STRBUF_INIT(SENTENCE_MAX);
	bool standard = false;

	tool_names(&names, tool, "inputs");
	for (size_t i = 0; i < wish->n; i++) {
		const char *word = wish->words[i], *equals = strchr(word, '=');
		scoped(free_ptr) char *name = strndup(word + 1, (size_t)(equals - word - 1));

		if (!name)
			return session_broken(s, -ENOMEM);
		if (word[0] == 'i' && !tool_input(tool, name))
			return session_usage(s, "%s has no input %s; there are: %s", wish->tool, name, strbuf_str(&names));
		if (word[0] != 'p' && strcmp(equals + 1, "-") == 0) {
			if (standard)
				return session_usage(s, "standard input can be read once");
			standard = true;
		}
	}
	return EXIT_SUCCESS;
}

/* Parameters first: what is wrong with them is known before a large file is sent. */
static int
add_words(struct session *s, const struct wish *wish, json_object *tool, struct jsonw *parameters, struct jsonw *inputs)
{
	uint64_t left = INPUT_INLINE_MAX;
	int r = check_words(s, wish, tool);

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; r == EXIT_SUCCESS && i < wish->n; i++) {
			const char *word = wish->words[i], *equals = strchr(word, '=');
			scoped(free_ptr) char *name = strndup(word + 1, (size_t)(equals - word - 1));

			if ((word[0] == 'i') != (pass == 1))
				continue;
			if (!name)
				r = session_broken(s, -ENOMEM);
			else if (word[0] == 'i')
				r = add_input(s, name, equals + 1, &left, inputs);
			else
				r = add_parameter(s, tool, word[0] == 'P', name, equals + 1, parameters);
		}
	}
	return r;
}

/* The submission itself. Sent again it is the same job, by its key. */
static int
post_job(struct session *s, const char *once, json_object *submission, json_object **ret_job)
{
	scoped(http_answer_done) struct http_answer a = { 0 };
	scoped(free_ptr) char *body = NULL;
	char key[32 + ONCE_MAX], own[ID_SIZE];
	struct http_request q = { .method = "POST", .url = "/v1/jobs", .body_fd = -EBADF, .repeat = HTTP_REPEAT,
		.headers = (const char *const[]){ "Content-Type: application/json", key, NULL } };
	int r = json_format(submission, &body, &q.body_len);

	id_new(own);
	(void)snprintf(key, sizeof key, "Idempotency-Key: %s", once ? once : own);

	if (r < 0)
		return session_broken(s, r);
	q.body = body;
	http_answer_init(&a);
	r = http_do(s->http, &q, &a);
	if ((r < 0 && http_was_sent(s->http)) || (r == 0 && (a.status == 502 || a.status == 504)))
		session_say(s, "it is not known whether the job was accepted: look with `spoolgate list --since 10m`");
	if (r < 0)
		return session_broken(s, r);
	if (a.status < 200 || a.status > 299)
		return session_fault(s, &a);
	if (json_parse(strbuf_str(&a.body), a.body.len, ret_job) < 0 || !id_valid(job_string(*ret_job, "id"))) {
		session_say(s, "the answer of %s is no job; is it a spoolgate server?", http_server(s->http));
		return EXIT_DAMAGED;
	}
	return EXIT_SUCCESS;
}

static int
submit(struct session *s, const struct wish *wish, json_object **ret_job)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new(), parameters = jsonw_new(), inputs = jsonw_new();
	scoped(put_json) json_object *tool = NULL, *submission = NULL;
	scoped(strbuf_done) struct strbuf url = STRBUF_INIT(URL_MAX);
	int r;

	percent_encode(&url, wish->tool);
	r = session_get(s, &tool, "/v1/tools/%s", strbuf_str(&url));
	if (r == EXIT_SUCCESS)
		r = add_words(s, wish, tool, &parameters, &inputs);
	if (r != EXIT_SUCCESS) {
		if (inputs.obj)
			input_forget(s, inputs.obj);
		return r;
	}
	jsonw_string(&w, "tool", wish->tool);
	if (wish->name)
		jsonw_string(&w, "name", wish->name);
	if (wish->callback)
		jsonw_string(&w, "callback", wish->callback);
	jsonw_add(&w, "parameters", json_object_get(parameters.obj));
	jsonw_add(&w, "inputs", json_object_get(inputs.obj));
	r = parameters.err < 0 ? parameters.err : inputs.err < 0 ? inputs.err : jsonw_finish(&w, &submission);
	if (r < 0)
		return session_broken(s, r);
	r = post_job(s, wish->once, submission, ret_job);
	if (r != EXIT_SUCCESS && r != EXIT_CONNECTION && r != EXIT_TIMEOUT)
		input_forget(s, inputs.obj);
	return r;
}

/* Follows and waits, as was asked for. */
static int
see_it_through(struct session *s, const struct wish *wish, const char *id)
{
	scoped(put_json) json_object *job = NULL;
	int r = EXIT_SUCCESS;

	if (wish->follow)
		r = follow_log(s, id, 0, true);
	if (r == EXIT_SUCCESS)
		r = follow_wait(s, id, 0, &job);
	return r == EXIT_SUCCESS ? follow_tell_end(s, job) : r;
}

static bool
visible_ascii(const char *text)
{
	for (; *text; text++)
		if (*text < 0x21 || *text > 0x7e)
			return false;
	return true;
}

int
command_submit(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "name", required_argument, NULL, 'n' }, { "idempotency-key", required_argument, NULL, 'k' },
		{ "callback", required_argument, NULL, 'b' }, { "wait", no_argument, NULL, 'w' }, { "follow", no_argument, NULL, 'f' },
		{ "parameter", required_argument, NULL, 'p' }, { "parameter-file", required_argument, NULL, 'P' },
		{ "input", required_argument, NULL, 'i' }, COMMON_OPTIONS
	};
	scoped(session_done) struct session s = SESSION_INIT("submit");
	scoped(wish_done) struct wish wish = { 0 };
	scoped(put_json) json_object *job = NULL;
	int c, r;

	while ((c = getopt_long(argc, argv, "p:P:i:qh", options, NULL)) != -1) {
		r = -1;
		if (c == 'p' || c == 'P' || c == 'i')
			r = add_word(&s, &wish, c, optarg) == EXIT_SUCCESS ? -1 : EXIT_USAGE;
		else if (c == 'n')
			wish.name = optarg;
		else if (c == 'k')
			wish.once = optarg;
		else if (c == 'b')
			wish.callback = optarg;
		else if (c == 'w')
			wish.wait = true;
		else if (c == 'f')
			wish.follow = true;
		else
			r = session_option(&s, c, submit_usage);
		if (r >= 0)
			return r;
	}
	if (optind != argc - 1)
		return session_usage(&s, "one tool has to be named");
	wish.tool = argv[optind];
	if (wish.tool[0] == '\0' || (wish.name && utf8_valid(wish.name, strlen(wish.name)) == 0))
		return session_usage(&s, "the names of tool and job have to be UTF-8 text");
	if (wish.once && (strlen(wish.once) < 1 || strlen(wish.once) > ONCE_MAX || !visible_ascii(wish.once)))
		return session_usage(&s, "an idempotency key has 1 to %d visible ASCII characters", ONCE_MAX);
	r = session_open(&s);
	if (r == EXIT_SUCCESS)
		r = submit(&s, &wish, &job);
	if (r != EXIT_SUCCESS)
		return r;
	if (wish.wait || wish.follow)
		http_catch_signals();	/* before anybody can know of the job */
	if (wish.follow && !s.quiet && !s.json)
		(void)fprintf(stderr, "%s\n", job_string(job, "id"));
	else if (s.json && !wish.wait && !wish.follow)
		return session_print_json(&s, job);
	else if (!s.json && !wish.follow) {
		(void)printf("%s\n", job_string(job, "id"));
		r = session_flush(&s);
	}
	return r == EXIT_SUCCESS && (wish.wait || wish.follow) ? see_it_through(&s, &wish, job_string(job, "id")) : r;
}
