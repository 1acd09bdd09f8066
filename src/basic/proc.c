#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/proc.h"
#include "basic/scoped.h"

static pthread_once_t boot_id_once = PTHREAD_ONCE_INIT;
static char boot_id_text[BOOT_ID_SIZE];
static int boot_id_err;

static int
read_proc(const char *path, char *buf, size_t size)
{
	scoped(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	n = read_full(fd, buf, size - 1);
	if (n < 0)
		return (int)n;
	buf[n] = '\0';
	return 0;
}

static void
read_boot_id(void)
{
	boot_id_err = read_proc("/proc/sys/kernel/random/boot_id", boot_id_text, sizeof boot_id_text);
	if (boot_id_err == 0 && strspn(boot_id_text, "0123456789abcdef-") != BOOT_ID_SIZE - 1)
		boot_id_err = -EBADMSG;
}

int
boot_id(char ret_text[BOOT_ID_SIZE])
{
	(void)pthread_once(&boot_id_once, read_boot_id);
	if (boot_id_err < 0)
		return boot_id_err;
	memcpy(ret_text, boot_id_text, BOOT_ID_SIZE);
	return 0;
}

int
process_start_time(pid_t pid, uint64_t *ret_ticks)
{
	char path[64] = { 0 }, stat[1024] = { 0 };
	const char *at = NULL;
	char *end = NULL;
	unsigned long long ticks = 0;
	int r = 0;

	if (pid <= 0)
		return -ESRCH;
	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	r = read_proc(path, stat, sizeof stat);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	/* The command's name in parentheses is the process's own choice: only the last ')' ends it. */
	at = strrchr(stat, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (!at || at[1] < '0' || at[1] > '9')
		return -EBADMSG;
	errno = 0;
	ticks = strtoull(at + 1, &end, 10);
	if (errno != 0 || (*end != ' ' && *end != '\n'))
		return -EBADMSG;
	*ret_ticks = ticks;
	return 0;
}

int
process_memory(pid_t pid, uint64_t *ret_bytes)
{
	char path[64] = { 0 }, statm[256] = { 0 };
	unsigned long long pages = 0;
	int r = 0;

	if (pid <= 0)
		return -ESRCH;
	(void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	r = read_proc(path, statm, sizeof statm);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	if (sscanf(statm, "%*u %llu", &pages) != 1)
		return -EBADMSG;
	*ret_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

int
process_open(pid_t pid, uint64_t start_ticks)
{
	scoped(close_fd) int pidfd = pidfd_open_pid(pid);
	uint64_t ticks = 0;
	int r = 0;

	if (pidfd < 0)
		return pidfd == -EINVAL && pid <= 0 ? -ESRCH : pidfd;
	r = process_start_time(pid, &ticks);
	if (r < 0)
		return r;
	if (ticks != start_ticks)
		return -ESRCH;
	/* Not reaped even now, so the pid was its own while /proc was read. */
	r = pidfd_signal(pidfd, 0);
	if (r < 0 && r != -EPERM)
		return r;
	return take_fd(pidfd);
}

int
pidfd_open_pid(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);	/* close-on-exec by birth */

	return fd < 0 ? -errno : (int)fd;
}

int
pidfd_signal(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

int
pidfd_wait(int pidfd, int timeout_msec)
{
	unsigned msec = timeout_msec > 0 ? (unsigned)timeout_msec : 0;
	uint64_t deadline = clock_mono() + msec * USEC_PER_MSEC;

	for (;;) {
		struct pollfd p = { .fd = pidfd, .events = POLLIN };
		int wait_msec = -1;

		if (timeout_msec >= 0) {
			uint64_t now = clock_mono();

			wait_msec = now < deadline ? (int)((deadline - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC) : 0;
		}
		int r = poll(&p, 1, wait_msec);

		if (r > 0)
			return (p.revents & POLLNVAL) ? -EBADF : 1;
		if (r == 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

int
spawnattr_init_clean(posix_spawnattr_t *ret_attr, int session)
{
	sigset_t none, all;
	int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (session ? POSIX_SPAWN_SETSID : 0);
	int r = posix_spawnattr_init(ret_attr);

	if (r != 0)
		return -r;
	(void)sigemptyset(&none);
	/* sigfillset() would leave out the C library's own two signals, which posix_spawn(3) then sets to be ignored. */
	memset(&all, 0xff, sizeof all);
	r = posix_spawnattr_setflags(ret_attr, (short)flags);
	if (r == 0)
		r = posix_spawnattr_setsigmask(ret_attr, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(ret_attr, &all);
	if (r != 0)
		(void)posix_spawnattr_destroy(ret_attr);
	return -r;
}

int
process_spawn(char *const argv[], char *const env[], int output_fd, int errors_fd, int session, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int r = spawnattr_init_clean(&attr, session);

	if (r < 0)
		return r;
	r = -posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		r = -posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
		/* Errors last: 2 may be what output is to be a copy of. */
		if (r == 0)
			r = -posix_spawn_file_actions_adddup2(&actions, output_fd, 1);
		if (r == 0)
			r = -posix_spawn_file_actions_adddup2(&actions, errors_fd, 2);
		if (r == 0)
			r = -posix_spawn(ret_pid, argv[0], &actions, &attr, argv, env);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	(void)posix_spawnattr_destroy(&attr);
	return r;
}

int
pidfd_pid(int pidfd, pid_t *ret_pid)
{
	char path[64], text[512];
	scoped(close_fd) int fd = -EBADF;
	const char *line;
	ssize_t n;
	long pid;

	(void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	line = strstr(text, "\nPid:");
	pid = line ? strtol(line + 5, NULL, 10) : -1;
	if (pid <= 0)
		return -ESRCH;
	*ret_pid = (pid_t)pid;
	return 0;
}
