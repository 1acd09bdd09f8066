/* Requests that wait, over FastCGI: changes, deadlines, growing files, clients that hang up, caps, draining, a helper that goes. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "gate_rig.h"

#include "basic/clock.h"
#include "basic/scoped.h"
#include "gate/exchange.h"
#include "gate/waiting.h"

/* A service of the test's own: GET /wait/<job>?for=<msec>&owner=<name> waits for result.json, GET /follow waits for a file. */
struct scene {
	struct rig rig;
	struct temp_dir *dir;
	struct fake_helper *helper;
};

static struct scene *scene;
static atomic_uint freed;

static void
say(struct exchange *x, int status, const char *text)
{
	response_body(&x->res, status, "text/plain", strdup(text), strlen(text));
}

static void
test_fail(struct exchange *x, int status, const char *message)
{
	say(x, status, message);
}

struct context {
	char id[ID_SIZE];
};

static void
free_context(void *ctx)
{
	free(ctx);
	atomic_fetch_add(&freed, 1);
}

static enum wait_verdict
on_wait(struct exchange *x, enum wait_event event, void *ctx)
{
	struct context *c = ctx;
	scoped(close_fd) int job_fd = -EBADF;
	struct job_status status = { .state = JOB_QUEUED };
	struct stat st;

	switch (event) {
	case WAIT_LOOK:
		/* What grew before it was followed is seen by looking. */
		if (strcmp(x->args[0], "follow") == 0 && fstatat(scene->dir->fd, "log", &st, 0) == 0 && st.st_size > 4) {
			say(x, 200, "grown");
			return WAIT_DONE;
		}
		job_fd = spool_open_job(scene->rig.spool, c->id);
		if (job_fd >= 0 && status_load(job_fd, &status) == 0 && status.state == JOB_FINISHED) {
			say(x, 200, "finished");
			return WAIT_DONE;
		}
		return WAIT_ON;
	case WAIT_WRITABLE:
		return WAIT_ON;
	case WAIT_GROWN:
		say(x, 200, "grown");
		return WAIT_DONE;
	case WAIT_DEADLINE:
		say(x, 200, "not yet");
		return WAIT_DONE;
	case WAIT_DRAIN:
		if (strcmp(x->args[0], "stay") == 0) {
			exchange_wait_until(x, clock_mono() + 50 * USEC_PER_MSEC);
			return WAIT_ON;
		}
		say(x, 503, "reconnect");
		return WAIT_DONE;
	}
	return WAIT_ON;
}

static int
handle_wait(struct exchange *x)
{
	struct context *c = calloc(1, sizeof *c);
	struct wait_for what = { .answer = on_wait, .ctx = c, .free_ctx = free_context, .follow_fd = -EBADF };
	scoped(free_ptr) char *msec = NULL;
	scoped(free_ptr) char *owner = NULL;
	int r;

	if (!c)
		return -ENOMEM;
	if (id_valid(x->args[0]))
		memcpy(what.id, x->args[0], ID_SIZE);
	memcpy(c->id, what.id, ID_SIZE);
	if (strcmp(x->args[0], "follow") == 0)
		what.follow_fd = open_regular_at(scene->dir->fd, "log", NULL);
	if (request_query(&x->req, "for", &msec) == 0)
		what.deadline_mono_usec = clock_mono() + strtoull(msec, NULL, 10) * USEC_PER_MSEC;
	(void)request_query(&x->req, "owner", &owner);
	what.owner = owner ? owner : "ann";
	r = exchange_wait(x, &what);
	if (r == -EDQUOT || r == -EAGAIN) {
		exchange_fail_retry(x, r == -EDQUOT ? 429 : 503, 1, "too many");
		return HANDLED;
	}
	return r < 0 ? r : HANDLED_WAITING;
}

static int
no_settings(const struct config *config, void **ret)
{
	(void)config;
	*ret = NULL;
	return 0;
}

static void
nothing(void *state)
{
	(void)state;
}

static const char *
is_on(const void *state)
{
	(void)state;
	return NULL;
}

static void
no_options(struct exchange *x, const struct route *route)
{
	(void)route;
	response_empty(&x->res, 204);
}

static const struct route routes[] = { { "/wait/{}", "GET", { { METHOD_GET, handle_wait } } } };
static const struct service test_service = { .name = "test", .routes = routes, .n_routes = 1, .open = no_settings, .close = nothing,
	.off = is_on, .fail = test_fail, .options = no_options };

static json_object *
answer(struct fake_helper *h, const struct message *m, void *ctx)
{
	(void)h;
	(void)m;
	(void)ctx;
	return fake_ok();
}

static int
begin(void **state)
{
	static const struct service *const all[] = { &test_service };
	struct scene *s = calloc(1, sizeof *s);
	void *dir = NULL;

	if (make_temp_dir(&dir) != 0)
		return -1;
	s->dir = dir;
	atomic_store(&freed, 0);
	rig_start(&s->rig, s->dir, all, 1, "threads = 1\nwaits_max = 40\nwaits_owner_max = 30", true);
	s->helper = fake_helper_new(s->rig.helper_path, answer, NULL);
	scene = s;
	*state = s;
	return 0;
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

static int
ask(const struct scene *s, const char *uri)
{
	const char *params[] = { "SPOOLGATE_SERVICE", "test", "REQUEST_METHOD", "GET", "REQUEST_URI", uri, NULL };
	int fd = rig_connect(&s->rig);

	fcgi_send(fd, params, NULL, 0, 0);
	return fd;
}

static void
expect(int fd, int status, const char *body)
{
	struct fcgi_answer a;

	fcgi_receive(fd, &a);
	(void)close(fd);
	assert_true(a.ended);
	assert_int_equal(a.status, status);
	assert_string_equal(a.body, body);
	fcgi_answer_done(&a);
}

static void
expect_silence(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 0), 0);
}

/* Waits until so many requests wait. */
static void
await_waits(const struct scene *s, size_t n)
{
	for (int i = 0; i < RIG_DEADLINE_MSEC; i++) {
		const struct timespec pause = { .tv_nsec = 1000000 };

		if (waiting_count(s->rig.gate->waiting) == n)
			return;
		(void)nanosleep(&pause, NULL);
	}
	fail_msg("not %zu requests wait but %zu", n, waiting_count(s->rig.gate->waiting));
}

#define OTHER_ID "ffffffffffffffffffffffffffffffff"

static void
test_a_change_ends_the_waits_of_that_job_alone(void **state)
{
	struct scene *s = *state;
	int job_fd = rig_job(&s->rig, "test", RIG_ID);
	int fds[10], other = ask(s, "/wait/" OTHER_ID);

	/* One thread accepts, yet all of these wait: none holds it. */
	for (size_t i = 0; i < 10; i++)
		fds[i] = ask(s, "/wait/" RIG_ID);
	fake_helper_await_watches(s->helper, 2);
	await_waits(s, 11);
	fake_helper_changed(s->helper, RIG_ID);
	expect(ask(s, "/wait/x?for=1"), 200, "not yet");
	for (size_t i = 0; i < 10; i++)
		expect_silence(fds[i]);
	rig_finish_job(&s->rig, job_fd, VERDICT_PASSED, 0);
	fake_helper_changed(s->helper, RIG_ID);
	for (size_t i = 0; i < 10; i++)
		expect(fds[i], 200, "finished");
	await_waits(s, 1);
	expect_silence(other);
	(void)close(other);
	await_waits(s, 0);
	assert_int_equal(atomic_load(&freed), 12);
	(void)close(job_fd);
}

static void
test_what_has_happened_already_is_seen_at_once(void **state)
{
	struct scene *s = *state;
	int job_fd = rig_job(&s->rig, "test", RIG_ID);

	rig_finish_job(&s->rig, job_fd, VERDICT_PASSED, 0);
	(void)close(job_fd);
	expect(ask(s, "/wait/" RIG_ID), 200, "finished");
}

/* What changed between the first look and the helper's knowing of the wait is seen, in whatever order the two come. */
static void
test_a_change_before_the_watch_is_not_missed(void **state)
{
	struct scene *s = *state;
	int job_fd = rig_job(&s->rig, "test", RIG_ID);
	int fd = ask(s, "/wait/" RIG_ID);

	await_waits(s, 1);
	rig_finish_job(&s->rig, job_fd, VERDICT_PASSED, 0);
	fake_helper_changed(s->helper, RIG_ID);
	(void)close(job_fd);
	expect(fd, 200, "finished");
}

static void
test_deadlines_come_in_their_order(void **state)
{
	struct scene *s = *state;
	int late = ask(s, "/wait/x?for=600000");
	int soon = ask(s, "/wait/x?for=30");

	expect(soon, 200, "not yet");
	expect_silence(late);
	(void)close(late);
	await_waits(s, 0);
}

static void
test_a_growing_file_is_noticed(void **state)
{
	struct scene *s = *state;
	int log_fd, fd;

	rig_write(s->dir->fd, "log", "one\n");
	fd = ask(s, "/wait/follow");
	await_waits(s, 1);
	expect_silence(fd);
	log_fd = openat(s->dir->fd, "log", O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write_all(log_fd, "two\n", 4), 0);
	(void)close(log_fd);
	expect(fd, 200, "grown");
}

static void
test_a_client_that_hangs_up_leaves_nothing(void **state)
{
	struct scene *s = *state;
	int fds[20];

	for (size_t i = 0; i < 20; i++)
		fds[i] = ask(s, "/wait/" OTHER_ID);
	await_waits(s, 20);
	for (size_t i = 0; i < 20; i++)
		(void)close(fds[i]);
	await_waits(s, 0);
	assert_int_equal(atomic_load(&freed), 20);
	expect(ask(s, "/wait/x?for=1"), 200, "not yet");
}

static void
test_caps_hold_for_an_owner_and_for_all(void **state)
{
	struct scene *s = *state;
	int fds[40];

	for (size_t i = 0; i < 30; i++)
		fds[i] = ask(s, "/wait/x");
	await_waits(s, 30);
	expect(ask(s, "/wait/x"), 429, "too many");
	for (size_t i = 30; i < 40; i++)
		fds[i] = ask(s, "/wait/x?owner=bob");
	await_waits(s, 40);
	expect(ask(s, "/wait/x?owner=eve"), 503, "too many");
	(void)close(fds[0]);
	await_waits(s, 39);
	expect(ask(s, "/wait/x?owner=eve&for=1"), 200, "not yet");
	for (size_t i = 1; i < 40; i++)
		(void)close(fds[i]);
	await_waits(s, 0);
	assert_int_equal(atomic_load(&freed), 43);
}

static void
test_draining_tells_everybody_and_waits_for_who_stays(void **state)
{
	struct scene *s = *state;
	int going = ask(s, "/wait/x");
	int staying = ask(s, "/wait/stay");

	await_waits(s, 2);
	worker_drain(s->rig.worker);
	expect(going, 503, "reconnect");
	s->rig.worker = worker_join(s->rig.worker);
	expect(staying, 200, "not yet");
}

static void
test_a_helper_that_goes_and_comes_back(void **state)
{
	struct scene *s = *state;
	int job_fd = rig_job(&s->rig, "test", RIG_ID);
	int fd = ask(s, "/wait/" RIG_ID);

	fake_helper_await_watches(s->helper, 1);
	fake_helper_free(s->helper);
	expect(ask(s, "/wait/x?for=1"), 200, "not yet");
	s->helper = fake_helper_new(s->rig.helper_path, answer, NULL);
	fake_helper_await_watches(s->helper, 1);
	expect_silence(fd);
	rig_finish_job(&s->rig, job_fd, VERDICT_PASSED, 0);
	(void)close(job_fd);
	fake_helper_changed(s->helper, "");	/* resync: it does not know what was missed */
	expect(fd, 200, "finished");
}

static void
test_without_a_helper_waits_still_see_the_end(void **state)
{
	struct scene *s = *state;
	int job_fd = rig_job(&s->rig, "test", RIG_ID);
	int fd;

	fake_helper_free(s->helper);
	s->helper = NULL;
	fd = ask(s, "/wait/" RIG_ID);
	await_waits(s, 1);
	rig_finish_job(&s->rig, job_fd, VERDICT_PASSED, 0);
	(void)close(job_fd);
	expect(fd, 200, "finished");
}

/* The helper is there and says nothing: nobody else may wait for it. */
static void
test_a_helper_that_hangs_holds_nobody_up(void **state)
{
	struct scene *s = *state;
	int listen_fd, fd;

	fake_helper_free(s->helper);
	s->helper = NULL;
	listen_fd = message_listen(s->rig.helper_path, 0600, (gid_t)-1);
	assert_true(listen_fd >= 0);
	fd = ask(s, "/wait/" RIG_ID);
	await_waits(s, 1);
	expect(ask(s, "/wait/x?for=1"), 200, "not yet");
	(void)close(fd);
	await_waits(s, 0);
	(void)close(listen_fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_change_ends_the_waits_of_that_job_alone, begin, end),
		cmocka_unit_test_setup_teardown(test_what_has_happened_already_is_seen_at_once, begin, end),
		cmocka_unit_test_setup_teardown(test_a_change_before_the_watch_is_not_missed, begin, end),
		cmocka_unit_test_setup_teardown(test_deadlines_come_in_their_order, begin, end),
		cmocka_unit_test_setup_teardown(test_a_growing_file_is_noticed, begin, end),
		cmocka_unit_test_setup_teardown(test_a_client_that_hangs_up_leaves_nothing, begin, end),
		cmocka_unit_test_setup_teardown(test_caps_hold_for_an_owner_and_for_all, begin, end),
		cmocka_unit_test_setup_teardown(test_draining_tells_everybody_and_waits_for_who_stays, begin, end),
		cmocka_unit_test_setup_teardown(test_a_helper_that_goes_and_comes_back, begin, end),
		cmocka_unit_test_setup_teardown(test_without_a_helper_waits_still_see_the_end, begin, end),
		cmocka_unit_test_setup_teardown(test_a_helper_that_hangs_holds_nobody_up, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
