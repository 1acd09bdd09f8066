#include "config.h"

#include <assert.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "helper/cache.h"
#include "helper/deliver.h"
#include "helper/end.h"
#include "helper/expire.h"
#include "helper/group.h"
#include "helper/kill.h"
#include "helper/live.h"
#include "helper/secret.h"
#include "helper/start.h"
#include "helper/stats.h"
#include "helper/weight.h"

struct live_table {
	struct helper *helper;
	void *root;	/* tsearch(3), by id */
	struct queue *queue;
	size_t queued, running, busy;
};

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct live *)a)->id, ((const struct live *)b)->id);
}

int
live_table_new(struct helper *h, struct live_table **ret)
{
	struct live_table *t = calloc(1, sizeof *t);

	if (!t)
		return -ENOMEM;
	t->helper = h;
	if (queue_new(&t->queue) < 0) {
		free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

/* The supervisors go on; only our view of them goes. */
static void
free_live(void *node)
{
	struct live *l = node;

	forget_drop(l->forgets);
	end_drop(l->ending);
	(void)sd_event_source_disable_unref(l->source);
	close_fd(&l->pidfd);
	start_unhear(l);
	free(l);
}

struct live_table *
live_table_free(struct live_table *t)
{
	if (!t)
		return NULL;
	tdestroy(t->root, free_live);
	(void)queue_free(t->queue);
	free(t);
	return NULL;
}

struct live *
live_find(struct helper *h, const char *id)
{
	struct live key;
	struct live **found;

	if (!id_valid(id))
		return NULL;
	memcpy(key.id, id, sizeof key.id);
	found = tfind(&key, &h->live->root, compare);
	return found ? *found : NULL;
}

struct live *
live_add(struct helper *h, const struct spool *spool, const char *id, uint64_t accepted_usec)
{
	struct live *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->helper = h;
	l->spool = spool;
	memcpy(l->id, id, sizeof l->id);
	l->accepted_usec = accepted_usec;
	l->pidfd = -EBADF;
	l->control_fd = -EBADF;
	l->state = LIVE_LOOKING;
	if (!tsearch(l, &h->live->root, compare)) {
		free(l);
		return NULL;
	}
	return l;
}

bool
live_is_transient(const struct live *l)
{
	return l->spool != l->helper->spool;
}

int
live_learn(struct live *l, const struct job *job, bool goes)
{
	struct live_table *t = l->helper->live;
	int r;

	if (l->owner)
		return 0;
	l->calls = job->callback != NULL;
	l->input_bytes = 0;
	for (size_t i = 0; i < job->n_inputs; i++)
		l->input_bytes += job->inputs[i].size;
	(void)snprintf(l->tool, sizeof l->tool, "%s", job->tool);
	r = group_join(l, job, goes);
	if (r < 0)
		return r;
	l->owner = queue_hold(t->queue, job->owner);
	if (!l->owner) {
		group_leave(l, NULL);
		return -ENOMEM;
	}
	if (l->has_slot)
		queue_running(t->queue, l->owner);
	return 0;
}

struct queue_owner *
live_owner(struct helper *h, const char *name)
{
	return queue_hold(h->live->queue, name);
}

void
live_owner_put(struct helper *h, struct queue_owner *o)
{
	(void)queue_put(h->live->queue, o);
}

static void
give_slot_back(struct live *l)
{
	struct live_table *t = l->helper->live;

	if (!l->has_slot)
		return;
	l->has_slot = false;
	t->running--;
	if (l->owner)
		queue_ran(t->queue, l->owner);
}

void
live_hold(struct live *l, bool hold)
{
	if (!l->in_queue)
		return;
	if (hold)
		queue_remove(l->helper->live->queue, &l->queued);
	else if (!l->queued.waiting && !l->parked)
		queue_add(l->helper->live->queue, &l->queued);
}

void
live_park(struct live *l, bool park)
{
	struct queue *q = l->helper->live->queue;

	if (!l->in_queue || l->parked == park)
		return;
	l->parked = park;
	if (park) {
		queue_remove(q, &l->queued);
		queue_coming(l->owner);	/* it counts as one that waits */
	} else {
		queue_came(l->owner);
		if (!l->kill_wanted)
			queue_add(q, &l->queued);
	}
}

void
live_enqueue(struct live *l)
{
	struct live_table *t = l->helper->live;

	assert(!l->in_queue && !l->busy && l->owner);
	give_slot_back(l);
	l->state = LIVE_QUEUED;
	l->queued.id = l->id;
	l->queued.owner = l->owner;
	l->queued.accepted_usec = l->accepted_usec;
	l->in_queue = true;
	l->queued_usec = clock_wall();
	t->queued++;
	if (!group_goes_first(l))
		live_park(l, true);
	else if (!l->kill_wanted)
		queue_add(t->queue, &l->queued);
	live_step(l);
}

void
live_dequeue(struct live *l)
{
	struct live_table *t = l->helper->live;

	if (!l->in_queue)
		return;
	queue_remove(t->queue, &l->queued);
	if (l->parked)
		queue_came(l->owner);
	l->parked = false;
	l->in_queue = false;
	t->queued--;
}

void
live_finished(struct live *l, const struct job_result *result)
{
	struct helper *h = l->helper;
	struct live_table *t = h->live;
	struct errand *forgets;

	assert(!l->busy);
	if (group_share(l, result))
		return;	/* those who share its end first; then again */
	forgets = take_ptr(l->forgets);
	group_leave(l, result);
	if (result) {
		log_info("job %s finished: %s", l->id, verdict_name(result->verdict));
		stats_finished(h, l->owner ? queue_owner_name(l->owner) : NULL, result);
	}
	live_dequeue(l);
	give_slot_back(l);
	kill_settle(l, true);
	if (live_is_transient(l))
		expire_soon(h, l->id);
	else
		expire_add(h, l->id, l->accepted_usec);
	secrets_remove(h->secrets_fd, l->id);
	if (result && !live_is_transient(l))
		weights_add(h, l->id, result->ended_usec, l->input_bytes + result->output_bytes + result->log_bytes + result->stdout_bytes);
	if (result && l->calls)
		deliver(h, l->id);
	cache_job_ended(h, l->tool);
	server_changed(h, l->id);
	(void)tdelete(l, &t->root, compare);
	(void)queue_put(t->queue, l->owner);
	free_live(l);
	forget_go_on(forgets);
	live_schedule(h);
	helper_check_leaving(h);
}

void
live_step(struct live *l)
{
	if (l->busy)
		return;
	if (l->look_due) {
		l->look_due = false;
		look_at_job(l);
		return;
	}
	switch (l->state) {
	case LIVE_QUEUED:
		if (l->kill_recorded) {
			struct job_result result = { .verdict = VERDICT_KILLED, .exit_code = -1 };

			live_dequeue(l);
			memcpy(result.by, l->by, sizeof result.by);
			end_job(l, -EBADF, -EBADF, &result);
		} else {
			live_schedule(l->helper);
		}
		break;
	case LIVE_RUNNING:
		if (l->kill_recorded && !l->kill_stored)
			kill_store(l);
		break;
	case LIVE_STARTING:
	case LIVE_LOOKING:
	case LIVE_ENDING:
		break;
	}
}

void
live_take_slot(struct live *l)
{
	if (l->has_slot)
		return;
	l->has_slot = true;
	l->helper->live->running++;
	if (l->owner)
		queue_running(l->helper->live->queue, l->owner);
}

static size_t
service_running_max(const char *service, const void *ctx)
{
	const struct helper *h = ctx;

	return (size_t)config_service_number(h->config, service, "running_max");
}

void
live_schedule(struct helper *h)
{
	struct live_table *t = h->live;

	/* No start can be recorded while the journal does not work. */
	if (h->leaving || h->stopped || h->recovering)
		return;
	queue_set_running_max(t->queue, (size_t)config_number(h->config, "helper", "owner_running"));
	queue_set_service_limit(t->queue, service_running_max, h);
	while (t->running < live_slots(h)) {
		struct queue_job *next = queue_next(t->queue);
		struct live *l;

		if (!next)
			return;
		l = task_owner(next, struct live, queued);
		live_dequeue(l);
		live_take_slot(l);
		stats_waited(l);
		l->slot_mono_usec = clock_mono();
		start_job(l);
	}
}

size_t
live_position(const struct live *l)
{
	const struct live *does = group_does_its_work(l);

	return does->in_queue ? queue_position(l->helper->live->queue, &does->queued) : 0;
}

struct each {
	void (*f)(const struct live *l, void *ctx);
	void *ctx;
};

static void
visit(const void *node, VISIT kind, void *ctx)
{
	const struct each *e = ctx;

	if (kind == preorder || kind == leaf)
		e->f(*(const struct live *const *)node, e->ctx);
}

void
live_each(struct helper *h, void (*f)(const struct live *l, void *ctx), void *ctx)
{
	twalk_r(h->live->root, visit, &(struct each){ f, ctx });
}

size_t
live_queued(const struct helper *h)
{
	return h->live->queued;
}

size_t
live_running(const struct helper *h)
{
	return h->live->running;
}

size_t
live_slots(const struct helper *h)
{
	uint64_t slots = config_number(h->config, "helper", "slots");

	return slots > 0 ? (size_t)slots : (size_t)get_nprocs();
}

size_t
live_busy(const struct helper *h)
{
	return h->live->busy;
}

void
live_set_busy(struct live *l, bool busy)
{
	struct live_table *t = l->helper->live;

	assert(l->busy != busy);
	l->busy = busy;
	if (busy)
		t->busy++;
	else
		t->busy--;
}
