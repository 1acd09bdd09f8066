/* session.h - what every subcommand of the jobs' side shares: its common options, the server, and how answers and faults are
 * told. Functions that talk to the server return an exit status (command.h), with everything said that there is to say. */
#ifndef SPOOLGATE_SESSION_H
#define SPOOLGATE_SESSION_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "basic/json.h"
#include "cli/http.h"
#include "cli/settings.h"
#include "cli/show.h"

struct session {
	const char *name;	/* of the subcommand */
	struct settings_options where;
	struct settings settings;
	struct http *http;
	struct progress progress;
	bool json, quiet;
	uint64_t retry_usec, limit_usec;
};
#define SESSION_INIT(name_) { .name = (name_), .retry_usec = 30 * USEC_PER_SEC }

/* The common options, for the end of a getopt_long table; a subcommand's own have values below OPTION_COMMON. */
enum {
	OPTION_COMMON = 1000, OPTION_SERVER, OPTION_CA, OPTION_TOKEN_FILE, OPTION_CONFIG, OPTION_JSON, OPTION_RETRY, OPTION_LIMIT,
};
#define COMMON_OPTIONS \
	{ "server", required_argument, NULL, OPTION_SERVER }, { "ca", required_argument, NULL, OPTION_CA }, \
	{ "token-file", required_argument, NULL, OPTION_TOKEN_FILE }, { "config", required_argument, NULL, OPTION_CONFIG }, \
	{ "json", no_argument, NULL, OPTION_JSON }, { "quiet", no_argument, NULL, 'q' }, \
	{ "retry-time", required_argument, NULL, OPTION_RETRY }, { "time-limit", required_argument, NULL, OPTION_LIMIT }, \
	{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }

/* What getopt_long() found and the subcommand does not know. -1: go on; else an exit status: --help was answered (usage is
 * printed, with the common options and the exit status below it), or the option is wrong, which has been said. */
int session_option(struct session *s, int option, const char *usage);
/* A duration of an option; -EINVAL, said. */
int session_duration(const struct session *s, const char *option, const char *text, uint64_t *ret_usec);
int session_usage(const struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));	/* EXIT_USAGE */

/* Reads the settings and makes s->http. */
int session_open(struct session *s);
void session_done(struct session *s);	/* usable with scoped */

/* "spoolgate NAME: ..." on stderr, made harmless; with --json one line {"error": ...}. */
void session_say(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says why a request got no answer (what http_do returned), or what an answer that is no success tells. */
int session_broken(struct session *s, int r);
int session_fault(struct session *s, const struct http_answer *a);
/* The request's answer as JSON; ret NULL: it is not looked at. */
int session_call(struct session *s, const struct http_request *q, json_object **ret);
int session_get(struct session *s, json_object **ret, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Prints an object as one line. */
int session_print_json(struct session *s, json_object *obj);
/* EXIT_SUCCESS once everything printed has left; what could not be written is said. */
int session_flush(struct session *s);

/* Jobs. */
int session_job_argument(const struct session *s, const char *text, const char **ret_id);	/* said: not a job id */
const char *job_string(json_object *job, const char *member);	/* "" where it is null or not there */
bool job_is_finished(json_object *job);
bool job_has_passed(json_object *job);
uint64_t job_elapsed(json_object *job);	/* microseconds since it was started, to its end or now; 0 before */
void job_state(struct strbuf *s, json_object *job);	/* "running", "passed", "failed (exit code 1)", not made harmless */
void job_progress(struct strbuf *s, json_object *job);	/* what the live file says, on one line; nothing without it */

#endif
