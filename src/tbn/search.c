#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "basic/scoped.h"
#include "tbn/search.h"

int
search_init(struct search *s, const struct network *net, struct progress *progress, const struct part_options *options,
    int64_t gen, int64_t init_k)
{
	int64_t least = net->nconstraints > 0 ? 0 : 1;

	*s = (struct search){ .net = net, .progress = progress, .options = *options };
	s->kmin = init_k > 1 ? init_k : 1;
	s->want = gen > least ? gen : least;
	s->parts = calloc(net->ncomponents, sizeof *s->parts);
	s->current = calloc(net->ncomponents, sizeof *s->current);
	s->active = calloc(net->ncomponents, sizeof *s->active);
	return s->parts && s->current && s->active ? 0 : -ENOMEM;
}

void
search_done(struct search *s)
{
	for (size_t i = 0; s->parts && i < s->net->ncomponents; i++)
		if (s->parts[i].net)
			part_done(&s->parts[i]);
	free(s->parts);
	free(s->current);
	free(s->active);
	*s = (struct search){ .net = NULL };
}

int
search_entropy(struct search *s)
{
	int64_t lower = 0, upper = 0;

	if (s->kmin > (int64_t)s->net->nmonomers)
		return -ERANGE;
	for (size_t i = 0; i < s->net->ncomponents; i++) {
		struct part *part = &s->parts[i];
		int r = part_init(part, s->net, &s->net->components[i], s->progress, &s->options);

		if (r < 0)
			return r;
		lower += part->comp->lower;
		upper += part->comp->upper;
	}
	if (upper < s->kmin)
		return -ERANGE;
	for (size_t i = 0; i < s->net->ncomponents; i++) {
		struct part *part = &s->parts[i];
		int r = part_entropy(part, lower - part->comp->lower);

		s->too_large = i;
		if (r < 0)
			return r;
		lower += part->entropy - part->comp->lower;
		upper -= part->comp->upper - part->entropy;
		if (upper < s->kmin)
			return -ERANGE;
	}
	s->entropy = lower;
	return 0;
}

/* The most polymers that each component can have under the constraints, and in sum. 1; 0: no configuration at all. */
static int
find_tops(struct search *s)
{
	s->top = s->entropy;
	for (size_t i = 0; i < s->net->ncomponents; i++) {
		struct part *part = &s->parts[i];
		int64_t others = s->top - part->entropy;
		int r = part_top(part, s->kmin - others, others);

		s->too_large = i;
		if (r < 0)
			return r;
		if (part->top == 0)
			return 0;
		s->top = others + part->top;
		if (part->comp->pairings > 1)
			s->active[s->nactive++] = i;
		else if (part_get(part, 0, 0, &s->current[i]) != 1)
			return -EINVAL;
	}
	/* components handled early were allowed for more from the later ones than those can give */
	for (size_t i = 0; i < s->net->ncomponents; i++) {
		struct part *part = &s->parts[i];
		int64_t least = s->kmin - (s->top - part->top);

		part->kmin = part->kmin > least ? part->kmin : least;
	}
	return s->top >= s->kmin;
}

/* Where a walk through the combinations stands: by position in active. */
struct walk {
	int64_t *slack;	/* polymers still to be dropped, from this position on */
	int64_t *rest;	/* the most that can be dropped from this position on */
	int64_t *drop;
	size_t *index;
};

static void
walk_done(struct walk *w)
{
	free(w->slack);
	free(w->rest);
	free(w->drop);
	free(w->index);
}

static int
walk_init(struct walk *w, size_t count)
{
	w->slack = calloc(count + 1, sizeof *w->slack);
	w->rest = calloc(count + 1, sizeof *w->rest);
	w->drop = calloc(count + 1, sizeof *w->drop);
	w->index = calloc(count + 1, sizeof *w->index);
	return w->slack && w->rest && w->drop && w->index ? 0 : -ENOMEM;
}

/* Enters a position with slack to spend: the least drop that leaves no more than the later positions can take. */
static void
enter(const struct search *s, struct walk *w, size_t at, int64_t slack)
{
	int64_t least = slack - w->rest[at + 1];

	w->slack[at] = slack;
	w->drop[at] = at + 1 == s->nactive ? slack : least > 0 ? least : 0;
	w->index[at] = 0;
}

/* Calls visit for every combination with exactly top - slack polymers. 0, or the first non-zero of visit or of an error. */
static int
walk_level(struct search *s, struct walk *w, int64_t slack, int (*visit)(struct search *, void *), void *data)
{
	size_t at = 0;

	if (s->nactive == 0)
		return slack == 0 ? visit(s, data) : 0;
	w->rest[s->nactive] = 0;
	for (size_t i = s->nactive; i-- > 0;)
		w->rest[i] = w->rest[i + 1] + part_most_drop(&s->parts[s->active[i]]);
	if (slack > w->rest[0])
		return 0;
	enter(s, w, 0, slack);
	for (;;) {
		struct part *part = &s->parts[s->active[at]];
		int r = part_get(part, w->drop[at], w->index[at], &s->current[s->active[at]]);

		if (r < 0)
			return r;
		if (r > 0 && at + 1 < s->nactive) {
			enter(s, w, at + 1, w->slack[at] - w->drop[at]);
			at++;
			continue;
		}
		if (r > 0) {
			r = visit(s, data);
			if (r != 0)
				return r;
			w->index[at]++;
		} else if (at + 1 < s->nactive && w->drop[at] < w->slack[at] && w->drop[at] < part_most_drop(part)) {
			w->drop[at]++;
			w->index[at] = 0;
		} else if (at > 0) {
			at--;
			w->index[at]++;
		} else {
			return 0;
		}
	}
}

static int
on_found(struct search *s, void *data)
{
	const int64_t *polymers = data;

	s->found++;
	if (s->found == s->want)
		return 1;
	progress_set(s->progress, s->found + 1, *polymers);
	return progress_poll(s->progress);
}

int
search_configurations(struct search *s)
{
	scoped(walk_done) struct walk w = { NULL, NULL, NULL, NULL };
	int64_t capacity = 0;
	int r;

	if (s->want == 0)
		return 0;
	r = find_tops(s);
	if (r <= 0)
		return r;
	r = walk_init(&w, s->nactive);
	for (int64_t polymers = s->top; r == 0 && polymers >= s->kmin; polymers--) {
		capacity = 0;
		for (size_t i = 0; i < s->nactive; i++)
			capacity += part_most_drop(&s->parts[s->active[i]]);
		if (s->top - polymers > capacity)
			break;
		progress_set(s->progress, s->found + 1, polymers);
		r = walk_level(s, &w, s->top - polymers, on_found, &polymers);
	}
	return r < 0 ? r : 0;
}

struct replay {
	int (*visit)(struct search *s, void *data);
	void *data;
	int64_t left;
};

static int
on_replay(struct search *s, void *data)
{
	struct replay *replay = data;
	int r = replay->visit(s, replay->data);

	if (r < 0)
		return r;
	return --replay->left == 0;
}

int
search_each(struct search *s, int (*visit)(struct search *s, void *data), void *data)
{
	scoped(walk_done) struct walk w = { NULL, NULL, NULL, NULL };
	struct replay replay = { visit, data, s->found };
	int r;

	if (s->found == 0)
		return 0;
	r = walk_init(&w, s->nactive);
	for (int64_t slack = 0; r == 0; slack++)
		r = walk_level(s, &w, slack, on_replay, &replay);
	return r < 0 ? r : 0;
}
