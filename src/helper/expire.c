#include "config.h"

#include <string.h>

#include "basic/clock.h"
#include "basic/heap.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "helper/expire.h"
#include "helper/kill.h"
#include "helper/live.h"
#include "helper/stats.h"
#include "helper/meta.h"
#include "helper/submission.h"
#include "spool/accept.h"
#include "spool/expiry_mark.h"
#include "spool/index.h"
#include "spool/job.h"
#include "spool/meta.h"

enum {
	BATCH = 256,	/* jobs of one pass */
	PASS_MSEC = 500,	/* between passes while something is due */
	IDLE_MSEC = 30 * 1000,	/* wall time may step, so never longer */
	AHEAD_SECONDS = 3600,
	TRUSTED_UPTIME_SECONDS = 86400,
	LATER_SECONDS = 60,	/* where a job could not be read or forgotten */
};

/* Times that stand for an administrator's wish; no job ended then. */
enum { FORCED_JOB = 1, FORCED_FILES = 2 };

/* A finished job and when to look at it. 24 bytes each: 100 000 jobs are 2.4 MB. */
struct due {
	uint64_t at_usec;	/* wall time */
	struct id_packed id;
};

struct expiry {
	struct helper *helper;
	struct heap heap;	/* of struct due */
	sd_event_source *timer;
	bool passing;	/* a pass is under way */
	struct task sweep;	/* one at a time, and it may never be done: the helper ends meanwhile */
	int sweep_error;
	bool sweeping, sweep_again;
	bool held;
	bool confirmed;	/* by an administrator, for the next pass */
	bool has_last;
	struct expiry_mark last;	/* the last pass; each pass records its own on disk */
};

/* ---- passes ---- */

struct candidate {
	char id[ID_SIZE];
	bool gone;	/* forgotten already, or kept for ever */
	bool over, files_over, forced;
	uint64_t at_usec;	/* of what comes next; before: of what was due */
};

struct pass {
	struct task task;
	struct expiry *expiry;
	const struct spool *spool;
	uint64_t now_usec;
	struct expiry_mark mark;
	int error;
	size_t n;
	struct candidate candidates[BATCH];
};

static void
judge(const struct helper *h, uint64_t now_usec, struct candidate *c)
{
	const struct spool *spool = NULL;
	scoped(close_fd) int job_fd = helper_open_job(h, c->id, &spool);
	scoped(free_job) struct job *job = NULL;
	struct job_result result;
	struct job_meta meta = { .note = NULL };
	uint64_t end, files;
	int r = job_fd < 0 ? job_fd : job_load(job_fd, &job);

	if (r == 0)
		r = result_load(job_fd, &result);
	if (r == 0)
		r = meta_load(job_fd, &meta);
	meta_done(&meta);
	if (r == -ENOENT || r == -EBADMSG || r == -EPROTONOSUPPORT) {
		c->gone = true;
		return;
	}
	if (r < 0) {	/* short of descriptors or memory: another time */
		c->at_usec = now_usec + LATER_SECONDS * USEC_PER_SEC;
		return;
	}
	end = job->keep_usec > 0 ? result.ended_usec + job->keep_usec : UINT64_MAX;
	files = job->files_usec > 0 && meta.pruned_usec == 0 ? result.ended_usec + job->files_usec : UINT64_MAX;
	c->forced = c->at_usec <= FORCED_FILES;
	c->over = c->at_usec == FORCED_JOB || end <= now_usec;
	c->files_over = meta.pruned_usec == 0 && (c->at_usec == FORCED_FILES || files <= now_usec);
	c->at_usec = files < end && !c->files_over ? files : end;
	c->gone = !c->over && !c->files_over && c->at_usec == UINT64_MAX;
}

static void
judge_all(struct task *task)
{
	struct pass *p = task_owner(task, struct pass, task);

	p->error = expiry_mark_store(p->spool, &p->mark);
	for (size_t i = 0; i < p->n; i++)
		judge(p->expiry->helper, p->now_usec, &p->candidates[i]);
}

static void arm(struct expiry *e);

static void
judged(struct task *task)
{
	struct pass *p = task_owner(task, struct pass, task);
	struct expiry *e = p->expiry;
	static const struct reply_to nobody = { 0, 0 };

	if (p->error < 0)
		log_error("the time of an expiry pass cannot be recorded: %s", strerror(-p->error));
	for (size_t i = 0; i < p->n; i++) {
		struct candidate *c = &p->candidates[i];

		if (c->gone)
			continue;
		if (c->over) {
			log_info("job %s expires", c->id);
			forget_job(e->helper, c->id, nobody);
			continue;
		}
		if (c->files_over)
			prune_job(e->helper, c->id, nobody);
		if (c->at_usec < UINT64_MAX && !c->forced) {	/* forced, it is there a second time */
			struct due due = { .at_usec = c->at_usec };

			id_pack(c->id, &due.id);
			(void)heap_push(&e->heap, &due);	/* without memory it is kept until the next start */
		}
	}
	free(p);
	e->passing = false;
	arm(e);
	helper_check_leaving(e->helper);
}

/* Whether this pass may forget: wall time must not have run ahead of boot time. */
static bool
clock_trusted(struct expiry *e)
{
	uint64_t wall = clock_wall(), mono = clock_mono(), ran = mono;
	bool ahead = false;

	if (e->has_last) {
		if (strcmp(e->last.boot, e->helper->boot) == 0 && mono >= e->last.mono_usec)
			ran = mono - e->last.mono_usec;
		ahead = wall > e->last.wall_usec && wall - e->last.wall_usec > ran + AHEAD_SECONDS * USEC_PER_SEC;
	}
	if (ahead && !e->confirmed && mono < TRUSTED_UPTIME_SECONDS * USEC_PER_SEC) {
		if (!e->held)
			log_warning("the clock ran ahead: nothing expires until `spoolgate resume`, or a day from boot");
		e->held = true;
		return false;
	}
	e->held = false;
	e->confirmed = false;
	e->last = (struct expiry_mark){ .wall_usec = wall, .mono_usec = mono };
	memcpy(e->last.boot, e->helper->boot, sizeof e->last.boot);
	e->has_last = true;
	return true;
}

static int
on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct expiry *e = ctx;
	struct pass *p;

	(void)source;
	(void)usec;
	/* What an administrator has asked for needs no clock. */
	if (e->passing || e->helper->leaving || e->helper->stopped ||
	    (!clock_trusted(e) && heap_first(&e->heap) > FORCED_FILES)) {
		arm(e);
		return 0;
	}
	p = calloc(1, sizeof *p);
	if (!p) {
		arm(e);
		return 0;
	}
	p->task.work = judge_all;
	p->task.done = judged;
	p->expiry = e;
	p->spool = e->helper->spool;
	p->now_usec = e->held ? FORCED_FILES : e->last.wall_usec;
	p->mark = e->last;
	while (p->n < BATCH && heap_first(&e->heap) <= p->now_usec) {
		struct due due;

		heap_pop(&e->heap, &due);
		p->candidates[p->n].at_usec = due.at_usec;
		id_unpack(&due.id, p->candidates[p->n++].id);
	}
	e->passing = true;
	offload_run(e->helper->slow, &p->task);
	return 0;
}

/* The next pass: soon while something is due, at the latest in half a minute. One that is to come earlier stays: the first one
 * records that it was there. */
static void
arm(struct expiry *e)
{
	uint64_t now = clock_wall(), wait = IDLE_MSEC * USEC_PER_MSEC, mono = 0, next = UINT64_MAX;
	int enabled = SD_EVENT_OFF;

	if (heap_first(&e->heap) < now + wait)
		wait = heap_first(&e->heap) > now ? heap_first(&e->heap) - now : 0;
	if (wait < PASS_MSEC * USEC_PER_MSEC)
		wait = PASS_MSEC * USEC_PER_MSEC;
	(void)sd_event_source_get_enabled(e->timer, &enabled);
	(void)sd_event_source_get_time(e->timer, &next);
	(void)sd_event_now(e->helper->event, CLOCK_MONOTONIC, &mono);
	if (enabled != SD_EVENT_OFF && next <= mono + wait)
		return;
	(void)sd_event_source_set_time_relative(e->timer, wait);
	(void)sd_event_source_set_enabled(e->timer, SD_EVENT_ONESHOT);
}

/* ---- trash ---- */

static void
sweep(struct task *task)
{
	struct expiry *e = task_owner(task, struct expiry, sweep);

	e->sweep_error = trash_empty(e->helper->spool, 0);
	if (e->helper->transient && e->sweep_error >= 0)
		e->sweep_error = trash_empty(e->helper->transient, 0);
}

static void
swept(struct task *task)
{
	struct expiry *e = task_owner(task, struct expiry, sweep);

	if (e->sweep_error < 0)
		log_error("trash cannot be emptied: %s", strerror(-e->sweep_error));
	e->sweeping = false;
	if (e->sweep_again)
		expire_sweep(e->helper);
	helper_check_leaving(e->helper);
}

void
expire_sweep(struct helper *h)
{
	struct expiry *e = h->expiry;

	if (!e)
		return;
	e->sweep_again = e->sweeping;
	if (e->sweeping || h->leaving)
		return;
	e->sweep.work = sweep;
	e->sweep.done = swept;
	e->sweeping = true;
	offload_run(h->slow, &e->sweep);
}

/* ---- the rest ---- */

void
expire_add(struct helper *h, const char *id, uint64_t accepted_usec)
{
	struct expiry *e = h->expiry;
	uint64_t keep = tools_shortest_keep(h->tools);
	struct due due = { .at_usec = accepted_usec + keep };

	if (!e || keep == 0)
		return;
	/* How long it is really kept is in its record, which is read when it can be over at the earliest. */
	id_pack(id, &due.id);
	(void)heap_push(&e->heap, &due);	/* without memory it is kept until the next start */
	if (heap_first(&e->heap) == due.at_usec)
		arm(e);
}

void
expire_force(struct helper *h, const char *id, bool files)
{
	struct due due = { .at_usec = files ? FORCED_FILES : FORCED_JOB };

	id_pack(id, &due.id);
	(void)heap_push(&h->expiry->heap, &due);
	arm(h->expiry);
}

static void
push_in(struct helper *h, const char *id, uint64_t seconds)
{
	struct due due = { .at_usec = clock_wall() + seconds * USEC_PER_SEC };

	id_pack(id, &due.id);
	(void)heap_push(&h->expiry->heap, &due);
	arm(h->expiry);
}

void
expire_soon(struct helper *h, const char *id)
{
	if (h->expiry)
		push_in(h, id, TRANSIENT_KEEP_SECONDS);
}

static int
learn_transient(const char *owner, uint64_t accepted_usec, const char *id, void *ctx)
{
	(void)owner;
	(void)accepted_usec;
	if (!live_find(ctx, id))
		push_in(ctx, id, 0);	/* its record says when */
	return 0;
}

void
expire_later(struct helper *h, const char *id)
{
	push_in(h, id, LATER_SECONDS);
}

static int
learn(const char *owner, uint64_t accepted_usec, const char *id, void *ctx)
{
	struct helper *h = ctx;

	(void)owner;
	if (!live_find(h, id)) {
		stats_found(h);
		expire_add(h, id, accepted_usec);
	}
	return 0;
}

int
expiry_new(struct helper *h, struct expiry **ret)
{
	struct expiry *e = calloc(1, sizeof *e);
	int r;

	if (!e)
		return -ENOMEM;
	e->helper = h;
	e->heap.size = sizeof(struct due);
	r = sd_event_add_time_relative(h->event, &e->timer, CLOCK_MONOTONIC, PASS_MSEC * USEC_PER_MSEC, 1, on_timer, e);
	if (r < 0) {
		free(e);
		return r;
	}
	h->expiry = e;
	e->has_last = expiry_mark_load(h->spool, &e->last) == 0;
	r = index_each(h->spool, learn, h);
	if (r >= 0 && h->transient)
		r = index_each(h->transient, learn_transient, h);
	if (r < 0) {
		h->expiry = expiry_free(e);
		return r;
	}
	expire_sweep(h);
	*ret = e;
	return 0;
}

struct expiry *
expiry_free(struct expiry *e)
{
	if (!e)
		return NULL;
	(void)sd_event_source_disable_unref(e->timer);
	heap_done(&e->heap);
	free(e);
	return NULL;
}

void
expire_confirm(struct helper *h)
{
	if (!h->expiry)
		return;
	/* Also before the pass that would have held: the clock is right now, said who asked. */
	h->expiry->confirmed = true;
	if (h->expiry->held)
		log_notice("the clock is confirmed");
}

bool
expire_held(const struct helper *h)
{
	return h->expiry && h->expiry->held;
}

size_t
expire_known(const struct helper *h)
{
	return h->expiry ? h->expiry->heap.n : 0;
}
