/* The StableConfigs API: a thermodynamic binding network becomes a job of the tool `stableconfigs`. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/fd.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "gate/api_stableconfigs_problem.h"
#include "gate/cors.h"
#include "gate/exchange.h"
#include "proto/client.h"
#include "spool/record.h"

enum {
	STYLE = JSON_STYLE_SORTED | JSON_STYLE_ASCII | JSON_STYLE_NEWLINE,
	ASK_FIRST_BYTES = 64 * 1024,	/* bodies up to this are read without asking: they cost less than the question */
	PASS_MAX = 64 * 1024,	/* results up to this pass through the gate */
	MESSAGE_BODY_MAX = 1024 * 1024,	/* what the engine says instead of a result quotes a line of the problem */
	LIVE_MAX = 1024,
	OWNER_SIZE = sizeof "stableconfigs:ip:" + ADDRESS_NAME_SIZE,
};

static const char tool_name[] = "stableconfigs";
static const char methods[] = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

struct settings {
	bool enabled;
	size_t body_max;
	const char *complete, *timed_out;	/* the words of the member `status` */
};

static int
settings_open(const struct config *config, void **ret_state)
{
	const char *words = config_string(config, "stableconfigs", "status_words");
	bool deployed = words && strcmp(words, "deployed") == 0;
	struct settings *s = malloc(sizeof *s);

	if (!s)
		return -ENOMEM;
	*s = (struct settings){
		.enabled = config_bool(config, "stableconfigs", "enabled"),
		.body_max = (size_t)config_number(config, "stableconfigs", "body_max"),
		.complete = deployed ? "Completed" : "COMPLETE",
		.timed_out = deployed ? "Timeout" : "TimedOut",
	};
	*ret_state = s;
	return 0;
}

static const char *
settings_off(const void *state)
{
	const struct settings *s = state;

	return s->enabled ? NULL : "StableConfigs is switched off here: set enabled = yes in section [stableconfigs] of spoolgate.conf.";
}

/* Answers of one shape: two members and a status. */

static void
answer_message(struct exchange *x, int status, const char *message, const char *word)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	int r;

	jsonw_string(&w, "message", message);
	jsonw_string(&w, "status", word);
	r = jsonw_finish(&w, &obj);
	if (r < 0)
		x->res.err = r;
	else
		response_json(&x->res, status, obj, STYLE);
}

static void
fail(struct exchange *x, int status, const char *message)
{
	answer_message(x, status, message, "Exception");
}

struct progress {
	uint64_t count, k;
};

static void
answer_progress(struct exchange *x, int status, struct progress p)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	int r;

	jsonw_add(&w, "count", json_object_new_uint64(p.count));
	jsonw_add(&w, "k", json_object_new_uint64(p.k));
	jsonw_string(&w, "status", "Progress");
	r = jsonw_finish(&w, &obj);
	if (r < 0)
		x->res.err = r;
	else
		response_json(&x->res, status, obj, STYLE);
}

/* What the helper's refusals are to a client. */
static const struct refusal {
	int err;
	int status;
	unsigned retry_sec;
	const char *message;
} refusals[] = {
	{ -EAGAIN, 503, 5, "The queue is full, please try again later." },
	{ -EDQUOT, 503, 5, "Too many tasks of yours are waiting or running, please try again later." },
	{ -ESHUTDOWN, 503, 30, "No tasks are accepted at the moment, please try again later." },
	{ -ENOSPC, 507, 60, "There is no room for another task, please try again later." },
	{ -EFBIG, 413, 0, "The problem is too large." },
	{ -ENOENT, 503, 5, "The service is starting, please try again later." },
	{ -ECONNREFUSED, 503, 5, "The service is starting, please try again later." },
	{ -ECONNRESET, 503, 5, "The connection to the queue was lost, please try again later." },
	{ -EPIPE, 503, 5, "The connection to the queue was lost, please try again later." },
	{ -ENOTUNIQ, 422, 0, "This Idempotency-Key stands for another task of yours." },
	{ -ETIMEDOUT, 503, 5, "The queue did not answer in time, please try again later." },
};

/* Answers a failure of a call to the helper, or returns it where it is our own fault. */
static int
answer_refusal(struct exchange *x, int err)
{
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		unsigned retry = client_retry_after(x->helper);

		if (refusals[i].err != err)
			continue;
		exchange_fail_retry(x, refusals[i].status, refusals[i].retry_sec && retry ? retry : refusals[i].retry_sec,
		    refusals[i].message);
		return HANDLED;
	}
	if (*client_reason(x->helper))
		log_error("%s: the helper refuses: %s", x->req.id, client_reason(x->helper));
	return err;
}

/* POST /task */

static int
format_params(const struct settings *s, const struct problem *p, json_object **ret)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();

	jsonw_string(&w, "gen", p->gen);
	jsonw_string(&w, "init_k", p->init_k);
	jsonw_string(&w, "status_word", s->complete);
	return jsonw_finish(&w, ret);
}

static int
submit(struct exchange *x, const char *owner, const char *ticket, const char *once, const struct problem *p, char ret_id[ID_SIZE])
{
	scoped(close_fd) int problem_fd = -EBADF;
	scoped(close_fd) int constraints_fd = -EBADF;
	scoped(put_json) json_object *params = NULL;
	struct submit_input inputs[2];
	struct submission s = { .service = stableconfigs_service.name, .tool = tool_name, .owner = owner, .ticket = ticket,
		.inputs = inputs };
	int r = format_params(x->state, p, &params);

	if (r < 0)
		return r;
	problem_fd = gate_input_file(x->gate, "problem.txt", p->monomers.text, p->monomers.len);
	if (problem_fd < 0)
		return problem_fd;
	inputs[s.n_inputs++] = (struct submit_input){ "problem.txt", problem_fd, p->monomers.len };
	if (p->has_constraints) {
		constraints_fd = gate_input_file(x->gate, "constraints.txt", p->constraints.text, p->constraints.len);
		if (constraints_fd < 0)
			return constraints_fd;
		inputs[s.n_inputs++] = (struct submit_input){ "constraints.txt", constraints_fd, p->constraints.len };
	}
	s.params = params;
	s.once = once;
	return client_submit(x->helper, &s, ret_id);
}

static int
answer_accepted(struct exchange *x, const char id[ID_SIZE])
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	char uuid[UUID_SIZE];
	int r;

	id_to_uuid(id, uuid);
	jsonw_string(&w, "task_id", uuid);
	r = jsonw_finish(&w, &obj);
	if (r < 0)
		return r;
	response_json(&x->res, 202, obj, STYLE);
	return HANDLED;
}

static int
post_task(struct exchange *x)
{
	const struct settings *s = x->state;
	scoped(free_ptr) char *body = NULL;
	struct problem problem;
	char address[ADDRESS_NAME_SIZE];
	char owner[OWNER_SIZE];
	char ticket[ID_SIZE] = "";
	char once[IDEMPOTENCY_KEY_SIZE] = "";
	char id[ID_SIZE];
	const char *why = NULL;
	size_t len = 0;
	int r = 0;

	if (!media_type_is_json(x->req.content_type)) {
		exchange_fail(x, 415, "The body must be application/json.");
		return HANDLED;
	}
	if (request_idempotency_key(&x->req, once) < 0) {
		exchange_fail(x, 400, "An Idempotency-Key has 1 to 255 visible ASCII characters.");
		return HANDLED;
	}
	address_name(x->req.remote_addr, address);
	(void)snprintf(owner, sizeof owner, "%s:ip:%s", stableconfigs_service.name, address);
	if (x->req.content_length > ASK_FIRST_BYTES && (uint64_t)x->req.content_length <= s->body_max)
		r = client_may(x->helper, stableconfigs_service.name, owner, (uint64_t)x->req.content_length, ticket);
	if (r < 0)
		return answer_refusal(x, r);
	if (exchange_read_body(x, s->body_max, &body, &len) != 0)
		return HANDLED;
	if (problem_parse(body, len, &problem, &why) < 0) {
		exchange_fail(x, 400, why);
		return HANDLED;
	}
	r = submit(x, owner, ticket, *once ? once : NULL, &problem, id);
	return r < 0 ? answer_refusal(x, r) : answer_accepted(x, id);
}

/* GET /status/<task_id>. Everything below the job's folder that the engine wrote is read as if an enemy had written it. */

static struct progress
read_progress(int job_fd)
{
	scoped(close_fd) int fd = open_regular_beneath(job_fd, "work/progress.json", NULL);
	scoped(put_json) json_object *obj = NULL;
	struct progress p = { 0, 0 };
	char text[LIVE_MAX];
	ssize_t len = fd < 0 ? fd : pread_full(fd, text, sizeof text, 0);

	/* Not there before the engine's first word; then replaced whole, never damaged. */
	if (len < 0 || len == (ssize_t)sizeof text || json_parse(text, (size_t)len, &obj) < 0)
		return p;
	if (json_get_uint(obj, "count", &p.count) < 0 || json_get_uint(obj, "k", &p.k) < 0)
		p = (struct progress){ 0, 0 };
	return p;
}

/* The engine's word instead of a result: {"message":...,"status":...}. */
static int
read_message(int job_fd, char **ret)
{
	scoped(put_json) json_object *obj = NULL;
	int r = json_load_at(job_fd, "stdout", MESSAGE_BODY_MAX, &obj);

	return r < 0 ? r : json_dup_string(obj, "message", ret);
}

static bool
looks_like_result(const char *text, size_t len)
{
	static const char begin[] = "{\"configs\":[", end[] = "}\n";

	if (len < sizeof begin + sizeof end || memcmp(text, begin, sizeof begin - 1) != 0 ||
	    memcmp(text + len - 2, end, 2) != 0)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] >= 0x80)
			return false;
	return json_scan(text, len, JSON_DEPTH_MAX, NULL) == 0;
}

static int
answer_result(struct exchange *x, int job_fd, const char id[ID_SIZE])
{
	scoped(close_fd) int fd = -EBADF;
	scoped(free_ptr) char *text = NULL;
	char location[64];
	off_t size = 0;
	ssize_t len = -1;

	fd = open_regular_at(job_fd, "stdout", &size);
	if (fd >= 0 && size > PASS_MAX) {
		(void)snprintf(location, sizeof location, "/-/spool/jobs/%.2s/%s/stdout", id, id);
		response_redirect(&x->res, "application/json", location);
		return HANDLED;
	}
	text = fd < 0 ? NULL : malloc((size_t)size + 1);
	if (text) {
		text[size] = '\0';
		len = pread_full(fd, text, (size_t)size, 0);
	}
	if (len < 0 || !looks_like_result(text, (size_t)len)) {
		log_error("%s: job %s passed, but its result is none", x->req.id, id);
		answer_message(x, 402, "The result is damaged.", "Exception");
		return HANDLED;
	}
	response_body(&x->res, 200, "application/json", take_ptr(text), (size_t)len);
	return HANDLED;
}

/* Exit statuses of the engine, spoolgate-tbn(1). */
enum { ENGINE_INPUT = 1, ENGINE_EXCEPTION = 2, ENGINE_STOPPED = 3, ENGINE_TIMEOUT = 4 };

static int
answer_timeout(struct exchange *x)
{
	const struct settings *s = x->state;

	answer_message(x, 400, "SoftTimeLimitExceeded()", s->timed_out);
	return HANDLED;
}

static int
answer_stopped(struct exchange *x, int job_fd)
{
	static const char words[] = "Early Termination at count [";
	scoped(free_ptr) char *message = NULL;
	char own[128];

	if (read_message(job_fd, &message) < 0 || strncmp(message, words, sizeof words - 1) != 0) {
		struct progress p = read_progress(job_fd);

		(void)snprintf(own, sizeof own, "%s%" PRIu64 "] min polymers [%" PRIu64 "].", words, p.count, p.k);
		answer_message(x, 401, own, "TBNException");
	} else {
		answer_message(x, 401, message, "TBNException");
	}
	return HANDLED;
}

static int
answer_failure(struct exchange *x, int job_fd, const char *id, int exit_code)
{
	scoped(free_ptr) char *message = NULL;

	if (exit_code == ENGINE_TIMEOUT)
		return answer_timeout(x);
	if (exit_code == ENGINE_STOPPED)
		return answer_stopped(x, job_fd);
	if ((exit_code != ENGINE_INPUT && exit_code != ENGINE_EXCEPTION) || read_message(job_fd, &message) < 0) {
		log_error("%s: job %s ended with status %d and no message", x->req.id, id, exit_code);
		answer_message(x, 402, "The engine failed.", "Exception");
	} else if (exit_code == ENGINE_INPUT) {
		answer_message(x, 401, message, "TBNException");
	} else {
		answer_message(x, 402, message, "Exception");
	}
	return HANDLED;
}

/* The one table from verdicts to answers. */
static int
answer_verdict(struct exchange *x, int job_fd, const char id[ID_SIZE], const struct job_result *result)
{
	const char *message = "The engine failed.";

	switch (result->verdict) {
	case VERDICT_PASSED:
		return answer_result(x, job_fd, id);
	case VERDICT_FAILED:
		return answer_failure(x, job_fd, id, result->exit_code);
	case VERDICT_TIMEOUT:
		return answer_timeout(x);
	case VERDICT_KILLED:
		return answer_stopped(x, job_fd);
	case VERDICT_OUT_OF_MEMORY:
		message = "The problem needs more memory than a task may use.";
		break;
	case VERDICT_OUTPUT_LIMIT:
		message = "The result is larger than a task may write.";
		break;
	case VERDICT_SIGNALLED:
		message = "The engine crashed.";
		break;
	case VERDICT_LOST:
		message = "The task or its result was lost, please post it again.";
		break;
	case VERDICT_REFUSED:
		message = "The task could not be run, please post it again later.";
		break;
	}
	answer_message(x, 402, message, "Exception");
	return HANDLED;
}

/* Opens the job that a task_id names; where there is none of ours: -ENOENT. */
static int
open_task(struct exchange *x, const char *task_id, char ret_id[ID_SIZE])
{
	return id_from_uuid(task_id, ret_id) < 0 ? -ENOENT : gate_open_job(x->gate, stableconfigs_service.name, ret_id);
}

static int
get_status(struct exchange *x)
{
	scoped(close_fd) int job_fd = -EBADF;
	struct job_status status;
	char id[ID_SIZE];
	int r;

	job_fd = open_task(x, x->args[0], id);
	r = job_fd < 0 ? job_fd : status_load(job_fd, &status);
	if (r == -ENOENT) {
		exchange_fail(x, 404, "There is no such task.");
		return HANDLED;
	}
	if (r == -EAGAIN)
		return answer_refusal(x, -ECONNREFUSED);	/* no spool yet */
	if (r < 0)
		return r;
	switch (status.state) {
	case JOB_QUEUED:
		answer_progress(x, 202, (struct progress){ 0, 0 });
		return HANDLED;
	case JOB_RUNNING:
		answer_progress(x, 202, read_progress(job_fd));
		return HANDLED;
	case JOB_KILLING:
		answer_progress(x, 203, read_progress(job_fd));
		return HANDLED;
	case JOB_FINISHED:
		return answer_verdict(x, job_fd, id, &status.result);
	}
	return -EBADMSG;
}

/* DELETE /terminate/<task_id> */

/* The id as it came, decoded; bytes that are no UTF-8 become U+FFFD. */
static int
answer_terminating(struct exchange *x, const char *task_id)
{
	scoped(strbuf_done) struct strbuf text = STRBUF_INIT(4 * REQUEST_URI_MAX);
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	int r;

	strbuf_addstr(&text, "terminating task: ");
	utf8_add(&text, task_id, strlen(task_id));
	r = strbuf_err(&text);
	if (r < 0)
		return r;
	jsonw_string(&w, "status", strbuf_str(&text));
	r = jsonw_finish(&w, &obj);
	if (r < 0)
		return r;
	response_json(&x->res, 200, obj, STYLE);
	return HANDLED;
}

static int
delete_terminate(struct exchange *x)
{
	scoped(close_fd) int job_fd = -EBADF;
	char id[ID_SIZE];
	int r = 0;

	job_fd = open_task(x, x->args[0], id);
	if (job_fd >= 0) {
		r = client_kill(x->helper, id, "client");
		if (r == -ECONNRESET || r == -EPIPE)	/* the helper was restarted; asking twice for an end does no harm */
			r = client_kill(x->helper, id, "client");
	} else if (job_fd != -ENOENT) {
		r = job_fd == -EAGAIN ? -ECONNREFUSED : job_fd;
	}
	if (r == -ENOENT) {	/* no such job, says the helper; or there is no helper */
		close_fd(&job_fd);
		job_fd = open_task(x, x->args[0], id);
		r = job_fd >= 0 ? -ECONNREFUSED : 0;
	}
	/* A kill that may not have been heard must not look like one that was. */
	if (r < 0)
		return answer_refusal(x, r);
	return answer_terminating(x, x->args[0]);
}

static void
options(struct exchange *x, const struct route *route)
{
	response_empty(&x->res, 200);
	response_header(&x->res, "Allow", route->allow);
	cors_preflight(x, methods);
}

static const struct route routes[] = {
	{ "/task", "POST, OPTIONS", { { METHOD_POST, post_task } } },
	{ "/status/{}", "HEAD, OPTIONS, GET", { { METHOD_GET | METHOD_HEAD, get_status } } },
	{ "/terminate/{}", "OPTIONS, DELETE", { { METHOD_DELETE, delete_terminate } } },
};

const struct service stableconfigs_service = {
	.name = "stableconfigs",
	.routes = routes,
	.n_routes = sizeof routes / sizeof routes[0],
	.open = settings_open,
	.close = free,
	.off = settings_off,
	.fail = fail,
	.options = options,
	.finish = cors_any_origin,
};
