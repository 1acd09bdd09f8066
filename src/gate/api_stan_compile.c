/* POST /compile: one job for each model, whoever asks. Its service key is the model id, so the queue itself sees to it that
 * equal programs, in whichever worker they arrive, meet in one job; who comes later waits for that. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "gate/api_stan.h"
#include "gate/input_file.h"
#include "gate/metrics.h"
#include "gate/waiting.h"

enum {
	TRIES = 8,	/* to find or make the job, while others do the same */
	CHUNK = 16 * 1024,
	JSON_MAX = 11 * 1024 * 1024,	/* of a program as a JSON string; what nginx lets pass */
	HEAD_MAX = 48 * 1024,	/* of a longer log: what is shown of its beginning, and of its end */
	BUSY_RETRY_SEC = 5,
	OWNER_SIZE = sizeof "stan:ip:" + ADDRESS_NAME_SIZE,
};
#define WAIT_MAX_USEC (3600 * USEC_PER_SEC)

/* Exit statuses of stan-compile. */
enum { COMPILE_FAILED = 1, COMPILE_NO_JS = 3, COMPILE_NO_WASM = 4 };

static const char test_program[] = "parameters {\n  real x;\n}\nmodel {\n  x ~ normal(0, 1);\n}\n";

/* One request for a model. */
struct compile {
	char model_id[STAN_ENTRY_SIZE];
	char job_id[ID_SIZE];
	char owner[OWNER_SIZE];
	enum metrics_compile how;	/* X-Spool-Cache */
	uint64_t accepted_usec;	/* wall time at which its job was found or made */
};

/* ---- the cache ---- */

int
stan_open_file(const struct stan_state *s, const char *model_id, const char *name)
{
	scoped(close_fd) int cache_fd = open(s->cache, O_PATH | O_DIRECTORY | O_CLOEXEC), entry_fd = -EBADF;

	if (cache_fd < 0)
		return -errno;
	entry_fd = open_dir_at(cache_fd, model_id);
	return entry_fd < 0 ? entry_fd : open_regular_at(entry_fd, name, NULL);
}

bool
stan_in_cache(const struct stan_state *s, const char *model_id)
{
	scoped(close_fd) int js = stan_open_file(s, model_id, "main.js");
	scoped(close_fd) int wasm = js < 0 ? js : stan_open_file(s, model_id, "main.wasm");
	char byte;

	/* Its access time is what the cache's eviction goes by. */
	return js >= 0 && wasm >= 0 && pread_full(js, &byte, 1, 0) >= 0;
}

/* ---- answers ---- */

static int
answer_model(struct exchange *x, const struct compile *c)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	int r;

	jsonw_string(&w, "model_id", c->model_id);
	r = jsonw_finish(&w, &obj);
	if (r < 0)
		return r;
	response_json(&x->res, 200, obj, 0);
	response_header(&x->res, "X-Spool-Cache", metrics_compile_names[c->how]);
	return HANDLED;
}

static void
busy(struct exchange *x, unsigned retry_sec)
{
	unsigned sec = retry_sec ? retry_sec : BUSY_RETRY_SEC;

	stan_message(x, 503, "Compilation server is busy; try again in %u s", sec);
	response_headerf(&x->res, "Retry-After", "%u", sec);
}

/* What the helper's refusals are to a client; or the error, where it is our own fault. */
static int
answer_refusal(struct exchange *x, int err)
{
	unsigned retry = x->helper ? client_retry_after(x->helper) : 0;

	switch (err) {
	case -EAGAIN:
	case -EDQUOT:
		busy(x, retry);
		return HANDLED;
	case -ENOSPC:
		exchange_fail_retry(x, 507, retry ? retry : 60, "There is no room for another compilation; try again later");
		return HANDLED;
	case -EFBIG:
		stan_message(x, 400, "Stan source file too large.");
		return HANDLED;
	case -ESHUTDOWN:
	case -ENOENT:
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -EPIPE:
	case -ETIMEDOUT:
		exchange_fail_retry(x, 503, retry ? retry : BUSY_RETRY_SEC, "Compilation server is starting; try again in a few seconds");
		return HANDLED;
	default:
		if (x->helper && *client_reason(x->helper))
			log_error("%s: the helper refuses: %s", x->req.id, client_reason(x->helper));
		return err;
	}
}

/* The compiler's words, of a long log its beginning and its end. */
static int
read_diagnosis(int job_fd, struct strbuf *ret)
{
	off_t size = 0;
	scoped(close_fd) int fd = open_regular_at(job_fd, "log", &size);
	scoped(free_ptr) char *text = malloc(STAN_TEXT_MAX);
	ssize_t head, tail = 0;

	if (fd < 0 || !text)
		return fd < 0 ? fd : -ENOMEM;
	head = pread_full(fd, text, size > STAN_TEXT_MAX ? HEAD_MAX : STAN_TEXT_MAX, 0);
	if (head < 0)
		return (int)head;
	stan_clean_text(ret, text, (size_t)head);
	if (size <= STAN_TEXT_MAX)
		return 0;
	tail = pread_full(fd, text, STAN_TEXT_MAX - HEAD_MAX, size - (STAN_TEXT_MAX - HEAD_MAX));
	strbuf_addstr(ret, "\n[...]\n");
	if (tail > 0)
		stan_clean_text(ret, text, (size_t)tail);
	return tail < 0 ? (int)tail : 0;
}

static int
answer_failed(struct exchange *x, int job_fd, const struct job_result *result)
{
	scoped(strbuf_done) struct strbuf text = STRBUF_INIT((size_t)4 * STAN_TEXT_MAX);
	int r;

	if (result->exit_code == COMPILE_NO_JS || result->exit_code == COMPILE_NO_WASM) {
		stan_message(x, 422, "Missing compilation output %s", result->exit_code == COMPILE_NO_JS ? "main.js" : "main.wasm");
		return HANDLED;
	}
	r = read_diagnosis(job_fd, &text);
	if (r == 0)
		r = strbuf_err(&text);
	if (r < 0 && r != -ENOENT)
		return r;
	stan_message(x, 422, "Failed to compile model: %s", strbuf_str(&text));
	return HANDLED;
}

/* The one table from verdicts to answers. */
static int
answer_verdict(struct exchange *x, int job_fd, const struct compile *c, const struct job_result *result)
{
	const struct stan_state *s = x->state;

	switch (result->verdict) {
	case VERDICT_PASSED:
		if (stan_in_cache(s, c->model_id))
			return answer_model(x, c);
		stan_message(x, 503, "The compiled model was let go again, please compile it once more");
		return HANDLED;
	case VERDICT_FAILED:
		return answer_failed(x, job_fd, result);
	case VERDICT_TIMEOUT:
		stan_message(x, 400, "Model compilation took too long to complete");
		return HANDLED;
	case VERDICT_SIGNALLED:
		stan_message(x, 422, "Failed to compile model: the compiler was ended by signal %d", result->signal);
		return HANDLED;
	case VERDICT_OUT_OF_MEMORY:
		stan_message(x, 422, "Failed to compile model: the compiler needs more memory than it may use");
		return HANDLED;
	case VERDICT_OUTPUT_LIMIT:
		stan_message(x, 422, "Failed to compile model: the compiler wrote more than it may");
		return HANDLED;
	case VERDICT_KILLED:
		exchange_fail_retry(x, 503, BUSY_RETRY_SEC, "The compilation was ended by the administrator; try again");
		return HANDLED;
	case VERDICT_LOST:
	case VERDICT_REFUSED:
		log_error("%s: job %s is %s: %s", x->req.id, c->job_id, verdict_name(result->verdict), result->message);
		stan_message(x, result->verdict == VERDICT_LOST ? 500 : 503, "The compilation could not be completed, please try again");
		return HANDLED;
	}
	return -EBADMSG;
}

/* How long it waited and worked, for who wants to know; old clients do not look. */
static int
answer_finished(struct exchange *x, int job_fd, const struct compile *c, const struct job_result *result)
{
	int r = answer_verdict(x, job_fd, c, result);
	uint64_t queued = result->started_usec > c->accepted_usec ? result->started_usec - c->accepted_usec : 0;

	if (r != HANDLED)
		return r;
	response_header(&x->res, "X-Spool-Job", c->job_id);
	response_headerf(&x->res, "X-Spool-Queue-Ms", "%" PRIu64, queued / USEC_PER_MSEC);
	response_headerf(&x->res, "X-Spool-Compile-Ms", "%" PRIu64, result->wall_usec / USEC_PER_MSEC);
	return HANDLED;
}

/* ---- one job for a model ---- */

/* Whether this end says something about the program, and not so long ago that it should be asked again. A time-out or a crash does not,
 * nor does a script that could not do its work. */
static bool
is_remembered(const struct stan_state *s, const struct job_result *r)
{
	bool own_fault = r->exit_code == COMPILE_FAILED || r->exit_code == COMPILE_NO_JS || r->exit_code == COMPILE_NO_WASM;

	return r->verdict == VERDICT_FAILED && own_fault && r->ended_usec + s->failures_usec > clock_wall();
}

enum found { FOUND_NONE, FOUND_RUNNING, FOUND_FINISHED };

/* The job that has this model's key, where it is still of use. */
static int
find_job(struct exchange *x, struct compile *c, struct job_result *ret)
{
	scoped(close_fd) int job_fd = -EBADF;
	struct job_status status;
	int r = gate_key_get(x->gate, "stan", c->model_id, c->job_id);

	if (r == 0)
		job_fd = r = gate_open_job(x->gate, "stan", c->job_id);
	if (r >= 0)
		r = status_load(job_fd, &status);
	if (r == -ENOENT || r == -EAGAIN)
		return FOUND_NONE;
	if (r < 0)
		return r;
	if (status.state != JOB_FINISHED)
		return FOUND_RUNNING;
	*ret = status.result;
	/* One that passed may have done so since the cache was looked at. */
	if (ret->verdict == VERDICT_PASSED ? stan_in_cache(x->state, c->model_id) : is_remembered(x->state, ret))
		return FOUND_FINISHED;
	return FOUND_NONE;
}

static int
submit(struct exchange *x, struct compile *c, const struct input_file *f)
{
	const struct submit_input input = { "main.stan", f->fd, f->size };
	const struct submission s = { .service = "stan", .tool = STAN_TOOL, .owner = c->owner, .key = c->model_id, .key_replaces = true,
		.inputs = &input, .n_inputs = 1 };

	return client_submit(x->helper, &s, c->job_id);
}

/* FOUND_RUNNING: c->job_id is to be waited for; FOUND_FINISHED: *ret is how it ended; or the helper's refusal. */
static int
find_or_submit(struct exchange *x, struct compile *c, const struct input_file *f, struct job_result *ret)
{
	int r = -EAGAIN;

	for (unsigned i = 0; i < TRIES; i++) {
		r = find_job(x, c, ret);
		c->how = COMPILE_JOINED;
		if (r != FOUND_NONE)
			return r;
		r = submit(x, c, f);
		c->how = COMPILE_MISS;
		if (r == 0)
			return FOUND_RUNNING;
		/* Somebody was faster; or the helper was executed anew, and whatever it did before is found by its key. */
		if (r != -EEXIST && r != -EPIPE && r != -ECONNRESET)
			return r;
	}
	return r == -EEXIST ? -EAGAIN : r;
}

/* In the waiting thread. */
static enum wait_verdict
on_event(struct exchange *x, enum wait_event event, void *ctx)
{
	const struct compile *c = ctx;
	scoped(close_fd) int job_fd = gate_open_job(x->gate, "stan", c->job_id);
	struct job_status status = { .state = JOB_QUEUED };
	int r = job_fd < 0 ? job_fd : status_load(job_fd, &status);

	if (r == 0 && status.state == JOB_FINISHED)
		r = answer_finished(x, job_fd, c, &status.result);
	else if (r == -ENOENT)
		stan_message(x, 503, "The compilation was removed, please try again");
	else if (r == 0 && event == WAIT_DEADLINE)
		busy(x, 0);
	else if (r == 0)
		return WAIT_ON;	/* also while this worker ends: who waits for a compiler asked once */
	if (r < 0 && r != -ENOENT) {
		log_error("%s: job %s: %s", x->req.id, c->job_id, strerror(-r));
		exchange_fail(x, 500, "Internal server error");
	}
	return WAIT_DONE;
}

static int
wait_for_it(struct exchange *x, const struct compile *c)
{
	struct wait_for what = { .answer = on_event, .free_ctx = free, .follow_fd = -EBADF,
		.deadline_mono_usec = clock_mono() + WAIT_MAX_USEC };
	struct compile *copy = malloc(sizeof *copy);
	int r;

	if (!copy)
		return -ENOMEM;
	*copy = *c;
	what.ctx = copy;
	what.owner = copy->owner;
	memcpy(what.id, c->job_id, ID_SIZE);
	r = exchange_wait(x, &what);
	if (r == -EDQUOT || r == -EAGAIN) {
		busy(x, 0);
		return HANDLED;
	}
	return r < 0 ? r : HANDLED_WAITING;
}

/* ---- the self-test ---- */

/* A run of this very compiler that passed lies in the cache under a name that no program has. */
static bool
is_tested(const struct exchange *x)
{
	struct stan_state *s = (struct stan_state *)(uintptr_t)x->state;

	if (!atomic_load(&s->tested) && stan_in_cache(s, s->test_id))
		atomic_store(&s->tested, true);
	return atomic_load(&s->tested);
}

/* Begins it where it does not run and has not failed a moment ago. FOUND_RUNNING, FOUND_FINISHED with *ret, or an error. */
static int
test_compiler(struct exchange *x, struct compile *c, struct job_result *ret)
{
	const struct stan_state *s = x->state;
	struct input_file f;
	int r = input_file_begin(&f, "main.stan");

	if (r == 0)
		r = input_file_add(&f, x->gate, test_program, sizeof test_program - 1);
	if (r == 0)
		r = input_file_finish(&f);
	memcpy(c->model_id, s->test_id, sizeof c->model_id);
	(void)snprintf(c->owner, sizeof c->owner, "stan:ip:self-test");
	if (r == 0)
		r = find_job(x, c, ret);
	/* A failure of the compiler itself is tried again soon: its owner may have prepared it by now. */
	if (r == FOUND_FINISHED && ret->verdict != VERDICT_PASSED && ret->ended_usec + BUSY_RETRY_SEC * USEC_PER_SEC < clock_wall())
		r = FOUND_NONE;
	if (r == FOUND_NONE && (r = submit(x, c, &f)) == 0)
		r = FOUND_RUNNING;
	input_file_done(&f);
	return r == -EEXIST ? FOUND_RUNNING : r;
}

void
stan_warm(struct exchange *x)
{
	struct compile c = { .how = COMPILE_MISS };
	struct job_result result;
	int r = is_tested(x) ? 0 : test_compiler(x, &c, &result);

	if (r < 0 && r != -ENOENT && r != -ECONNREFUSED)
		log_warning("stan: the self-test cannot be begun: %s", strerror(-r));
}

/* 1: it works; 0: the answer is set. */
static int
require_tested(struct exchange *x)
{
	struct compile c = { .how = COMPILE_MISS };
	struct job_result result;
	int r;

	if (is_tested(x))
		return 1;
	r = test_compiler(x, &c, &result);
	if (r < 0)
		return answer_refusal(x, r);
	if (r == FOUND_FINISHED && result.verdict == VERDICT_PASSED)
		return 1;
	if (r == FOUND_FINISHED)
		log_error("%s: the self-test of the compiler has failed: job %s", x->req.id, c.job_id);
	stan_message(x, 503, r == FOUND_FINISHED ? "The compiler does not work yet. " STAN_PREPARE : "The compiler is being tried; try again in a few seconds. " STAN_PREPARE);
	response_headerf(&x->res, "Retry-After", "%d", BUSY_RETRY_SEC);
	return 0;
}

/* ---- the body ---- */

/* {"detail": [...], "message": ...}: the framework's words, and ours for the page. */
static int
answer_detail(struct exchange *x, const char *type, json_object *loc, const char *msg, json_object *input, json_object *context,
    const char *message)
{
	scoped(jsonw_done) struct jsonw one = jsonw_new(), w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	json_object *first = NULL, *list = json_object_new_array();
	int r;

	jsonw_string(&one, "type", type);
	jsonw_add(&one, "loc", loc);
	jsonw_string(&one, "msg", msg);
	if (!input)
		jsonw_null(&one, "input");
	else
		jsonw_add(&one, "input", input);
	if (context)
		jsonw_add(&one, "ctx", context);
	r = jsonw_finish(&one, &first);
	if (r < 0 || !list || json_object_array_add(list, first) < 0) {
		json_object_put(first);
		json_object_put(list);
		return r < 0 ? r : -ENOMEM;
	}
	jsonw_add(&w, "detail", list);
	jsonw_string(&w, "message", message);
	r = jsonw_finish(&w, &obj);
	if (r < 0)
		return r;
	response_json(&x->res, 422, obj, 0);
	return HANDLED;
}

static json_object *
location(int64_t position)
{
	json_object *loc = json_object_new_array();

	if (loc)
		(void)json_object_array_add(loc, json_object_new_string("body"));
	if (loc && position >= 0)
		(void)json_object_array_add(loc, json_object_new_int64(position));
	return loc;
}

static int
answer_missing(struct exchange *x)
{
	return answer_detail(x, "missing", location(-1), "Field required", NULL, NULL, "The body with the Stan program is missing.");
}

/* A program as a JSON string (section 2.3, a quirk of old). 1: it is in f and s; else as a handler. */
static int
read_json(struct exchange *x, struct input_file *f, struct stan_source *s)
{
	scoped(free_ptr) char *body = NULL;
	scoped(put_json) json_object *obj = NULL;
	json_object *context = NULL;
	size_t len = 0, at = 0;
	int r;

	if (exchange_read_body(x, JSON_MAX, &body, &len) != 0)
		return HANDLED;
	if (len == 0)
		return answer_missing(x);
	if (!utf8_valid(body, len)) {
		scoped(jsonw_done) struct jsonw w = jsonw_new();
		scoped(put_json) json_object *answer = NULL;

		jsonw_string(&w, "detail", "There was an error parsing the body");
		jsonw_string(&w, "message", "Stan source file is not valid UTF-8.");
		r = jsonw_finish(&w, &answer);
		if (r == 0)
			response_json(&x->res, 400, answer, 0);
		return r < 0 ? r : HANDLED;
	}
	if (json_scan(body, len, JSON_DEPTH_MAX, &at) < 0 || json_parse(body, len, &obj) < 0) {
		context = json_object_new_object();
		if (context)
			(void)json_object_object_add(context, "error", json_object_new_string("Expecting value"));
		return answer_detail(x, "json_invalid", location((int64_t)at), "JSON decode error", json_object_new_object(), context,
		    "The body is no JSON.");
	}
	if (!obj)
		return answer_missing(x);
	if (!json_object_is_type(obj, json_type_string))
		return answer_detail(x, "bytes_type", location(-1), "Input should be a valid bytes", take_ptr(obj), NULL,
		    "The body is no Stan program.");
	len = (size_t)json_object_get_string_len(obj);
	if (len > STAN_SOURCE_MAX) {
		stan_message(x, 400, "Stan source file too large.");
		return HANDLED;
	}
	stan_source_add(s, json_object_get_string(obj), len);
	r = input_file_add(f, x->gate, json_object_get_string(obj), len);
	return r < 0 ? r : 1;
}

/* A body of any other type is the program itself; it never lies in memory as a whole. */
static int
read_plain(struct exchange *x, struct input_file *f, struct stan_source *s)
{
	char chunk[CHUNK];
	int n, r = 0;

	while (r == 0 && (n = FCGX_GetStr(chunk, sizeof chunk, x->fcgx.in)) > 0) {
		if (f->size + (uint64_t)n > STAN_SOURCE_MAX) {
			stan_message(x, 400, "Stan source file too large.");
			return HANDLED;
		}
		stan_source_add(s, chunk, (size_t)n);
		r = input_file_add(f, x->gate, chunk, (size_t)n);
	}
	if (r < 0)
		return r;
	if (FCGX_GetError(x->fcgx.in) != 0 || (x->req.content_length >= 0 && f->size != (uint64_t)x->req.content_length)) {
		exchange_fail(x, 400, "The body is not as long as declared.");
		return HANDLED;
	}
	return f->size == 0 ? answer_missing(x) : 1;
}

/* 1: the program is in f, its id in ret_id; else as a handler. */
static int
read_program(struct exchange *x, struct input_file *f, char ret_id[SHA1_HEX_SIZE])
{
	const struct stan_state *state = x->state;
	scoped(stan_source_done) struct stan_source s;
	int r = stan_source_begin(&s, state->settings.salt);

	if (r < 0)
		return r;
	r = media_type_is_json(x->req.content_type) ? read_json(x, f, &s) : read_plain(x, f, &s);
	if (r != 1)
		return r;
	if (stan_source_finish(&s, ret_id) < 0) {
		stan_message(x, 400, "Stan source file is not valid UTF-8.");
		return HANDLED;
	}
	r = input_file_finish(f);
	return r < 0 ? r : 1;
}

/* ---- the request ---- */

static int
compile(struct exchange *x, struct compile *c, const struct input_file *f)
{
	struct job_result result;
	scoped(close_fd) int job_fd = -EBADF;
	int r;

	if (stan_in_cache(x->state, c->model_id)) {
		c->how = COMPILE_HIT;
		metrics_compile(x->gate->metrics, COMPILE_HIT);
		return answer_model(x, c);
	}
	r = find_or_submit(x, c, f, &result);
	if (r < 0)
		return answer_refusal(x, r);
	metrics_compile(x->gate->metrics, c->how);
	c->accepted_usec = clock_wall();
	if (r == FOUND_RUNNING)
		return wait_for_it(x, c);
	job_fd = gate_open_job(x->gate, "stan", c->job_id);
	return job_fd < 0 ? job_fd : answer_finished(x, job_fd, c, &result);
}

int
stan_post_compile(struct exchange *x)
{
	const struct stan_state *s = x->state;
	struct input_file f = INPUT_FILE_NONE;
	struct compile c = { .how = COMPILE_MISS };
	char address[ADDRESS_NAME_SIZE];
	int r;

	/* Before the token, as it always was: an empty body has nothing to be authorized for. */
	if (x->req.content_length == 0)
		return answer_missing(x);
	if (!stan_authorized(x, s->settings.passcode))
		return HANDLED;
	if (x->req.content_length > STAN_SOURCE_MAX && !media_type_is_json(x->req.content_type)) {
		stan_message(x, 400, "Stan source file too large.");
		return HANDLED;
	}
	r = input_file_begin(&f, "main.stan");
	if (r == 0)
		r = read_program(x, &f, c.model_id);
	if (r == 1 && (r = require_tested(x)) == 1) {
		address_name(x->req.remote_addr, address);
		(void)snprintf(c.owner, sizeof c.owner, "stan:ip:%s", address);
		r = compile(x, &c, &f);
	}
	input_file_done(&f);
	return r == -ENOSPC ? answer_refusal(x, r) : r;
}
