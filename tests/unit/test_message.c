/* test_message.c - packets between the programs: bounds on both sides, descriptors that never leak, peers that go away. */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "proto/message.h"

struct pair {
	int a, b;
	size_t fds;	/* descriptors of the process before the pair */
};

/* How many descriptors this process has. */
static size_t
count_fds(void)
{
	scoped(close_dir) DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	return n;
}

static int
setup(void **state)
{
	static struct pair p;
	int fds[2], size = 4 << 20;

	p.fds = count_fds();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	p.a = fds[0];
	p.b = fds[1];
	(void)setsockopt(p.a, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	*state = &p;
	return 0;
}

static int
teardown(void **state)
{
	struct pair *p = *state;

	close_fd(&p->a);
	close_fd(&p->b);
	assert_int_equal(count_fds(), p->fds);	/* whatever a test did */
	return 0;
}

static void
send_text(const struct pair *p, const char *text, size_t len)
{
	assert_int_equal(send(p->a, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static int
receive_and_forget(const struct pair *p, int timeout_msec)
{
	scoped(message_done) struct message m = MESSAGE_INIT;
	int r = message_receive(p->b, &m, timeout_msec);

	if (r <= 0) {
		assert_null(m.body);
		assert_int_equal(m.n_fds, 0);
	}
	return r;
}

static json_object *
body_of(const char *text)
{
	json_object *obj = NULL;

	assert_int_equal(json_parse(text, strlen(text), &obj), 0);
	return obj;
}

static void
test_a_message_arrives_as_it_was(void **state)
{
	const struct pair *p = *state;
	scoped(put_json) json_object *body = body_of("{\"op\":\"x\",\"n\":1,\"u\":\"\\u00e4\\u0000\",\"d\":[null,true,2.5]}");
	scoped(message_done) struct message m = MESSAGE_INIT;

	assert_int_equal(message_send(p->a, body, NULL, 0), 0);
	assert_int_equal(message_receive(p->b, &m, -1), 1);
	assert_true(json_object_equal(m.body, body));
	assert_int_equal(m.n_fds, 0);
}

static void
test_descriptors_come_along_close_on_exec_and_in_order(void **state)
{
	const struct pair *p = *state;
	scoped(put_json) json_object *body = body_of("{}");
	scoped(message_done) struct message m = MESSAGE_INIT;
	int fds[MESSAGE_FDS_MAX];

	for (int i = 0; i < MESSAGE_FDS_MAX; i++) {
		fds[i] = memory_file("x");
		assert_true(fds[i] >= 0);
		assert_int_equal(ftruncate(fds[i], i + 1), 0);
	}
	assert_int_equal(message_send(p->a, body, fds, MESSAGE_FDS_MAX), 0);
	for (int i = 0; i < MESSAGE_FDS_MAX; i++)
		close_fd(&fds[i]);
	assert_int_equal(message_receive(p->b, &m, -1), 1);
	assert_int_equal(m.n_fds, MESSAGE_FDS_MAX);
	for (int i = 0; i < MESSAGE_FDS_MAX; i++) {
		struct stat st;

		assert_int_equal(fstat(m.fds[i], &st), 0);
		assert_int_equal(st.st_size, i + 1);
		assert_int_equal(fcntl(m.fds[i], F_GETFD), FD_CLOEXEC);
	}
}

static void
test_more_descriptors_are_never_sent(void **state)
{
	const struct pair *p = *state;
	scoped(put_json) json_object *body = body_of("{}");
	int fds[MESSAGE_FDS_MAX + 1] = { 0 };

	assert_int_equal(message_send(p->a, body, fds, MESSAGE_FDS_MAX + 1), -EMSGSIZE);
	assert_int_equal(receive_and_forget(p, 1), -ETIMEDOUT);
}

static void
send_raw_fds(const struct pair *p, const char *text, size_t n)
{
	union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(int) * 250)]; } control = { .bytes = { 0 } };
	struct iovec iov = { (char *)(uintptr_t)text, strlen(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes };
	struct cmsghdr *c;
	int fd = 0;

	msg.msg_controllen = CMSG_SPACE(sizeof(int) * n);
	c = CMSG_FIRSTHDR(&msg);
	if (!c)
		abort();
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	for (size_t i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + i * sizeof fd, &fd, sizeof fd);
	assert_true(sendmsg(p->a, &msg, MSG_NOSIGNAL) > 0);
}

static void
test_more_descriptors_are_refused_and_closed(void **state)
{
	const struct pair *p = *state;
	static const size_t numbers[] = { 65, 66, 128, 250 };
	size_t before = count_fds();

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		send_raw_fds(p, "{\"n\":1}", numbers[i]);
		assert_int_equal(receive_and_forget(p, -1), -EMSGSIZE);
		assert_int_equal(count_fds(), before);
	}
}

static void
test_descriptors_of_a_refused_message_are_closed(void **state)
{
	const struct pair *p = *state;
	size_t before = count_fds();

	send_raw_fds(p, "nonsense", 64);
	assert_int_equal(receive_and_forget(p, -1), -EBADMSG);
	assert_int_equal(count_fds(), before);
	send_raw_fds(p, "[]", 3);
	assert_int_equal(receive_and_forget(p, -1), -EBADMSG);
	assert_int_equal(count_fds(), before);
	send_raw_fds(p, "{}", 3);	/* and those of a good one when it is done with */
	assert_int_equal(receive_and_forget(p, -1), 1);
	assert_int_equal(count_fds(), before);
}

static void
test_what_is_no_object_is_refused(void **state)
{
	const struct pair *p = *state;
	static const char *const texts[] = { "x", "{", "[1]", "null", "1", "\"x\"", "{} ", "{}x", "{}{}", "\xff", "{\"a\":NaN}",
		"{\"a\":\"\xed\xa0\x80\"}", "{'a':1}", "{\"a\":1,}", " " };

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		int r;

		send_text(p, texts[i], strlen(texts[i]));
		r = receive_and_forget(p, -1);
		if (r != (strcmp(texts[i], "{} ") == 0 ? 1 : -EBADMSG))
			fail_msg("%s: %d", texts[i], r);
	}
	send_text(p, "{}\0", 3);
	assert_int_equal(receive_and_forget(p, -1), -EBADMSG);
}

static void
test_depth_is_bounded(void **state)
{
	const struct pair *p = *state;
	char text[1024];
	size_t len = 0;

	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "{\"a\":");
	len += (size_t)snprintf(text + len, sizeof text - len, "1");
	for (int i = 0; i < 100; i++)
		text[len++] = '}';
	send_text(p, text, len);
	assert_int_equal(receive_and_forget(p, -1), -EBADMSG);
}

/* An object as text of exactly this length. */
static char *
object_text(size_t len)
{
	char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, 'x', len);
	memcpy(text, "{\"a\":\"", 6);
	memcpy(text + len - 2, "\"}", 3);
	return text;
}

static void
test_the_largest_message_passes_and_no_larger_one(void **state)
{
	const struct pair *p = *state;
	scoped(free_ptr) char *fits = object_text(MESSAGE_MAX), *large = object_text(MESSAGE_MAX + 1);
	scoped(put_json) json_object *body = body_of(fits), *body_large = body_of(large);
	size_t before = count_fds();

	assert_int_equal(message_send(p->a, body, NULL, 0), 0);
	assert_int_equal(receive_and_forget(p, -1), 1);
	assert_int_equal(message_send(p->a, body_large, NULL, 0), -EMSGSIZE);
	send_text(p, large, MESSAGE_MAX + 1);
	assert_int_equal(receive_and_forget(p, -1), -EMSGSIZE);
	send_text(p, fits, MESSAGE_MAX);	/* the next packet is not touched by it */
	assert_int_equal(receive_and_forget(p, -1), 1);
	assert_int_equal(count_fds(), before);
}

static void
test_what_json_cannot_hold_is_not_sent(void **state)
{
	const struct pair *p = *state;
	scoped(put_json) json_object *body = json_object_new_object();

	json_object_object_add(body, "x", json_object_new_double(1e308 * 10));
	assert_int_equal(message_send(p->a, body, NULL, 0), -EBADMSG);
	json_object_object_add(body, "x", json_object_new_string("\xff"));
	assert_int_equal(message_send(p->a, body, NULL, 0), -EBADMSG);
	assert_int_equal(receive_and_forget(p, 1), -ETIMEDOUT);
}

static void
test_a_closed_peer_is_told(void **state)
{
	struct pair *p = *state;
	scoped(put_json) json_object *body = body_of("{}");

	assert_int_equal(message_send(p->a, body, NULL, 0), 0);
	close_fd(&p->a);
	assert_int_equal(receive_and_forget(p, -1), 1);	/* what was sent before */
	assert_int_equal(receive_and_forget(p, -1), 0);
	assert_int_equal(receive_and_forget(p, 1000), 0);
	assert_int_equal(message_send(p->b, body, NULL, 0), -EPIPE);	/* and no signal */
}

static void
test_unread_words_are_a_reset(void **state)
{
	struct pair *p = *state;
	scoped(put_json) json_object *body = body_of("{}");

	assert_int_equal(message_send(p->b, body, NULL, 0), 0);
	close_fd(&p->a);
	assert_int_equal(receive_and_forget(p, -1), -ECONNRESET);
}

static void
test_waiting_ends(void **state)
{
	const struct pair *p = *state;
	uint64_t before = clock_mono(), took;

	assert_int_equal(receive_and_forget(p, 50), -ETIMEDOUT);
	took = clock_mono() - before;
	assert_true(took >= 50 * USEC_PER_MSEC && took < 20 * USEC_PER_SEC);
	assert_int_equal(set_nonblock(p->b, true), 0);
	assert_int_equal(receive_and_forget(p, 0), -EAGAIN);
}

static volatile sig_atomic_t signalled;

static void
on_signal(int sig)
{
	signalled = sig;
}

static void *
interrupt(void *arg)
{
	for (int i = 0; i < 20; i++) {
		(void)usleep(5000);
		(void)pthread_kill(*(pthread_t *)arg, SIGUSR1);
	}
	return NULL;
}

static void
test_a_signal_ends_no_waiting(void **state)
{
	const struct pair *p = *state;
	struct sigaction action = { .sa_handler = on_signal }, old;
	pthread_t self = pthread_self(), thread;
	uint64_t before = clock_mono();

	assert_int_equal(sigaction(SIGUSR1, &action, &old), 0);
	assert_int_equal(pthread_create(&thread, NULL, interrupt, &self), 0);
	assert_int_equal(receive_and_forget(p, 60), -ETIMEDOUT);
	assert_true(clock_mono() - before >= 60 * USEC_PER_MSEC);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(signalled, SIGUSR1);
	(void)sigaction(SIGUSR1, &old, NULL);
}

static void
test_a_full_socket_of_a_nonblocking_sender(void **state)
{
	const struct pair *p = *state;
	scoped(put_json) json_object *body = body_of("{}");
	int r = 0, sent = 0;

	assert_int_equal(set_nonblock(p->a, true), 0);
	for (; sent < 100000 && r == 0; sent++)
		r = message_send(p->a, body, NULL, 0);
	assert_int_equal(r, -EAGAIN);
	for (int i = 1; i < sent; i++)
		assert_int_equal(receive_and_forget(p, -1), 1);
	assert_int_equal(message_send(p->a, body, NULL, 0), 0);
}

/* ---- listening ---- */

static void
test_a_socket_has_its_mode_and_peers_are_known(void **state)
{
	const struct temp_dir *dir = *state;
	char path[600];
	struct stat st;
	mode_t mask = umask(0);
	scoped(close_fd) int listener = -EBADF;
	scoped(close_fd) int ours = -EBADF;
	scoped(close_fd) int theirs = -EBADF;
	uid_t uid = 0;
	gid_t gid = 0;
	pid_t pid = 0;

	(void)snprintf(path, sizeof path, "%s/s", dir->path);
	listener = message_listen(path, 0620, (gid_t)-1);
	assert_true(listener >= 0);
	assert_int_equal(umask(mask), 0);	/* as it was */
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0620);
	assert_int_equal(fcntl(listener, F_GETFD), FD_CLOEXEC);
	ours = message_connect(path, false);
	assert_true(ours >= 0);
	assert_int_equal(fcntl(ours, F_GETFD), FD_CLOEXEC);
	theirs = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(message_peer(theirs, &uid, &gid, &pid), 0);
	assert_int_equal(uid, geteuid());
	assert_int_equal(gid, getegid());
	assert_int_equal(pid, getpid());
}

static void
test_a_dead_socket_is_replaced_and_a_living_one_is_not(void **state)
{
	const struct temp_dir *dir = *state;
	char path[600];
	int first, second;

	(void)snprintf(path, sizeof path, "%s/s", dir->path);
	assert_int_equal(message_connect(path, false), -ENOENT);
	first = message_listen(path, 0600, (gid_t)-1);
	assert_true(first >= 0);
	assert_int_equal(message_listen(path, 0600, (gid_t)-1), -EADDRINUSE);
	close_fd(&first);
	assert_int_equal(message_connect(path, false), -ECONNREFUSED);
	second = message_listen(path, 0600, (gid_t)-1);
	assert_true(second >= 0);
	close_fd(&second);
}

struct seeker {
	char path[600];
	atomic_bool over;
	atomic_int wrong;	/* first errno that is neither of the two */
	atomic_uint tried, connected;
};

static void *
seek(void *arg)
{
	struct seeker *s = arg;

	while (!atomic_load(&s->over)) {
		scoped(close_fd) int fd = message_connect(s->path, true);
		int none = 0;

		if (fd >= 0)
			atomic_fetch_add(&s->connected, 1);
		else if (fd != -ENOENT && fd != -ECONNREFUSED && fd != -EAGAIN)
			(void)atomic_compare_exchange_strong(&s->wrong, &none, fd);
		atomic_fetch_add(&s->tried, 1);
	}
	return NULL;
}

/* Who connects meets no socket, a dead one or a living one, but never one that is not open to it yet. (Root may open any.) */
static void
test_a_socket_is_there_whole_or_not_at_all(void **state)
{
	const struct temp_dir *dir = *state;
	struct seeker s = { .path = "" };
	pthread_t thread;
	uint64_t end = clock_mono() + 20 * USEC_PER_SEC;

	(void)snprintf(s.path, sizeof s.path, "%s/s", dir->path);
	assert_int_equal(pthread_create(&thread, NULL, seek, &s), 0);
	for (int i = 0; i < 300 && clock_mono() < end; i++) {
		int fd = message_listen(s.path, 0666, (gid_t)-1);
		unsigned tried = atomic_load(&s.tried);

		assert_true(fd >= 0);
		/* Now and then it lives until it was met: on one core, or under valgrind, the seeker might never run in between. */
		while (i % 20 == 0 && atomic_load(&s.tried) - tried < 2 && clock_mono() < end)
			(void)sched_yield();
		close_fd(&fd);
	}
	atomic_store(&s.over, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(atomic_load(&s.wrong), 0);
	assert_true(atomic_load(&s.connected) >= 10);
	assert_int_equal(faccessat(dir->fd, "s~", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

static void
test_the_longest_path_is_used(void **state)
{
	const struct temp_dir *dir = *state;
	char path[200];
	size_t len = strlen(dir->path);

	assert_true(len < 90);
	for (size_t total = 105; total <= 107; total++) {
		int fd;

		memset(path, 'x', sizeof path);
		memcpy(path, dir->path, len);
		path[len] = '/';
		path[total] = '\0';
		fd = message_listen(path, 0600, (gid_t)-1);
		assert_true(fd >= 0);
		assert_int_equal(message_listen(path, 0600, (gid_t)-1), -EADDRINUSE);
		close_fd(&fd);
		fd = message_listen(path, 0600, (gid_t)-1);
		assert_true(fd >= 0);
		close_fd(&fd);
	}
}

static void
test_what_is_no_socket_is_left_alone(void **state)
{
	const struct temp_dir *dir = *state;
	char path[600];
	struct stat st;
	int fd = openat(dir->fd, "s", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, "precious", 8), 0);
	close_fd(&fd);
	(void)snprintf(path, sizeof path, "%s/s", dir->path);
	assert_int_equal(message_listen(path, 0600, (gid_t)-1), -ENOTSOCK);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode) && st.st_size == 8);
}

static void
test_long_paths_are_refused(void **state)
{
	char path[200];
	size_t before = count_fds();

	(void)state;
	memset(path, 'x', sizeof path);
	path[0] = '/';
	path[108] = '\0';
	assert_int_equal(message_listen(path, 0600, (gid_t)-1), -ENAMETOOLONG);
	assert_int_equal(message_connect(path, false), -ENAMETOOLONG);
	path[107] = '\0';
	assert_int_equal(message_connect(path, false), -ENOENT);
	assert_int_equal(message_connect("", false), -ENAMETOOLONG);
	assert_int_equal(count_fds(), before);
}

#define PAIR_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(test_a_message_arrives_as_it_was),
		PAIR_TEST(test_descriptors_come_along_close_on_exec_and_in_order),
		PAIR_TEST(test_more_descriptors_are_never_sent),
		PAIR_TEST(test_more_descriptors_are_refused_and_closed),
		PAIR_TEST(test_descriptors_of_a_refused_message_are_closed),
		PAIR_TEST(test_what_is_no_object_is_refused),
		PAIR_TEST(test_depth_is_bounded),
		PAIR_TEST(test_the_largest_message_passes_and_no_larger_one),
		PAIR_TEST(test_what_json_cannot_hold_is_not_sent),
		PAIR_TEST(test_a_closed_peer_is_told),
		PAIR_TEST(test_unread_words_are_a_reset),
		PAIR_TEST(test_waiting_ends),
		PAIR_TEST(test_a_signal_ends_no_waiting),
		PAIR_TEST(test_a_full_socket_of_a_nonblocking_sender),
		TEMP_DIR_TEST(test_a_socket_has_its_mode_and_peers_are_known),
		TEMP_DIR_TEST(test_a_dead_socket_is_replaced_and_a_living_one_is_not),
		TEMP_DIR_TEST(test_a_socket_is_there_whole_or_not_at_all),
		TEMP_DIR_TEST(test_the_longest_path_is_used),
		TEMP_DIR_TEST(test_what_is_no_socket_is_left_alone),
		cmocka_unit_test(test_long_paths_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
