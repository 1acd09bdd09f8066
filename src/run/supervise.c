#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "run/after.h"
#include "run/finish.h"
#include "run/inputs.h"
#include "run/outputs.h"
#include "run/supervise.h"
#include "run/watch.h"

static void
run_done(struct run *run)
{
	jail_done(&run->jail);
	cgroup_end(&run->cgroup);
	run_log_done(&run->log);
	run_log_done(&run->out);
	close_fd(&run->work_fd);
	close_fd(&run->signal_fd);
	close_fd(&run->control_fd);
}

/* What must stand before the tool begins and needs no jail; done while bubblewrap builds it. */
static void
prepare(struct run *run)
{
	const struct plan *plan = run->plan;
	uint64_t bytes = 0;
	int r = result_reserve(run->job_fd, plan->groups);

	if (r < 0) {
		watch_refuse(run, "no room for the verdict", r);
		return;
	}
	r = run_log_open(&run->log, run->job_fd, "log", plan->limits.log_bytes, plan->groups.read_gid);
	if (r == 0 && plan->stdout_apart)
		r = run_log_open_plain(&run->out, run->job_fd, "stdout", plan->limits.stdout_bytes, plan->groups.read_gid);
	if (r < 0) {
		watch_refuse(run, "cannot make the log", r);
		return;
	}
	r = inputs_copy(plan, run->job_fd, run->work_fd, &bytes);
	if (r < 0) {
		watch_refuse(run, "cannot copy the inputs", r);
		return;
	}
	r = outputs_caps(plan, run->job_fd, &run->caps);
	if (r < 0) {
		watch_refuse(run, "cannot look at the inputs", r);
		return;
	}
	r = links_make(plan, run->work_fd);
	if (r < 0) {
		watch_refuse(run, "cannot make the links", r);
		return;
	}
	run->prepared = true;
}

static void
set_up(struct run *run)
{
	int r = 0;

	/* What a dying init without a jail leaves becomes ours, and so does bubblewrap's child where bubblewrap is killed before
	 * that child would have died with it; jail_end() ends both. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
		watch_refuse(run, "cannot become a subreaper", -errno);
		return;
	}
	run->work_fd = work_make(run->plan, run->job_fd);
	if (run->work_fd < 0) {
		watch_refuse(run, "cannot make work/", run->work_fd);
		return;
	}
	if (run->plan->cgroup) {
		r = cgroup_make(&run->cgroup, run->plan);
		if (r < 0 && run->plan->strict) {
			watch_refuse(run, "its limits must be exact, and its cgroup cannot be made", r);
			return;
		}
		if (r < 0)
			log_warning("job %s: no cgroup, its limits are approximate: %s", run->plan->id, strerror(-r));
	}
	r = jail_start(&run->jail, run->plan, run->work_fd, run->cgroup.fd < 0);
	if (r < 0) {
		watch_refuse(run, "cannot start the jail", r);
		return;
	}
	prepare(run);
}

static uint64_t
wall_of(uint64_t mono)
{
	uint64_t now = clock_mono();

	return clock_wall() - (now > mono ? now - mono : 0);
}

static void
make_result(const struct run *run, struct job_result *result)
{
	const struct plan *plan = run->plan;
	const struct run_facts facts = {
		.began = run->began,
		.has_status = run->ended,
		.status = run->status,
		.stop = run->stop,
		.cpu_limit_usec = plan->limits.cpu_usec,
		.cpu_usec = run->usage.cpu_usec,
		.cap = run->cap,
		.oom_killed = run->oom_killed,
		.by = run->by,
		.refusal = run->refusal,
	};
	uint64_t ended_at = run->ended ? run->ended_at : clock_mono();

	*result = (struct job_result){ .attempt = plan->attempt };
	verdict_judge(&facts, result);
	if (run->began) {
		result->started_usec = wall_of(run->began_at);
		result->wall_usec = ended_at > run->began_at ? ended_at - run->began_at : 0;
	}
	result->ended_usec = wall_of(ended_at);
	result->exact = run->cgroup.fd >= 0;
	result->cpu_usec = run->usage.cpu_usec;
	result->peak_memory_bytes = run->usage.peak_memory_bytes;
	result->log_bytes = run->log.written;
	result->stdout_bytes = run->out.written;
	/* The log is for people; a standard output of its own is the job's answer, and half of one must not look like all of it. */
	if (run->log.err < 0)
		verdict_note(result, "the log is incomplete: it could not be written");
	if (run->out.err < 0)
		verdict_outputs_lost(result, "standard output could not be written", run->out.err);
}

static int
end(const struct plan *plan, struct job_result *result)
{
	int r = finish(plan, PLAN_JOB_FD, result);

	if (r < 0) {
		log_error("job %s: no verdict: %s", plan->id, strerror(-r));
		return PLAN_EXIT_FAILED;
	}
	if (r > 0) {
		log_error("job %s: not everything could be flushed", plan->id);
		return PLAN_EXIT_SUSPECT;
	}
	return PLAN_EXIT_DONE;
}

static int
supervise_run(const struct plan *plan)
{
	scoped(run_done) struct run run = {
		.plan = plan,
		.job_fd = PLAN_JOB_FD,
		.control_fd = PLAN_CONTROL_FD,
		.signal_fd = -EBADF,
		.work_fd = -EBADF,
		.jail = JAIL_INIT,
		.cgroup = CGROUP_INIT,
		.log = { .fd = -EBADF },
		.out = { .fd = -EBADF },
		.wall_deadline = USEC_INFINITY,
		.outputs_deadline = USEC_INFINITY,
		.cpu_deadline = USEC_INFINITY,
		.grace_deadline = USEC_INFINITY,
		.empty_deadline = USEC_INFINITY,
	};
	struct job_result result = { 0 };
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	run.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run.signal_fd < 0) {
		log_error("job %s: no signalfd: %s", plan->id, strerror(errno));
		return PLAN_EXIT_FAILED;
	}
	/* What an attempt left whose supervisor was killed. */
	if (plan->attempt > 1)
		after_run(plan);
	run.jail_deadline = clock_mono() + WATCH_JAIL_USEC;
	set_up(&run);
	watch(&run);
	if (run.abandoned) {
		log_warning("job %s: the helper or the jail went away before it began", plan->id);
		return PLAN_EXIT_FAILED;
	}
	(void)run_log_finish(&run.log);
	(void)run_log_finish(&run.out);
	make_result(&run, &result);
	if (result.verdict == VERDICT_REFUSED)
		log_error("job %s: refused: %s", plan->id, result.message);
	return end(plan, &result);
}

/* The tool has ended and is judged; only the outputs are not listed yet. */
static int
supervise_finish(const struct plan *plan)
{
	struct job_result result = { 0 };
	int r = ended_load(PLAN_JOB_FD, &result);

	if (r == 0 && result.attempt != plan->attempt)
		r = -ESTALE;
	if (r < 0) {
		log_error("job %s: ended.json: %s", plan->id, strerror(-r));
		return PLAN_EXIT_FAILED;
	}
	return end(plan, &result);
}

int
supervise(const struct plan *plan)
{
	return plan->mode == PLAN_FINISH ? supervise_finish(plan) : supervise_run(plan);
}
