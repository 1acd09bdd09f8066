/* test_client.c - the asking side against a helper of our own that does whatever a test wants: answers, refuses, talks nonsense,
 * goes away. */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "proto/client.h"
#include "proto/message.h"

#define ID "0123456789abcdef0123456789abcdef"

/* ---- the other side ---- */

/* What serve() shall do with one connection; each step is one request, in order. Text begins an answer and needs no number:
 * "{" and the rest behind "n". */
struct step {
	const char *op;	/* what is expected; NULL: anything */
	const char *answer;	/* `"ok":true,...}`; NULL: none */
	const char *raw;	/* sent as it is, before the answer; NULL: nothing */
	bool close;	/* after this step */
	bool close_unread;	/* without reading the request at all */
};

enum { CONNECTIONS_MAX = 3, STEPS_MAX = 12 };

static struct fake {
	struct temp_dir *dir;
	char path[600];
	int listener;
	pthread_t thread;
	struct step scripts[CONNECTIONS_MAX][STEPS_MAX];	/* the thread may look at them longer than a test's block lives */
	unsigned n_scripts;
	atomic_uint accepted, requests, fds;
	struct client *client;
	atomic_int last_size;	/* of the first descriptor that came last */
	char last_op[64];
	json_object *last;	/* the last request but hello */
} fake;

#define MUST(condition) do { if (!(condition)) { perror(#condition); abort(); } } while (0)

static void
answer(int fd, json_object *request, const char *rest)
{
	char text[4096];
	int64_t n = 0;
	int len;

	MUST(json_get_int(request, "n", &n) == 0);
	len = snprintf(text, sizeof text, "{\"n\":%lld,%s", (long long)n, rest);
	(void)send(fd, text, (size_t)len, MSG_NOSIGNAL);
}

/* false: the connection has ended. */
static bool
serve_step(int fd, const struct step *s)
{
	scoped(message_done) struct message m = MESSAGE_INIT;
	const char *op = "";
	struct stat st;

	if (s->close_unread) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		(void)poll(&p, 1, 20000);
		return false;
	}
	if (message_receive(fd, &m, 20000) <= 0)
		return false;
	MUST(json_get_string(m.body, "op", &op) == 0);
	MUST(!s->op || strcmp(s->op, op) == 0);
	atomic_fetch_add(&fake.requests, 1);
	atomic_fetch_add(&fake.fds, (unsigned)m.n_fds);
	if (m.n_fds > 0 && fstat(m.fds[0], &st) == 0)
		atomic_store(&fake.last_size, (int)st.st_size);
	if (strcmp(op, "hello") != 0) {
		json_object_put(fake.last);
		fake.last = json_object_get(m.body);
	}
	if (s->raw)
		MUST(send(fd, s->raw, strlen(s->raw), MSG_NOSIGNAL) > 0);
	if (s->answer)
		answer(fd, m.body, s->answer);
	return !s->close;
}

static void *
serve(void *arg)
{
	(void)arg;
	for (;;) {
		scoped(close_fd) int fd = accept4(fake.listener, NULL, NULL, SOCK_CLOEXEC);
		const struct step *s;
		unsigned i;

		if (fd < 0)
			return NULL;
		i = atomic_fetch_add(&fake.accepted, 1);
		MUST(i < fake.n_scripts);
		for (s = fake.scripts[i]; s->op || s->answer || s->raw || s->close || s->close_unread; s++)
			if (!serve_step(fd, s))
				break;
		/* A script without an end of its own holds the connection until the client goes. */
		if (!s->op && !s->answer && !s->raw && !s->close && !s->close_unread) {
			struct pollfd p = { .fd = fd };

			(void)poll(&p, 1, 20000);
		}
	}
}

#define HELLO { "hello", "\"ok\":true,\"version\":1,\"release\":\"x\"}", NULL, false, false }
#define OK(op_, rest_) { op_, "\"ok\":true" rest_ "}", NULL, false, false }
#define REFUSE(op_, rest_) { op_, "\"ok\":false," rest_ "}", NULL, false, false }
#define END { NULL, NULL, NULL, false, false }
#define SCRIPT(...) ((const struct step[]){ __VA_ARGS__, END })

static int
setup(void **state)
{
	void *dir = NULL;

	memset(&fake, 0, sizeof fake);
	fake.listener = -EBADF;
	if (make_temp_dir(&dir) < 0)
		return -1;
	fake.dir = dir;
	(void)snprintf(fake.path, sizeof fake.path, "%s/s", fake.dir->path);
	assert_int_equal(client_new(fake.path, "test", &fake.client), 0);
	*state = &fake;
	return 0;
}

static void
start(const struct step *first, const struct step *second, const struct step *third)
{
	const struct step *const scripts[CONNECTIONS_MAX] = { first, second, third };

	for (; fake.n_scripts < CONNECTIONS_MAX && scripts[fake.n_scripts]; fake.n_scripts++) {
		const struct step *s = scripts[fake.n_scripts];

		for (size_t i = 0; s->op || s->answer || s->raw || s->close || s->close_unread; i++) {
			assert_true(i + 1 < STEPS_MAX);
			fake.scripts[fake.n_scripts][i] = *s++;
		}
	}
	fake.listener = message_listen(fake.path, 0600, (gid_t)-1);
	assert_true(fake.listener >= 0);
	assert_int_equal(pthread_create(&fake.thread, NULL, serve, NULL), 0);
}

static void
stop(void)
{
	if (fake.listener < 0)
		return;
	(void)shutdown(fake.listener, SHUT_RDWR);
	assert_int_equal(pthread_join(fake.thread, NULL), 0);
	close_fd(&fake.listener);
}

static int
teardown(void **state)
{
	void *dir = fake.dir;

	(void)state;
	fake.client = client_free(fake.client);
	stop();
	json_object_put(fake.last);
	return drop_temp_dir(&dir);
}

/* ---- tests ---- */

static void
test_nobody_there(void **state)
{
	struct queue_summary q;
	int before = next_fd();

	(void)state;
	assert_int_equal(client_queue(fake.client, &q), -ENOENT);
	fake.listener = message_listen(fake.path, 0600, (gid_t)-1);
	close_fd(&fake.listener);
	assert_int_equal(client_queue(fake.client, &q), -ECONNREFUSED);
	assert_int_equal(next_fd(), before);
}

static void
test_hello_comes_first_and_once(void **state)
{
	struct queue_summary q;
	static const struct step queue = OK("queue",
	    ",\"queued\":1,\"running\":2,\"slots\":3,\"queue_max\":4,\"accepting\":true,\"other\":[1]");

	(void)state;
	start(SCRIPT(HELLO, queue, queue), NULL, NULL);
	assert_int_equal(client_queue(fake.client, &q), 0);
	assert_true(q.queued == 1 && q.running == 2 && q.slots == 3 && q.queue_max == 4 && q.accepting == 1);
	assert_int_equal(client_queue(fake.client, &q), 0);
	assert_int_equal(atomic_load(&fake.accepted), 1);
	assert_int_equal(atomic_load(&fake.requests), 3);
}

static void
test_a_helper_of_another_version_is_told_by_name(void **state)
{
	struct queue_summary q;

	(void)state;
	start(SCRIPT({ "hello", "\"ok\":false,\"errno\":93}", NULL, true, false }), SCRIPT(HELLO, OK("drain", "")), NULL);
	assert_int_equal(client_queue(fake.client, &q), -EPROTONOSUPPORT);
	assert_int_equal(client_command(fake.client, "drain", NULL), 0);	/* and asked again the next time */
}

static void
test_a_refusal_has_its_reason_and_its_time(void **state)
{
	char ticket[ID_SIZE];

	(void)state;
	start(SCRIPT(HELLO, REFUSE("may", "\"errno\":11,\"reason\":\"the queue is full\",\"retry_after\":5"), REFUSE("may", "\"errno\":28"),
	    OK("may", ",\"ticket\":\"" ID "\"")), NULL, NULL);
	assert_int_equal(client_may(fake.client, "s", "s:x", 3, ticket), -EAGAIN);
	assert_int_equal(client_retry_after(fake.client), 5);
	assert_string_equal(client_reason(fake.client), "the queue is full");
	assert_int_equal(client_may(fake.client, "s", "s:x", 3, ticket), -ENOSPC);
	assert_int_equal(client_retry_after(fake.client), 0);	/* not said this time */
	assert_string_equal(client_reason(fake.client), "");
	assert_int_equal(client_may(fake.client, "s", "s:x", 3, ticket), 0);
	assert_string_equal(ticket, ID);
	assert_int_equal(atomic_load(&fake.accepted), 1);
}

/* Errnos that a connection's end would have too: the helper's word is final, and the connection stays. */
static void
test_a_refusal_is_never_taken_for_the_end_of_the_connection(void **state)
{
	static const int errors[] = { EPIPE, ECONNRESET, ETIMEDOUT, ECONNREFUSED };

	(void)state;
	start(SCRIPT(HELLO, REFUSE("kill", "\"errno\":32"), REFUSE("kill", "\"errno\":104"), REFUSE("kill", "\"errno\":110"),
	    REFUSE("kill", "\"errno\":111")), NULL, NULL);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(client_kill(fake.client, ID, "me"), -errors[i]);
	assert_int_equal(atomic_load(&fake.requests), 5);	/* asked once each */
	assert_int_equal(atomic_load(&fake.accepted), 1);
}

static void
test_a_long_reason_is_cut_between_characters(void **state)
{
	static char text[1000] = "\"ok\":false,\"errno\":22,\"reason\":\"x";
	static struct step refusal = { "kill", text, NULL, false, false };

	(void)state;
	for (int i = 0; i < 200; i++)
		memcpy(text + strlen(text), "\xc3\xa4", 3);
	memcpy(text + strlen(text), "\"}", 3);
	start(SCRIPT(HELLO, refusal), NULL, NULL);
	assert_int_equal(client_kill(fake.client, ID, "me"), -EINVAL);
	assert_int_equal(strlen(client_reason(fake.client)), 255);
	assert_int_equal(utf8_valid(client_reason(fake.client), 255), 1);
}

static void
test_a_closed_idle_connection_is_opened_anew(void **state)
{
	struct pollfd p;

	(void)state;
	start(SCRIPT(HELLO, { "drain", "\"ok\":true}", NULL, true, false }), SCRIPT(HELLO, OK("drain", "")), NULL);
	assert_int_equal(client_command(fake.client, "drain", NULL), 0);
	p = (struct pollfd){ .fd = client_fd(fake.client) };
	assert_int_equal(poll(&p, 1, 20000), 1);	/* the helper's end has come */
	assert_int_equal(client_command(fake.client, "drain", NULL), 0);
	assert_int_equal(atomic_load(&fake.accepted), 2);
}

static void
test_a_request_that_may_have_been_read_is_not_repeated(void **state)
{
	char id[ID_SIZE] = "";
	struct submission s = { .service = "s", .tool = "t", .owner = "s:x" };

	(void)state;
	start(SCRIPT(HELLO, { "submit", NULL, NULL, true, false }), SCRIPT(HELLO, OK("submit", ",\"id\":\"" ID "\"")), NULL);
	assert_int_equal(client_submit(fake.client, &s, id), -ECONNRESET);
	assert_int_equal(atomic_load(&fake.requests), 2);
	assert_int_equal(client_submit(fake.client, &s, id), 0);	/* another one, of the caller's own will */
	assert_string_equal(id, ID);
}

static void
test_a_connection_that_is_closed_before_hello_is_tried_again(void **state)
{
	(void)state;
	start(SCRIPT({ NULL, NULL, NULL, false, true }), SCRIPT({ "hello", NULL, NULL, true, false }), SCRIPT(HELLO, OK("drain", "")));
	assert_int_equal(client_command(fake.client, "drain", NULL), 0);
	assert_int_equal(atomic_load(&fake.accepted), 3);
}

static void
test_but_not_for_ever(void **state)
{
	static const struct step closing[] = { { NULL, NULL, NULL, false, true }, END };

	(void)state;
	start(closing, closing, closing);
	assert_int_equal(client_command(fake.client, "drain", NULL), -ECONNRESET);
	assert_int_equal(atomic_load(&fake.accepted), 3);
}

static void
test_nonsense_is_no_answer(void **state)
{
	static const char *const nonsense[] = { "x", "[]", "{\"n\":2}", "{\"n\":2,\"ok\":1}", "{\"n\":2,\"ok\":false}",
		"{\"n\":2,\"ok\":false,\"errno\":0}", "{\"n\":2,\"ok\":false,\"errno\":-5}", "{\"n\":2,\"ok\":false,\"errno\":\"EIO\"}",
		"{\"n\":2,\"ok\":false,\"errno\":99999999}" };

	for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
		if (i > 0)
			assert_int_equal(setup(state), 0);
		start(SCRIPT(HELLO, { "drain", NULL, nonsense[i], false, false }), SCRIPT(HELLO, OK("drain", "")), NULL);
		if (client_command(fake.client, "drain", NULL) != -EPROTO)
			fail_msg("%s", nonsense[i]);
		assert_int_equal(client_fd(fake.client), -EBADF);	/* nothing it says can be trusted any more */
		assert_int_equal(client_command(fake.client, "drain", NULL), 0);
		if (i + 1 < sizeof nonsense / sizeof *nonsense)
			assert_int_equal(teardown(state), 0);
	}
}

static void
test_answers_that_lack_what_they_are_for(void **state)
{
	char id[ID_SIZE] = "unchanged";
	struct submission s = { .service = "s", .tool = "t", .owner = "s:x" };
	struct queue_summary q = { .queued = 7 };

	(void)state;
	start(SCRIPT(HELLO, OK("may", ""), OK("may", ",\"ticket\":\"x\""), OK("submit", ",\"id\":7"), OK("submit", ",\"id\":\"ABC\""),
	    OK("kill", ""), OK("kill", ",\"finished\":\"no\""), OK("queue", ",\"queued\":1"), OK("kill", ",\"finished\":true")), NULL, NULL);
	assert_int_equal(client_may(fake.client, "s", "s:x", 1, id), -EPROTO);
	assert_int_equal(client_may(fake.client, "s", "s:x", 1, id), -EPROTO);
	assert_int_equal(client_submit(fake.client, &s, id), -EPROTO);
	assert_int_equal(client_submit(fake.client, &s, id), -EPROTO);
	assert_string_equal(id, "unchanged");
	assert_int_equal(client_kill(fake.client, ID, "me"), -EPROTO);
	assert_int_equal(client_kill(fake.client, ID, "me"), -EPROTO);
	assert_int_equal(client_queue(fake.client, &q), -EPROTO);
	assert_int_equal(q.queued, 7);
	assert_int_equal(client_kill(fake.client, ID, "me"), 1);
}

static void
test_events_and_late_answers_are_passed_over(void **state)
{
	(void)state;
	start(SCRIPT(HELLO, { "drain", "\"ok\":true}", "{\"event\":\"changed\",\"id\":\"" ID "\"}", false, false },
	    { "forget", "\"ok\":true}", "{\"n\":2,\"ok\":false,\"errno\":5}", false, false }), NULL, NULL);
	assert_int_equal(client_command(fake.client, "drain", NULL), 0);
	assert_int_equal(client_forget(fake.client, ID), 0);
}

static void
test_a_submission_is_sent_whole(void **state)
{
	static const char wanted[] = "{\"op\":\"submit\",\"service\":\"s\",\"tool\":\"t\",\"owner\":\"s:x\",\"ticket\":\"" ID "\","
	    "\"deadline\":42,\"params\":{\"p\":1},\"note\":{\"q\":[\"\xc3\xa4\"]},\"inputs\":[{\"name\":\"a\",\"size\":3},"
	    "{\"name\":\"b\",\"size\":0}],\"n\":2}";
	scoped(put_json) json_object *params = NULL, *note = NULL;
	scoped(free_ptr) char *text = NULL;
	int a = memory_file_sealed("a", "abc", 3), b = memory_file_sealed("b", "", 0);
	const struct submit_input inputs[] = { { "a", a, 3 }, { "b", b, 0 } };
	struct submission s = { .service = "s", .tool = "t", .owner = "s:x", .ticket = ID, .inputs = inputs, .n_inputs = 2,
		.deadline_mono_usec = 42 };
	char id[ID_SIZE];

	(void)state;
	assert_int_equal(json_parse("{\"p\":1}", 7, &params), 0);
	assert_int_equal(json_parse("{\"q\":[\"\xc3\xa4\"]}", 12, &note), 0);
	s.params = params;
	s.note = note;
	start(SCRIPT(HELLO, OK("submit", ",\"id\":\"" ID "\"")), NULL, NULL);
	assert_int_equal(client_submit(fake.client, &s, id), 0);
	assert_int_equal(atomic_load(&fake.fds), 2);
	assert_int_equal(atomic_load(&fake.last_size), 3);
	assert_int_equal(fcntl(a, F_GETFD), FD_CLOEXEC);	/* still the caller's */
	assert_int_equal(json_format(fake.last, &text, NULL), 0);
	assert_string_equal(text, wanted);
	assert_int_equal(json_object_object_length(params), 1);	/* borrowed */
	close_fd(&a);
	close_fd(&b);
}

static void
test_a_submission_has_a_deadline_of_its_own(void **state)
{
	struct submission s = { .service = "s", .tool = "t", .owner = "s:x" };
	uint64_t before = clock_mono(), deadline = 0;
	char id[ID_SIZE];

	(void)state;
	start(SCRIPT(HELLO, OK("submit", ",\"id\":\"" ID "\"")), NULL, NULL);
	assert_int_equal(client_submit(fake.client, &s, id), 0);
	assert_int_equal(json_get_uint(fake.last, "deadline", &deadline), 0);
	assert_true(deadline >= before + 10 * USEC_PER_SEC && deadline <= clock_mono() + 10 * USEC_PER_SEC);
	assert_false(json_object_object_get_ex(fake.last, "ticket", NULL));
	assert_false(json_object_object_get_ex(fake.last, "params", NULL));
}

static void
test_what_cannot_be_sent_costs_no_connection(void **state)
{
	struct submission s = { .service = "s", .tool = "t", .owner = "s:x", .n_inputs = MESSAGE_FDS_MAX + 1 };
	char id[ID_SIZE], *large = calloc(1, MESSAGE_MAX + 10);

	(void)state;
	assert_non_null(large);
	memset(large, 'x', MESSAGE_MAX + 9);
	start(SCRIPT(HELLO, OK("drain", ""), OK("drain", "")), NULL, NULL);
	assert_int_equal(client_command(fake.client, "drain", NULL), 0);
	assert_int_equal(client_submit(fake.client, &s, id), -EINVAL);
	s.n_inputs = 0;
	s.tool = large;
	assert_int_equal(client_submit(fake.client, &s, id), -EMSGSIZE);
	s.tool = "\xff";
	assert_int_equal(client_submit(fake.client, &s, id), -EBADMSG);
	assert_int_equal(client_may(fake.client, "s", "s:x", UINT64_MAX, id), -EFBIG);
	assert_int_equal(client_command(fake.client, "drain", NULL), 0);
	assert_int_equal(atomic_load(&fake.accepted), 1);
	free(large);
}

static void
wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 20000), 1);
}

/* The next event; waits for it. */
static int
next_event(char id[ID_SIZE])
{
	int r;

	while ((r = client_event(fake.client, id)) == 0)
		wait_readable(client_fd(fake.client));
	return r;
}

static void
test_events_are_taken_one_by_one(void **state)
{
	static const char *const ids[] = { ID };
	char id[ID_SIZE] = "";

	(void)state;
	start(SCRIPT(HELLO, { "watch", "\"ok\":true}", "{\"event\":\"changed\",\"id\":\"" ID "\"}", false, false },
	    { "unwatch", "\"ok\":true}", "{\"event\":\"resync\"}", true, false }), NULL, NULL);
	assert_int_equal(client_event(fake.client, id), -ENOTCONN);
	assert_int_equal(client_watch(fake.client, ids, 1), 0);
	assert_int_equal(next_event(id), 1);
	assert_string_equal(id, ID);
	assert_int_equal(client_unwatch(fake.client, ids, 1), 0);
	assert_int_equal(next_event(id), 1);
	assert_string_equal(id, "");	/* resync */
	assert_int_equal(next_event(id), -ECONNRESET);
	assert_int_equal(client_event(fake.client, id), -ENOTCONN);
}

static void
test_events_that_make_no_sense_are_passed_over(void **state)
{
	static const char *const ids[] = { ID };
	char id[ID_SIZE] = "unchanged";

	(void)state;
	start(SCRIPT(HELLO, { "watch", "\"ok\":true}", "{\"event\":\"changed\",\"id\":\"x\"}", false, false },
	    { "unwatch", "\"ok\":true}", "{\"event\":\"other\"}", false, false },
	    { "unwatch", "\"ok\":true}", "{\"event\":7}", false, false },
	    { "watch", "\"ok\":true}", "{\"event\":\"resync\"}", false, false }), NULL, NULL);
	assert_int_equal(client_watch(fake.client, ids, 1), 0);
	assert_int_equal(client_unwatch(fake.client, ids, 1), 0);
	assert_int_equal(client_unwatch(fake.client, ids, 1), 0);
	assert_int_equal(client_watch(fake.client, ids, 1), 0);
	assert_int_equal(next_event(id), 1);
	assert_string_equal(id, "");
}

static void
test_a_refused_subscription_ends_it(void **state)
{
	static const char *const ids[] = { ID };
	char id[ID_SIZE];

	(void)state;
	start(SCRIPT(HELLO, REFUSE("watch", "\"errno\":122,\"reason\":\"too many\"")), NULL, NULL);
	assert_int_equal(client_watch(fake.client, ids, 1), 0);
	assert_int_equal(next_event(id), -EDQUOT);
	assert_int_equal(client_fd(fake.client), -EBADF);
}

#define CLIENT_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENT_TEST(test_nobody_there),
		CLIENT_TEST(test_hello_comes_first_and_once),
		CLIENT_TEST(test_a_helper_of_another_version_is_told_by_name),
		CLIENT_TEST(test_a_refusal_has_its_reason_and_its_time),
		CLIENT_TEST(test_a_refusal_is_never_taken_for_the_end_of_the_connection),
		CLIENT_TEST(test_a_long_reason_is_cut_between_characters),
		CLIENT_TEST(test_a_closed_idle_connection_is_opened_anew),
		CLIENT_TEST(test_a_request_that_may_have_been_read_is_not_repeated),
		CLIENT_TEST(test_a_connection_that_is_closed_before_hello_is_tried_again),
		CLIENT_TEST(test_but_not_for_ever),
		CLIENT_TEST(test_nonsense_is_no_answer),
		CLIENT_TEST(test_answers_that_lack_what_they_are_for),
		CLIENT_TEST(test_events_and_late_answers_are_passed_over),
		CLIENT_TEST(test_a_submission_is_sent_whole),
		CLIENT_TEST(test_a_submission_has_a_deadline_of_its_own),
		CLIENT_TEST(test_what_cannot_be_sent_costs_no_connection),
		CLIENT_TEST(test_events_are_taken_one_by_one),
		CLIENT_TEST(test_events_that_make_no_sense_are_passed_over),
		CLIENT_TEST(test_a_refused_subscription_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
