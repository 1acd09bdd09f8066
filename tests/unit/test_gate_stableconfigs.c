/* The StableConfigs API over FastCGI, with a helper of the test's own. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "gate_rig.h"

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "gate/service.h"

/* What the helper was asked, and what it is to say. */
struct script {
	int refuse;	/* 0: accepts */
	unsigned retry;
	bool hang_up;
	char op[32], service[64], tool[64], owner[128], ticket[ID_SIZE], gen[64], init_k[64], status_word[32];
	char problem[256], constraints[256];
	int64_t bytes, problem_size;
	size_t n_inputs;
	bool sealed;
	unsigned asked;
};

static void
copy(json_object *o, const char *name, char *to, size_t size)
{
	const char *text = "";

	(void)json_get_string(o, name, &text);
	(void)snprintf(to, size, "%s", text);
}

static json_object *
answer(struct fake_helper *h, const struct message *m, void *ctx)
{
	struct script *s = ctx;
	json_object *reply = NULL;
	json_object *params = NULL;
	json_object *inputs = NULL;

	(void)h;
	s->asked++;
	if (s->hang_up)
		return NULL;
	copy(m->body, "op", s->op, sizeof s->op);
	copy(m->body, "service", s->service, sizeof s->service);
	copy(m->body, "owner", s->owner, sizeof s->owner);
	if (s->refuse)
		return fake_refusal(s->refuse, s->retry);
	reply = fake_ok();
	if (strcmp(s->op, "may") == 0) {
		(void)json_get_int(m->body, "bytes", &s->bytes);
		json_object_object_add(reply, "ticket", json_object_new_string(RIG_ID));
	} else if (strcmp(s->op, "kill") == 0) {
		json_object_object_add(reply, "finished", json_object_new_boolean(false));
	} else if (strcmp(s->op, "submit") == 0) {
		copy(m->body, "tool", s->tool, sizeof s->tool);
		copy(m->body, "ticket", s->ticket, sizeof s->ticket);
		if (json_get_object(m->body, "params", &params) == 0) {
			copy(params, "gen", s->gen, sizeof s->gen);
			copy(params, "init_k", s->init_k, sizeof s->init_k);
			copy(params, "status_word", s->status_word, sizeof s->status_word);
		}
		(void)json_get_array(m->body, "inputs", &inputs);
		s->n_inputs = m->n_fds;
		s->sealed = true;
		for (size_t i = 0; i < m->n_fds && i < json_object_array_length(inputs); i++) {
			json_object *input = json_object_array_get_idx(inputs, i);
			char name[64];
			int64_t size = -1;
			ssize_t n;

			copy(input, "name", name, sizeof name);
			(void)json_get_int(input, "size", &size);
			if (i == 0)
				s->problem_size = size;
			n = pread_full(m->fds[i], strcmp(name, "problem.txt") == 0 ? s->problem : s->constraints, 255, 0);
			s->sealed = s->sealed && n >= 0 && is_sealed_memory_file(m->fds[i]) == 1;
		}
		json_object_object_add(reply, "id", json_object_new_string(RIG_ID));
	}
	return reply;
}

struct scene {
	struct rig rig;
	struct script script;
	struct fake_helper *helper;
	struct temp_dir *dir;
};

#define UUID "01234567-89ab-cdef-0123-456789abcdef"

static int
begin_with(void **state, const char *extra, bool spool)
{
	static const struct service *const all[] = { &stableconfigs_service };
	struct scene *s = calloc(1, sizeof *s);
	void *dir = NULL;

	if (make_temp_dir(&dir) != 0)
		return -1;
	s->dir = dir;
	rig_start(&s->rig, s->dir, all, 1, extra, spool);
	s->helper = fake_helper_new(s->rig.helper_path, answer, &s->script);
	*state = s;
	return 0;
}

static int
begin(void **state)
{
	return begin_with(state, "threads = 2", true);
}

static int
begin_deployed(void **state)
{
	return begin_with(state, "[stableconfigs]\nstatus_words = deployed\nbody_max = 1K", true);
}

static int
begin_off(void **state)
{
	return begin_with(state, "[stableconfigs]\nenabled = no", true);
}

static int
begin_without_spool(void **state)
{
	return begin_with(state, "", false);
}

static int
end(void **state)
{
	struct scene *s = *state;
	void *dir = s->dir;

	rig_stop(&s->rig);
	if (s->helper)
		fake_helper_free(s->helper);
	free(s);
	return drop_temp_dir(&dir);
}

static const char *const json_headers[] = { "CONTENT_TYPE", "application/json", "REMOTE_ADDR", "2001:db8::17", NULL };

static void
expect(struct fcgi_answer a, int status, const char *body)
{
	char *type = fcgi_header(&a, "Content-Type");
	char *origin = fcgi_header(&a, "Access-Control-Allow-Origin");
	char *length = fcgi_header(&a, "Content-Length");
	char *id = fcgi_header(&a, "X-Request-Id");

	assert_true(a.ended);
	assert_string_equal(a.body, body);
	assert_int_equal(a.status, status);
	if (*body)
		assert_string_equal(type, "application/json");
	assert_string_equal(origin, "*");
	if (*body)
		assert_int_equal(strtol(length, NULL, 10), strlen(body));
	assert_non_null(id);
	free(type);
	free(origin);
	free(length);
	free(id);
	fcgi_answer_done(&a);
}

static void
expect_status(struct fcgi_answer a, int status)
{
	char *origin = fcgi_header(&a, "Access-Control-Allow-Origin");
	json_object *o = NULL;
	const char *word = "";

	assert_int_equal(a.status, status);
	assert_string_equal(origin, "*");
	assert_int_equal(json_parse(a.body, a.len, &o), 0);
	assert_int_equal(json_get_string(o, "status", &word), 0);
	assert_string_equal(word, "Exception");
	json_object_put(o);
	free(origin);
	fcgi_answer_done(&a);
}

static struct fcgi_answer
post(struct scene *s, const char *body)
{
	return rig_ask(&s->rig, "stableconfigs", "POST", "/task", json_headers, body);
}

static struct fcgi_answer
get(struct scene *s, const char *method, const char *uri)
{
	return rig_ask(&s->rig, "stableconfigs", method, uri, NULL, NULL);
}

static void
test_post_hands_a_task_to_the_helper(void **state)
{
	struct scene *s = *state;

	expect(post(s, "{\"monomers\":[[\"a\",\"b\"],[\">x\"]],\"constraints\":[[\"FREE\",\"m\"]],\"gen\":2,\"init_k\":4.0}"), 202,
	    "{\"task_id\":\"" UUID "\"}\n");
	assert_string_equal(s->script.op, "submit");
	assert_string_equal(s->script.service, "stableconfigs");
	assert_string_equal(s->script.tool, "stableconfigs");
	assert_string_equal(s->script.owner, "stableconfigs:ip:2001:db8::/64");
	assert_string_equal(s->script.gen, "2");
	assert_string_equal(s->script.init_k, "4.0");
	assert_string_equal(s->script.status_word, "COMPLETE");
	assert_string_equal(s->script.problem, "a b\n>x\n");
	assert_string_equal(s->script.constraints, "FREE m\n");
	assert_int_equal(s->script.n_inputs, 2);
	assert_int_equal(s->script.problem_size, 7);
	assert_true(s->script.sealed);
	assert_string_equal(s->script.ticket, "");
	expect(post(s, "{\"monomers\":[],\"constraints\":[]}"), 202, "{\"task_id\":\"" UUID "\"}\n");
	assert_int_equal(s->script.n_inputs, 1);
}

/* stableconfigs#23, stableconfigs#24 */
static void
test_bad_posts_reach_nobody(void **state)
{
	static const char *const bad[] = { "{", "", "{}", "[1]", "{\"monomers\":[[\"a\",1]]}", "{\"monomers\":\"ab\"}",
		"{\"monomers\":[[\"\xff\"]]}" };
	static const char *const text_type[] = { "CONTENT_TYPE", "text/plain", NULL };
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		expect_status(post(s, bad[i]), 400);
	expect_status(rig_ask(&s->rig, "stableconfigs", "POST", "/task", text_type, "{}"), 415);
	assert_int_equal(s->script.asked, 0);
}

static void
test_large_bodies_are_asked_for_first(void **state)
{
	struct scene *s = *state;
	char *body = malloc(3 << 20);
	size_t n = (size_t)sprintf(body, "{\"monomers\":[");

	for (size_t i = 0; i < 400000; i++)
		n += (size_t)sprintf(body + n, "%s[\"a\"]", i ? "," : "");
	(void)sprintf(body + n, "]}");
	expect(post(s, body), 202, "{\"task_id\":\"" UUID "\"}\n");
	assert_int_equal(s->script.bytes, strlen(body));
	assert_int_equal(s->script.problem_size, 800000);
	assert_string_equal(s->script.ticket, RIG_ID);
	assert_true(s->script.sealed);
	/* Over 1 MiB of lines: a file, which cannot be sealed. */
	n = (size_t)sprintf(body, "{\"monomers\":[[\"");
	memset(body + n, 'a', 1500000);
	(void)sprintf(body + n + 1500000, "\"]]}");
	expect(post(s, body), 202, "{\"task_id\":\"" UUID "\"}\n");
	assert_int_equal(s->script.problem_size, 1500001);
	assert_false(s->script.sealed);
	/* Refused: the body is not needed. */
	s->script.refuse = -EAGAIN;
	s->script.retry = 7;
	{
		struct fcgi_answer a = post(s, body);
		char *retry = fcgi_header(&a, "Retry-After");

		assert_string_equal(retry, "7");
		assert_string_equal(s->script.op, "may");
		free(retry);
		expect_status(a, 503);
	}
	free(body);
}

static void
test_refusals_have_their_codes(void **state)
{
	static const struct {
		int err, status;
	} cases[] = {
		{ -EAGAIN, 503 }, { -EDQUOT, 503 }, { -ESHUTDOWN, 503 }, { -ENOSPC, 507 }, { -EFBIG, 413 }, { -EINVAL, 500 },
		{ -ETIMEDOUT, 503 },
	};
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		s->script.refuse = cases[i].err;
		expect_status(post(s, "{\"monomers\":[]}"), cases[i].status);
	}
	s->script.refuse = 0;
	s->script.hang_up = true;
	expect_status(post(s, "{\"monomers\":[]}"), 503);
	s->script.hang_up = false;
	expect(post(s, "{\"monomers\":[]}"), 202, "{\"task_id\":\"" UUID "\"}\n");
	fake_helper_free(s->helper);
	s->helper = NULL;
	expect_status(post(s, "{\"monomers\":[]}"), 503);
}

static void
send_body(struct scene *s, long declared, size_t sent, int status)
{
	static const char *const params[] = { "SPOOLGATE_SERVICE", "stableconfigs", "REQUEST_METHOD", "POST", "REQUEST_URI", "/task",
		"CONTENT_TYPE", "application/json", NULL };
	char body[200];
	struct fcgi_answer a;
	int fd = rig_connect(&s->rig);

	memset(body, ' ', sizeof body);
	memcpy(body, "{\"monomers\":[]}", 15);
	fcgi_send(fd, params, body, sent, declared);
	fcgi_receive(fd, &a);
	(void)close(fd);
	assert_int_equal(a.status, status);
	fcgi_answer_done(&a);
}

static void
test_bodies_are_whole_or_refused(void **state)
{
	struct scene *s = *state;

	send_body(s, 15, 15, 202);
	send_body(s, -1, 15, 202);
	send_body(s, 100, 15, 400);
	send_body(s, 15, 100, 400);
	send_body(s, 0, 15, 400);
	send_body(s, 5 << 20, 15, 413);
	assert_int_equal(s->script.asked, 2);
}

static void
test_the_limit_and_the_words_are_settings(void **state)
{
	struct scene *s = *state;
	char body[1200];
	int job_fd;

	expect(post(s, "{\"monomers\":[]}"), 202, "{\"task_id\":\"" UUID "\"}\n");
	assert_string_equal(s->script.status_word, "Completed");
	memset(body, ' ', sizeof body);
	memcpy(body, "{\"monomers\":[]}", 15);
	body[1025] = '\0';
	expect_status(post(s, body), 413);
	body[1024] = '\0';
	expect(post(s, body), 202, "{\"task_id\":\"" UUID "\"}\n");
	job_fd = rig_job(&s->rig, "stableconfigs", RIG_ID);
	rig_finish_job(&s->rig, job_fd, VERDICT_TIMEOUT, -1);
	(void)close(job_fd);
	expect(get(s, "GET", "/status/" UUID), 400, "{\"message\":\"SoftTimeLimitExceeded()\",\"status\":\"Timeout\"}\n");
}

static void
test_unknown_tasks_are_404(void **state)
{
	static const char *const uris[] = { "/status/" UUID, "/status/nope", "/status/01234567-89AB-cdef-0123-456789abcdef",
		"/status/" RIG_ID, "/status/", "/status", "/status/" UUID "/", "/status/a%2Fb", "/task/", "/", "/nothing",
		"/status/%ff%fe", "/status/..", "/status/%2e%2e" };
	struct scene *s = *state;
	int job_fd;

	for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++)
		expect_status(get(s, "GET", uris[i]), 404);
	/* A job of another door is none of ours, the first time and from memory. */
	job_fd = rig_job(&s->rig, "mip", RIG_ID);
	(void)close(job_fd);
	expect_status(get(s, "GET", "/status/" UUID), 404);
	expect_status(get(s, "GET", "/status/" UUID), 404);
	expect_status(get(s, "GET", "/status/%00"), 400);
}

static void
test_status_follows_a_job(void **state)
{
	static const char result[] = "{\"configs\":[],\"count\":0,\"entropy\":3,\"status\":\"COMPLETE\"}\n";
	struct scene *s = *state;
	struct job_want want = { .want = WANT_START, .attempt = 1 };
	struct job_run run = { .attempt = 1, .pid = 1 };
	int job_fd = rig_job(&s->rig, "stableconfigs", RIG_ID);
	int work_fd;

	expect(get(s, "GET", "/status/" UUID), 202, "{\"count\":0,\"k\":0,\"status\":\"Progress\"}\n");
	assert_int_equal(want_store(job_fd, s->rig.spool->groups, &want), 0);
	assert_int_equal(run_store(job_fd, s->rig.spool->groups, &run), 0);
	expect(get(s, "GET", "/status/" UUID), 202, "{\"count\":0,\"k\":0,\"status\":\"Progress\"}\n");
	work_fd = make_dir_at(job_fd, "work", 0750, (gid_t)-1);
	rig_write(work_fd, "progress.json", "{\"count\":3,\"k\":17,\"status\":\"Progress\"}");
	expect(get(s, "GET", "/status/" UUID), 202, "{\"count\":3,\"k\":17,\"status\":\"Progress\"}\n");
	want.want = WANT_KILL;
	(void)snprintf(want.by, sizeof want.by, "client");
	assert_int_equal(want_store(job_fd, s->rig.spool->groups, &want), 0);
	expect(get(s, "GET", "/status/" UUID), 203, "{\"count\":3,\"k\":17,\"status\":\"Progress\"}\n");
	rig_write(job_fd, "stdout", result);
	rig_finish_job(&s->rig, job_fd, VERDICT_PASSED, 0);
	expect(get(s, "GET", "/status/" UUID), 200, result);
	{
		struct fcgi_answer a = get(s, "HEAD", "/status/" UUID);

		assert_int_equal(a.status, 200);
		assert_int_equal(a.len, 0);
		fcgi_answer_done(&a);
	}
	(void)close(work_fd);
	(void)close(job_fd);
}

/* What the engine writes is read as an enemy's. */
static void
test_live_files_are_not_believed(void **state)
{
	static const char *const bad[] = { "", "{", "[]", "{\"count\":-1,\"k\":2}", "{\"count\":\"x\",\"k\":2}", "{\"count\":1}",
		"{\"count\":1e400,\"k\":2}" };
	struct scene *s = *state;
	struct job_want want = { .want = WANT_START, .attempt = 1 };
	struct job_run run = { .attempt = 1, .pid = 1 };
	int job_fd = rig_job(&s->rig, "stableconfigs", RIG_ID);
	int work_fd = make_dir_at(job_fd, "work", 0750, (gid_t)-1);

	assert_int_equal(want_store(job_fd, s->rig.spool->groups, &want), 0);
	assert_int_equal(run_store(job_fd, s->rig.spool->groups, &run), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		rig_write(work_fd, "progress.json", bad[i]);
		expect(get(s, "GET", "/status/" UUID), 202, "{\"count\":0,\"k\":0,\"status\":\"Progress\"}\n");
	}
	assert_int_equal(unlinkat(work_fd, "progress.json", 0), 0);
	assert_int_equal(mkfifoat(work_fd, "progress.json", 0600), 0);
	expect(get(s, "GET", "/status/" UUID), 202, "{\"count\":0,\"k\":0,\"status\":\"Progress\"}\n");
	assert_int_equal(unlinkat(work_fd, "progress.json", 0), 0);
	rig_write(job_fd, "elsewhere", "{\"count\":5,\"k\":5}");
	assert_int_equal(symlinkat("../elsewhere", work_fd, "progress.json"), 0);
	expect(get(s, "GET", "/status/" UUID), 202, "{\"count\":0,\"k\":0,\"status\":\"Progress\"}\n");
	(void)close(work_fd);
	(void)close(job_fd);
}

static void
finished(struct scene *s, enum verdict verdict, int exit_code, const char *out, int status, const char *body)
{
	static char id[ID_SIZE];
	char uuid[UUID_SIZE], uri[100];
	int job_fd;

	id_new(id);
	id_to_uuid(id, uuid);
	(void)snprintf(uri, sizeof uri, "/status/%s", uuid);
	job_fd = rig_job(&s->rig, "stableconfigs", id);
	if (out)
		rig_write(job_fd, "stdout", out);
	rig_finish_job(&s->rig, job_fd, verdict, exit_code);
	(void)close(job_fd);
	expect(get(s, "GET", uri), status, body);
}

static void
test_verdicts_have_their_words(void **state)
{
	struct scene *s = *state;

	finished(s, VERDICT_FAILED, 1, "{\"message\":\"Duplicate \\u00e9 'b >m'\",\"status\":\"TBNException\"}\n", 401,
	    "{\"message\":\"Duplicate \\u00e9 'b >m'\",\"status\":\"TBNException\"}\n");
	finished(s, VERDICT_FAILED, 2, "{\"message\":\"bad\",\"status\":\"Exception\"}\n", 402,
	    "{\"message\":\"bad\",\"status\":\"Exception\"}\n");
	finished(s, VERDICT_FAILED, 4, "", 400, "{\"message\":\"SoftTimeLimitExceeded()\",\"status\":\"TimedOut\"}\n");
	finished(s, VERDICT_FAILED, 3, "{\"message\":\"Early Termination at count [1] min polymers [5].\",\"status\":\"TBNException\"}", 401,
	    "{\"message\":\"Early Termination at count [1] min polymers [5].\",\"status\":\"TBNException\"}\n");
	finished(s, VERDICT_FAILED, 77, "x", 402, "{\"message\":\"The engine failed.\",\"status\":\"Exception\"}\n");
	finished(s, VERDICT_FAILED, 1, "x", 402, "{\"message\":\"The engine failed.\",\"status\":\"Exception\"}\n");
	finished(s, VERDICT_TIMEOUT, -1, NULL, 400, "{\"message\":\"SoftTimeLimitExceeded()\",\"status\":\"TimedOut\"}\n");
	/* stableconfigs#28: killed before it began. */
	finished(s, VERDICT_KILLED, -1, NULL, 401,
	    "{\"message\":\"Early Termination at count [0] min polymers [0].\",\"status\":\"TBNException\"}\n");
	finished(s, VERDICT_KILLED, -1, "{\"configs\":[{\"polym", 401,
	    "{\"message\":\"Early Termination at count [0] min polymers [0].\",\"status\":\"TBNException\"}\n");
	finished(s, VERDICT_KILLED, 3, "{\"message\":\"Early Termination at count [2] min polymers [9].\",\"status\":\"TBNException\"}", 401,
	    "{\"message\":\"Early Termination at count [2] min polymers [9].\",\"status\":\"TBNException\"}\n");
	finished(s, VERDICT_SIGNALLED, -1, NULL, 402, "{\"message\":\"The engine crashed.\",\"status\":\"Exception\"}\n");
	finished(s, VERDICT_OUT_OF_MEMORY, -1, NULL, 402,
	    "{\"message\":\"The problem needs more memory than a task may use.\",\"status\":\"Exception\"}\n");
	finished(s, VERDICT_LOST, -1, NULL, 402,
	    "{\"message\":\"The task or its result was lost, please post it again.\",\"status\":\"Exception\"}\n");
	finished(s, VERDICT_PASSED, 0, NULL, 402, "{\"message\":\"The result is damaged.\",\"status\":\"Exception\"}\n");
	finished(s, VERDICT_PASSED, 0, "{\"configs\":[],\"x\":nan}\n", 402,
	    "{\"message\":\"The result is damaged.\",\"status\":\"Exception\"}\n");
}

static void
test_large_results_leave_through_nginx(void **state)
{
	struct scene *s = *state;
	int job_fd = rig_job(&s->rig, "stableconfigs", RIG_ID);
	struct fcgi_answer a;
	char *text = malloc(70000);
	char *location, *type;

	memset(text, ' ', 70000);
	text[69999] = '\0';
	rig_write(job_fd, "stdout", text);
	free(text);
	rig_finish_job(&s->rig, job_fd, VERDICT_PASSED, 0);
	(void)close(job_fd);
	a = get(s, "GET", "/status/" UUID);
	location = fcgi_header(&a, "X-Accel-Redirect");
	type = fcgi_header(&a, "Content-Type");
	assert_int_equal(a.status, 200);
	assert_int_equal(a.len, 0);
	assert_string_equal(location, "/-/spool/jobs/01/" RIG_ID "/stdout");
	assert_string_equal(type, "application/json");
	assert_null(fcgi_header(&a, "Content-Length"));
	free(location);
	free(type);
	fcgi_answer_done(&a);
}

/* stableconfigs#26 */
static void
test_terminate_always_says_the_same(void **state)
{
	struct scene *s = *state;
	int job_fd;

	expect(get(s, "DELETE", "/terminate/nope"), 200, "{\"status\":\"terminating task: nope\"}\n");
	expect(get(s, "DELETE", "/terminate/%C3%A9%22%ff"), 200, "{\"status\":\"terminating task: \\u00e9\\\"\\ufffd\"}\n");
	expect(get(s, "DELETE", "/terminate/" UUID), 200, "{\"status\":\"terminating task: " UUID "\"}\n");
	assert_int_equal(s->script.asked, 0);
	job_fd = rig_job(&s->rig, "stableconfigs", RIG_ID);
	(void)close(job_fd);
	expect(get(s, "DELETE", "/terminate/" UUID), 200, "{\"status\":\"terminating task: " UUID "\"}\n");
	assert_int_equal(s->script.asked, 1);
	assert_string_equal(s->script.op, "kill");
	/* A kill that nobody heard must not look like one that was. */
	s->script.hang_up = true;
	expect_status(get(s, "DELETE", "/terminate/" UUID), 503);
	fake_helper_free(s->helper);
	s->helper = NULL;
	assert_int_equal(unlink(s->rig.helper_path), 0);
	expect_status(get(s, "DELETE", "/terminate/" UUID), 503);
	expect(get(s, "DELETE", "/terminate/nope"), 200, "{\"status\":\"terminating task: nope\"}\n");
}

static void
expect_header(const struct fcgi_answer *a, const char *name, const char *value)
{
	char *text = fcgi_header(a, name);

	if (value)
		assert_string_equal(text, value);
	else
		assert_null(text);
	free(text);
}

/* stableconfigs#33 */
static void
test_cors(void **state)
{
	static const char *const preflight[] = { "HTTP_ORIGIN", "https://a.example", "HTTP_ACCESS_CONTROL_REQUEST_METHOD", "POST",
		"HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "content-type, x-y", NULL };
	static const char *const uris[][2] = { { "/task", "POST, OPTIONS" }, { "/status/x", "HEAD, OPTIONS, GET" },
		{ "/terminate/x", "OPTIONS, DELETE" } };
	static const char *const origin[] = { "HTTP_ORIGIN", "null", NULL };
	struct scene *s = *state;
	struct fcgi_answer a;

	for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
		a = rig_ask(&s->rig, "stableconfigs", "OPTIONS", uris[i][0], preflight, NULL);
		assert_int_equal(a.status, 200);
		assert_int_equal(a.len, 0);
		expect_header(&a, "Allow", uris[i][1]);
		expect_header(&a, "Access-Control-Allow-Origin", "https://a.example");
		expect_header(&a, "Vary", "Origin");
		expect_header(&a, "Access-Control-Allow-Methods", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
		expect_header(&a, "Access-Control-Allow-Headers", "content-type, x-y");
		expect_header(&a, "Access-Control-Allow-Credentials", NULL);
		fcgi_answer_done(&a);
	}
	a = get(s, "OPTIONS", "/task");
	assert_int_equal(a.status, 200);
	expect_header(&a, "Access-Control-Allow-Origin", "*");
	expect_header(&a, "Access-Control-Allow-Methods", NULL);
	expect_header(&a, "Vary", NULL);
	fcgi_answer_done(&a);
	a = rig_ask(&s->rig, "stableconfigs", "GET", "/status/nope", origin, NULL);
	assert_int_equal(a.status, 404);
	expect_header(&a, "Access-Control-Allow-Origin", "null");
	expect_header(&a, "Vary", "Origin");
	fcgi_answer_done(&a);
}

/* stableconfigs#34 */
static void
test_wrong_methods_are_405(void **state)
{
	static const char *const cases[][3] = { { "GET", "/task", "POST, OPTIONS" }, { "POST", "/status/x", "HEAD, OPTIONS, GET" },
		{ "GET", "/terminate/x", "OPTIONS, DELETE" }, { "BREW", "/task", "POST, OPTIONS" }, { "HEAD", "/task", "POST, OPTIONS" } };
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fcgi_answer a = get(s, cases[i][0], cases[i][1]);

		assert_int_equal(a.status, 405);
		expect_header(&a, "Allow", cases[i][2]);
		fcgi_answer_done(&a);
	}
}

static void
test_switched_off_every_route_says_so(void **state)
{
	struct scene *s = *state;

	expect_status(post(s, "{\"monomers\":[]}"), 503);
	expect_status(get(s, "GET", "/status/" UUID), 503);
	expect_status(get(s, "GET", "/nothing"), 503);
}

static void
test_the_spool_may_come_later(void **state)
{
	const struct spool_groups groups = { (gid_t)-1, (gid_t)-1 };
	struct scene *s = *state;
	int job_fd;

	expect_status(get(s, "GET", "/status/" UUID), 503);
	expect_status(get(s, "GET", "/status/nope"), 404);
	assert_int_equal(spool_create(s->rig.spool_path, groups, &s->rig.spool), 0);
	expect_status(get(s, "GET", "/status/" UUID), 404);
	job_fd = rig_job(&s->rig, "stableconfigs", RIG_ID);
	(void)close(job_fd);
	expect(get(s, "GET", "/status/" UUID), 202, "{\"count\":0,\"k\":0,\"status\":\"Progress\"}\n");
}

static void
test_unknown_services_are_an_error_of_ours(void **state)
{
	struct scene *s = *state;
	struct fcgi_answer a = rig_ask(&s->rig, "nobody", "GET", "/", NULL, NULL);

	assert_int_equal(a.status, 500);
	assert_string_equal(a.body, "{\"error\":\"No service answers here.\"}\n");
	fcgi_answer_done(&a);
}

/* What is no FastCGI closes its connection and harms nobody else. */
static void
test_nonsense_on_a_connection_is_survived(void **state)
{
	static const char junk[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	struct scene *s = *state;

	for (int i = 0; i < 20; i++) {
		struct fcgi_answer a;
		int fd = rig_connect(&s->rig);

		if (i % 4 == 0)
			(void)!write(fd, junk, sizeof junk);
		else if (i % 4 == 1)
			fcgi_record(fd, 1, "\0\1", 2);	/* a short begin record */
		else if (i % 4 == 2)
			fcgi_record(fd, 4, "\x7f\x7f", 2);	/* parameters before a begin */
		(void)shutdown(fd, SHUT_WR);
		fcgi_receive(fd, &a);
		assert_int_equal(a.status, 0);
		fcgi_answer_done(&a);
		(void)close(fd);
	}
	expect(get(s, "DELETE", "/terminate/x"), 200, "{\"status\":\"terminating task: x\"}\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_post_hands_a_task_to_the_helper, begin, end),
		cmocka_unit_test_setup_teardown(test_bad_posts_reach_nobody, begin, end),
		cmocka_unit_test_setup_teardown(test_large_bodies_are_asked_for_first, begin, end),
		cmocka_unit_test_setup_teardown(test_refusals_have_their_codes, begin, end),
		cmocka_unit_test_setup_teardown(test_bodies_are_whole_or_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_the_limit_and_the_words_are_settings, begin_deployed, end),
		cmocka_unit_test_setup_teardown(test_unknown_tasks_are_404, begin, end),
		cmocka_unit_test_setup_teardown(test_status_follows_a_job, begin, end),
		cmocka_unit_test_setup_teardown(test_live_files_are_not_believed, begin, end),
		cmocka_unit_test_setup_teardown(test_verdicts_have_their_words, begin, end),
		cmocka_unit_test_setup_teardown(test_large_results_leave_through_nginx, begin, end),
		cmocka_unit_test_setup_teardown(test_terminate_always_says_the_same, begin, end),
		cmocka_unit_test_setup_teardown(test_cors, begin, end),
		cmocka_unit_test_setup_teardown(test_wrong_methods_are_405, begin, end),
		cmocka_unit_test_setup_teardown(test_switched_off_every_route_says_so, begin_off, end),
		cmocka_unit_test_setup_teardown(test_the_spool_may_come_later, begin_without_spool, end),
		cmocka_unit_test_setup_teardown(test_unknown_services_are_an_error_of_ours, begin, end),
		cmocka_unit_test_setup_teardown(test_nonsense_on_a_connection_is_survived, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
