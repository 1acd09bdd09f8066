#include "config.h"

#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "helper/queue.h"

struct queue_owner {
	struct queue_node node;	/* in the queue's ready, while it has a waiting job and is not at its cap */
	bool ready;
	struct queue_node *jobs;
	size_t waiting, coming, running;
	size_t holders;
	uint64_t round;	/* of its next start; at most one after the queue's */
	struct queue_owner *next_gone;
	bool gone;	/* nobody holds it; remembered for its round */
	char name[];
};

struct queue {
	void *owners;	/* tsearch(3), by name */
	struct queue_node *ready;
	uint64_t round;	/* of the last start */
	size_t starts;	/* in this round */
	size_t running_max;	/* per owner; 0: no cap */
	struct queue_owner *gone;
};

enum { ROUND_STARTS = 64 };

typedef bool before_fn(const struct queue_node *a, const struct queue_node *b);

static const struct queue_job *
job_of(const struct queue_node *n)
{
	return (const struct queue_job *)(const void *)((const char *)n - offsetof(struct queue_job, node));
}

static const struct queue_owner *
owner_of(const struct queue_node *n)
{
	return (const struct queue_owner *)(const void *)((const char *)n - offsetof(struct queue_owner, node));
}

static bool
job_before(const struct queue_node *a, const struct queue_node *b)
{
	const struct queue_job *one = job_of(a), *other = job_of(b);

	if (one->accepted_usec != other->accepted_usec)
		return one->accepted_usec < other->accepted_usec;
	return strcmp(one->id, other->id) < 0;
}

static bool
owner_before(const struct queue_node *a, const struct queue_node *b)
{
	const struct queue_owner *one = owner_of(a), *other = owner_of(b);

	if (one->round != other->round)
		return one->round < other->round;
	return job_before(one->jobs, other->jobs);
}

/* ---- a pairing heap ---- */

static struct queue_node *
meld(struct queue_node *a, struct queue_node *b, before_fn *before)
{
	struct queue_node *top = a, *below = b;

	if (!a || !b)
		return a ? a : b;
	if (before(b, a)) {
		top = b;
		below = a;
	}
	below->previous = top;
	below->next = top->child;
	if (top->child)
		top->child->previous = below;
	top->child = below;
	top->next = top->previous = NULL;
	return top;
}

/* A list of siblings becomes one tree: pairs from the left, then these from the right. */
static struct queue_node *
meld_siblings(struct queue_node *first, before_fn *before)
{
	struct queue_node *pairs = NULL, *top = NULL;

	while (first) {
		struct queue_node *a = first, *b = first->next, *pair;

		first = b ? b->next : NULL;
		a->next = a->previous = NULL;
		if (b)
			b->next = b->previous = NULL;
		pair = meld(a, b, before);
		pair->next = pairs;
		pairs = pair;
	}
	while (pairs) {
		struct queue_node *pair = pairs;

		pairs = pair->next;
		pair->next = NULL;
		top = meld(top, pair, before);
	}
	return top;
}

static void
heap_add(struct queue_node **heap, struct queue_node *n, before_fn *before)
{
	*n = (struct queue_node){ 0 };
	*heap = meld(*heap, n, before);
}

static void
heap_remove(struct queue_node **heap, struct queue_node *n, before_fn *before)
{
	struct queue_node *below = meld_siblings(n->child, before);

	if (*heap == n) {
		*heap = below;
	} else {
		*(n->previous->child == n ? &n->previous->child : &n->previous->next) = n->next;
		if (n->next)
			n->next->previous = n->previous;
		*heap = meld(*heap, below, before);
	}
	*n = (struct queue_node){ 0 };
}

/* ---- owners ---- */

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct queue_owner *)a)->name, ((const struct queue_owner *)b)->name);
}

int
queue_new(struct queue **ret)
{
	struct queue *q = calloc(1, sizeof *q);

	if (!q)
		return -ENOMEM;
	*ret = q;
	return 0;
}

struct queue *
queue_free(struct queue *q)
{
	if (q)
		tdestroy(q->owners, free);
	free(q);
	return NULL;
}

struct queue_owner *
queue_hold(struct queue *q, const char *name)
{
	size_t len = strlen(name) + 1;
	struct queue_owner *o = calloc(1, sizeof *o + len), **found;

	if (!o)
		return NULL;
	memcpy(o->name, name, len);
	found = tsearch(o, &q->owners, compare);
	if (!found || *found != o)
		free(o);
	if (!found)
		return NULL;
	(*found)->holders++;
	return *found;
}

static void
forget_owner(struct queue *q, struct queue_owner *o)
{
	(void)tdelete(o, &q->owners, compare);
	free(o);
}

struct queue_owner *
queue_put(struct queue *q, struct queue_owner *o)
{
	if (!o || --o->holders > 0 || o->gone)
		return NULL;
	if (o->round <= q->round) {
		forget_owner(q, o);
		return NULL;
	}
	o->gone = true;
	o->next_gone = q->gone;
	q->gone = o;
	return NULL;
}

/* A new round: whoever is remembered for its start in the former one need not be any more. */
static void
begin_round(struct queue *q, uint64_t round)
{
	struct queue_owner *o = q->gone;

	q->round = round;
	q->starts = 0;
	q->gone = NULL;
	while (o) {
		struct queue_owner *next = o->next_gone;

		o->gone = false;
		if (o->holders == 0)
			forget_owner(q, o);
		o = next;
	}
}

/* Its place may be about to change. */
static void
leave_ready(struct queue *q, struct queue_owner *o)
{
	if (o->ready)
		heap_remove(&q->ready, &o->node, owner_before);
	o->ready = false;
}

static void
enter_ready(struct queue *q, struct queue_owner *o)
{
	if (o->ready || !o->jobs || (q->running_max > 0 && o->running >= q->running_max))
		return;
	heap_add(&q->ready, &o->node, owner_before);
	o->ready = true;
}

size_t
queue_owned(const struct queue_owner *o)
{
	return o->waiting + o->coming;
}

void
queue_coming(struct queue_owner *o)
{
	o->coming++;
}

void
queue_came(struct queue_owner *o)
{
	assert(o->coming > 0);
	o->coming--;
}

void
queue_running(struct queue *q, struct queue_owner *o)
{
	o->running++;
	leave_ready(q, o);
	enter_ready(q, o);
}

void
queue_ran(struct queue *q, struct queue_owner *o)
{
	assert(o->running > 0);
	o->running--;
	enter_ready(q, o);
}

static void
look_at_cap(const void *node, VISIT visit, void *ctx)
{
	struct queue_owner *o = *(struct queue_owner *const *)node;

	if (visit != preorder && visit != leaf)
		return;
	leave_ready(ctx, o);
	enter_ready(ctx, o);
}

void
queue_set_running_max(struct queue *q, size_t most)
{
	if (q->running_max == most)
		return;
	q->running_max = most;
	twalk_r(q->owners, look_at_cap, q);
}

/* ---- jobs ---- */

void
queue_add(struct queue *q, struct queue_job *job)
{
	struct queue_owner *o = job->owner;
	uint64_t round = q->starts < ROUND_STARTS ? q->round : q->round + 1;

	assert(!job->waiting);
	leave_ready(q, o);	/* its oldest job may be another now, and with it its place */
	if (!o->jobs && o->round < round)
		o->round = round;
	heap_add(&o->jobs, &job->node, job_before);
	o->waiting++;
	job->waiting = true;
	enter_ready(q, o);
}

void
queue_remove(struct queue *q, struct queue_job *job)
{
	struct queue_owner *o = job->owner;

	if (!job->waiting)
		return;
	leave_ready(q, o);
	heap_remove(&o->jobs, &job->node, job_before);
	o->waiting--;
	job->waiting = false;
	enter_ready(q, o);
}

struct queue_job *
queue_next(struct queue *q)
{
	struct queue_owner *o;
	struct queue_job *job;

	if (!q->ready)
		return NULL;
	o = (struct queue_owner *)(void *)((char *)q->ready - offsetof(struct queue_owner, node));
	job = (struct queue_job *)(void *)((char *)o->jobs - offsetof(struct queue_job, node));
	leave_ready(q, o);
	if (o->round > q->round)
		begin_round(q, o->round);
	q->starts++;
	o->round = q->round + 1;
	queue_remove(q, job);
	return job;
}
