#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "run/bwrap.h"
#include "run/descendants.h"
#include "run/jail.h"
#include "run/no_jail.h"

enum { OPTIONS_MAX = 1024 * 1024, SOCKET_END_MSEC = 10 * 1000, KILLED_MSEC = 1000 };

/* The ends that the jail gets. */
struct jail_ends {
	int control, log, stdout_fd, errors;
	int options, passwd, group, filter;
};

static void
close_ends(struct jail_ends *e)
{
	close_fd(&e->control);
	close_fd(&e->log);
	close_fd(&e->stdout_fd);
	close_fd(&e->errors);
	close_fd(&e->options);
	close_fd(&e->passwd);
	close_fd(&e->group);
	close_fd(&e->filter);
}

static int
make_pipe(int *ret_read, int *ret_write)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*ret_read = fds[0];
	*ret_write = fds[1];
	return set_nonblock(fds[0], true);	/* of this end alone: the tool's must block */
}

static int
make_channels(struct jail *j, const struct plan *plan, struct jail_ends *e)
{
	static const int on = 1;
	int fds[2], r = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	j->init_fd = fds[0];
	e->control = fds[1];
	/* Before anything is sent: only then does the kernel add the sender's pid. */
	if (setsockopt(j->init_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0)
		return -errno;
	r = set_nonblock(j->init_fd, true);
	if (r < 0)
		return r;
	r = make_pipe(&j->log_fd, &e->log);
	if (r < 0)
		return r;
	if (plan->stdout_apart && (r = make_pipe(&j->stdout_fd, &e->stdout_fd)) < 0)
		return r;
	return make_pipe(&j->errors_fd, &e->errors);
}

/* A memory file that is read from its start. */
static int
text_file(const char *name, struct strbuf *s)
{
	int fd = strbuf_err(s);

	if (fd < 0)
		return fd;
	fd = memory_file_sealed(name, s->buf, s->len);
	if (fd >= 0 && lseek(fd, 0, SEEK_SET) < 0) {
		int err = -errno;

		(void)close(fd);
		return err;
	}
	return fd;
}

/* The bytes of a seccomp program. */
static int
hex_decode(const char *hex, struct strbuf *ret)
{
	size_t len = strlen(hex);

	if (len == 0 || len % 16 != 0 || strspn(hex, "0123456789abcdef") != len)
		return -EINVAL;
	for (size_t i = 0; i < len; i += 2) {
		char high = hex[i], low = hex[i + 1];

		strbuf_addch(ret, (char)((high <= '9' ? high - '0' : high - 'a' + 10) << 4 | (low <= '9' ? low - '0' : low - 'a' + 10)));
	}
	return strbuf_err(ret);
}

static int
make_files(const struct plan *plan, int work_fd, struct jail_ends *e)
{
	scoped(strbuf_done) struct strbuf options = STRBUF_INIT(OPTIONS_MAX);
	scoped(strbuf_done) struct strbuf passwd = STRBUF_INIT(4096), group = STRBUF_INIT(4096);
	char link[64], path[PATH_MAX];
	ssize_t n = 0;
	int r = 0;

	/* bubblewrap 0.8 binds paths only. That the path led to the right folder is checked by init's READY. */
	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", work_fd);
	n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	r = bwrap_options(plan, path, &options);
	if (r < 0)
		return r;
	bwrap_passwd(&passwd);
	bwrap_group(&group);
	e->options = text_file("options", &options);
	e->passwd = text_file("passwd", &passwd);
	e->group = text_file("group", &group);
	if (e->options < 0)
		return e->options;
	return e->passwd < 0 ? e->passwd : e->group < 0 ? e->group : 0;
}

static int
make_filter(const struct plan *plan, struct jail_ends *e)
{
	scoped(strbuf_done) struct strbuf filter = STRBUF_INIT(INIT_FILTER_MAX);
	int r = plan->filter ? hex_decode(plan->filter, &filter) : 0;

	if (r == 0 && plan->filter)
		r = e->filter = text_file("filter", &filter);
	return r < 0 ? r : 0;
}

/* Moves each end to its place in the child, all at once as far as the child can tell: an end that lies where another one goes is
 * out of the way, for ends start at 10 (lift_ends). */
static int
place_ends(posix_spawn_file_actions_t *fa, const struct jail_ends *e)
{
	const int from[] = { e->errors, e->control, e->log, e->stdout_fd, e->options, e->passwd, e->group, e->filter };
	static const int to[] = { 2, INIT_CONTROL_FD, INIT_LOG_FD, INIT_STDOUT_FD, BWRAP_ARGS_FD, BWRAP_PASSWD_FD,
		BWRAP_GROUP_FD, INIT_FILTER_FD };
	int r = -posix_spawn_file_actions_addopen(fa, 0, "/dev/null", O_RDONLY, 0);

	if (r == 0)
		r = -posix_spawn_file_actions_addopen(fa, 1, "/dev/null", O_WRONLY, 0);
	for (size_t i = 0; i < sizeof to / sizeof to[0] && r == 0; i++)
		if (from[i] >= 0)
			r = -posix_spawn_file_actions_adddup2(fa, from[i], to[i]);
	return r;
}

static int
lift_ends(struct jail_ends *e)
{
	int *all[] = { &e->errors, &e->control, &e->log, &e->stdout_fd, &e->options, &e->passwd, &e->group, &e->filter };

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		int fd = 0;

		if (*all[i] < 0 || *all[i] >= 10)
			continue;
		fd = fcntl(*all[i], F_DUPFD_CLOEXEC, 10);
		if (fd < 0)
			return -errno;
		(void)close(*all[i]);
		*all[i] = fd;
	}
	return 0;
}

static size_t
count(char **list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* bubblewrap gets an empty environment of its own: the tool's might tell its dynamic linker something. */
static int
spawn(struct jail *j, const struct plan *plan, int work_fd, const struct jail_ends *e)
{
	static char args[] = "--args", dashes[] = "--", init[] = BWRAP_INIT_PATH;
	char *no_env[] = { NULL }, fd_text[12];
	bool jailed = j->kind == JAIL_BWRAP;
	scoped(free_ptr) char **argv = calloc(count(plan->argv) + 6 + NO_JAIL_ARGUMENTS_MAX, sizeof *argv);
	scoped(free_environment) char **env = NULL;
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	size_t n = 0;
	int r = 0;

	if (!argv)
		return -ENOMEM;
	(void)snprintf(fd_text, sizeof fd_text, "%d", BWRAP_ARGS_FD);
	argv[n++] = jailed ? plan->bwrap : plan->init;
	if (jailed) {
		argv[n++] = args;
		argv[n++] = fd_text;
		argv[n++] = dashes;
		argv[n++] = init;
	} else {
		n += no_jail_arguments(plan, argv + n);
		r = no_jail_environment(plan, work_fd, &env);
		if (r < 0)
			return r;
	}
	memcpy(argv + n, plan->argv, count(plan->argv) * sizeof *argv);
	r = spawnattr_init_clean(&attr, 0);
	if (r < 0)
		return r;
	r = -posix_spawn_file_actions_init(&fa);
	if (r == 0) {
		r = place_ends(&fa, e);
		if (r == 0 && !jailed)
			r = -posix_spawn_file_actions_addfchdir_np(&fa, work_fd);
		if (r == 0)
			r = -posix_spawn(&j->pid, argv[0], &fa, &attr, argv, jailed ? no_env : env);
		(void)posix_spawn_file_actions_destroy(&fa);
	}
	(void)posix_spawnattr_destroy(&attr);
	if (r < 0) {
		j->pid = 0;
		return r;
	}
	j->pidfd = pidfd_open_pid(j->pid);	/* our child, not reaped: the pid is its own */
	return j->pidfd < 0 ? j->pidfd : 0;
}

static int
say_setup(struct jail *j, const struct plan *plan, bool watch_memory)
{
	struct init_message m = {
		.version = INIT_VERSION,
		.type = INIT_SETUP,
		.u.setup = {
			.cpu_usec = plan->limits.cpu_usec,
			.address_space_bytes = plan->limits.address_space_bytes,
			.file_bytes = plan->limits.file_bytes,
			.open_files = plan->limits.open_files,
			.processes = plan->limits.processes,
			.memory_bytes = watch_memory ? plan->limits.memory_bytes : 0,
			.output_bytes = plan->limits.output_bytes,
			.stdout_apart = plan->stdout_apart,
			.network = plan->network,
			.filter = plan->filter != NULL,
			.landlock = plan->filter != NULL,
		},
	};

	return send(j->init_fd, &m, sizeof m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int
jail_start(struct jail *j, const struct plan *plan, int work_fd, bool watch_memory)
{
	scoped(close_ends) struct jail_ends e = { -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF };
	struct stat st = { 0 };
	int r = 0;

	j->kind = plan->jail;
	if (fstat(work_fd, &st) < 0)
		return -errno;
	j->work_dev = st.st_dev;
	j->work_ino = st.st_ino;
	r = make_channels(j, plan, &e);
	if (r == 0)
		r = make_filter(plan, &e);
	if (r == 0 && j->kind == JAIL_BWRAP)
		r = make_files(plan, work_fd, &e);
	if (r == 0)
		r = lift_ends(&e);
	if (r == 0)
		r = say_setup(j, plan, watch_memory);	/* waits in the socket */
	if (r == 0)
		r = spawn(j, plan, work_fd, &e);
	return r;
}

static int
know_init(struct jail *j, const struct init_message *m, pid_t pid)
{
	int r = 0;

	if (j->init_pid != 0 || pid <= 0)
		return -EBADMSG;
	j->init_pidfd = pidfd_open_pid(pid);	/* it waits for START and cannot be gone */
	if (j->init_pidfd < 0)
		return j->init_pidfd;
	r = process_start_time(pid, &j->init_ticks);
	if (r < 0)
		return r;
	j->init_pid = pid;
	return m->u.ready.dev == j->work_dev && m->u.ready.ino == j->work_ino ? 0 : -EXDEV;
}

int
jail_hear(struct jail *j, struct init_message *ret)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(struct ucred))];
	} control = { 0 };
	struct init_message m = { 0 };
	struct iovec iov = { .iov_base = &m, .iov_len = sizeof m };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof control.buf };
	struct cmsghdr *c = NULL;
	ssize_t n = recvmsg(j->init_fd, &h, MSG_CMSG_CLOEXEC);
	int r = 0;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : errno == ECONNRESET ? -EPIPE : -errno;
	if (n == 0)
		return -EPIPE;
	if (n != (ssize_t)sizeof m || (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || m.version != INIT_VERSION)
		return -EBADMSG;
	if (m.type == INIT_READY) {
		pid_t pid = 0;

		c = CMSG_FIRSTHDR(&h);
		if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred cred = { 0 };

			memcpy(&cred, CMSG_DATA(c), sizeof cred);
			pid = cred.pid;
		}
		r = know_init(j, &m, pid);
		if (r < 0)
			return r;
	}
	if (m.type == INIT_FAILED)
		m.u.failed.step[sizeof m.u.failed.step - 1] = '\0';
	*ret = m;
	return 1;
}

int
jail_say(struct jail *j, enum init_type type)
{
	struct init_message m = { .version = INIT_VERSION, .type = type };

	return send(j->init_fd, &m, sizeof m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void
jail_read_errors(struct jail *j)
{
	char rest[512];

	while (j->errors_fd >= 0) {
		bool full = j->errors_len >= sizeof j->errors - 1;
		ssize_t n = full ? read(j->errors_fd, rest, sizeof rest) :
		    read(j->errors_fd, j->errors + j->errors_len, sizeof j->errors - 1 - j->errors_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			close_fd(&j->errors_fd);
		else if (!full)
			j->errors_len += (size_t)n;
	}
}

void
jail_error_text(const struct jail *j, char *ret, size_t size)
{
	size_t len = 0;

	while (len < j->errors_len && len + 1 < size && j->errors[len] != '\n') {
		char c = j->errors[len];

		/* It may name paths with any byte; records hold text. */
		ret[len++] = c >= ' ' && c < 0x7f ? c : '?';
	}
	ret[len] = '\0';
}

void
jail_kill(struct jail *j)
{
	if (j->init_pidfd >= 0)
		(void)pidfd_signal(j->init_pidfd, SIGKILL);
	/* Without a jail init is the child itself; before READY bubblewrap takes what it has made along (--die-with-parent). */
	else if (j->pidfd >= 0)
		(void)pidfd_signal(j->pidfd, SIGKILL);
}

/* The end of the last holder of init's socket shows here. */
static void
wait_for_socket_end(struct jail *j)
{
	struct pollfd p = { .fd = j->init_fd };	/* POLLHUP alone */

	if (j->init_fd < 0)
		return;
	(void)shutdown(j->init_fd, SHUT_WR);	/* not RD: POLLHUP would then be our own doing */
	while (poll(&p, 1, SOCKET_END_MSEC) < 0 && errno == EINTR)
		;
}

bool
jail_was_killed(const struct jail *j)
{
	siginfo_t info = { 0 };

	/* Its socket is closed a moment before its end can be seen. */
	if (j->pid <= 0 || j->pidfd < 0 || pidfd_wait(j->pidfd, KILLED_MSEC) <= 0)
		return false;
	if (waitid(P_PIDFD, (id_t)j->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != j->pid)
		return false;
	/* bubblewrap tells of its child's signal as a shell does. */
	return info.si_code == CLD_EXITED ? info.si_status == 128 + SIGKILL : info.si_status == SIGKILL;
}

void
jail_end(struct jail *j)
{
	jail_kill(j);
	if (j->init_pidfd >= 0)
		(void)pidfd_wait(j->init_pidfd, -1);
	else if (j->pidfd >= 0)
		(void)pidfd_wait(j->pidfd, -1);
	/* The supervisor inherits what an init without a jail leaves when it dies before EMPTIED, and the child that bubblewrap leaves when
	 * it is killed before that child would have died with it: it waits for a word of its parent that never comes. */
	if (j->pid > 0)
		kill_and_reap_all();
	j->pid = 0;
	if (j->init_pidfd < 0)
		wait_for_socket_end(j);
}

void
jail_done(struct jail *j)
{
	close_fd(&j->pidfd);
	close_fd(&j->init_fd);
	close_fd(&j->init_pidfd);
	close_fd(&j->log_fd);
	close_fd(&j->stdout_fd);
	close_fd(&j->errors_fd);
}
