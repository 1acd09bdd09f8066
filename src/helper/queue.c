#include "config.h"

#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "helper/queue.h"

/* What owners have in common that came through one door. */
struct queue_service {
	struct queue_service *next;
	size_t owners;	/* known */
	struct queue_node *ready;
	size_t waiting, coming, running;
	size_t running_max;	/* 0: no cap */
	char name[];
};

struct queue_owner {
	struct queue_node node;	/* in its service's ready, while it has a waiting job and is not at its cap */
	bool ready;
	struct queue_service *service;
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
	struct queue_service *services;	/* a handful */
	uint64_t round;	/* of the last start */
	size_t starts;	/* in this round */
	size_t running_max;	/* per owner; 0: no cap */
	queue_limit_fn *service_limit;	/* NULL: no caps */
	const void *service_limit_ctx;
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
	if (!q)
		return NULL;
	tdestroy(q->owners, free);
	while (q->services) {
		struct queue_service *next = q->services->next;

		free(q->services);
		q->services = next;
	}
	free(q);
	return NULL;
}

/* The service of an owner of that name; NULL: no memory. */
static struct queue_service *
find_service(struct queue *q, const char *owner)
{
	size_t len = strcspn(owner, ":");
	struct queue_service *s = q->services;

	while (s && (strncmp(s->name, owner, len) != 0 || s->name[len] != '\0'))
		s = s->next;
	if (s)
		return s;
	s = calloc(1, sizeof *s + len + 1);
	if (!s)
		return NULL;
	memcpy(s->name, owner, len);
	s->running_max = q->service_limit ? q->service_limit(s->name, q->service_limit_ctx) : 0;
	s->next = q->services;
	q->services = s;
	return s;
}

/* One that nobody belongs to any more is forgotten. */
static void
leave_service(struct queue *q, struct queue_service *s)
{
	struct queue_service **p = &q->services;

	if (s->owners > 0)
		return;
	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	free(s);
}

struct queue_owner *
queue_hold(struct queue *q, const char *name)
{
	size_t len = strlen(name) + 1;
	struct queue_service *s = find_service(q, name);
	struct queue_owner *o = s ? calloc(1, sizeof *o + len) : NULL, **found = NULL;

	if (o) {
		memcpy(o->name, name, len);
		o->service = s;
		found = tsearch(o, &q->owners, compare);
	}
	if (found && *found == o)
		s->owners++;
	else
		free(o);
	if (!found) {
		if (s)
			leave_service(q, s);
		return NULL;
	}
	(*found)->holders++;
	return *found;
}

const char *
queue_owner_name(const struct queue_owner *o)
{
	return o->name;
}

static void
forget_owner(struct queue *q, struct queue_owner *o)
{
	struct queue_service *s = o->service;

	(void)tdelete(o, &q->owners, compare);
	free(o);
	s->owners--;
	leave_service(q, s);
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
leave_ready(struct queue_owner *o)
{
	if (o->ready)
		heap_remove(&o->service->ready, &o->node, owner_before);
	o->ready = false;
}

static void
enter_ready(struct queue *q, struct queue_owner *o)
{
	if (o->ready || !o->jobs || (q->running_max > 0 && o->running >= q->running_max))
		return;
	heap_add(&o->service->ready, &o->node, owner_before);
	o->ready = true;
}

size_t
queue_owned(const struct queue_owner *o)
{
	return o->waiting + o->coming;
}

size_t
queue_service_owned(const struct queue_owner *o)
{
	return o->service->waiting + o->service->coming;
}

void
queue_coming(struct queue_owner *o)
{
	o->coming++;
	o->service->coming++;
}

void
queue_came(struct queue_owner *o)
{
	assert(o->coming > 0);
	o->coming--;
	o->service->coming--;
}

void
queue_running(struct queue *q, struct queue_owner *o)
{
	o->running++;
	o->service->running++;
	leave_ready(o);
	enter_ready(q, o);
}

void
queue_ran(struct queue *q, struct queue_owner *o)
{
	assert(o->running > 0);
	o->running--;
	o->service->running--;
	enter_ready(q, o);
}

static void
look_at_cap(const void *node, VISIT visit, void *ctx)
{
	struct queue_owner *o = *(struct queue_owner *const *)node;

	if (visit != preorder && visit != leaf)
		return;
	leave_ready(o);
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

void
queue_set_service_limit(struct queue *q, queue_limit_fn *limit, const void *ctx)
{
	q->service_limit = limit;
	q->service_limit_ctx = ctx;
	for (struct queue_service *s = q->services; s; s = s->next)
		s->running_max = limit(s->name, ctx);
}

/* ---- jobs ---- */

void
queue_add(struct queue *q, struct queue_job *job)
{
	struct queue_owner *o = job->owner;
	uint64_t round = q->starts < ROUND_STARTS ? q->round : q->round + 1;

	assert(!job->waiting);
	leave_ready(o);	/* its oldest job may be another now, and with it its place */
	if (!o->jobs && o->round < round)
		o->round = round;
	heap_add(&o->jobs, &job->node, job_before);
	o->waiting++;
	o->service->waiting++;
	job->waiting = true;
	enter_ready(q, o);
}

void
queue_remove(struct queue *q, struct queue_job *job)
{
	struct queue_owner *o = job->owner;

	if (!job->waiting)
		return;
	leave_ready(o);
	heap_remove(&o->jobs, &job->node, job_before);
	o->waiting--;
	o->service->waiting--;
	job->waiting = false;
	enter_ready(q, o);
}

struct queue_job *
queue_next(struct queue *q)
{
	struct queue_node *first = NULL;
	struct queue_owner *o;
	struct queue_job *job;

	for (struct queue_service *s = q->services; s; s = s->next)
		if (s->ready && (s->running_max == 0 || s->running < s->running_max) && (!first || owner_before(s->ready, first)))
			first = s->ready;
	if (!first)
		return NULL;
	o = (struct queue_owner *)(void *)((char *)first - offsetof(struct queue_owner, node));
	job = (struct queue_job *)(void *)((char *)o->jobs - offsetof(struct queue_job, node));
	leave_ready(o);
	if (o->round > q->round)
		begin_round(q, o->round);
	q->starts++;
	o->round = q->round + 1;
	queue_remove(q, job);
	return job;
}

/* How many jobs of this heap come before that one. Whatever comes after it has nothing below that comes before. */
static size_t
count_before(const struct queue_node *top, const struct queue_node *job)
{
	const struct queue_node *n = top;
	size_t count = 0;

	while (n) {
		bool before = n != job && job_before(n, job);

		count += before;
		if (before && n->child) {
			n = n->child;
			continue;
		}
		while (n && !n->next) {	/* up: `previous` of a first child is its parent */
			while (n->previous && n->previous->child != n)
				n = n->previous;
			n = n->previous;
		}
		if (n)
			n = n->next;
	}
	return count;
}

struct ahead {
	const struct queue *queue;
	const struct queue_job *job;
	uint64_t round;	/* in which it will be its owner's turn with it */
	size_t jobs;
};

/* In which an owner's oldest job starts: one that was passed over for a cap is behind, and starts in the round under way. */
static uint64_t
next_round(const struct queue *q, const struct queue_owner *o)
{
	return o->round > q->round ? o->round : q->round;
}

static void
count_ahead(const void *node, VISIT visit, void *ctx)
{
	const struct queue_owner *o = *(struct queue_owner *const *)node;
	struct ahead *a = ctx;
	uint64_t round, starts;

	if ((visit != preorder && visit != leaf) || o == a->job->owner || !o->jobs)
		return;
	round = next_round(a->queue, o);
	if (round > a->round)
		return;
	starts = a->round - round < o->waiting ? a->round - round : o->waiting;
	/* In the same round: the jobs behind an owner's oldest are taken to be as old as that. */
	if (starts < o->waiting && job_before(o->jobs, &a->job->node))
		starts++;
	a->jobs += starts;
}

size_t
queue_position(const struct queue *q, const struct queue_job *job)
{
	struct ahead a = { .queue = q, .job = job };

	if (!job->waiting)
		return 0;
	a.jobs = count_before(job->owner->jobs, &job->node);
	a.round = next_round(q, job->owner) + a.jobs;
	twalk_r(q->owners, count_ahead, &a);
	return a.jobs + 1;
}
