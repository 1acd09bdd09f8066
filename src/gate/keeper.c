#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "gate/keeper.h"
#include "gate/metrics.h"
#include "gate/worker.h"

#define YOUNG_USEC (10 * USEC_PER_SEC)	/* who dies before this age is replaced after a pause */
#define PAUSE_MIN_USEC (100 * USEC_PER_MSEC)
#define PAUSE_MAX_USEC (10 * USEC_PER_SEC)

/* How long replaced workers may finish: as long as nginx waits for an answer. They are in nobody's way. */
#define REPLACED_USEC (3700 * USEC_PER_SEC)

enum { OLD_MAX = 1024 };	/* workers of former keepers that are still finishing */

extern char **environ;

struct keeper;

/* A child: a worker in its place, an old one that is finishing, or the binary that checks the configuration. */
struct child {
	struct keeper *keeper;
	pid_t pid;	/* 0: none now */
	sd_event_source *exit;
	sd_event_source *pipe;	/* a worker's word that it is ready */
	sd_event_source *pause;	/* until the next attempt to start one */
	uint64_t started_usec;
	uint64_t pause_usec;
	bool ready;
};

struct keeper {
	sd_event *event;
	const struct keeper_settings *settings;
	char *installed;	/* the path to execute at SIGHUP */
	struct child *workers;
	struct child *old;
	size_t n_old;
	struct child check;
	bool old_told;	/* the old ones were told to finish */
	bool ready_told;	/* the service manager was */
	bool stopping;
	bool again;	/* a SIGHUP came while a check was under way */
	sd_event_source *kill_timer;
};

static int start_worker(struct child *c);

static int
on_pause_over(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	return start_worker(userdata);
}

/* Starts a worker after the pause that its predecessors' lives deserve. */
static int
start_later(struct child *c)
{
	c->pause_usec = c->pause_usec ? c->pause_usec * 2 : PAUSE_MIN_USEC;
	if (c->pause_usec > PAUSE_MAX_USEC)
		c->pause_usec = PAUSE_MAX_USEC;
	c->pause = sd_event_source_unref(c->pause);
	return sd_event_add_time_relative(c->keeper->event, &c->pause, CLOCK_BOOTTIME, c->pause_usec, 0, on_pause_over, c);
}

static void
forget_child(struct child *c)
{
	c->pid = 0;
	c->ready = false;
	c->exit = sd_event_source_unref(c->exit);
	c->pipe = sd_event_source_unref(c->pipe);
}

static void
signal_child(const struct child *c, int sig)
{
	if (c->pid > 0)
		(void)kill(c->pid, sig);	/* not reaped yet, so the pid is its own */
}

static void
signal_all(const struct keeper *k, int sig)
{
	for (unsigned i = 0; i < k->settings->workers; i++)
		signal_child(&k->workers[i], sig);
	for (size_t i = 0; i < k->n_old; i++)
		signal_child(&k->old[i], sig);
}

static int
on_drain_over(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct keeper *k = userdata;

	(void)source;
	(void)usec;
	log_warning("workers that did not finish in time are killed");
	if (k->stopping)
		signal_all(k, SIGKILL);
	else
		for (size_t i = 0; i < k->n_old; i++)
			signal_child(&k->old[i], SIGKILL);
	return 0;
}

static int
limit_draining(struct keeper *k, uint64_t usec)
{
	k->kill_timer = sd_event_source_unref(k->kill_timer);
	return sd_event_add_time_relative(k->event, &k->kill_timer, CLOCK_BOOTTIME, usec, 0, on_drain_over, k);
}

static int
end_if_alone(struct keeper *k)
{
	for (unsigned i = 0; i < k->settings->workers; i++)
		if (k->workers[i].pid)
			return 0;
	for (size_t i = 0; i < k->n_old; i++)
		if (k->old[i].pid)
			return 0;
	return k->stopping ? sd_event_exit(k->event, 0) : 0;
}

static void
log_exit(const char *who, const siginfo_t *si)
{
	if (si->si_code == CLD_EXITED)
		log_error("%s %d ended with status %d", who, (int)si->si_pid, si->si_status);
	else
		log_error("%s %d was killed by signal %d", who, (int)si->si_pid, si->si_status);
}

static int
on_worker_exit(sd_event_source *source, const siginfo_t *si, void *userdata)
{
	struct child *c = userdata;
	uint64_t age = clock_mono() - c->started_usec;

	(void)source;
	forget_child(c);
	if (c->keeper->stopping)
		return end_if_alone(c->keeper);
	log_exit("worker", si);
	metrics_worker_replaced(c->keeper->settings->metrics);
	if (age < YOUNG_USEC)
		return start_later(c);
	c->pause_usec = 0;
	return start_worker(c);
}

static int
on_old_exit(sd_event_source *source, const siginfo_t *si, void *userdata)
{
	struct child *c = userdata;

	(void)source;
	forget_child(c);
	if (si->si_code == CLD_EXITED && si->si_status == 0)
		log_info("worker %d has finished", (int)si->si_pid);
	else
		log_exit("worker", si);
	return end_if_alone(c->keeper);
}

/* All new workers serve: the service manager hears it, and the old ones may finish. */
static int
look_if_ready(struct keeper *k)
{
	for (unsigned i = 0; i < k->settings->workers; i++)
		if (!k->workers[i].ready)
			return 0;
	if (!k->ready_told) {
		k->ready_told = true;
		(void)sd_notify(0, "READY=1");
		log_notice("%u workers serve", k->settings->workers);
	}
	if (k->old_told || k->stopping)
		return 0;
	k->old_told = true;
	for (size_t i = 0; i < k->n_old; i++)
		signal_child(&k->old[i], SIGTERM);
	return k->n_old ? limit_draining(k, REPLACED_USEC) : 0;
}

static int
on_worker_word(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct child *c = userdata;
	char word;

	(void)source;
	(void)revents;
	c->ready = read(fd, &word, 1) == 1;
	c->pipe = sd_event_source_unref(c->pipe);
	if (!c->ready)
		return 0;
	log_info("worker %d serves", (int)c->pid);
	return look_if_ready(c->keeper);
}

/* Runs a binary of ours. ready_fd becomes WORKER_READY_FD, counts_fd WORKER_COUNTS_FD; -EBADF: none. The environment is handed on,
 * for the configuration may lie in it. */
static int
spawn(const char *path, char *const argv[], int ready_fd, int counts_fd, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int r = spawnattr_init_clean(&attr, 0);

	if (r < 0)
		return r;
	r = -posix_spawn_file_actions_init(&files);
	if (r == 0 && ready_fd >= 0)
		r = -posix_spawn_file_actions_adddup2(&files, ready_fd, WORKER_READY_FD);
	if (r == 0 && counts_fd >= 0)
		r = -posix_spawn_file_actions_adddup2(&files, counts_fd, WORKER_COUNTS_FD);
	if (r == 0)
		r = -posix_spawn(ret, path, &files, &attr, argv, environ);
	(void)posix_spawn_file_actions_destroy(&files);
	(void)posix_spawnattr_destroy(&attr);
	return r;
}

/* The arguments of a program of ours in this keeper's configuration. */
struct arguments {
	char *argv[8];
	size_t n;
};

static void
add_argument(struct arguments *a, const char *text)
{
	if (text)
		a->argv[a->n++] = (char *)(uintptr_t)text;
}

static struct arguments
arguments(const struct keeper *k, const char *mode)
{
	struct arguments a = { .n = 0 };

	add_argument(&a, k->settings->program);
	add_argument(&a, mode);
	if (k->settings->config_path) {
		add_argument(&a, "--config");
		add_argument(&a, k->settings->config_path);
	}
	return a;
}

/* A descriptor above the numbers that a worker expects its own at. */
static int
move_up(int *fd)
{
	int up = fcntl(*fd, F_DUPFD_CLOEXEC, WORKER_COUNTS_FD + 1);

	if (up < 0)
		return -errno;
	(void)close(*fd);
	*fd = up;
	return 0;
}

static int
start_worker(struct child *c)
{
	struct keeper *k = c->keeper;
	struct arguments a = arguments(k, "--worker");
	scoped(close_fd) int counts_fd = fcntl(metrics_fd(k->settings->metrics), F_DUPFD_CLOEXEC, WORKER_COUNTS_FD + 1);
	int ends[2];
	int r;

	c->pause = sd_event_source_unref(c->pause);
	if (counts_fd < 0 || pipe2(ends, O_CLOEXEC) < 0) {
		log_error("no worker can be started: %s", strerror(errno));
		return start_later(c);
	}
	r = move_up(&ends[1]);
	/* This very binary, though another one may lie in its place by now: workers and keeper go together. */
	if (r == 0)
		r = spawn("/proc/self/exe", a.argv, ends[1], counts_fd, &c->pid);
	(void)close(ends[1]);
	c->started_usec = clock_mono();
	if (r == 0)
		r = sd_event_add_child(k->event, &c->exit, c->pid, WEXITED, on_worker_exit, c);
	if (r >= 0)
		r = sd_event_add_io(k->event, &c->pipe, ends[0], EPOLLIN, on_worker_word, c);
	if (r >= 0) {
		(void)sd_event_source_set_io_fd_own(c->pipe, true);
		return 0;
	}
	(void)close(ends[0]);
	log_error("no worker can be started: %s", strerror(-r));
	if (c->pid > 0) {
		(void)kill(c->pid, SIGKILL);
		(void)waitpid(c->pid, NULL, 0);
	}
	forget_child(c);
	return start_later(c);
}

/* Replacing the keeper. */

static int
replace_keeper(sd_event_source *source, void *userdata)
{
	struct keeper *k = userdata;
	scoped(strbuf_done) struct strbuf pids = STRBUF_INIT(OLD_MAX * 16);
	struct arguments a = arguments(k, NULL);

	(void)source;
	if (k->stopping || k->check.pid)	/* another SIGHUP came: that one's check decides */
		return 0;
	for (size_t i = 0; i < k->n_old; i++)
		if (k->old[i].pid)
			strbuf_addf(&pids, "%s%d", pids.len ? "," : "", (int)k->old[i].pid);
	for (unsigned i = 0; i < k->settings->workers; i++)
		if (k->workers[i].pid)
			strbuf_addf(&pids, "%s%d", pids.len ? "," : "", (int)k->workers[i].pid);
	add_argument(&a, "--old");
	add_argument(&a, strbuf_str(&pids));
	log_notice("executing %s anew", k->installed);
	metrics_hand_over(k->settings->metrics);
	(void)execv(k->installed, a.argv);
	log_error("%s cannot be executed, everything stays as it is: %s", k->installed, strerror(errno));
	metrics_keep(k->settings->metrics);
	(void)sd_notify(0, "READY=1");
	return 0;
}

static int start_check(struct keeper *k);

static int
on_check_exit(sd_event_source *source, const siginfo_t *si, void *userdata)
{
	struct child *c = userdata;
	struct keeper *k = c->keeper;

	(void)source;
	forget_child(c);
	if (k->stopping)
		return 0;
	if (k->again) {	/* it may have read what was true before the last SIGHUP */
		k->again = false;
		return start_check(k);
	}
	/* Not here: the loop reaps this child when the handler has returned. */
	if (si->si_code == CLD_EXITED && si->si_status == 0)
		return sd_event_add_defer(k->event, NULL, replace_keeper, k);
	log_error("%s does not take the configuration, everything stays as it is", k->installed);
	(void)sd_notify(0, "READY=1");
	return 0;
}

static int
start_check(struct keeper *k)
{
	struct arguments a = arguments(k, "--check");
	int r = spawn(k->installed, a.argv, -EBADF, -EBADF, &k->check.pid);

	if (r == 0)
		r = sd_event_add_child(k->event, &k->check.exit, k->check.pid, WEXITED, on_check_exit, &k->check);
	if (r < 0) {
		log_error("%s cannot be executed, everything stays as it is: %s", k->installed, strerror(-r));
		k->check.pid = 0;
		(void)sd_notify(0, "READY=1");
	}
	return 0;
}

static int
on_hangup(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	struct keeper *k = userdata;

	(void)source;
	(void)si;
	if (k->stopping)
		return 0;
	if (k->check.pid) {
		k->again = true;
		return 0;
	}
	(void)sd_notify(0, "RELOADING=1");
	return start_check(k);
}

static int
on_terminate(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	struct keeper *k = userdata;
	int r;

	(void)source;
	(void)si;
	if (k->stopping)
		return 0;
	k->stopping = true;
	(void)sd_notify(0, "STOPPING=1");
	log_notice("ending: workers finish what they have begun");
	for (unsigned i = 0; i < k->settings->workers; i++)
		k->workers[i].pause = sd_event_source_unref(k->workers[i].pause);
	signal_all(k, SIGTERM);
	r = limit_draining(k, k->settings->drain_usec);
	return r < 0 ? r : end_if_alone(k);
}

/* The path that SIGHUP executes: as this program was called, so that an upgrade through a symbolic link is followed; else where it
 * lay when it began. */
static int
find_installed(const char *program, char **ret)
{
	scoped(free_ptr) char *folder = NULL;
	char target[4096];
	ssize_t n;

	if (program[0] == '/') {
		*ret = strdup(program);
	} else if (strchr(program, '/')) {
		folder = getcwd(NULL, 0);
		if (!folder || asprintf(ret, "%s/%s", folder, program) < 0)
			*ret = NULL;
	} else {
		n = readlink("/proc/self/exe", target, sizeof target - 1);
		if (n < 0)
			return -errno;
		*ret = strndup(target, (size_t)n);
	}
	return *ret ? 0 : -ENOMEM;
}

/* Takes over the workers of the keeper before this one, which are its children as they were the other's: the process is the same. */
static int
adopt_old(struct keeper *k)
{
	const char *p = k->settings->old;
	int r = 0;

	if (!p || !*p)
		return 0;
	k->old = calloc(OLD_MAX, sizeof *k->old);
	if (!k->old)
		return -ENOMEM;
	while (*p && k->n_old < OLD_MAX && r >= 0) {
		struct child *c = &k->old[k->n_old];
		siginfo_t si = { .si_pid = 0 };
		char *end = NULL;
		long pid = strtol(p, &end, 10);

		if (end == p || pid <= 0)
			return -EINVAL;
		p = *end == ',' ? end + 1 : end;
		if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) < 0)
			continue;	/* no child of ours (any more) */
		*c = (struct child){ .keeper = k, .pid = (pid_t)pid };
		k->n_old++;
		r = sd_event_add_child(k->event, &c->exit, c->pid, WEXITED, on_old_exit, c);
	}
	return r;
}

static int
keeper_start(struct keeper *k)
{
	int r;

	k->workers = calloc(k->settings->workers, sizeof *k->workers);
	if (!k->workers)
		return -ENOMEM;
	k->check.keeper = k;
	r = find_installed(k->settings->program, &k->installed);
	if (r >= 0)
		r = sd_event_new(&k->event);
	if (r >= 0)
		r = sd_event_add_signal(k->event, NULL, SIGHUP, on_hangup, k);
	if (r >= 0)
		r = sd_event_add_signal(k->event, NULL, SIGTERM, on_terminate, k);
	if (r >= 0)
		r = sd_event_add_signal(k->event, NULL, SIGINT, on_terminate, k);
	if (r >= 0)
		r = sd_event_set_watchdog(k->event, true);
	if (r >= 0)
		r = adopt_old(k);
	for (unsigned i = 0; i < k->settings->workers && r >= 0; i++) {
		k->workers[i].keeper = k;
		r = start_worker(&k->workers[i]);
	}
	return r;
}

static void
keeper_done(struct keeper *k)
{
	for (unsigned i = 0; k->workers && i < k->settings->workers; i++) {
		forget_child(&k->workers[i]);
		sd_event_source_unref(k->workers[i].pause);
	}
	for (size_t i = 0; i < k->n_old; i++)
		forget_child(&k->old[i]);
	forget_child(&k->check);
	sd_event_source_unref(k->kill_timer);
	sd_event_unref(k->event);
	free(k->workers);
	free(k->old);
	free(k->installed);
}

int
keeper_main(const struct keeper_settings *s)
{
	struct keeper k = { .settings = s };
	sigset_t handled;
	int r;

	(void)sigemptyset(&handled);
	(void)sigaddset(&handled, SIGHUP);
	(void)sigaddset(&handled, SIGTERM);
	(void)sigaddset(&handled, SIGINT);
	(void)sigaddset(&handled, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &handled, NULL);
	r = keeper_start(&k);
	if (r >= 0)
		r = sd_event_loop(k.event);
	if (r < 0) {
		log_error("the keeper ends: %s", strerror(-r));
		if (k.workers)
			signal_all(&k, SIGTERM);
	}
	keeper_done(&k);
	return r < 0 ? EX_OSERR : 0;
}
