#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/heap.h"
#include "basic/id.h"
#include "basic/log.h"
#include "helper/kill.h"
#include "helper/live.h"
#include "helper/weight.h"
#include "spool/index.h"
#include "spool/meta.h"

enum {
	BATCH = 256,	/* jobs that are weighed at once */
	SHED_MAX = 64,	/* that go at once */
	STALE_MIN = 1024,	/* from so many names of jobs that are gone on, all are learned anew */
};

/* A finished job with files. 32 bytes each. */
struct known {
	uint64_t ended_usec;
	uint64_t bytes;
	struct id_packed id;
};

struct weights {
	struct helper *helper;
	uint64_t bytes;
	struct heap heap;	/* of struct known; only where there is a cap */
	size_t stale;	/* of the heap: gone by other ways */
	struct id_packed *unknown;
	size_t n_unknown, unknown_room;
	struct weighing *weighing;	/* NULL: nothing is */
	bool anew;	/* what is being weighed is learned anew afterwards */
	size_t shedding;	/* on their way out */
};

struct weighing {
	struct task task;
	struct helper *helper;
	size_t n;
	struct {
		char id[ID_SIZE];
		uint64_t bytes, ended_usec;
		int error;
		bool gone;	/* the loop's: it went away meanwhile */
	} jobs[BATCH];
};

static uint64_t
cap(const struct helper *h)
{
	return config_number(h->config, "spool", "results_max");
}

/* ---- too much ---- */

static void
shed(struct weights *w)
{
	uint64_t most = cap(w->helper), going = 0;
	struct known gone[SHED_MAX];
	size_t n = 0;

	if (most == 0 || w->shedding > 0 || w->helper->leaving || w->helper->stopped)
		return;
	while (n < SHED_MAX && w->heap.n > 0 && w->bytes > most && w->bytes - most > going) {
		heap_pop(&w->heap, &gone[n]);
		going += gone[n++].bytes;
	}
	w->shedding = n;
	for (size_t i = 0; i < n; i++) {
		char id[ID_SIZE];

		id_unpack(&gone[i].id, id);
		log_info("job %s goes: finished jobs have more than results_max", id);
		forget_shed(w->helper, id);
	}
}

void
weights_shed_one(struct helper *h)
{
	struct weights *w = h->weights;

	if (w && w->shedding > 0 && --w->shedding == 0)
		shed(w);
}

/* ---- learning ---- */

static void
count(struct weights *w, const char *id, uint64_t ended_usec, uint64_t bytes)
{
	struct known known = { .ended_usec = ended_usec, .bytes = bytes };

	w->bytes += bytes;
	id_pack(id, &known.id);
	if (cap(w->helper) > 0)
		(void)heap_push(&w->heap, &known);	/* without memory it stays until a start learns of it again */
}

static void weigh_next(struct weights *w);

static void
weigh(struct task *task)
{
	struct weighing *g = task_owner(task, struct weighing, task);

	for (size_t i = 0; i < g->n; i++)
		g->jobs[i].error = job_weight(g->helper->spool, g->jobs[i].id, &g->jobs[i].bytes, &g->jobs[i].ended_usec);
}

static int learn_all(struct weights *w);

static void
weighed(struct task *task)
{
	struct weighing *g = task_owner(task, struct weighing, task);
	struct helper *h = g->helper;
	struct weights *w = h->weights;

	w->weighing = NULL;
	if (w->anew) {
		w->anew = false;
		(void)learn_all(w);
	} else {
		for (size_t i = 0; i < g->n; i++) {
			if (g->jobs[i].error == 0 && !g->jobs[i].gone && g->jobs[i].bytes > 0)	/* else gone, damaged, or pruned */
				count(w, g->jobs[i].id, g->jobs[i].ended_usec, g->jobs[i].bytes);
		}
		shed(w);
	}
	free(g);
	weigh_next(w);
	helper_check_leaving(h);
}

static void
weigh_next(struct weights *w)
{
	struct weighing *g;

	if (!w->weighing && w->n_unknown == 0) {	/* all are known: a thousand names are 16 KiB */
		free(w->unknown);
		w->unknown = NULL;
		w->unknown_room = 0;
	}
	if (w->weighing || w->n_unknown == 0 || w->helper->leaving || !(g = calloc(1, sizeof *g)))
		return;
	for (; g->n < BATCH && w->n_unknown > 0; g->n++)
		id_unpack(&w->unknown[--w->n_unknown], g->jobs[g->n].id);
	g->task.work = weigh;
	g->task.done = weighed;
	g->helper = w->helper;
	w->weighing = g;
	offload_run(w->helper->slow, &g->task);
}

static int
add_unknown(struct weights *w, const char *id)
{
	if (w->n_unknown == w->unknown_room) {
		size_t room = w->unknown_room ? w->unknown_room + w->unknown_room / 2 : 64;
		struct id_packed *grown = reallocarray(w->unknown, room, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		w->unknown = grown;
		w->unknown_room = room;
	}
	id_pack(id, &w->unknown[w->n_unknown++]);
	return 0;
}

static int
learn(const char *owner, uint64_t accepted_usec, const char *id, void *ctx)
{
	struct weights *w = ctx;

	(void)owner;
	(void)accepted_usec;
	return live_find(w->helper, id) ? 0 : add_unknown(w, id);
}

static int
learn_all(struct weights *w)
{
	heap_empty(&w->heap);
	w->stale = w->n_unknown = 0;
	w->bytes = 0;
	return index_each(w->helper->spool, learn, w);
}

int
weights_new(struct helper *h, struct weights **ret)
{
	struct weights *w = calloc(1, sizeof *w);
	int r;

	if (!w)
		return -ENOMEM;
	w->helper = h;
	w->heap.size = sizeof(struct known);
	r = learn_all(w);
	if (r < 0) {
		(void)weights_free(w);
		return r;
	}
	*ret = w;
	weigh_next(w);
	return 0;
}

struct weights *
weights_free(struct weights *w)
{
	if (!w)
		return NULL;
	heap_done(&w->heap);
	free(w->unknown);
	free(w);
	return NULL;
}

static void
begin_anew(struct weights *w)
{
	if (w->weighing) {
		w->anew = true;
		return;
	}
	if (learn_all(w) < 0)
		log_error("the bytes of finished jobs are not known until a restart");
	weigh_next(w);
}

void
weights_reload(struct helper *h)
{
	struct weights *w = h->weights;

	if (!w)
		return;
	if (cap(h) > 0 && w->heap.n == 0 && w->bytes > 0)	/* there was no cap before */
		begin_anew(w);
	else
		shed(w);
}

void
weights_add(struct helper *h, const char *id, uint64_t ended_usec, uint64_t bytes)
{
	struct weights *w = h->weights;

	if (!w || bytes == 0)
		return;	/* at a start all that have ended are learned afterwards */
	count(w, id, ended_usec, bytes);
	shed(w);
}

/* Whether it has not been counted yet; then it never will be. */
static bool
forget_unknown(struct weights *w, const char *id)
{
	struct id_packed packed;

	id_pack(id, &packed);
	for (size_t i = 0; i < w->n_unknown; i++)
		if (memcmp(&w->unknown[i], &packed, sizeof packed) == 0) {
			w->unknown[i] = w->unknown[--w->n_unknown];
			return true;
		}
	for (size_t i = 0; w->weighing && i < w->weighing->n; i++)
		if (strcmp(w->weighing->jobs[i].id, id) == 0)
			return w->weighing->jobs[i].gone = true;
	return false;
}

void
weights_freed(struct helper *h, const char *id, uint64_t bytes)
{
	struct weights *w = h->weights;

	if (!w || bytes == 0 || forget_unknown(w, id))
		return;
	w->bytes -= bytes < w->bytes ? bytes : w->bytes;
	if (w->shedding == 0 && w->heap.n > 0 && ++w->stale > STALE_MIN && w->stale > w->heap.n / 2)
		begin_anew(w);
}

uint64_t
weights_bytes(const struct helper *h)
{
	return h->weights ? h->weights->bytes : 0;
}
