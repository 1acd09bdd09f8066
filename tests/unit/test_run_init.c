/* The protocol of spoolgate-init, as its supervisor and as somebody worse. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "unit.h"

#include "basic/proc.h"
#include "basic/scoped.h"
#include "run/init_message.h"

enum { WAIT_MSEC = 20 * 1000 };

struct init_case {
	pid_t pid;
	int pidfd;
	int fd;	/* our end of the control socket */
	int log_fd;
};

static void
start(struct init_case *c, const char *script)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	char *text = strdup(script);
	char *argv[] = { (char[]){ "spoolgate-init" }, (char[]){ INIT_PROGRAM_NO_JAIL }, (char[]){ "/bin/sh" },
		(char[]){ "-c" }, text, NULL };
	char *env[] = { (char[]){ "PATH=/usr/bin:/bin" }, NULL };
	int pair[2], out[2], high[2];

	assert_non_null(text);
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), errno);
	assert_return_code(pipe2(out, O_CLOEXEC), errno);
	high[0] = fcntl(pair[1], F_DUPFD_CLOEXEC, 50);
	high[1] = fcntl(out[1], F_DUPFD_CLOEXEC, 50);
	assert_true(high[0] >= 0 && high[1] >= 0);
	assert_int_equal(posix_spawn_file_actions_init(&fa), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&fa, high[0], INIT_CONTROL_FD), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&fa, high[1], INIT_LOG_FD), 0);
	assert_int_equal(spawnattr_init_clean(&attr, 0), 0);
	assert_int_equal(posix_spawn(&c->pid, "./spoolgate-init", &fa, &attr, argv, env), 0);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&fa);
	(void)close(high[0]);
	(void)close(high[1]);
	(void)close(pair[1]);
	(void)close(out[1]);
	free(text);
	c->fd = pair[0];
	c->log_fd = out[0];
	c->pidfd = pidfd_open_pid(c->pid);
	assert_true(c->pidfd >= 0);
}

static void
say(struct init_case *c, enum init_type type)
{
	struct init_message m = { .version = INIT_VERSION, .type = type };

	assert_int_equal(send(c->fd, &m, sizeof m, MSG_NOSIGNAL), sizeof m);
}

static struct init_message
hear(struct init_case *c, enum init_type type)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	struct init_message m = { 0 };

	assert_int_equal(poll(&p, 1, WAIT_MSEC), 1);
	assert_int_equal(recv(c->fd, &m, sizeof m, 0), sizeof m);
	assert_int_equal(m.version, INIT_VERSION);
	assert_int_equal(m.type, type);
	return m;
}

static void
end(struct init_case *c)
{
	int status = 0;

	if (pidfd_wait(c->pidfd, WAIT_MSEC) != 1)
		fail_msg("init does not end");
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	assert_true(WIFEXITED(status));
	(void)close(c->fd);
	(void)close(c->log_fd);
	(void)close(c->pidfd);
}

static void
test_one_tool_from_setup_to_emptied(void **state)
{
	struct init_case c;
	struct init_message m = { 0 }, began = { 0 };
	struct stat st = { 0 };

	(void)state;
	start(&c, "exit 5");
	say(&c, INIT_SETUP);
	m = hear(&c, INIT_READY);
	assert_return_code(stat(".", &st), errno);
	assert_int_equal(m.u.ready.dev, st.st_dev);
	assert_int_equal(m.u.ready.ino, st.st_ino);
	say(&c, INIT_START);
	began = hear(&c, INIT_BEGAN);
	m = hear(&c, INIT_ENDED);
	assert_true(WIFEXITED(m.u.ended.status) && WEXITSTATUS(m.u.ended.status) == 5);
	assert_true(m.u.ended.at_usec >= began.u.began.at_usec);
	say(&c, INIT_EMPTY);
	m = hear(&c, INIT_EMPTIED);
	assert_true(m.u.emptied.cpu_usec > 0 && m.u.emptied.peak_memory_bytes > 0);
	end(&c);
}

static void
test_exec_that_fails_says_why(void **state)
{
	struct init_case c;
	struct init_message m = { .version = INIT_VERSION, .type = INIT_SETUP };

	(void)state;
	start(&c, "exit 0");
	m.u.setup.address_space_bytes = 4096;	/* too little for any program */
	assert_int_equal(send(c.fd, &m, sizeof m, 0), sizeof m);
	(void)hear(&c, INIT_READY);
	say(&c, INIT_START);
	/* The kernel may refuse the exec or kill the process in it; never BEGAN, ENDED with exit 0. */
	{
		struct pollfd p = { .fd = c.fd, .events = POLLIN };

		assert_int_equal(poll(&p, 1, WAIT_MSEC), 1);
		assert_int_equal(recv(c.fd, &m, sizeof m, 0), sizeof m);
		if (m.type == INIT_FAILED) {
			assert_string_equal(m.u.failed.step, "exec");
			assert_int_equal(m.u.failed.err, ENOMEM);
		} else {
			assert_int_equal(m.type, INIT_BEGAN);
			m = hear(&c, INIT_ENDED);
			assert_true(WIFSIGNALED(m.u.ended.status));
			say(&c, INIT_EMPTY);
			(void)hear(&c, INIT_EMPTIED);
		}
	}
	end(&c);
}

static void
test_empty_before_the_start(void **state)
{
	struct init_case c;

	(void)state;
	start(&c, "echo begun");
	say(&c, INIT_SETUP);
	(void)hear(&c, INIT_READY);
	say(&c, INIT_EMPTY);
	(void)hear(&c, INIT_EMPTIED);
	end(&c);
}

static void
test_term_reaches_the_tools_group(void **state)
{
	struct init_case c;
	struct init_message m = { 0 };
	char byte = 0;

	(void)state;
	start(&c, "trap 'exit 9' TERM; echo; sleep 1000 & wait");
	say(&c, INIT_SETUP);
	(void)hear(&c, INIT_READY);
	say(&c, INIT_START);
	(void)hear(&c, INIT_BEGAN);
	assert_int_equal(read(c.log_fd, &byte, 1), 1);
	say(&c, INIT_TERM);
	m = hear(&c, INIT_ENDED);
	assert_true(WIFEXITED(m.u.ended.status) && WEXITSTATUS(m.u.ended.status) == 9);
	say(&c, INIT_TERM);	/* after its end: nobody else gets it */
	say(&c, INIT_EMPTY);
	(void)hear(&c, INIT_EMPTIED);
	end(&c);
}

/* The log's pipe ends only when the last descendant is gone. */
static void
test_empty_ends_whatever_hides_in_sessions_of_its_own(void **state)
{
	struct init_case c;
	struct pollfd p = { 0 };
	char byte = 0;

	(void)state;
	start(&c, "setsid sh -c 'setsid sh -c \"setsid sleep 1000 & exec sleep 1000\" & exec sleep 1000' & echo; exit 0");
	say(&c, INIT_SETUP);
	(void)hear(&c, INIT_READY);
	say(&c, INIT_START);
	(void)hear(&c, INIT_BEGAN);
	assert_int_equal(read(c.log_fd, &byte, 1), 1);
	(void)hear(&c, INIT_ENDED);
	say(&c, INIT_EMPTY);
	(void)hear(&c, INIT_EMPTIED);
	p = (struct pollfd){ .fd = c.log_fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, WAIT_MSEC), 1);
	assert_int_equal(read(c.log_fd, &byte, 1), 0);
	end(&c);
}

static void
test_end_of_the_supervisor_empties(void **state)
{
	struct init_case c;
	struct pollfd p = { 0 };
	char byte = 0;

	(void)state;
	start(&c, "echo; exec sleep 1000");
	say(&c, INIT_SETUP);
	(void)hear(&c, INIT_READY);
	say(&c, INIT_START);
	(void)hear(&c, INIT_BEGAN);
	assert_int_equal(read(c.log_fd, &byte, 1), 1);
	(void)close(c.fd);
	c.fd = -EBADF;
	p = (struct pollfd){ .fd = c.log_fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, WAIT_MSEC), 1);
	assert_int_equal(read(c.log_fd, &byte, 1), 0);
	end(&c);
}

static void
test_nonsense_starts_nothing(void **state)
{
	static const struct init_message wrong[] = {
		{ .version = INIT_VERSION + 1, .type = INIT_SETUP },
		{ .version = INIT_VERSION, .type = INIT_START },
		{ .version = INIT_VERSION, .type = 99 },
	};
	struct init_case c;
	char byte = 0;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		start(&c, "echo begun");
		assert_int_equal(send(c.fd, &wrong[i], sizeof wrong[i], 0), sizeof wrong[i]);
		assert_int_equal(read(c.log_fd, &byte, 1), 0);
		end(&c);
	}
	start(&c, "echo begun");
	assert_int_equal(send(c.fd, "x", 1, 0), 1);
	assert_int_equal(read(c.log_fd, &byte, 1), 0);
	end(&c);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_tool_from_setup_to_emptied),
		cmocka_unit_test(test_exec_that_fails_says_why),
		cmocka_unit_test(test_empty_before_the_start),
		cmocka_unit_test(test_term_reaches_the_tools_group),
		cmocka_unit_test(test_empty_ends_whatever_hides_in_sessions_of_its_own),
		cmocka_unit_test(test_end_of_the_supervisor_empties),
		cmocka_unit_test(test_nonsense_starts_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
