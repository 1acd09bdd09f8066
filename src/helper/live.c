#include "config.h"

#include <assert.h>
#include <search.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "basic/log.h"
#include "basic/scoped.h"
#include "helper/end.h"
#include "helper/expire.h"
#include "helper/kill.h"
#include "helper/live.h"
#include "helper/start.h"

struct live_table {
	struct helper *helper;
	void *root;	/* tsearch(3), by id */
	struct live *first, *last;	/* the queue, oldest acceptance first */
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
	close_fd(&l->control_fd);
	free(l);
}

struct live_table *
live_table_free(struct live_table *t)
{
	if (!t)
		return NULL;
	tdestroy(t->root, free_live);
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
live_add(struct helper *h, const char *id, uint64_t accepted_usec)
{
	struct live *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->helper = h;
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

void
live_enqueue(struct live *l)
{
	struct live_table *t = l->helper->live;
	struct live *after = t->last;

	assert(!l->in_queue);
	if (l->has_slot) {
		l->has_slot = false;
		t->running--;
	}
	l->state = LIVE_QUEUED;
	/* Nearly always the newest; one that comes back after a crash belongs further ahead. */
	while (after && after->accepted_usec > l->accepted_usec)
		after = after->previous;
	l->previous = after;
	l->next = after ? after->next : t->first;
	*(l->next ? &l->next->previous : &t->last) = l;
	*(after ? &after->next : &t->first) = l;
	l->in_queue = true;
	t->queued++;
	live_step(l);
}

void
live_dequeue(struct live *l)
{
	struct live_table *t = l->helper->live;

	if (!l->in_queue)
		return;
	*(l->previous ? &l->previous->next : &t->first) = l->next;
	*(l->next ? &l->next->previous : &t->last) = l->previous;
	l->previous = l->next = NULL;
	l->in_queue = false;
	t->queued--;
}

void
live_finished(struct live *l)
{
	struct helper *h = l->helper;
	struct live_table *t = h->live;
	struct errand *forgets = take_ptr(l->forgets);

	assert(!l->busy);
	live_dequeue(l);
	if (l->has_slot)
		t->running--;
	kill_settle(l, true);
	expire_add(h, l->id, l->accepted_usec);
	server_changed(h, l->id);
	(void)tdelete(l, &t->root, compare);
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
}

void
live_schedule(struct helper *h)
{
	struct live_table *t = h->live;

	/* No start can be recorded while the journal does not work. */
	if (h->leaving || h->stopped || h->recovering)
		return;
	while (t->running < live_slots(h)) {
		struct live *l = t->first;

		while (l && (l->busy || l->kill_wanted))
			l = l->next;
		if (!l)
			return;
		live_dequeue(l);
		live_take_slot(l);
		start_job(l);
	}
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
