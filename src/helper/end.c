#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "helper/cgroup.h"
#include "helper/end.h"
#include "helper/expire.h"
#include "helper/jail.h"
#include "helper/start.h"
#include "helper/stats.h"
#include "spool/accept.h"
#include "spool/job.h"
#include "spool/receipt.h"

enum {
	LOOK_AGAIN_MSEC = 20,	/* while a supervisor that has not begun goes away */
	AGAIN_MSEC = 1000,	/* while the disk refuses a verdict, or something is short */
	EMPTY_MSEC = 200,	/* how long a thread waits for a killed jail to be gone; then again after AGAIN_MSEC */
};

/* What a look found. */
enum found {
	FOUND_FINISHED,	/* a verdict is there */
	FOUND_ALIVE,	/* a supervisor: pidfd */
	FOUND_AGAIN,	/* not to be told yet */
	FOUND_QUEUED,	/* it never began, or may run once more: attempt is set back where it never began */
	FOUND_ENDED,	/* the tool has ended, the supervisor died in the walk: job, job_fd, lock_fd */
	FOUND_VERDICT,	/* result, to be written with job_fd and lock_fd */
	FOUND_GONE,	/* there is no such job */
	FOUND_ERROR,	/* error says why: nothing is concluded, and looked at again */
};

struct look {
	struct task task;
	struct live *live;
	const struct spool *spool;
	char boot[BOOT_ID_SIZE];
	unsigned attempts_max;

	enum found found;
	int error;
	int pidfd;
	int job_fd;
	int lock_fd;
	struct job *job;
	struct job_want want;
	uint64_t accepted_usec;
	struct job_result result;
	bool walked;	/* result is a supervisor's, whole but not yet in its place: what is in work/ belongs to it */
	bool began;	/* FOUND_QUEUED: the attempt before had begun */
};

static void end_with(struct live *l, int job_fd, int lock_fd, const struct job_result *result, bool walked);

static void
set_verdict(struct look *k, enum verdict verdict, const char *message)
{
	struct job_result *r = &k->result;

	*r = (struct job_result){ .attempt = k->want.attempt, .verdict = verdict, .exit_code = -1, .ended_usec = clock_wall() };
	(void)strncpy(r->message, message, sizeof r->message - 1);
	if (verdict == VERDICT_KILLED)
		memcpy(r->by, k->want.by, sizeof r->by);
	k->found = FOUND_VERDICT;
}

/* A jail whose supervisor is gone: bubblewrap's --die-with-parent has killed it, or is about to. Its pid namespace is empty
 * once its init is gone. */
static int
empty_jail(const struct job_run *run)
{
	scoped(close_fd) int init = process_open(run->init_pid, run->init_ticks);
	int r;

	if (init == -ESRCH)
		return 0;
	if (init < 0)
		return init;
	/* Without a jail it has to kill what it started itself, one by one, which it does since its supervisor is gone; its own end would
	 * leave them to nobody. */
	r = run->no_jail ? 0 : pidfd_signal(init, SIGKILL);
	if (r < 0 && r != -ESRCH)
		return r;
	r = pidfd_wait(init, EMPTY_MSEC);
	return r == 0 ? -EBUSY : r < 0 ? r : 0;
}

/* Whether the supervisor that has the lock is the one that run.json tells of. */
static void
look_at_holder(struct look *k)
{
	struct job_run run;

	k->found = FOUND_AGAIN;
	if (run_load(k->job_fd, &run) < 0 || run.attempt != k->want.attempt || strcmp(run.boot, k->boot) != 0)
		return;
	k->pidfd = process_open(run.pid, run.start_ticks);
	if (k->pidfd < 0)
		return;
	/* Between reading and opening it may have ended, and its pid may be another's. */
	if (job_locked(k->job_fd) == 1) {
		k->found = FOUND_ALIVE;
		return;
	}
	close_fd(&k->pidfd);
}

static void
queue_again(struct look *k, bool began)
{
	if (!began && k->want.attempt > 0)
		k->want.attempt--;
	k->want.want = WANT_QUEUED;
	k->want.at_usec = clock_wall();
	k->error = accept_drop_work(k->spool, k->live->id);
	if (k->error == 0)
		k->error = want_store(k->job_fd, k->spool->groups, &k->want);
	k->found = k->error < 0 ? FOUND_ERROR : FOUND_QUEUED;
	k->began = began;
}

/* Whether a file is known not to be there, or not to be whole. Where it cannot be read for another reason (descriptors or
 * memory are short, the disk refuses) nothing may be concluded: what was not seen may be a verdict, or an attempt that began. */
static bool
is_missing(struct look *k, int r)
{
	if (r == -ENOENT || r == -EBADMSG)
		return true;
	k->error = r;
	k->found = FOUND_ERROR;
	return false;
}

static uint64_t
size_of(int dir_fd, const char *name)
{
	struct stat st = { 0 };

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : (uint64_t)st.st_size;
}

/* It began, nobody watches it any more, and no verdict is there. */
static void
look_at_remains(struct look *k, const struct job_run *run)
{
	struct job_result ended;
	bool same_boot = strcmp(run->boot, k->boot) == 0;
	int r;

	if (same_boot) {
		k->error = empty_jail(run);
		if (k->error < 0)
			return;	/* FOUND_ERROR */
		r = ended_load(k->job_fd, &ended);
		if (r == 0 && ended.attempt == k->want.attempt) {
			k->found = FOUND_ENDED;
			return;
		}
		if (r < 0 && !is_missing(k, r))
			return;
	}
	if (k->want.want == WANT_KILL)
		set_verdict(k, VERDICT_KILLED, "");
	else if (!k->job->twice)
		set_verdict(k, VERDICT_LOST, same_boot ? "the supervisor ended without a verdict" : "the host went down");
	else if (k->want.attempt >= k->attempts_max)
		set_verdict(k, VERDICT_LOST, "given up after as many attempts as are allowed");
	else
		queue_again(k, true);
	k->result.exact = run->cgroup[0] != '\0';
	/* Its command for the end is a supervisor's work, which goes on from ended.json; before another attempt that one's does it. */
	if (run->after && k->found == FOUND_VERDICT) {
		k->result.log_bytes = size_of(k->job_fd, JOB_LOG);
		k->result.stdout_bytes = size_of(k->job_fd, JOB_STDOUT);
		k->error = ended_store(k->job_fd, k->spool->groups, &k->result);
		k->found = k->error < 0 ? FOUND_ERROR : FOUND_ENDED;
	}
}

/* The lock is ours: nobody runs it. */
static void
look_at_unlocked(struct look *k)
{
	struct job_run run;
	int r = cgroups_remove(k->live->helper, k->live->id);

	if (r < 0) {
		k->error = r;	/* FOUND_ERROR */
		return;
	}
	/* The supervisor may have ended between our two looks. */
	r = result_load(k->job_fd, &k->result);
	if (r == 0)
		k->found = FOUND_FINISHED;
	if (r == 0 || !is_missing(k, r))
		return;
	r = result_recover(k->job_fd, &k->result);
	if (r == 0) {
		k->walked = true;
		k->found = FOUND_VERDICT;
	}
	if (r == 0 || !is_missing(k, r))
		return;
	r = k->job ? 0 : job_load(k->job_fd, &k->job);
	if (r < 0) {
		if (is_missing(k, r))
			set_verdict(k, VERDICT_LOST, "its record is damaged");
		return;
	}
	k->accepted_usec = k->job->accepted_usec;
	r = run_load(k->job_fd, &run);
	if (r < 0 && !is_missing(k, r))
		return;
	if (r == 0 && run.attempt == k->want.attempt) {
		look_at_remains(k, &run);
		return;
	}
	/* No run.json of this attempt. Within this boot that means it never began; after a power cut run.json may be what was lost,
	 * while the flushed record says that it was about to. */
	if (k->want.want == WANT_KILL)
		set_verdict(k, VERDICT_KILLED, "");
	else if (k->want.want == WANT_START && strcmp(k->want.boot, k->boot) != 0 && !k->job->twice)
		set_verdict(k, VERDICT_LOST, "the host went down at its start");
	else if (k->want.want == WANT_START)
		queue_again(k, false);
	else
		k->found = FOUND_QUEUED;
}

/* What state.json must have said: where a run.json lies that attempt was started. */
static struct job_want
remembered_want(const struct look *k)
{
	struct job_want want = { .want = WANT_QUEUED };
	struct job_run run;

	if (run_load(k->job_fd, &run) == 0) {
		want.want = WANT_START;
		want.attempt = run.attempt;
		memcpy(want.boot, run.boot, sizeof want.boot);
	}
	return want;
}

static void
look(struct task *task)
{
	struct look *k = task_owner(task, struct look, task);
	int r;

	k->found = FOUND_ERROR;
	k->job_fd = spool_open_job(k->spool, k->live->id);
	if (k->job_fd < 0) {
		k->error = k->job_fd;
		k->found = k->error == -ENOENT ? FOUND_GONE : FOUND_ERROR;
		return;
	}
	r = want_load(k->job_fd, &k->want);
	if (r < 0 && r != -ENOENT && r != -EBADMSG) {
		k->error = r;
		return;
	}
	if (r < 0)	/* torn by a power cut; the journal would have it if it mattered */
		k->want = remembered_want(k);
	if (!k->live->owner)	/* at a start: it counts as its owner's, and in its group */
		(void)job_load(k->job_fd, &k->job);
	k->lock_fd = job_lock(k->job_fd);
	if (k->lock_fd == -EWOULDBLOCK)
		look_at_holder(k);
	else if (k->lock_fd < 0)
		k->error = k->lock_fd;
	else
		look_at_unlocked(k);
	if (k->found == FOUND_FINISHED || k->found == FOUND_GONE)
		(void)spool_clear_active(k->spool, k->live->id);
}

/* ---- in the loop ---- */

static int
on_look_again(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct live *l = ctx;

	(void)source;
	(void)usec;
	l->source = sd_event_source_disable_unref(l->source);
	look_at_job(l);
	return 0;
}

static void
look_in(struct live *l, uint64_t msec)
{
	l->state = LIVE_LOOKING;
	if (sd_event_add_time_relative(l->helper->event, &l->source, CLOCK_MONOTONIC, msec * USEC_PER_MSEC, 1, on_look_again, l) < 0)
		log_error("job %s waits for a restart: no memory", l->id);
}

void
look_later(struct live *l)
{
	look_in(l, AGAIN_MSEC);
}

static void
finish_walk(struct look *k)
{
	struct live *l = k->live;
	int r = -ELOOP;

	if (l->finish_tries++ < FINISH_TRIES)
		r = start_supervisor(l, k->job, NULL, PLAN_FINISH, &k->job_fd, &k->lock_fd);
	if (r < 0) {
		log_error("job %s: its outputs cannot be listed: %s", l->id, strerror(-r));
		set_verdict(k, k->want.want == WANT_KILL ? VERDICT_KILLED : VERDICT_LOST, "its outputs could not be listed");
		end_job(l, take_fd(k->job_fd), take_fd(k->lock_fd), &k->result);
	}
}

static void
act_on_look(struct look *k)
{
	struct live *l = k->live;

	if (k->job && live_learn(l, k->job, k->found != FOUND_QUEUED) < 0 && k->found == FOUND_QUEUED) {
		look_later(l);
		return;
	}
	l->attempt = k->want.attempt;
	if (k->accepted_usec > 0)
		l->accepted_usec = k->accepted_usec;
	/* A kill whose request did not survive the helper's restart, but whose record did. */
	if (k->want.want == WANT_KILL && !l->kill_wanted) {
		l->kill_wanted = l->kill_recorded = true;
		l->kill_half = -1;
		memcpy(l->by, k->want.by, sizeof l->by);
	}
	switch (k->found) {
	case FOUND_FINISHED:
		if (k->result.verdict == VERDICT_REFUSED)
			jail_look_again(l->helper);
		live_finished(l, &k->result);
		break;
	case FOUND_GONE:
		live_finished(l, NULL);
		break;
	case FOUND_ALIVE:
		stats_recovered(l->helper, RECOVERY_ADOPTED);
		start_follow(l, take_fd(k->pidfd));
		break;
	case FOUND_QUEUED:
		if (k->began) {
			l->vain_starts = 0;
			stats_recovered(l->helper, RECOVERY_STARTED_AGAIN);
			expire_sweep(l->helper);	/* its old work/ */
		}
		if (l->vain_starts >= START_TRIES) {
			set_verdict(k, VERDICT_REFUSED, "its supervisor ended before the tool began, again and again");
			log_error("job %s: %s", l->id, k->result.message);
			end_job(l, -EBADF, -EBADF, &k->result);
		} else {
			live_enqueue(l);
		}
		break;
	case FOUND_ENDED:
		if (l->finish_tries == 0)
			stats_recovered(l->helper, RECOVERY_FINISHED);
		finish_walk(k);
		break;
	case FOUND_VERDICT:
		if (k->result.verdict == VERDICT_LOST)
			log_warning("job %s is lost: %s", l->id, k->result.message);
		if (k->walked || k->result.verdict == VERDICT_LOST)
			stats_recovered(l->helper, k->walked ? RECOVERY_FINISHED : RECOVERY_LOST);
		end_with(l, take_fd(k->job_fd), take_fd(k->lock_fd), &k->result, k->walked);
		break;
	case FOUND_ERROR:
		log_error("job %s cannot be looked at: %s", l->id, strerror(-k->error));
		__attribute__((fallthrough));
	case FOUND_AGAIN:
		/* Somebody has it, or its jail is not gone yet. */
		if (k->found == FOUND_AGAIN || k->error == -EBUSY)
			live_take_slot(l);
		look_in(l, k->found == FOUND_ERROR ? AGAIN_MSEC : LOOK_AGAIN_MSEC);
		break;
	}
}

static void
looked(struct task *task)
{
	struct look *k = task_owner(task, struct look, task);

	/* Whoever takes the lock over has it by now; where nobody does it must be free before the job can be started. */
	if (k->found != FOUND_ENDED && k->found != FOUND_VERDICT)
		close_fd(&k->lock_fd);
	live_set_busy(k->live, false);
	act_on_look(k);
	close_fd(&k->pidfd);
	close_fd(&k->job_fd);
	close_fd(&k->lock_fd);
	(void)job_free(k->job);
	free(k);
}

static struct look *
new_look(struct live *l)
{
	struct look *k = calloc(1, sizeof *k);

	if (!k)
		return NULL;
	k->task.work = look;
	k->task.done = looked;
	k->live = l;
	k->spool = l->spool;
	memcpy(k->boot, l->helper->boot, sizeof k->boot);
	k->attempts_max = (unsigned)config_number(l->helper->config, "helper", "attempts_max");
	k->pidfd = k->job_fd = k->lock_fd = -EBADF;
	l->state = LIVE_LOOKING;
	live_set_busy(l, true);
	return k;
}

void
look_at_job(struct live *l)
{
	struct look *k = new_look(l);

	if (k)
		offload_run(l->helper->io, &k->task);
	else	/* try again when there is memory */
		look_later(l);
}

struct recovering {
	struct helper *helper;
	const struct spool *spool;
};

static int
recover_one(const char *id, void *ctx)
{
	const struct recovering *v = ctx;
	struct live *l = live_add(v->helper, v->spool, id, 0);
	struct look *k = l ? new_look(l) : NULL;

	if (!k)
		return -ENOMEM;
	/* Before the first request: nobody waits for the loop yet. */
	look(&k->task);
	looked(&k->task);
	return 0;
}

int
recover_all(struct helper *h)
{
	int r;

	h->recovering = true;
	r = spool_each_active(h->spool, recover_one, &(struct recovering){ h, h->spool });
	if (r >= 0 && h->transient)
		r = spool_each_active(h->transient, recover_one, &(struct recovering){ h, h->transient });
	h->recovering = false;
	if (r >= 0)
		live_schedule(h);
	return r;
}

/* ---- verdicts of the helper ---- */

struct ending {
	struct task task;
	struct live *live;
	const struct spool *spool;
	int job_fd;
	int lock_fd;
	struct job_result result;
	bool walked;
	int error;
};

/* Of a job that no supervisor attests. */
static void
write_receipt(const struct ending *e)
{
	scoped(close_fd) int fd = -EBADF;
	int r = receipt_store(e->job_fd, e->spool->groups, NULL, false, &e->result, NULL);

	if (r == 0)
		fd = r = open_regular_at(e->job_fd, JOB_RECEIPT, NULL);
	if (fd >= 0 && fdatasync(fd) < 0)
		r = -errno;
	if (r < 0)
		log_warning("job %s gets no receipt: %s", e->live->id, strerror(-r));
}

static void
write_verdict(struct task *task)
{
	struct ending *e = task_owner(task, struct ending, task);
	int r = 0;

	if (e->job_fd < 0)
		e->job_fd = r = spool_open_job(e->spool, e->live->id);
	if (r >= 0 && e->lock_fd < 0)
		e->lock_fd = r = job_lock(e->job_fd);
	/* What a dead supervisor left in work/ was never walked, unless its verdict was whole: nobody may read it. */
	if (r >= 0 && !e->walked)
		r = accept_drop_work(e->spool, e->live->id);
	/* A verdict without a receipt is better than none. */
	if (r >= 0 && !e->walked)
		write_receipt(e);
	if (r >= 0)
		r = result_store_durable(e->job_fd, e->spool->groups, &e->result);
	e->error = r;
	if (r >= 0)
		(void)spool_clear_active(e->spool, e->live->id);
}

static int
on_end_again(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct ending *e = ctx;

	(void)usec;
	(void)source;
	e->live->source = sd_event_source_disable_unref(e->live->source);
	e->live->ending = NULL;
	live_set_busy(e->live, true);
	offload_run(e->live->helper->io, &e->task);
	return 0;
}

static void
verdict_written(struct task *task)
{
	struct ending *e = task_owner(task, struct ending, task);
	struct live *l = e->live;
	struct job_result result = e->result;

	live_set_busy(l, false);
	/* A work/ that was never walked lies in trash now: on a full disk its room may be what the verdict waits for. */
	if (!e->walked)
		expire_sweep(l->helper);
	if (e->error < 0) {
		log_error("job %s: its verdict cannot be written: %s", l->id, strerror(-e->error));
		if (sd_event_add_time_relative(l->helper->event, &l->source, CLOCK_MONOTONIC, AGAIN_MSEC * USEC_PER_MSEC, 1,
		    on_end_again, e) >= 0) {
			l->ending = e;
			return;
		}
	}
	if (e->error > 0)
		helper_stop_accepting(l->helper, -EIO, "a verdict");
	end_drop(e);
	live_finished(l, &result);
}

void
end_drop(struct ending *e)
{
	if (!e)
		return;
	close_fd(&e->job_fd);
	close_fd(&e->lock_fd);
	free(e);
}

static void
end_with(struct live *l, int job_fd, int lock_fd, const struct job_result *result, bool walked)
{
	struct ending *e = calloc(1, sizeof *e);

	l->state = LIVE_ENDING;
	if (!e) {	/* its active mark stays: the next start finds it */
		log_error("job %s waits for a restart: no memory", l->id);
		close_fd(&job_fd);
		close_fd(&lock_fd);
		return;
	}
	e->task.work = write_verdict;
	e->task.done = verdict_written;
	e->live = l;
	e->spool = l->spool;
	e->job_fd = job_fd;
	e->lock_fd = lock_fd;
	e->result = *result;
	e->walked = walked;
	if (e->result.ended_usec == 0)
		e->result.ended_usec = clock_wall();
	live_set_busy(l, true);
	offload_run(l->helper->io, &e->task);
}

void
end_job(struct live *l, int job_fd, int lock_fd, const struct job_result *result)
{
	end_with(l, job_fd, lock_fd, result, false);
}
