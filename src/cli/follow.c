#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "cli/command.h"
#include "cli/follow.h"

enum {
	HOLD_SEC = 60,	/* of one request that waits */
	HOLD_SHOWN_SEC = 1,	/* where a progress line is to be renewed */
	PIECE_MAX = 65536,
	URL_MAX = 512,
};
static const uint64_t no_spin_usec = 250 * USEC_PER_MSEC;	/* between requests that the server did not hold back */

/* Ctrl-C leaves the job alone, and so says how to find it again. */
static int
interrupted(struct session *s, const char *id, const char *command)
{
	if (!s->quiet)
		session_say(s, "the job goes on. Come back to it with `spoolgate %s %s`; `spoolgate kill %s` ends it", command, id, id);
	return EXIT_FAILURE;	/* main() ends the process by the signal */
}

static void
show_waiting(struct session *s, json_object *job)
{
	scoped(strbuf_done) struct strbuf line = STRBUF_INIT(64 * 1024);
	scoped(strbuf_done) struct strbuf live = STRBUF_INIT(64 * 1024);
	const char *name = job_string(job, "name");

	if (!s->progress.on)
		return;
	strbuf_addf(&line, "%.8s  %s  %s", job_string(job, "id"), name[0] ? name : job_string(job, "tool"), job_string(job, "state"));
	if (job_string(job, "started")[0]) {
		strbuf_addstr(&line, "  ");
		show_duration(&line, job_elapsed(job));
	}
	job_progress(&live, job);
	if (live.len > 0)
		strbuf_addf(&line, "  %s", strbuf_str(&live));
	progress_show(&s->progress, strbuf_str(&line));
}

/* One request that the server holds back until the job is finished. */
static int
ask_once(struct session *s, const char *id, unsigned hold_sec, json_object **ret)
{
	scoped(http_answer_done) struct http_answer a = { 0 };
	char url[URL_MAX];
	struct http_request q = HTTP_GET(url);
	int r;

	(void)snprintf(url, sizeof url, "/v1/jobs/%s/wait?timeout=%u", id, hold_sec);
	q.hold_sec = hold_sec;
	http_answer_init(&a);
	r = http_do(s->http, &q, &a);
	if (r == -EINTR)
		return interrupted(s, id, "wait");
	if (r < 0)
		return session_broken(s, r);
	if (a.status != 200)
		return session_fault(s, &a);
	if (json_parse(strbuf_str(&a.body), a.body.len, ret) < 0 || job_string(*ret, "state")[0] == '\0') {
		session_say(s, "the answer of %s is no job; is it a spoolgate server?", http_server(s->http));
		return EXIT_DAMAGED;
	}
	return EXIT_SUCCESS;
}

int
follow_wait(struct session *s, const char *id, uint64_t until_mono, json_object **ret_job)
{
	scoped(put_json) json_object *job = NULL;
	int r;

	for (;;) {
		uint64_t begun = clock_mono(), left = until_mono > begun ? until_mono - begun : 0, took;
		unsigned hold = s->progress.on ? HOLD_SHOWN_SEC : HOLD_SEC;

		if (until_mono > 0 && left < hold * USEC_PER_SEC)
			hold = left < USEC_PER_SEC ? 1 : (unsigned)(left / USEC_PER_SEC);
		put_json(&job);
		r = ask_once(s, id, hold, &job);
		if (r != EXIT_SUCCESS)
			return r;
		*ret_job = job;
		if (job_is_finished(job) || (until_mono > 0 && clock_mono() >= until_mono)) {
			progress_clear(&s->progress);
			r = job_is_finished(job) ? EXIT_SUCCESS : EXIT_TIMEOUT;
			job = NULL;
			return r;
		}
		*ret_job = NULL;
		show_waiting(s, job);
		took = clock_mono() - begun;
		if (took < no_spin_usec && http_sleep(s->http, no_spin_usec - took) == -EINTR)
			return interrupted(s, id, "wait");
	}
}

int
follow_tell_end(struct session *s, json_object *job)
{
	scoped(strbuf_done) struct strbuf state = STRBUF_INIT(64 * 1024);
	scoped(strbuf_done) struct strbuf line = STRBUF_INIT(64 * 1024);
	const char *note = job_string(job, "note");
	int r = job_has_passed(job) ? EXIT_SUCCESS : EXIT_NOT_PASSED;

	if (s->json)
		return session_print_json(s, job) == EXIT_SUCCESS ? r : EXIT_FAILURE;
	if (s->quiet)
		return r;
	strbuf_addf(&state, "%s  ", job_string(job, "id"));
	job_state(&state, job);
	if (job_string(job, "started")[0]) {
		strbuf_addstr(&state, " after ");
		show_duration(&state, job_elapsed(job));
	}
	if (note[0])
		strbuf_addf(&state, ": %s", note);
	show_text(&line, strbuf_str(&state), state.len);
	(void)printf("%s\n", strbuf_str(&line));
	return session_flush(s) == EXIT_SUCCESS ? r : EXIT_FAILURE;
}

/* A piece of the log, as --json tells it: text where it is UTF-8, else base64. */
static int
print_piece(struct session *s, const struct strbuf *data, uint64_t offset, bool complete)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	unsigned char text[PIECE_MAX / 3 * 4 + 8];
	int r;

	jsonw_int(&w, "offset", (int64_t)offset);
	jsonw_int(&w, "next", (int64_t)(offset + data->len));
	jsonw_bool(&w, "complete", complete);
	if (utf8_valid(strbuf_str(data), data->len))
		jsonw_add(&w, "text", json_object_new_string_len(strbuf_str(data), (int)data->len));
	else
		jsonw_add(&w, "base64", json_object_new_string_len((char *)text,
		    EVP_EncodeBlock(text, (const unsigned char *)data->buf, (int)data->len)));
	r = jsonw_finish(&w, &obj);
	return r < 0 ? session_broken(s, r) : session_print_json(s, obj);
}

static int
write_piece(struct session *s, const struct strbuf *data, uint64_t offset, bool complete)
{
	int r;

	if (s->json)
		return data->len > 0 || complete ? print_piece(s, data, offset, complete) : EXIT_SUCCESS;
	r = data->len > 0 ? write_all(STDOUT_FILENO, data->buf, data->len) : 0;
	if (r < 0)
		session_say(s, "standard output: %s", strerror(-r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* One piece from *offset, which is moved behind it once it has been written. A piece is written when it is whole, so that one
 * that was cut is just asked for again. */
static int
next_piece(struct session *s, const char *id, uint64_t *offset, unsigned hold_sec, bool *ret_complete)
{
	scoped(http_answer_done) struct http_answer a = { 0 };
	char url[URL_MAX];
	struct http_request q = HTTP_GET(url);
	const char *complete;
	uint64_t from, next;
	int r;

	(void)snprintf(url, sizeof url, "/v1/jobs/%s/log?offset=%" PRIu64 "&limit=%d&wait=%u", id, *offset, PIECE_MAX, hold_sec);
	q.hold_sec = hold_sec;
	http_answer_init(&a);
	r = http_do(s->http, &q, &a);
	if (r == -EINTR)
		return interrupted(s, id, "log -f");
	if (r < 0)
		return session_broken(s, r);
	if (a.status != 200)
		return session_fault(s, &a);
	complete = http_header(&a, "Spoolgate-Log-Complete");
	if (http_header_number(&a, "Spoolgate-Log-Offset", &from) < 0 || http_header_number(&a, "Spoolgate-Log-Next", &next) < 0 ||
	    !complete || from != *offset || next != from + a.body.len || a.body.len > PIECE_MAX) {
		session_say(s, "the answer of %s is no piece of the log from %" PRIu64 " on", http_server(s->http), *offset);
		return EXIT_DAMAGED;
	}
	*ret_complete = strcmp(complete, "yes") == 0;
	r = write_piece(s, &a.body, from, *ret_complete);
	if (r == EXIT_SUCCESS)
		*offset = next;
	return r;
}

int
follow_log(struct session *s, const char *id, uint64_t offset, bool follow)
{
	bool complete = false;
	uint64_t before = 0;

	do {
		uint64_t begun = clock_mono(), took;
		int r;

		before = offset;
		r = next_piece(s, id, &offset, follow ? HOLD_SEC : 0, &complete);
		if (r != EXIT_SUCCESS)
			return r;
		took = clock_mono() - begun;
		if (follow && !complete && offset == before && took < no_spin_usec &&
		    http_sleep(s->http, no_spin_usec - took) == -EINTR)
			return interrupted(s, id, "log -f");
	} while (!complete && (follow || offset > before));
	return EXIT_SUCCESS;
}
