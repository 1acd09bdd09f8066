/* spoolgate-init - pid 1 of a jail: starts the tool at its supervisor's word, reaps, says how it ended, empties the jail.
 *
 * Static and small, for every job has one: no JSON, no libcrypto. It reads what the tree uses in /proc (tree.h), and binds the tool by
 * Landlock and the filter of system calls, which do not bind itself. Its messages are in init_message.h. It is
 * not dumpable, so that the tool, which has its uid, reaches neither its memory nor its descriptors through /proc. With
 * --no-jail it is no pid 1 but a subreaper, so that whatever the tool leaves behind becomes its child. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/init.h"
#include "run/descendants.h"
#include "run/init_message.h"
#include "run/landlock.h"
#include "run/tree.h"

enum { EXIT_USAGE = 64, EXIT_PROTOCOL = 76 };
enum { SIGNALS_MAX = 1024, QUEUES_BYTES = 64 * 1024 };

/* Between two looks at the tree. A look takes 20 us and as much again for each process, and is to cost a twentieth of one CPU; but until
 * the next one the tree may fill memory as fast as each of the CPUs can, so one that makes looks dear gets them all the same. */
enum { LOOK_USEC_MIN = 4000, LOOK_USEC_MAX = 100 * 1000, LOOK_SHARE = 20, NAMELESS_USEC = 500 * 1000 };
#define FILL_BYTES_PER_USEC 4096U

struct init {
	struct init_setup setup;
	char **argv;	/* the tool's */
	const char *read_only[INIT_READ_MAX + 1];	/* without a jail: what Landlock lets it read; NULL-terminated */
	bool jailed;
	int signal_fd;
	pid_t tool;	/* 0: not started, or reaped */
	pid_t group;	/* the tool's process group; 0 once nothing may be in it any more */
	int ruleset_fd;	/* of Landlock; -EBADF: none */
	struct sock_fprog filter;	/* len 0: none */
	uint64_t cpus;
	uint64_t next_look;	/* now_usec() */
	uint64_t next_nameless;	/* a look at nameless files too */
	uint64_t dev;	/* of the working directory */
	uint64_t peak_memory_bytes;
};

extern char **environ;

static uint64_t
now_usec(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000U + (uint64_t)ts.tv_nsec / 1000U;
}

/* A supervisor that is gone takes no message; its end is seen at the next receive. */
static void
say(struct init_message *m, enum init_type type)
{
	m->version = INIT_VERSION;
	m->type = type;
	while (send(INIT_CONTROL_FD, m, sizeof *m, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

static void
say_failed(const char *step, int err)
{
	struct init_message m = { 0 };

	m.u.failed.err = err;
	for (size_t i = 0; step[i] != '\0' && i + 1 < sizeof m.u.failed.step; i++)
		m.u.failed.step[i] = step[i];
	say(&m, INIT_FAILED);
}

/* The next message; INIT_EMPTY where the supervisor is gone or talks nonsense. */
static enum init_type
hear(struct init_message *m)
{
	ssize_t n = 0;

	do
		n = recv(INIT_CONTROL_FD, m, sizeof *m, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof *m || m->version != INIT_VERSION)
		return INIT_EMPTY;
	return (enum init_type)m->type;
}

static int
limit(int resource, uint64_t soft, uint64_t hard)
{
	struct rlimit rl = { .rlim_cur = soft, .rlim_max = hard };
	struct rlimit now = { 0 };

	/* Nobody may raise a hard limit without privilege: what our own limit forbids stays forbidden. */
	if (getrlimit((__rlimit_resource_t)resource, &now) == 0 && rl.rlim_max > now.rlim_max) {
		rl.rlim_max = now.rlim_max;
		if (rl.rlim_cur > rl.rlim_max)
			rl.rlim_cur = rl.rlim_max;
	}
	return setrlimit((__rlimit_resource_t)resource, &rl) < 0 ? -errno : 0;
}

static int
set_limits(const struct init_setup *s, bool jailed)
{
	uint64_t cpu_sec = (s->cpu_usec + 999999U) / 1000000U;
	uint64_t files = s->open_files > 0 ? s->open_files : 256;
	int r = 0;

	/* SIGXCPU at the limit, SIGKILL a second later. */
	if (s->cpu_usec > 0 && (r = limit(RLIMIT_CPU, cpu_sec, cpu_sec + 1)) < 0)
		return r;
	if (s->address_space_bytes > 0 && (r = limit(RLIMIT_AS, s->address_space_bytes, s->address_space_bytes)) < 0)
		return r;
	if (s->file_bytes > 0 && (r = limit(RLIMIT_FSIZE, s->file_bytes, s->file_bytes)) < 0)
		return r;
	/* It counts per uid and user namespace: outside a jail it would count the account's other jobs. One more for init. */
	if (s->processes > 0 && jailed && (r = limit(RLIMIT_NPROC, s->processes + 1, s->processes + 1)) < 0)
		return r;
	if ((r = limit(RLIMIT_NOFILE, files, files)) < 0)
		return r;
	/* What the kernel keeps of an account as a whole, of which the other jobs and the helper are too. */
	if ((r = limit(RLIMIT_SIGPENDING, SIGNALS_MAX, SIGNALS_MAX)) < 0 || (r = limit(RLIMIT_MSGQUEUE, QUEUES_BYTES, QUEUES_BYTES)) < 0)
		return r;
	/* 1, not 0: 0 would not stop a core_pattern that is a pipe. */
	return limit(RLIMIT_CORE, 1, 1);
}

/* When memory runs out the kernel is to choose the tool, not the supervisor or init. Best effort. A process that is not dumpable
 * cannot write its own files of /proc, and this one still shares init's memory: it is dumpable for the moment, in which the tool
 * has not begun. */
static void
offer_to_oom_killer(void)
{
	int fd = -1;

	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (fd < 0)
		return;
	(void)!write(fd, "500", 3);
	(void)close(fd);
}

struct exec_failure {
	const char *step;
	int err;
};

/* What binds the tool and all that it starts, for good. */
static int
bind_tool(const struct init *in, struct exec_failure volatile *ret)
{
	int r = 0;

	if (in->ruleset_fd < 0 && in->filter.len == 0)
		return 0;
	ret->step = "no_new_privs";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	ret->step = "landlock";
	if (in->ruleset_fd >= 0 && (r = landlock_bind(in->ruleset_fd)) < 0)
		return r;
	ret->step = "filter";
	if (in->filter.len > 0 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &in->filter) < 0)
		return -errno;
	return 0;
}

/* In the child, which shares our memory until it has executed the tool. */
static _Noreturn void
become_tool(const struct init *in, struct exec_failure volatile *ret)
{
	sigset_t none;
	int r = 0;

	/* Of its own: where the kernel shares the CPUs out by session, nothing that it starts can starve init, which watches it. */
	ret->step = "session";
	if (setsid() < 0) {
		ret->err = errno;
		_exit(1);
	}
	offer_to_oom_killer();
	ret->step = "descriptors";
	if (dup2(in->setup.stdout_apart ? INIT_STDOUT_FD : INIT_LOG_FD, 1) < 0 || dup2(INIT_LOG_FD, 2) < 0 ||
	    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0) {
		ret->err = errno;
		_exit(1);
	}
	ret->step = "limits";
	r = set_limits(&in->setup, in->jailed);
	if (r < 0) {
		ret->err = -r;
		_exit(1);
	}
	(void)umask(0027);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	r = bind_tool(in, ret);
	if (r < 0) {
		ret->err = -r;
		_exit(1);
	}
	ret->step = "exec";
	(void)execve(in->argv[0], in->argv, environ);
	ret->err = errno;
	_exit(1);
}

/* vfork, so that it returns when the tool's first instruction is due, or with the reason why there is none. */
static __attribute__((noinline)) int
start_tool(struct init *in)
{
	volatile struct exec_failure failure = { NULL, 0 };
	struct init_message m = { 0 };
	pid_t pid = vfork();

	if (pid == 0)
		become_tool(in, &failure);
	if (pid < 0) {
		say_failed("fork", errno);
		return -1;
	}
	if (failure.err != 0) {
		(void)waitpid(pid, NULL, 0);
		say_failed(failure.step, failure.err);
		return -1;
	}
	in->tool = pid;
	in->group = pid;
	m.u.began.at_usec = now_usec();
	say(&m, INIT_BEGAN);
	return 0;
}

/* Reaps whatever has ended. -ECHILD: there is no child any more. */
static int
reap(struct init *in)
{
	for (;;) {
		int status = 0;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid == 0)
			return 0;
		if (pid < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (pid == in->tool) {
			struct init_message m = { 0 };

			in->tool = 0;
			m.u.ended.at_usec = now_usec();
			m.u.ended.status = status;
			say(&m, INIT_ENDED);
		}
	}
}

static void
wait_for_child(const struct init *in, int timeout_msec)
{
	struct pollfd p = { .fd = in->signal_fd, .events = POLLIN };
	struct signalfd_siginfo si;

	if (poll(&p, 1, timeout_msec) > 0)
		(void)!read(in->signal_fd, &si, sizeof si);
}

static uint64_t
cpu_of(const struct rusage *ru)
{
	return (uint64_t)(ru->ru_utime.tv_sec + ru->ru_stime.tv_sec) * 1000000U +
	    (uint64_t)(ru->ru_utime.tv_usec + ru->ru_stime.tv_usec);
}

/* How much of a limit of CPU time is left; UINT64_MAX: there is none. 0: it is used up. */
static uint64_t
left_of(uint64_t limit, uint64_t used)
{
	return limit == 0 ? UINT64_MAX : used < limit ? limit - used : 0;
}

/* Looks at the tree when it is time. False: it is over a limit, and the supervisor knows. */
static bool
look(struct init *in)
{
	const struct init_setup *s = &in->setup;
	struct init_message m = { 0 };
	struct tree_use use = { 0 };
	struct rusage ru = { 0 };
	uint64_t begun = now_usec(), took = 0, wait = 0, memory = 0, cpu = 0;

	if (begun < in->next_look)
		return true;
	tree_measure(in->jailed, in->jailed && !s->network, s->memory_bytes, &use);
	(void)getrusage(RUSAGE_CHILDREN, &ru);
	if (use.memory_bytes > in->peak_memory_bytes)
		in->peak_memory_bytes = use.memory_bytes;
	memory = left_of(s->memory_bytes, use.memory_bytes > 0 ? use.memory_bytes - 1 : 0);	/* up to the limit it may use */
	cpu = left_of(s->cpu_usec, use.cpu_usec + cpu_of(&ru));
	if (memory == 0)
		m.u.over.what = INIT_OVER_MEMORY;
	else if (cpu == 0)
		m.u.over.what = INIT_OVER_CPU;
	else if (s->output_bytes > 0 && begun >= in->next_nameless && tree_nameless_bytes(in->dev) > s->output_bytes)
		m.u.over.what = INIT_OVER_OUTPUT;
	else if (s->processes > 0 && use.tasks > s->processes)	/* where RLIMIT_NPROC does not hold */
		m.u.over.what = INIT_OVER_PROCESSES;
	if (m.u.over.what != 0) {
		say(&m, INIT_OVER);
		return false;
	}
	wait = memory / (FILL_BYTES_PER_USEC * in->cpus);
	if (wait > cpu / in->cpus)
		wait = cpu / in->cpus;
	if (wait > LOOK_USEC_MAX)
		wait = LOOK_USEC_MAX;
	if (wait < LOOK_USEC_MIN)
		wait = LOOK_USEC_MIN;
	took = now_usec() - begun;
	if (wait < took * LOOK_SHARE)
		wait = took * LOOK_SHARE < LOOK_USEC_MAX ? took * LOOK_SHARE : took * 2 < LOOK_USEC_MAX ? LOOK_USEC_MAX : took * 2;
	in->next_look = begun + took + wait;
	if (begun >= in->next_nameless)
		in->next_nameless = now_usec() + NAMELESS_USEC;
	return true;
}

static int
until_look(const struct init *in)
{
	uint64_t now = now_usec();

	return now >= in->next_look ? 0 : (int)((in->next_look - now + 999) / 1000);
}

/* Ends everything but ourselves and reaps it, so that its usage counts. */
static void
empty(struct init *in)
{
	struct init_message m = { 0 };
	struct rusage ru = { 0 };

	for (;;) {
		/* As pid 1, -1 is the whole namespace and nobody escapes it by forking; else a subreaper's children are killed
		 * until there are none, for theirs become ours. */
		if (in->jailed)
			(void)kill(-1, SIGKILL);
		else
			(void)kill_children();
		if (reap(in) == -ECHILD)
			break;
		wait_for_child(in, in->jailed ? -1 : 10);
	}
	(void)getrusage(RUSAGE_CHILDREN, &ru);
	m.u.emptied.cpu_usec = cpu_of(&ru);
	m.u.emptied.peak_memory_bytes = (uint64_t)ru.ru_maxrss * 1024U;
	if (m.u.emptied.peak_memory_bytes < in->peak_memory_bytes)
		m.u.emptied.peak_memory_bytes = in->peak_memory_bytes;
	say(&m, INIT_EMPTIED);
}

/* Until the supervisor says EMPTY or is gone, or the tree is over a limit. */
static void
serve(struct init *in)
{
	in->next_look = now_usec() + LOOK_USEC_MIN;
	for (;;) {
		struct pollfd p[2] = {
			{ .fd = in->signal_fd, .events = POLLIN },
			{ .fd = INIT_CONTROL_FD, .events = POLLIN },
		};
		struct init_message m = { 0 };

		if (poll(p, 2, until_look(in)) < 0)
			continue;
		if (!look(in))
			return;
		if (p[0].revents) {
			struct signalfd_siginfo si;

			(void)!read(in->signal_fd, &si, sizeof si);
			(void)reap(in);
		}
		if (!p[1].revents)
			continue;
		if (hear(&m) != INIT_TERM)
			return;
		/* While the tool is not reaped its group is its own; later the number may be anybody's. */
		if (in->tool > 0)
			(void)kill(-in->group, SIGTERM);
	}
}

/* The filter and the ruleset, while bubblewrap's work is fresh and the supervisor has its own to do. -1: said why. */
static int
take_bonds(struct init *in)
{
	static struct sock_filter program[INIT_FILTER_MAX / sizeof(struct sock_filter)];
	/* In a jail all that is there may be read; without one the tool gets what a jail would show, and its folder. */
	static const char *const all[] = { "/", NULL }, *const jail[] = { "/job", "/tmp", "/dev/shm", NULL }, *const folder[] = { ".", NULL };
	ssize_t n = 0;

	if (in->setup.filter) {
		n = pread(INIT_FILTER_FD, program, sizeof program, 0);
		if (n <= 0 || (size_t)n % sizeof *program != 0) {
			say_failed("filter", n < 0 ? errno : EBADMSG);
			return -1;
		}
		in->filter = (struct sock_fprog){ .len = (unsigned short)((size_t)n / sizeof *program), .filter = program };
	}
	if (in->setup.landlock) {
		int fd = in->jailed ? landlock_make(all, jail) : landlock_make(in->read_only, folder);

		if (fd < 0 && fd != -ENOSYS && fd != -EOPNOTSUPP) {
			say_failed("landlock", -fd);
			return -1;
		}
		in->ruleset_fd = fd;
	}
	return 0;
}

static int
prepare(struct init *in)
{
	struct init_message m = { 0 };
	struct stat st = { 0 };
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	(void)sigemptyset(&all);
	(void)sigaddset(&all, SIGCHLD);
	in->signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (in->signal_fd < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    (!in->jailed && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)) {
		say_failed("init", errno);
		return -1;
	}
	/* It blocks signals, which then wait for it; how many is a limit of the receiver, and the tool may send where Landlock has no scope. */
	if (limit(RLIMIT_SIGPENDING, SIGNALS_MAX, SIGNALS_MAX) < 0) {
		say_failed("limits", errno);
		return -1;
	}
	(void)setsid();	/* EPERM: bubblewrap has made one */
	if (hear(&m) != INIT_SETUP)
		return -1;
	in->setup = m.u.setup;
	in->cpus = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	if (in->cpus < 1 || in->cpus > 1024)
		in->cpus = 1;
	if (take_bonds(in) < 0)
		return -1;
	if (stat(".", &st) < 0) {
		say_failed("working directory", errno);
		return -1;
	}
	in->dev = st.st_dev;
	memset(&m, 0, sizeof m);
	m.u.ready.dev = st.st_dev;
	m.u.ready.ino = st.st_ino;
	say(&m, INIT_READY);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct init in = { .jailed = true, .signal_fd = -EBADF, .ruleset_fd = -EBADF };
	size_t n = 0;
	struct init_message m = { 0 };

	if (argc == 2 && strcmp(argv[1], INIT_PROGRAM_HELLO) == 0)
		return write(1, INIT_HELLO, strlen(INIT_HELLO)) < 0;
	if (argc > 1 && strcmp(argv[1], INIT_PROGRAM_NO_JAIL) == 0) {
		in.jailed = false;
		argc--;
		argv++;
	}
	while (!in.jailed && argc > 2 && n < INIT_READ_MAX && strcmp(argv[1], INIT_PROGRAM_READ) == 0) {
		in.read_only[n++] = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc < 2)
		return EXIT_USAGE;
	in.argv = argv + 1;
	if (prepare(&in) < 0)
		return EXIT_PROTOCOL;
	if (hear(&m) == INIT_START) {
		if (start_tool(&in) < 0)
			return 1;
		serve(&in);
	}
	empty(&in);
	return 0;
}
