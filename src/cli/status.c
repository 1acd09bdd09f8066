/* status.c - `spoolgate status`, `kill` and `delete`. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/scoped.h"
#include "cli/command.h"
#include "cli/session.h"

enum { TEXT_MAX = 256 * 1024 };

/* "label   text" with the text made harmless; nothing where it is empty. */
static void
print_line(const char *label, const char *text)
{
	scoped(strbuf_done) struct strbuf out = STRBUF_INIT(TEXT_MAX);

	if (text[0] == '\0')
		return;
	show_text(&out, text, strlen(text));
	(void)printf("%-9s %s\n", label, strbuf_str(&out));
}

static void
print_moment(json_object *job, const char *member)
{
	scoped(strbuf_done) struct strbuf out = STRBUF_INIT(TEXT_MAX);
	uint64_t usec;

	if (clock_parse(job_string(job, member), &usec) < 0)
		return;
	show_time(&out, usec);
	print_line(member, strbuf_str(&out));
}

static double
number_of(json_object *obj, const char *member)
{
	json_object *value = NULL;

	return json_object_object_get_ex(obj, member, &value) ? json_object_get_double(value) : 0;
}

static void
print_usage(json_object *job)
{
	scoped(strbuf_done) struct strbuf out = STRBUF_INIT(TEXT_MAX);
	json_object *usage = NULL;
	uint64_t memory = 0;

	if (json_get_object(job, "usage", &usage) < 0)
		return;
	(void)json_get_uint(usage, "memory_bytes", &memory);
	strbuf_addf(&out, "%.2f s of time, %.2f s of processor", number_of(usage, "wall_seconds"), number_of(usage, "cpu_seconds"));
	if (memory > 0) {
		strbuf_addstr(&out, ", ");
		show_bytes(&out, memory);
		strbuf_addstr(&out, " of memory");
	}
	print_line("usage", strbuf_str(&out));
}

static void
print_callback(json_object *job)
{
	scoped(strbuf_done) struct strbuf out = STRBUF_INIT(TEXT_MAX);
	json_object *callback = NULL;
	uint64_t attempts = 0;

	if (json_get_object(job, "callback", &callback) < 0)
		return;
	(void)json_get_uint(callback, "attempts", &attempts);
	strbuf_addf(&out, "%s after %" PRIu64 " attempts", job_string(callback, "state"), attempts);
	if (job_string(callback, "last")[0])
		strbuf_addf(&out, " (%s)", job_string(callback, "last"));
	print_line("callback", strbuf_str(&out));
}

static void
print_job(json_object *job)
{
	scoped(strbuf_done) struct strbuf state = STRBUF_INIT(TEXT_MAX), live = STRBUF_INIT(TEXT_MAX), log = STRBUF_INIT(64);
	uint64_t bytes, position;

	print_line("job", job_string(job, "id"));
	print_line("tool", job_string(job, "tool"));
	print_line("name", job_string(job, "name"));
	job_state(&state, job);
	if (job_string(job, "started")[0]) {
		strbuf_addstr(&state, job_is_finished(job) ? " after " : " for ");
		show_duration(&state, job_elapsed(job));
	}
	if (json_get_uint(job, "position", &position) == 0)
		strbuf_addf(&state, ", %" PRIu64 " in the queue", position);
	print_line("state", strbuf_str(&state));
	print_line("note", job_string(job, "note"));
	print_moment(job, "created");
	print_moment(job, "started");
	print_moment(job, "ended");
	job_progress(&live, job);
	print_line("progress", strbuf_str(&live));
	print_usage(job);
	if (json_get_uint(job, "log_bytes", &bytes) == 0) {
		show_bytes(&log, bytes);
		print_line("log", strbuf_str(&log));
	}
	print_callback(job);
	print_moment(job, "pruned");
	print_moment(job, "expires");
}

enum { OPTION_FILES = 1 };

/* Options (--files where there is such a flag) and the jobs that follow; r of the last for whom it is not EXIT_SUCCESS. */
static int
each_job(struct session *s, int argc, char *argv[], const char *usage, bool *files,
    int (*f)(struct session *s, const char *id))
{
	static const struct option common[] = { COMMON_OPTIONS };
	static const struct option with_files[] = { { "files", no_argument, NULL, OPTION_FILES }, COMMON_OPTIONS };
	const char *id;
	int c, r, worst = EXIT_SUCCESS;

	while ((c = getopt_long(argc, argv, "qh", files ? with_files : common, NULL)) != -1) {
		if (c == OPTION_FILES)
			*files = true;
		else if ((r = session_option(s, c, usage)) >= 0)
			return r;
	}
	if (optind == argc)
		return session_usage(s, "no job is named");
	for (int i = optind; i < argc; i++) {
		r = session_job_argument(s, argv[i], &id);
		if (r != EXIT_SUCCESS)
			return r;
	}
	r = session_open(s);
	if (r != EXIT_SUCCESS)
		return r;
	for (int i = optind; i < argc; i++) {
		if (i > optind && !s->json && strcmp(s->name, "status") == 0)
			(void)printf("\n");
		r = f(s, argv[i]);
		if (r != EXIT_SUCCESS)
			worst = r;
		if (r == EXIT_CONNECTION || r == EXIT_TIMEOUT || r == EXIT_UNAUTHORIZED)
			break;
	}
	return worst;
}

static int
show_status(struct session *s, const char *id)
{
	scoped(put_json) json_object *job = NULL;
	int r = session_get(s, &job, "/v1/jobs/%s", id);

	if (r != EXIT_SUCCESS)
		return r;
	if (s->json)
		return session_print_json(s, job);
	print_job(job);
	return session_flush(s);
}

int
command_status(int argc, char *argv[])
{
	scoped(session_done) struct session s = SESSION_INIT("status");

	return each_job(&s, argc, argv, "usage: spoolgate status JOB...\nTells how the jobs stand.\n", NULL, show_status);
}

static int
kill_one(struct session *s, const char *id)
{
	scoped(strbuf_done) struct strbuf url = STRBUF_INIT(256), out = STRBUF_INIT(TEXT_MAX), state = STRBUF_INIT(TEXT_MAX);
	scoped(put_json) json_object *job = NULL;
	/* A second kill is none: it may be repeated. */
	struct http_request q = { .method = "POST", .body_fd = -EBADF, .repeat = HTTP_REPEAT };
	int r;

	strbuf_addf(&url, "/v1/jobs/%s/kill", id);
	q.url = strbuf_str(&url);
	r = session_call(s, &q, &job);
	if (r != EXIT_SUCCESS)
		return r;
	if (s->json)
		return session_print_json(s, job);
	if (s->quiet)
		return EXIT_SUCCESS;
	job_state(&state, job);
	show_text(&out, strbuf_str(&state), state.len);
	(void)printf("%s  %s\n", id, strbuf_str(&out));
	return session_flush(s);
}

int
command_kill(int argc, char *argv[])
{
	scoped(session_done) struct session s = SESSION_INIT("kill");

	return each_job(&s, argc, argv, "usage: spoolgate kill JOB...\n"
	    "Ends jobs and tells how they stand then; `spoolgate wait` waits until they are gone.\n", NULL, kill_one);
}

static bool files_alone;

static int
delete_one(struct session *s, const char *id)
{
	scoped(strbuf_done) struct strbuf url = STRBUF_INIT(256);
	scoped(http_answer_done) struct http_answer a = { 0 };
	struct http_request q = { .method = "DELETE", .body_fd = -EBADF, .repeat = HTTP_REPEAT };
	int r;

	strbuf_addf(&url, "/v1/jobs/%s%s", id, files_alone ? "/files" : "");
	q.url = strbuf_str(&url);
	http_answer_init(&a);
	r = http_do(s->http, &q, &a);
	if (r < 0)
		return session_broken(s, r);
	/* Not found at the second try: it was the first that deleted it. */
	if ((a.status < 200 || a.status > 299) && !(a.status == 404 && !files_alone && http_was_repeated(s->http)))
		return session_fault(s, &a);
	if (s->json) {
		(void)printf("{\"id\":\"%s\",\"%s\":true}\n", id, files_alone ? "pruned" : "deleted");	/* an id is 32 digits and nothing else */
		return session_flush(s);
	}
	return EXIT_SUCCESS;
}

int
command_delete(int argc, char *argv[])
{
	scoped(session_done) struct session s = SESSION_INIT("delete");

	return each_job(&s, argc, argv, "usage: spoolgate delete [--files] JOB...\n"
	    "Forgets finished jobs and everything that is kept of them.\n\n"
	    "  --files             only what they were given and have left, the log too: verdict and receipt stay\n", &files_alone, delete_one);
}
