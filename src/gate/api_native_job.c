/* One job of the native API: what it is, waiting for it, its end. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "gate/api_native.h"
#include "gate/exchange.h"
#include "gate/problem.h"
#include "gate/waiting.h"
#include "proto/client.h"
#include "spool/meta.h"

enum { LIVE_MAX = 4096, WAIT_DEFAULT_SEC = 60, WAIT_MAX_SEC = 3600, WAITS_RETRY_SEC = 5 };

void
native_job_done(struct native_job *j)
{
	close_fd(&j->job_fd);
	j->job = job_free(j->job);
}

static int
load_meta(struct native_job *j)
{
	int r = meta_load(j->job_fd, &j->meta);

	if (r >= 0)
		meta_done(&j->meta);
	return r;
}

int
native_reload(struct native_job *j)
{
	int r = status_load(j->job_fd, &j->status);

	return r >= 0 && j->status.state == JOB_FINISHED ? load_meta(j) : r;
}

bool
native_is_transient(const struct native_job *j)
{
	return strcmp(j->root, GATE_TRANSIENT) == 0;
}

int
native_check_files(struct exchange *x, const struct native_job *j)
{
	char text[CLOCK_TEXT_SIZE];

	if (j->meta.pruned_usec == 0)
		return 0;
	clock_format(j->meta.pruned_usec, text);
	native_problem(x, 410, PLACE_NONE, NULL, "The job's files were removed at %s. Its receipt is there.", text);
	return 1;
}

int
native_load_job(struct exchange *x, const struct caller *c, const char *id, struct native_job *ret)
{
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	int r;

	if (!id_valid(id))
		return -ENOENT;
	memcpy(j.id, id, ID_SIZE);
	j.job_fd = gate_find_job(x->gate, id, &j.root);
	if (j.job_fd < 0)
		return j.job_fd;
	r = job_load(j.job_fd, &j.job);
	if (r < 0)
		return r;
	if (!(c->scopes & SCOPE_ADMIN) && strcmp(j.job->owner, c->owner) != 0)
		return -ENOENT;
	r = native_reload(&j);
	if (r < 0)
		return r;
	*ret = j;
	j = (struct native_job)NATIVE_JOB_NONE;
	return 0;
}

int
native_open_job(struct exchange *x, enum scope scope, struct native_job *ret)
{
	scoped(caller_done) struct caller c = { .owner = "" };
	int r = auth_require(x, scope, &c);

	if (r != 0)
		return r;
	r = native_load_job(x, &c, x->args[0], ret);
	if (r == -ENOENT)
		native_problem(x, 404, PLACE_NONE, NULL, "There is no such job.");
	else if (r == -EAGAIN)
		native_problem_retry(x, 503, WAITS_RETRY_SEC, "The service is starting, please try again later.");
	else
		return r;
	return 1;
}

static void
add_time(struct jsonw *w, const char *key, uint64_t wall_usec)
{
	char text[CLOCK_TEXT_SIZE];

	if (wall_usec)
		clock_format(wall_usec, text);
	jsonw_string(w, key, wall_usec ? text : NULL);
}

static void
add_seconds(struct jsonw *w, const char *key, uint64_t usec)
{
	jsonw_add(w, key, json_object_new_double((double)usec / (double)USEC_PER_SEC));
}

static void
add_usage(struct jsonw *w, const struct job_result *result)
{
	scoped(jsonw_done) struct jsonw u = jsonw_new();
	json_object *obj = NULL;

	if (!result || !result->started_usec) {
		jsonw_null(w, "usage");
		return;
	}
	add_seconds(&u, "wall_seconds", result->wall_usec);
	add_seconds(&u, "cpu_seconds", result->cpu_usec);
	jsonw_add(&u, "memory_bytes", json_object_new_uint64(result->peak_memory_bytes));
	(void)jsonw_finish(&u, &obj);
	jsonw_add(w, "usage", obj);
}

static void
add_links(struct jsonw *w, const char *id)
{
	static const struct { const char *name, *path; } table[] = {
		{ "self", "" }, { "wait", "/wait" }, { "log", "/log" }, { "events", "/events" }, { "files", "/files" },
		{ "zip", "/zip" }, { "receipt", "/receipt" },
	};
	scoped(jsonw_done) struct jsonw l = jsonw_new();
	json_object *obj = NULL;
	char text[64];

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		(void)snprintf(text, sizeof text, "/v1/jobs/%s%s", id, table[i].path);
		jsonw_string(&l, table[i].name, text);
	}
	(void)jsonw_finish(&l, &obj);
	jsonw_add(w, "links", obj);
}

/* What the tool says of its progress: an enemy's file, of which only whole JSON is passed on. */
static void
add_progress(struct jsonw *w, const struct native_job *j)
{
	scoped(close_fd) int fd = -EBADF;
	scoped(put_json) json_object *obj = NULL;
	char path[128];
	char text[LIVE_MAX + 1];
	ssize_t len;

	if (j->job->live && (j->status.state == JOB_RUNNING || j->status.state == JOB_KILLING)) {
		(void)snprintf(path, sizeof path, "work/%s", j->job->live);
		fd = open_regular_beneath(j->job_fd, path, NULL);
	}
	len = fd < 0 ? fd : pread_full(fd, text, sizeof text, 0);
	if (len >= 0 && len <= LIVE_MAX && json_parse(text, (size_t)len, &obj) == 0 && obj)
		jsonw_add(w, "progress", take_ptr(obj));
	else
		jsonw_null(w, "progress");
}

const char *
native_job_name(const struct native_job *j)
{
	const char *name = NULL;

	return j->job->note && json_get_string(j->job->note, "name", &name) == 0 ? name : NULL;
}

static void
add_log_bytes(struct jsonw *w, const struct native_job *j)
{
	struct stat st;

	if (fstatat(j->job_fd, "log", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		jsonw_int(w, "log_bytes", (int64_t)st.st_size);
	else
		jsonw_null(w, "log_bytes");
}

/* sigabbrev_np(3) leaves "SIG" out; a real-time signal has no name. */
static void
add_signal(struct jsonw *w, int sig)
{
	const char *name = sig ? sigabbrev_np(sig) : NULL;
	char text[32];

	if (name)
		(void)snprintf(text, sizeof text, "SIG%s", name);
	else
		(void)snprintf(text, sizeof text, "signal %d", sig);
	jsonw_string(w, "signal", sig ? text : NULL);
}

static void
add_callback(struct jsonw *w, const struct native_job *j)
{
	scoped(jsonw_done) struct jsonw c = jsonw_new();
	json_object *obj = NULL;

	if (!j->job->callback) {
		jsonw_null(w, "callback");
		return;
	}
	jsonw_string(&c, "url", j->job->callback);
	jsonw_string(&c, "state", callback_state_name(j->meta.callback.state));
	jsonw_int(&c, "attempts", j->meta.callback.attempts);
	jsonw_string(&c, "last", j->meta.callback.last[0] ? j->meta.callback.last : NULL);
	(void)jsonw_finish(&c, &obj);
	jsonw_add(w, "callback", obj);
}

int
native_job_json(const struct native_job *j, json_object **ret)
{
	static const char *const states[] = { [JOB_QUEUED] = "queued", [JOB_RUNNING] = "running", [JOB_KILLING] = "killing",
		[JOB_FINISHED] = "finished" };
	const struct job_result *result = j->status.state == JOB_FINISHED ? &j->status.result : NULL;
	bool ended = result && result->ended_usec && j->job->keep_usec;
	scoped(jsonw_done) struct jsonw w = jsonw_new();

	jsonw_string(&w, "id", j->id);
	jsonw_string(&w, "tool", j->job->tool);
	jsonw_string(&w, "name", native_job_name(j));
	jsonw_string(&w, "owner", j->job->owner);
	jsonw_string(&w, "state", states[j->status.state]);
	if (j->status.state == JOB_QUEUED && j->position > 0)
		jsonw_int(&w, "position", (int64_t)j->position);
	else
		jsonw_null(&w, "position");
	add_time(&w, "created", j->job->accepted_usec);
	add_time(&w, "started", result ? result->started_usec : j->status.started_usec);
	add_time(&w, "ended", result ? result->ended_usec : 0);
	jsonw_int(&w, "attempt", result ? result->attempt : j->status.attempt);
	jsonw_string(&w, "verdict", result ? verdict_name(result->verdict) : NULL);
	if (result && result->exit_code >= 0)
		jsonw_int(&w, "exit_code", result->exit_code);
	else
		jsonw_null(&w, "exit_code");
	add_signal(&w, result ? result->signal : 0);
	jsonw_string(&w, "killed_by", result && *result->by ? result->by :
	    j->status.state == JOB_KILLING ? j->status.want.by : NULL);
	jsonw_string(&w, "note", result && *result->message ? result->message : NULL);
	add_progress(&w, j);
	add_usage(&w, result);
	add_log_bytes(&w, j);
	add_callback(&w, j);
	add_time(&w, "pruned", j->meta.pruned_usec);
	add_time(&w, "expires", ended ? result->ended_usec + j->job->keep_usec : 0);
	add_links(&w, j->id);
	return jsonw_finish(&w, ret);
}

void
native_find_position(struct exchange *x, struct native_job *j)
{
	if (x->helper && j->status.state == JOB_QUEUED)
		(void)client_positions(x->helper, &(const char *){ j->id }, 1, &j->position);
}

int
native_answer_job(struct exchange *x, int status, struct native_job *j)
{
	json_object *obj = NULL;
	int r;

	native_find_position(x, j);
	r = native_job_json(j, &obj);
	return r < 0 ? r : native_answer(x, status, obj);
}

int
native_get_job(struct exchange *x)
{
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	int r = native_open_job(x, SCOPE_READ, &j);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	return native_answer_job(x, 200, &j);
}

/* GET /jobs/{}/wait */

static void
free_waiting_job(void *ctx)
{
	struct native_job *j = ctx;

	native_job_done(j);
	free(j);
}

static enum wait_verdict
answer_waiter(struct exchange *x, enum wait_event event, void *ctx)
{
	struct native_job *j = ctx;
	int r = native_reload(j);

	if (r == -ENOENT && native_is_transient(j)) {
		native_problem_retry(x, 503, 1, "The job went with the memory it lay in, please submit it again.");
		return WAIT_DONE;
	}
	if (r == -ENOENT) {
		native_problem(x, 404, PLACE_NONE, NULL, "The job has been deleted.");
		return WAIT_DONE;
	}
	if (r >= 0 && j->status.state != JOB_FINISHED && event != WAIT_DEADLINE && event != WAIT_DRAIN)
		return WAIT_ON;
	if (r >= 0)
		r = native_answer_job(x, 200, j);
	if (r < 0)
		exchange_fail(x, 500, "Internal error.");
	return WAIT_DONE;
}

int
native_wait_refused(struct exchange *x, int err)
{
	if (err == -EDQUOT)
		return native_problem_retry(x, 429, WAITS_RETRY_SEC, "Too many requests of yours wait at the same time.");
	if (err == -EAGAIN)
		return native_problem_retry(x, 503, WAITS_RETRY_SEC, "Too many requests wait at the same time.");
	return err;
}

int
native_get_wait(struct exchange *x)
{
	static const char *const known[] = { "timeout", NULL };
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	struct wait_for what = { .answer = answer_waiter, .free_ctx = free_waiting_job, .follow_fd = -EBADF };
	uint64_t timeout = 0;
	struct native_job *waiting = NULL;
	int r = native_open_job(x, SCOPE_READ, &j);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	if (native_query_check(x, known) != 0 ||
	    native_query_number(x, "timeout", 1, WAIT_MAX_SEC, WAIT_DEFAULT_SEC, &timeout) != 0)
		return HANDLED;
	if (j.status.state == JOB_FINISHED)
		return native_answer_job(x, 200, &j);
	waiting = malloc(sizeof *waiting);
	if (!waiting)
		return -ENOMEM;
	*waiting = j;
	j = (struct native_job)NATIVE_JOB_NONE;
	what.ctx = waiting;
	what.owner = waiting->job->owner;
	what.deadline_mono_usec = clock_mono() + timeout * USEC_PER_SEC;
	memcpy(what.id, waiting->id, ID_SIZE);
	r = exchange_wait(x, &what);
	return r < 0 ? native_wait_refused(x, r) : HANDLED_WAITING;
}

/* POST /jobs/{}/kill, DELETE /jobs/{} */

int
native_post_kill(struct exchange *x)
{
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	int r = native_open_job(x, SCOPE_KILL, &j);
	int finished;

	if (r != 0)
		return r < 0 ? r : HANDLED;
	finished = client_kill(x->helper, j.id, "owner");
	if (finished == -ECONNRESET || finished == -EPIPE)	/* the helper was restarted; asking twice for an end does no harm */
		finished = client_kill(x->helper, j.id, "owner");
	r = finished < 0 && finished != -ENOENT ? finished : native_reload(&j);
	if (r == -ENOENT)
		return native_problem(x, 404, PLACE_NONE, NULL, "The job has been deleted.");
	if (finished == -ENOENT)	/* it is there, so there is no helper */
		r = -ECONNREFUSED;
	if (r < 0)
		return native_refusal(x, r);
	return native_answer_job(x, finished == 1 ? 200 : 202, &j);
}

/* DELETE /jobs/{}/files */
int
native_delete_files(struct exchange *x)
{
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	int r = native_open_job(x, SCOPE_KILL, &j);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	if (j.status.state != JOB_FINISHED)
		return native_problem(x, 409, PLACE_NONE, NULL, "The job is not finished: kill it first, or wait for it.");
	if (native_is_transient(&j))
		return native_problem(x, 409, PLACE_NONE, NULL, "A job of this tool is forgotten as a whole, soon after its end.");
	r = client_prune(x->helper, j.id);
	if (r == -ECONNRESET || r == -EPIPE)	/* the helper was restarted; asking twice does no harm */
		r = client_prune(x->helper, j.id);
	if (r == -EBUSY)
		return native_problem(x, 409, PLACE_NONE, NULL, "The job is not finished: kill it first, or wait for it.");
	if (r == -ENOENT && native_reload(&j) < 0)
		return native_problem(x, 404, PLACE_NONE, NULL, "The job has been deleted.");
	if (r == -ENOENT)	/* it is there, so there is no helper */
		r = -ECONNREFUSED;
	if (r < 0)
		return native_refusal(x, r);
	response_empty(&x->res, 204);
	return HANDLED;
}

int
native_delete_job(struct exchange *x)
{
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	int r = native_open_job(x, SCOPE_KILL, &j);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	if (j.status.state != JOB_FINISHED)
		return native_problem(x, 409, PLACE_NONE, NULL, "The job is not finished: kill it first, or wait for it.");
	r = client_forget(x->helper, j.id);
	if (r == -EBUSY)
		return native_problem(x, 409, PLACE_NONE, NULL, "The job is not finished: kill it first, or wait for it.");
	if (r == -ENOENT && native_reload(&j) >= 0)	/* it is there, so there is no helper */
		r = -ECONNREFUSED;
	if (r < 0 && r != -ENOENT)
		return native_refusal(x, r);
	response_empty(&x->res, 204);
	return HANDLED;
}
