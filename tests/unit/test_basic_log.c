#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "basic/log.h"
#include "basic/scoped.h"
#include "unit.h"

/* Standard error is a socket that keeps the bounds of each write(2). */
static int reader = -EBADF;
static int real_stderr = -EBADF;

static int
capture(void **state)
{
	int ends[2] = { -EBADF, -EBADF };

	(void)state;
	real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (real_stderr < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ||
	    dup2(ends[1], STDERR_FILENO) < 0)
		return -1;
	close_fd(&ends[1]);
	reader = ends[0];
	return set_nonblock(reader, true);
}

static int
release(void **state)
{
	(void)state;
	(void)dup2(real_stderr, STDERR_FILENO);
	close_fd(&real_stderr);
	close_fd(&reader);
	return 0;
}

static void
assert_written(const char *expected)
{
	char line[4096] = { 0 };
	ssize_t n = read(reader, line, sizeof line - 1);

	assert_true(n > 0);
	assert_string_equal(line, expected);
}

static void
assert_nothing_written(void)
{
	char c = 0;

	assert_int_equal(read(reader, &c, 1), -1);
	assert_int_equal(errno, EAGAIN);
}

static void
test_log_line_is_a_priority_and_a_message(void **state)
{
	(void)state;
	log_init("test", LOG_INFO);
	log_error("job %s: %d", "x", 7);
	assert_written("<3>job x: 7\n");
	log_info("caf\xc3\xa9");
	assert_written("<6>caf\xc3\xa9\n");
	assert_nothing_written();
}

static void
test_log_line_leaves_out_what_is_beyond_the_maximum(void **state)
{
	(void)state;
	log_init("test", LOG_INFO);
	log_debug("hidden");
	assert_nothing_written();
	log_init("test", LOG_DEBUG);
	log_debug("shown");
	assert_written("<7>shown\n");
	log_init("test", LOG_WARNING);
	log_notice("hidden");
	assert_nothing_written();
}

static void
test_log_line_cannot_be_forged(void **state)
{
	(void)state;
	log_init("test", LOG_INFO);
	log_info("a\n<0>b\r\t\x1b[2J\x7f");
	assert_written("<6>a?<0>b???[2J?\n");
	log_info("bad \xff\xc3");
	assert_written("<6>bad ??\n");
}

static void
test_log_line_is_cut_between_characters(void **state)
{
	char text[4000] = { 0 }, line[4096] = { 0 };
	ssize_t n = 0;

	(void)state;
	log_init("test", LOG_INFO);
	memset(text, 'x', sizeof text - 1);
	log_info("%s", text);
	n = read(reader, line, sizeof line);
	assert_int_equal(n, 2000);
	assert_int_equal(line[1999], '\n');
	assert_int_equal(line[1998], 'x');
	for (size_t shift = 0; shift < 3; shift++) {
		memset(text, 'x', sizeof text - 1);
		for (size_t i = shift; i + 3 < sizeof text; i += 3)
			memcpy(text + i, "\xe2\x82\xac", 3);
		log_info("%s", text);
		n = read(reader, line, sizeof line);
		assert_true(n > 2000 - 3 && n <= 2000);
		assert_int_equal(line[n - 1], '\n');
		assert_null(memchr(line, '?', (size_t)n));
	}
}

static void
test_log_line_keeps_errno(void **state)
{
	(void)state;
	log_init("test", LOG_INFO);
	errno = ENOENT;
	log_info("x");
	assert_int_equal(errno, ENOENT);
	assert_written("<6>x\n");
}

static void *
log_many(void *arg)
{
	for (int i = 0; i < 25; i++)
		log_info("%s %02d", (const char *)arg, i);
	return NULL;
}

static void
test_log_line_is_one_write_from_any_thread(void **state)
{
	pthread_t threads[4];
	static char names[4][2] = { "a", "b", "c", "d" };
	unsigned lines = 0;
	char line[64] = { 0 };
	ssize_t n = 0;

	(void)state;
	log_init("test", LOG_INFO);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	while ((n = read(reader, line, sizeof line)) > 0) {
		assert_int_equal(n, strlen("<6>a 00\n"));
		assert_int_equal(line[n - 1], '\n');
		lines++;
	}
	assert_int_equal(lines, 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_log_line_is_a_priority_and_a_message, capture, release),
		cmocka_unit_test_setup_teardown(test_log_line_leaves_out_what_is_beyond_the_maximum, capture, release),
		cmocka_unit_test_setup_teardown(test_log_line_cannot_be_forged, capture, release),
		cmocka_unit_test_setup_teardown(test_log_line_is_cut_between_characters, capture, release),
		cmocka_unit_test_setup_teardown(test_log_line_keeps_errno, capture, release),
		cmocka_unit_test_setup_teardown(test_log_line_is_one_write_from_any_thread, capture, release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
