#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "run/outputs.h"
#include "run/watch.h"

enum {
	DRAIN_MAX = 1024 * 1024,	/* of a pipe before signals and deadlines are looked at again */
	EMPTY_USEC = 1000 * 1000,	/* for init to empty the jail itself, so that all usage counts; a loaded machine takes its time */
	OUTPUTS_LOOK_USEC = 250 * 1000, OUTPUTS_LOOK_SHARE = 20,	/* of work/ */
	CPU_LOOK_USEC_MIN = 10 * 1000,	/* of the cgroup's CPU time */
	EMPTY_NO_JAIL_USEC = 5 * 1000 * 1000,	/* which takes a round for each generation */
};

static char buffer[64 * 1024];

static void
empty_now(struct run *run)
{
	if (run->emptying)
		return;
	run->emptying = true;
	run->wall_deadline = run->outputs_deadline = run->cpu_deadline = run->grace_deadline = run->jail_deadline = USEC_INFINITY;
	if (run->ready && jail_say(&run->jail, INIT_EMPTY) == 0)
		run->empty_deadline = clock_mono() + (run->jail.kind == JAIL_NONE ? EMPTY_NO_JAIL_USEC : EMPTY_USEC);
	else
		run->over = true;	/* jail_end() kills */
}

void
watch_refuse(struct run *run, const char *what, int err)
{
	if (run->refusal[0] == '\0') {
		if (err < 0)
			(void)snprintf(run->refusal, sizeof run->refusal, "%s: %s", what, strerror(-err));
		else
			(void)snprintf(run->refusal, sizeof run->refusal, "%s", what);
	}
	empty_now(run);
}

static bool
has_grace(const struct run *run)
{
	return run->plan->kill_grace_usec > 0 && (run->stop == STOP_KILL || run->stop == STOP_WALL);
}

/* SIGTERM to the tool, and its grace. */
static void
begin_grace(struct run *run)
{
	if (jail_say(&run->jail, INIT_TERM) < 0) {
		empty_now(run);
		return;
	}
	run->wall_deadline = USEC_INFINITY;
	run->grace_deadline = clock_mono() + run->plan->kill_grace_usec;
}

/* A tool that has ended by itself has done so: later reasons change nothing. */
static void
stop_tool(struct run *run, enum stop stop)
{
	if (run->stop != STOP_NONE || run->ended || run->emptying)
		return;
	run->stop = stop;
	if (!run->started || !has_grace(run))
		empty_now(run);
	else if (run->began)
		begin_grace(run);
	/* else it may have begun, only BEGAN is not here yet: on_began() goes on */
}

/* Up to DRAIN_MAX bytes; shut at its end. */
static void
drain(int *fd, struct run_log *to, size_t max)
{
	for (size_t got = 0; *fd >= 0 && got < max;) {
		ssize_t n = read(*fd, buffer, sizeof buffer);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			close_fd(fd);
			return;
		}
		run_log_add(to, buffer, (size_t)n);
		got += (size_t)n;
	}
}

static void
drain_pipes(struct run *run, size_t max)
{
	drain(&run->jail.log_fd, &run->log, max);
	drain(&run->jail.stdout_fd, &run->out, max);
	if (run->plan->stdout_apart && run->out.seen > run->plan->limits.stdout_bytes)
		stop_tool(run, STOP_STDOUT);
}

static void
start_if_due(struct run *run)
{
	struct job_run record = { .attempt = run->plan->attempt, .pid = getpid(), .started_usec = clock_wall() };
	int r = 0;

	if (!run->prepared || !run->ready || !run->go || run->started || run->emptying)
		return;
	/* Not before PLAN_GO: a run.json of this attempt says that it may have begun, and a supervisor whose helper vanished
	 * earlier must leave none. */
	record.after = run->plan->after != NULL;
	record.no_jail = run->jail.kind == JAIL_NONE;
	record.init_pid = run->jail.init_pid;
	record.init_ticks = run->jail.init_ticks;
	/* Before anything is started in it, and it waits: nothing can be outside. */
	if (run->cgroup.fd >= 0 && (r = cgroup_enter(&run->cgroup, run->jail.init_pid)) < 0) {
		watch_refuse(run, "cannot put the jail into its cgroup", r);
		return;
	}
	if (run->cgroup.path)
		(void)snprintf(record.cgroup, sizeof record.cgroup, "%s", run->cgroup.path);
	r = boot_id(record.boot);
	if (r == 0)
		r = process_start_time(record.pid, &record.start_ticks);
	if (r == 0)
		r = run_store(run->job_fd, run->plan->groups, &record);
	if (r < 0) {
		watch_refuse(run, "cannot write run.json", r);
		return;
	}
	r = jail_say(&run->jail, INIT_START);
	if (r < 0) {
		watch_refuse(run, "the jail's init is gone", r);
		return;
	}
	run->started = true;
	run->jail_deadline = clock_mono() + WATCH_JAIL_USEC;
}

/* Only a count of the helper's depends on it. */
static void
tell_began(struct run *run)
{
	char word[64];
	int n = snprintf(word, sizeof word, PLAN_BEGAN " %" PRIu64, run->began_at);

	if (run->control_fd >= 0)
		(void)send(run->control_fd, word, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	close_fd(&run->control_fd);
}

static void
on_began(struct run *run, const struct init_message *m)
{
	run->began = true;
	run->began_at = m->u.began.at_usec;
	tell_began(run);
	run->jail_deadline = USEC_INFINITY;
	if (run->emptying)
		return;
	if (run->stop != STOP_NONE)
		begin_grace(run);
	else if (run->plan->limits.wall_usec > 0)
		run->wall_deadline = run->began_at + run->plan->limits.wall_usec;
	run->outputs_deadline = run->began_at + OUTPUTS_LOOK_USEC;
	if (run->cgroup.fd >= 0 && run->plan->limits.cpu_usec > 0)
		run->cpu_deadline = run->began_at;
}

static bool
over_stop(uint32_t what, enum stop *ret)
{
	static const enum stop stops[] = { [INIT_OVER_MEMORY] = STOP_MEMORY, [INIT_OVER_CPU] = STOP_CPU,
		[INIT_OVER_PROCESSES] = STOP_PROCESSES, [INIT_OVER_OUTPUT] = STOP_OUTPUT };

	if (what < INIT_OVER_MEMORY || what > INIT_OVER_OUTPUT)
		return false;
	*ret = stops[what];
	return true;
}

/* 0, or -EBADMSG: out of order. */
static int
on_message(struct run *run, const struct init_message *m)
{
	enum stop stop = STOP_NONE;
	char what[96];

	switch (m->type) {
	case INIT_READY:
		run->ready = true;
		run->jail_deadline = USEC_INFINITY;
		return 0;
	case INIT_BEGAN:
		if (!run->started || run->began)
			return -EBADMSG;
		on_began(run, m);
		return 0;
	case INIT_FAILED:
		if (run->began)
			return -EBADMSG;
		if (strcmp(m->u.failed.step, "exec") == 0)
			(void)snprintf(what, sizeof what, "the program cannot be executed");
		else
			(void)snprintf(what, sizeof what, "the jail's init failed (%s)", m->u.failed.step);
		watch_refuse(run, what, -m->u.failed.err);
		return 0;
	case INIT_ENDED:
		if (!run->began || run->ended)
			return -EBADMSG;
		run->ended = true;
		run->ended_at = m->u.ended.at_usec;
		run->status = m->u.ended.status;
		empty_now(run);
		return 0;
	case INIT_OVER:
		if (!run->began || !over_stop(m->u.over.what, &stop))
			return -EBADMSG;
		/* Init kills already. */
		if (run->stop == STOP_NONE && !run->ended)
			run->stop = stop;
		empty_now(run);
		return 0;
	case INIT_EMPTIED:
		if (!run->emptying)
			return -EBADMSG;
		run->usage = m->u.emptied;
		run->over = true;
		return 0;
	default:
		return -EBADMSG;
	}
}

static void
on_init(struct run *run)
{
	for (;;) {
		struct init_message m = { 0 };
		int r = jail_hear(&run->jail, &m);

		if (r == 0)
			return;
		if (r > 0)
			r = on_message(run, &m);
		if (r == -EXDEV && !run->began)
			watch_refuse(run, "the jail's /job is not the job's folder", 0);
		if (r < 0) {
			run->over = true;
			return;
		}
	}
}

static void
on_signal(struct run *run)
{
	struct signalfd_siginfo si;
	struct job_want want = { 0 };

	if (read(run->signal_fd, &si, sizeof si) != (ssize_t)sizeof si)
		return;
	if (run->stop == STOP_NONE && !run->ended) {
		int r = want_load(run->job_fd, &want);

		(void)snprintf(run->by, sizeof run->by, "%s", r == 0 && want.want == WANT_KILL ? want.by : "signal");
	}
	stop_tool(run, STOP_KILL);
}

static void
on_control(struct run *run)
{
	char word[sizeof PLAN_GO];
	ssize_t n = recv(run->control_fd, word, sizeof word, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == (ssize_t)strlen(PLAN_GO) && memcmp(word, PLAN_GO, (size_t)n) == 0) {
		run->go = true;
		return;
	}
	run->abandoned = run->stop == STOP_NONE;
	run->over = true;
	close_fd(&run->control_fd);
}

static void
on_memory_event(struct run *run)
{
	run->oom_killed = cgroup_out_of_memory(&run->cgroup);
	if (run->oom_killed)
		stop_tool(run, STOP_MEMORY);
}

/* All CPUs together use the rest up in no less than this time. */
static void
look_at_cpu_time(struct run *run, uint64_t now)
{
	uint64_t limit = run->plan->limits.cpu_usec, used = 0, peak = 0, wait = 0;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	cgroup_usage(&run->cgroup, &used, &peak);
	if (used > limit) {
		run->cpu_deadline = USEC_INFINITY;
		stop_tool(run, STOP_CPU);
		return;
	}
	wait = (limit - used) / (cpus > 0 ? (uint64_t)cpus : 1);
	run->cpu_deadline = now + (wait > CPU_LOOK_USEC_MIN ? wait : CPU_LOOK_USEC_MIN);
}

/* A look reads at most as many names as may be kept, and takes a twentieth of our time. */
static void
look_at_outputs(struct run *run, uint64_t now)
{
	uint64_t wait = 0;

	run->cap = outputs_over(run->work_fd, run->plan, &run->caps);
	if (run->cap) {
		run->outputs_deadline = USEC_INFINITY;
		stop_tool(run, STOP_OUTPUT);
		return;
	}
	wait = (clock_mono() - now) * OUTPUTS_LOOK_SHARE;
	run->outputs_deadline = now + (wait > OUTPUTS_LOOK_USEC ? wait : OUTPUTS_LOOK_USEC);
}

static void
on_deadlines(struct run *run)
{
	uint64_t now = clock_mono();

	if (now >= run->outputs_deadline)
		look_at_outputs(run, now);
	if (now >= run->cpu_deadline)
		look_at_cpu_time(run, now);
	if (now >= run->wall_deadline)
		stop_tool(run, STOP_WALL);
	if (now >= run->grace_deadline)
		empty_now(run);
	if (now >= run->jail_deadline)
		watch_refuse(run, "the jail was not ready in time", 0);
	if (now >= run->empty_deadline)
		run->over = true;
}

static int
next_timeout(const struct run *run)
{
	uint64_t next = run->wall_deadline, now = clock_mono(), msec = 0;

	if (run->outputs_deadline < next)
		next = run->outputs_deadline;
	if (run->cpu_deadline < next)
		next = run->cpu_deadline;
	if (run->grace_deadline < next)
		next = run->grace_deadline;
	if (run->jail_deadline < next)
		next = run->jail_deadline;
	if (run->empty_deadline < next)
		next = run->empty_deadline;
	if (next == USEC_INFINITY)
		return -1;
	if (next <= now)
		return 0;
	msec = (next - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
	return msec < INT_MAX ? (int)msec : INT_MAX;
}

static void
watch_once(struct run *run)
{
	enum { LOG, OUT, ERRORS, INIT, SIGNAL, CONTROL, MEMORY, N };
	struct pollfd p[N] = {
		[LOG] = { .fd = run->jail.log_fd, .events = POLLIN },
		[OUT] = { .fd = run->jail.stdout_fd, .events = POLLIN },
		[ERRORS] = { .fd = run->jail.errors_fd, .events = POLLIN },
		[INIT] = { .fd = run->jail.init_fd, .events = POLLIN },
		[SIGNAL] = { .fd = run->signal_fd, .events = POLLIN },
		[CONTROL] = { .fd = run->go ? -1 : run->control_fd, .events = POLLIN },
		[MEMORY] = { .fd = run->emptying ? -1 : run->cgroup.events_fd, .events = POLLPRI },
	};

	if (poll(p, N, next_timeout(run)) > 0) {
		/* What was printed before an end is read before the end is. */
		if (p[LOG].revents || p[OUT].revents)
			drain_pipes(run, DRAIN_MAX);
		if (p[ERRORS].revents)
			jail_read_errors(&run->jail);
		if (p[CONTROL].revents)
			on_control(run);
		if (p[MEMORY].revents)
			on_memory_event(run);
		if (p[INIT].revents && !run->over)
			on_init(run);
		if (p[SIGNAL].revents)
			on_signal(run);
	}
	on_deadlines(run);
	start_if_due(run);
}

void
watch(struct run *run)
{
	start_if_due(run);
	while (!run->over)
		watch_once(run);
	/* By the kernel that is short of memory, or by hand: it says nothing against another try. */
	if (!run->started && run->refusal[0] == '\0' && run->stop == STOP_NONE && jail_was_killed(&run->jail))
		run->abandoned = true;
	jail_end(&run->jail);
	/* Messages that came while the jail was ended: the tool's status may be among them. */
	if (run->jail.init_fd >= 0)
		on_init(run);
	if (run->cgroup.fd >= 0) {
		run->oom_killed = cgroup_out_of_memory(&run->cgroup);
		cgroup_usage(&run->cgroup, &run->usage.cpu_usec, &run->usage.peak_memory_bytes);
	}
	drain_pipes(run, SIZE_MAX);
	if (run->plan->stdout_apart && run->out.seen > run->plan->limits.stdout_bytes && run->stop == STOP_NONE)
		run->stop = STOP_STDOUT;
	jail_read_errors(&run->jail);
	if (!run->began && run->refusal[0] == '\0')
		jail_error_text(&run->jail, run->refusal, sizeof run->refusal);
}
