#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "basic/clock.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "unit.h"

/* valgrind 3.19 does not know pidfd_open(2). */
static void
need_pidfd(void)
{
	int fd = pidfd_open_pid(getpid());

	if (fd == -ENOSYS)
		skip();
	close_fd(&fd);
}

/* A child that lives until it is killed or this process ends its stdin. */
struct child {
	pid_t pid;
	int hold;	/* closing it ends the child */
};

static struct child
start_child(void)
{
	int ends[2] = { -EBADF, -EBADF };
	struct child child = { 0, -EBADF };
	posix_spawn_file_actions_t fds;
	posix_spawnattr_t attr;
	static char cat[] = "/bin/cat";
	char *argv[] = { cat, NULL }, *envp[] = { NULL };

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(posix_spawn_file_actions_init(&fds), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&fds, ends[0], 0), 0);
	assert_int_equal(spawnattr_init_clean(&attr, 0), 0);
	assert_int_equal(posix_spawn(&child.pid, cat, &fds, &attr, argv, envp), 0);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&fds);
	close_fd(&ends[0]);
	child.hold = ends[1];
	return child;
}

static int
reap(const struct child *child)
{
	int status = 0;

	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	return status;
}

static void
test_boot_id_is_a_uuid_and_stays(void **state)
{
	char a[BOOT_ID_SIZE] = { 0 }, b[BOOT_ID_SIZE] = { 0 };

	(void)state;
	assert_int_equal(boot_id(a), 0);
	assert_int_equal(boot_id(b), 0);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
	assert_string_equal(a, b);
}

static void
test_process_start_time_lies_between_boot_and_now(void **state)
{
	uint64_t ticks = 0, again = 0, hz = (uint64_t)sysconf(_SC_CLK_TCK);

	(void)state;
	assert_int_equal(process_start_time(getpid(), &ticks), 0);
	assert_int_equal(process_start_time(getpid(), &again), 0);
	assert_true(ticks == again);
	assert_true(ticks > 0 && ticks / hz <= clock_mono() / USEC_PER_SEC);
	assert_true(ticks / hz + 3600 > clock_mono() / USEC_PER_SEC);
}

/* The name in /proc/<pid>/stat is the process's own choice. */
static void
test_process_memory_is_what_lies_in_memory(void **state)
{
	enum { MORE = 16 << 20 };
	uint64_t before = 0, after = 0;
	struct child child = start_child();
	void *more;

	(void)state;
	assert_int_equal(process_memory(getpid(), &before), 0);
	assert_true(before > 0);
	more = mmap(NULL, MORE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	assert_ptr_not_equal(more, MAP_FAILED);
	assert_int_equal(process_memory(getpid(), &after), 0);
	assert_true(after >= before + MORE / 2);
	(void)munmap(more, MORE);
	assert_int_equal(process_memory(child.pid, &after), 0);
	close_fd(&child.hold);
	(void)reap(&child);
	assert_int_equal(process_memory(child.pid, &after), -ESRCH);
	assert_int_equal(process_memory(0, &after), -ESRCH);
	assert_int_equal(process_memory(-1, &after), -ESRCH);
}

static void
test_process_start_time_is_not_fooled_by_a_name(void **state)
{
	char old[17] = { 0 };
	static const char *const names[] = { "x) R 1 2 3 4", "))) ((", "a b c d e f g h", "" };
	uint64_t ticks = 0, again = 0;

	(void)state;
	assert_int_equal(process_start_time(getpid(), &ticks), 0);
	assert_int_equal(pthread_getname_np(pthread_self(), old, sizeof old), 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_int_equal(pthread_setname_np(pthread_self(), names[i]), 0);
		assert_int_equal(process_start_time(getpid(), &again), 0);
		assert_true(ticks == again);
	}
	assert_int_equal(pthread_setname_np(pthread_self(), old), 0);
}

static void
test_process_open_wants_pid_and_start_time(void **state)
{
	struct child child = { 0, -EBADF };
	scoped(close_fd) int pidfd = -EBADF;
	uint64_t ticks = 0, untouched = 99;
	int first = 0, status = 0;

	(void)state;
	need_pidfd();
	child = start_child();
	first = next_fd();
	assert_int_equal(process_start_time(child.pid, &ticks), 0);
	assert_int_equal(process_open(child.pid, ticks + 1), -ESRCH);
	assert_int_equal(process_open(child.pid, 0), -ESRCH);
	assert_int_equal(process_open(0, ticks), -ESRCH);
	assert_int_equal(process_open(-1, ticks), -ESRCH);
	assert_int_equal(next_fd(), first);
	pidfd = process_open(child.pid, ticks);
	assert_true(pidfd >= 0);
	assert_int_equal(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(pidfd_wait(pidfd, 0), 0);
	assert_int_equal(pidfd_signal(pidfd, SIGTERM), 0);
	assert_int_equal(pidfd_wait(pidfd, 10000), 1);
	status = reap(&child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	assert_int_equal(process_open(child.pid, ticks), -ESRCH);
	assert_int_equal(process_start_time(child.pid, &untouched), -ESRCH);
	assert_true(untouched == 99);
	assert_int_equal(pidfd_signal(pidfd, SIGTERM), -ESRCH);
	close_fd(&child.hold);
}

static void
test_pidfd_wait_ends_in_time_or_with_the_process(void **state)
{
	struct child child = { 0, -EBADF };
	scoped(close_fd) int pidfd = -EBADF;
	uint64_t before = 0;

	(void)state;
	need_pidfd();
	child = start_child();
	pidfd = pidfd_open_pid(child.pid);
	before = clock_mono();
	assert_true(pidfd >= 0);
	assert_int_equal(pidfd_wait(pidfd, 30), 0);
	assert_true(clock_mono() - before >= 30 * USEC_PER_MSEC);
	close_fd(&child.hold);
	assert_int_equal(pidfd_wait(pidfd, -1), 1);
	assert_int_equal(pidfd_wait(pidfd, 0), 1);
	assert_int_equal(reap(&child), 0);
}

static void
interrupted(int sig)
{
	(void)sig;
}

static void
test_pidfd_wait_goes_on_after_a_signal(void **state)
{
	struct child child = { 0, -EBADF };
	scoped(close_fd) int pidfd = -EBADF;
	struct sigaction sa = { .sa_handler = interrupted }, old;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec often = { { 0, 5000000 }, { 0, 5000000 } };
	uint64_t before = 0;
	timer_t timer;

	(void)state;
	need_pidfd();
	child = start_child();
	pidfd = pidfd_open_pid(child.pid);
	before = clock_mono();
	assert_int_equal(sigaction(SIGUSR1, &sa, &old), 0);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &often, NULL), 0);
	assert_int_equal(pidfd_wait(pidfd, 60), 0);
	assert_true(clock_mono() - before >= 60 * USEC_PER_MSEC);
	assert_int_equal(timer_delete(timer), 0);
	assert_int_equal(sigaction(SIGUSR1, &old, NULL), 0);
	close_fd(&child.hold);
	assert_int_equal(reap(&child), 0);
}

/* What /proc/self/status of a spawned process says after this label, as a number in base 16. */
static unsigned long long
status_field(const char *status, const char *label)
{
	const char *at = strstr(status, label);

	assert_non_null(at);
	return strtoull(at + strlen(label), NULL, 16);
}

static void
test_spawnattr_gives_a_child_clean_signals(void **state)
{
	scoped(close_fd) int out = memory_file("out");
	scoped(free_ptr) char *text = calloc(1, 8192);
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	sigset_t blocked, before;
	posix_spawn_file_actions_t fds;
	posix_spawnattr_t attr;
	struct child child = { 0, -EBADF };
	static char cat[] = "/bin/cat", file[] = "/proc/self/status";
	char *argv[] = { cat, file, NULL }, *envp[] = { NULL };

	(void)state;
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGUSR2);
	assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, &before), 0);
	assert_int_equal(sigaction(SIGPIPE, &ignore, &old), 0);
	assert_int_equal(posix_spawn_file_actions_init(&fds), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&fds, out, 1), 0);
	assert_int_equal(spawnattr_init_clean(&attr, 0), 0);
	assert_int_equal(posix_spawn(&child.pid, cat, &fds, &attr, argv, envp), 0);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&fds);
	assert_int_equal(reap(&child), 0);
	assert_int_equal(sigaction(SIGPIPE, &old, NULL), 0);
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
	assert_true(pread_full(out, text, 8191, 0) > 0);
	assert_true(status_field(text, "SigBlk:") == 0);
	assert_true(status_field(text, "SigIgn:") == 0);
	assert_true(status_field(text, "SigCgt:") == 0);
}

static void
test_spawnattr_gives_a_child_a_session_where_asked(void **state)
{
	(void)state;
	for (int session = 0; session < 2; session++) {
		posix_spawnattr_t attr;
		short flags = 0;

		assert_int_equal(spawnattr_init_clean(&attr, session), 0);
		assert_int_equal(posix_spawnattr_getflags(&attr, &flags), 0);
		assert_int_equal((flags & POSIX_SPAWN_SETSID) != 0, session);
		(void)posix_spawnattr_destroy(&attr);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boot_id_is_a_uuid_and_stays),
		cmocka_unit_test(test_process_start_time_lies_between_boot_and_now),
		cmocka_unit_test(test_process_memory_is_what_lies_in_memory),
		cmocka_unit_test(test_process_start_time_is_not_fooled_by_a_name),
		cmocka_unit_test(test_process_open_wants_pid_and_start_time),
		cmocka_unit_test(test_pidfd_wait_ends_in_time_or_with_the_process),
		cmocka_unit_test(test_pidfd_wait_goes_on_after_a_signal),
		cmocka_unit_test(test_spawnattr_gives_a_child_clean_signals),
		cmocka_unit_test(test_spawnattr_gives_a_child_a_session_where_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
