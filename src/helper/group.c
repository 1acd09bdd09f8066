#include "config.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/log.h"
#include "basic/scoped.h"
#include "helper/end.h"
#include "helper/expire.h"
#include "helper/group.h"
#include "spool/accept.h"
#include "spool/share.h"

struct group {
	struct live *first;	/* who goes; NULL: nobody just now */
	struct live *members;	/* all, `first` too */
	bool equal;	/* their work is */
	bool again;	/* it was lost or refused once */
	char name[];
};

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct group *)a)->name, ((const struct group *)b)->name);
}

static struct group *
get_group(struct helper *h, const char *name)
{
	size_t len = strlen(name) + 1;
	struct group *g = calloc(1, sizeof *g + len), **found;

	if (!g)
		return NULL;
	memcpy(g->name, name, len);
	found = tsearch(g, &h->groups, compare);
	if (!found || *found != g)
		free(g);
	return found ? *found : NULL;
}

void
groups_free(struct helper *h)
{
	if (h->groups)
		tdestroy(h->groups, free);
	h->groups = NULL;
}

int
group_join(struct live *l, const struct job *job, bool goes)
{
	scoped(free_ptr) char *name = NULL;
	struct group *g;

	if (l->group || (!job->serial && !job->work[0]))
		return 0;
	if (asprintf(&name, "%s %s", job->serial ? "serial" : "work", job->serial ? job->serial : job->work) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	g = get_group(l->helper, name);
	if (!g)
		return -ENOMEM;
	g->equal = !job->serial;
	l->group = g;
	l->group_next = g->members;
	g->members = l;
	/* After a start of ours they come in any order: who runs already goes before who waits. */
	if (g->first && goes && g->first->state == LIVE_QUEUED) {
		live_park(g->first, true);
		g->first = NULL;
	}
	if (!g->first)
		g->first = l;
	return 0;
}

bool
group_goes_first(const struct live *l)
{
	return !l->group || l->group->first == l;
}

const struct live *
group_does_its_work(const struct live *l)
{
	return l->group && l->group->equal && l->group->first ? l->group->first : l;
}

/* ---- a shared end ---- */

struct follower {
	struct live *live;
	char id[ID_SIZE];
	uint64_t accepted_usec;
	struct job_result result;
	int error;
};

struct sharing {
	struct task task;
	const struct spool *spool;
	struct live *live;
	struct job_result result;
	size_t n;
	struct follower followers[];
};

static bool
lies_in_the_work(enum verdict verdict)
{
	return verdict != VERDICT_KILLED && verdict != VERDICT_LOST && verdict != VERDICT_REFUSED;
}

/* Whether it waits for nothing but the end of another. */
static bool
follows(const struct live *l)
{
	return l != l->group->first && l->parked && !l->busy && !l->kill_wanted;
}

static void
share_all(struct task *task)
{
	struct sharing *s = task_owner(task, struct sharing, task);

	for (size_t i = 0; i < s->n; i++) {
		struct follower *f = &s->followers[i];

		f->error = share_end(s->spool, s->live->id, f->id, &f->result);
		if (f->error < 0)
			(void)accept_drop_work(s->spool, f->id);
	}
}

static void
shared(struct task *task)
{
	struct sharing *s = task_owner(task, struct sharing, task);
	struct live *l = s->live;

	for (size_t i = 0; i < s->n; i++) {
		struct follower *f = &s->followers[i];

		live_set_busy(f->live, false);
		if (f->error > 0)
			helper_stop_accepting(l->helper, -EIO, "a verdict");
		if (f->error >= 0) {
			live_finished(f->live, &f->result);
			continue;
		}
		log_error("job %s cannot have what job %s left, and does it again: %s", f->id, l->id, strerror(-f->error));
		live_step(f->live);	/* a kill may have come meanwhile */
	}
	live_set_busy(l, false);
	expire_sweep(l->helper);
	live_finished(l, &s->result);
	free(s);
}

bool
group_share(struct live *l, const struct job_result *result)
{
	struct group *g = l->group;
	struct sharing *s;
	size_t n = 0;

	if (!g || !g->equal || g->first != l || !result || !lies_in_the_work(result->verdict))
		return false;
	for (const struct live *i = g->members; i; i = i->group_next)
		n += follows(i) && !i->share_tried;
	s = n > 0 ? calloc(1, sizeof *s + n * sizeof *s->followers) : NULL;
	if (!s)
		return false;	/* without memory the next one does it again */
	for (struct live *i = g->members; i; i = i->group_next) {
		struct follower *f = &s->followers[s->n];

		if (!follows(i) || i->share_tried)
			continue;
		i->share_tried = true;
		f->live = i;
		memcpy(f->id, i->id, sizeof f->id);
		f->result = *result;
		if (f->result.started_usec < i->accepted_usec)
			f->result.started_usec = i->accepted_usec;	/* for this one it began when it came */
		live_set_busy(i, true);
		s->n++;
	}
	s->task.work = share_all;
	s->task.done = shared;
	s->spool = l->helper->spool;
	s->live = l;
	s->result = *result;
	live_set_busy(l, true);
	offload_run(l->helper->bulk, &s->task);
	return true;
}

/* ---- who goes next ---- */

static struct live *
oldest(const struct group *g)
{
	struct live *found = NULL;

	for (struct live *i = g->members; i; i = i->group_next)
		if (!i->kill_wanted && (!found || i->accepted_usec < found->accepted_usec))
			found = i;
	return found ? found : g->members;
}

/* Work that was lost or refused twice would be so again. */
static void
end_all(struct group *g, const struct job_result *result)
{
	struct live *next = NULL;

	for (struct live *i = g->members; i; i = next) {
		struct job_result own = { .verdict = result->verdict, .exit_code = -1 };

		next = i->group_next;
		if (!follows(i))
			continue;
		(void)snprintf(own.message, sizeof own.message, "%s", result->message);
		live_dequeue(i);
		end_job(i, -EBADF, -EBADF, &own);
	}
}

void
group_leave(struct live *l, const struct job_result *result)
{
	struct group *g = l->group;
	struct live **p;
	bool failed = result && (result->verdict == VERDICT_LOST || result->verdict == VERDICT_REFUSED);

	if (!g)
		return;
	for (p = &g->members; *p != l; p = &(*p)->group_next)
		;
	*p = l->group_next;
	l->group = NULL;
	if (!g->members) {
		(void)tdelete(g, &l->helper->groups, compare);
		free(g);
		return;
	}
	if (g->first != l)
		return;
	g->first = NULL;
	if (g->equal && failed && g->again) {
		end_all(g, result);
		return;
	}
	g->again = g->again || failed;
	g->first = oldest(g);
	live_park(g->first, false);
}
