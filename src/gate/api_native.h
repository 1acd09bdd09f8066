/* api_native.h - what the parts of the native API share: its settings, jobs as it sees them, and its handlers.
 * The API is the engine's own words: doc/api.md for people, openapi.json for programs. */
#ifndef SPOOLGATE_GATE_API_NATIVE_H
#define SPOOLGATE_GATE_API_NATIVE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "basic/id.h"
#include "gate/auth.h"
#include "gate/service.h"
#include "spool/job.h"
#include "spool/meta.h"
#include "spool/record.h"

struct exchange;

/* Greatest offset or place in a list that a request may name: JSON's numbers are exact up to there (RFC 8259, section 6). */
#define NATIVE_NUMBER_MAX ((UINT64_C(1) << 53) - 1)

struct native_settings {
	bool enabled;
	size_t body_max;
	uint64_t uploads_max;	/* bytes that all uploads may announce together */
	unsigned anonymous;	/* enum scope: what needs no token */
};

struct native_job {
	char id[ID_SIZE];
	int job_fd;	/* its folder */
	const char *root;	/* GATE_SPOOL or GATE_TRANSIENT: where that lies, as nginx calls it */
	struct job *job;
	struct job_status status;
	struct job_meta meta;	/* its note is not loaded */
	uint64_t position;	/* in the queue, 1: it is next; 0: it does not wait, or nobody asked */
};
#define NATIVE_JOB_NONE { .job_fd = -EBADF }
void native_job_done(struct native_job *j);	/* usable with scoped(native_job_done) */

/* The job that x->args[0] names, for a caller with this scope. 0: *ret is filled in; 1: the answer is set (401, 403, 404, 503);
 * else a negative errno. */
int native_open_job(struct exchange *x, enum scope scope, struct native_job *ret);
/* Whether it is forgotten soon after its end, and lost where the host's memory is. */
bool native_is_transient(const struct native_job *j);
/* Answers with 410 where the job has no files any more. 0, or 1: the answer is set. */
int native_check_files(struct exchange *x, const struct native_job *j);
/* Without a request's argument: -ENOENT: no such job, or not this caller's. */
int native_load_job(struct exchange *x, const struct caller *c, const char *id, struct native_job *ret);
/* Reads the status anew; -ENOENT: forgotten meanwhile. */
int native_reload(struct native_job *j);
const char *native_job_name(const struct native_job *j);	/* as its owner called it; NULL: nothing */
/* Asks the helper for the position of one that waits; without an answer it stays 0. */
void native_find_position(struct exchange *x, struct native_job *j);
/* The Job object. */
int native_job_json(const struct native_job *j, json_object **ret);
/* Answers with the Job object, its position looked up where the caller is no waiting thread. */
int native_answer_job(struct exchange *x, int status, struct native_job *j);
/* Answers that a wait was not taken (exchange_wait()'s -EDQUOT, -EAGAIN). HANDLED, or the errno. */
int native_wait_refused(struct exchange *x, int err);
/* Answers with any object, which is taken over; NULL is a failed constructor. */
int native_answer(struct exchange *x, int status, json_object *obj);

/* The log, for reading, and its size now. -EBADF: there is none yet. */
int native_open_log(const struct native_job *j, uint64_t *ret_size);

/* Query parameters: those of `known` (NULL-terminated), each at most once. 0, or 1: the answer (400) is set. */
int native_query_check(struct exchange *x, const char *const *known);
/* A text; *ret (the caller's to free) is left alone where it is not there. 0, or 1: the answer (400) is set. */
int native_query_text(struct exchange *x, const char *name, char **ret);
/* A number within a range; def where it is not there. 0, or 1: the answer (400) is set. */
int native_query_number(struct exchange *x, const char *name, uint64_t min, uint64_t max, uint64_t def, uint64_t *ret);

int native_get_job(struct exchange *x);
int native_get_wait(struct exchange *x);
int native_post_kill(struct exchange *x);
int native_delete_files(struct exchange *x);
int native_delete_job(struct exchange *x);
int native_get_jobs(struct exchange *x);
int native_post_jobs(struct exchange *x);
int native_get_log(struct exchange *x);
int native_get_events(struct exchange *x);
int native_get_files(struct exchange *x);
int native_get_file(struct exchange *x);
int native_get_zip(struct exchange *x);
int native_get_stdout(struct exchange *x);
int native_get_receipt(struct exchange *x);
int native_get_docs(struct exchange *x);
int native_get_openapi(struct exchange *x);
int native_post_uploads(struct exchange *x);
int native_get_upload(struct exchange *x);
int native_patch_upload(struct exchange *x);
int native_delete_upload(struct exchange *x);
int native_get_tools(struct exchange *x);
int native_get_tool(struct exchange *x);

#endif
