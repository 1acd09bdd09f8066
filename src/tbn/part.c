#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/scoped.h"
#include "tbn/pairings.h"
#include "tbn/part.h"
#include "tbn/progress.h"
#include "tbn/union.h"
#include "tbn/vec.h"

int
part_init(struct part *part, const struct network *net, const struct component *comp, struct progress *progress,
    const struct part_options *options)
{
	*part = (struct part){ .net = net, .comp = comp, .progress = progress, .options = options };
	part->width = (size_t)comp->bonds + (comp->classes_constrained ? comp->nblocks : 0);
	part->level_end = calloc((size_t)comp->nblocks + 1, sizeof *part->level_end);
	if (!part->level_end)
		return -ENOMEM;
	return 0;
}

void
part_done(struct part *part)
{
	if (part->open)
		formula_done(&part->formula);
	free(part->walk);
	free(part->store);
	free(part->level_end);
	*part = (struct part){ .net = NULL };
}

/* Joins what a pairing bonds; returns the number of polymers among the blocks, whose sets u then holds. */
static int64_t
join_pairing(const struct part *part, const uint16_t *pairing, struct unions *u)
{
	int64_t polymers = part->comp->nblocks;
	size_t slot = 0;

	unions_reset(u);
	for (size_t t = 0; t < part->comp->ntypes; t++) {
		size_t rows = 0, columns = 0;
		const uint32_t *row = limiting_sites(&part->net->types[part->comp->types[t]], &rows);
		const uint32_t *column = other_sites(&part->net->types[part->comp->types[t]], &columns);

		for (size_t i = 0; i < rows; i++, slot++) {
			const struct site *a = &part->net->sites[row[i]], *b = &part->net->sites[column[pairing[slot]]];

			polymers -= union_join(u, part->net->monomers[a->monomer].block, part->net->monomers[b->monomer].block);
		}
	}
	return polymers;
}

static int
count_polymers(const struct part *part, const uint16_t *pairing, int64_t *ret_count)
{
	scoped(unions_done) struct unions u = { NULL, 0 };
	int r = unions_init(&u, part->comp->nblocks);

	if (r < 0)
		return r;
	*ret_count = join_pairing(part, pairing, &u);
	return 0;
}

static int
reserve(struct part *part)
{
	return vec_reserve(&part->store, &part->cap, part->count + 1, part->width > 0 ? part->width * sizeof *part->store : 1);
}

static uint16_t *
stored(const struct part *part, size_t index)
{
	return part->store + index * part->width;
}

/* Reads the model of a formula into the place behind the stored pairings. */
static void
read_model(struct part *part, struct formula *f)
{
	uint16_t *pairing = stored(part, part->count);

	formula_pairing(f, pairing);
	if (f->full_labels)
		formula_classes(f, pairing + part->comp->bonds);
}

/* The polymers of the model just read. */
static int
count_model(const struct part *part, const struct formula *f, int64_t *ret_count)
{
	const uint16_t *earliest = stored(part, part->count) + part->comp->bonds;
	int64_t count = 0;

	if (!f->full_labels)
		return count_polymers(part, stored(part, part->count), ret_count);
	for (uint32_t b = 0; b < part->comp->nblocks; b++)
		count += earliest[b] == b;
	*ret_count = count;
	return 0;
}

/* Conflicts that the first try of a level may cost. */
enum { FIRST_TRY = 2000, LONGEST_TRY = 1 << 28 };

/* Finds the largest level from kmin to kmax with a model, 0 if there is none. The upper bound is often met, and asking for it
 * at once is quick then; where it is not, climbing from below by leaps is what gets on. So both ends take turns, with more
 * patience each time. The best model is read behind the stored pairings. */
static int
find_best(struct part *part, struct formula *f, int64_t kmin, int64_t kmax, int64_t others, int64_t *ret_best)
{
	int64_t low = kmin, high = kmax, best = 0;
	int patience = FIRST_TRY;
	bool from_above = true;

	while (low <= high) {
		int64_t k = from_above ? high : low;
		bool never = false;
		int r;

		progress_set(part->progress, 1, others + k);
		r = formula_solve(f, k, low == high ? 0 : patience, &never);
		if (r == -EAGAIN) {
			if (!from_above && patience < LONGEST_TRY)
				patience *= 2;
			from_above = !from_above;
			continue;
		}
		if (r < 0)
			return r;
		if (r == 0 && never)
			break;
		if (r == 0) {
			high = k - 1;
			continue;
		}
		read_model(part, f);
		r = count_model(part, f, &best);
		if (r < 0)
			return r;
		low = best + 1;
	}
	*ret_best = best;
	return 0;
}

/* The generator goes on with a formula that left nothing out. */
static void
keep_formula(struct part *part, struct formula *f)
{
	part->formula = *f;
	part->open = true;
	*f = (struct formula){ .net = NULL };
}

static bool
binds(const struct part *part)
{
	return part->comp->constrained;
}

int
part_entropy(struct part *part, int64_t others)
{
	scoped(formula_done) struct formula f = { .net = NULL };
	struct formula_options options = { .symmetry = part->options->symmetry, .eager_max = part->options->eager_max };
	int r = reserve(part);

	if (r < 0)
		return r;
	memset(stored(part, 0), 0, part->width * sizeof *part->store);
	if (part->comp->lower == part->comp->upper || part->comp->pairings == 1) {
		/* any pairing will do */
		progress_set(part->progress, 1, others + part->comp->lower);
		for (size_t t = 0; t < part->comp->ntypes; t++) {
			const struct site_type *type = &part->net->types[part->comp->types[t]];

			if (type->count[0] > UINT16_MAX || type->count[1] > UINT16_MAX)
				return -EFBIG;
		}
		pairings_first(part->net, part->comp, stored(part, 0));
		return count_polymers(part, stored(part, 0), &part->entropy);
	}
	options.kmin = part->comp->lower;
	options.kmax = part->comp->upper;
	r = formula_open(&f, part->net, part->comp, part->progress, &options);
	if (r < 0)
		return r;
	r = find_best(part, &f, options.kmin, options.kmax, others, &part->entropy);
	if (r < 0)
		return r;
	if (f.symmetry_clauses == 0 && !binds(part))
		keep_formula(part, &f);
	return 0;
}

int
part_top(struct part *part, int64_t kmin, int64_t others)
{
	scoped(formula_done) struct formula f = { .net = NULL };
	struct formula_options options = {
		.constraints = true,
		.symmetry = part->options->symmetry,
		.kmin = kmin > 1 ? kmin : 1,
		.kmax = part->entropy,
		.eager_max = part->options->eager_max,
	};
	int r;

	part->kmin = options.kmin;
	if (!binds(part)) {
		part->kmin = part->kmin > part->comp->lower ? part->kmin : part->comp->lower;
		part->top = part->entropy >= part->kmin ? part->entropy : 0;
	} else if (options.kmin <= options.kmax) {
		r = formula_open(&f, part->net, part->comp, part->progress, &options);
		if (r < 0)
			return r;
		r = find_best(part, &f, options.kmin, options.kmax, others, &part->top);
		if (r < 0)
			return r;
		if (f.symmetry_clauses == 0)
			keep_formula(part, &f);
	}
	part->level = part->top;
	part->exhausted = part->top == 0;
	part->count = part->top > 0 ? 1 : 0;	/* the pairing that was found on the way is the first one */
	return 0;
}

static int
open_generator(struct part *part)
{
	struct formula_options options = {
		.constraints = binds(part),
		.kmin = part->kmin,
		.kmax = part->top,
		.eager_max = part->options->eager_max,
	};
	int r = 0;

	if (!part->open) {
		part->open = true;
		r = formula_open(&part->formula, part->net, part->comp, part->progress, &options);
	}
	if (r == 0 && !formula_exclude(&part->formula, stored(part, 0)))
		part->exhausted = true;
	return r;
}

/* Leaves the current level for the one below. */
static void
descend(struct part *part, bool never)
{
	part->level_end[part->top - part->level] = part->count;
	part->level--;
	if (!never && part->level >= part->kmin)
		return;
	part->exhausted = true;
	if (part->open)
		formula_done(&part->formula);
	part->open = false;
}

/* No pairing makes fewer polymers than lower. So on that level, without constraints, every pairing counts that has not been
 * listed above, and going through all of them takes no solver: what is passed over was listed before. */
static int
walk_on(struct part *part)
{
	size_t bytes = (part->width > 0 ? part->width : 1) * sizeof *part->walk;
	int r = 1;

	if (!part->walk) {
		if (part->open)
			formula_done(&part->formula);
		part->open = false;
		part->walk = malloc(bytes);
		if (!part->walk)
			return -ENOMEM;
		pairings_first(part->net, part->comp, part->walk);
	} else {
		r = pairings_next(part->net, part->comp, part->walk);
	}
	for (; r > 0; r = pairings_next(part->net, part->comp, part->walk)) {
		int64_t polymers = 0;

		r = progress_poll(part->progress);
		if (r == 0)
			r = count_polymers(part, part->walk, &polymers);
		if (r == 0)
			r = reserve(part);
		if (r < 0)
			return r;
		if (polymers > part->level)
			continue;
		if (part->level == part->top && memcmp(part->walk, stored(part, 0), bytes) == 0)
			continue;	/* the one that gave the level */
		memcpy(stored(part, part->count++), part->walk, bytes);
		return 0;
	}
	if (r == 0)
		descend(part, true);
	return r;
}

/* Finds one more pairing at the current level, or descends. */
static int
find_next(struct part *part)
{
	bool never = false;
	int r;

	if (part->options->walk && !binds(part) && part->level == part->comp->lower && !part->exhausted &&
	    part->count < part->comp->pairings)
		return walk_on(part);
	if (part->count == 1 && part->level == part->top) {
		/* the second one is asked for: now the generator is worth having */
		r = part->comp->pairings == 1 ? 0 : open_generator(part);
		if (r < 0)
			return r;
	}
	if (part->exhausted || part->count == part->comp->pairings) {
		descend(part, true);
		return 0;
	}
	r = reserve(part);
	if (r < 0)
		return r;
	r = formula_solve(&part->formula, part->level, 0, &never);
	if (r < 0)
		return r;
	if (r == 0) {
		descend(part, never);
		return 0;
	}
	read_model(part, &part->formula);
	if (!formula_exclude(&part->formula, stored(part, part->count++)))
		part->exhausted = true;
	return 0;
}

int
part_get(struct part *part, int64_t drop, size_t index, const uint16_t **ret_pairing)
{
	int64_t level = part->top - drop;
	size_t begin;

	while (!part->exhausted && level < part->level) {
		int r = find_next(part);

		if (r < 0)
			return r;
	}
	if (level < part->level || (part->exhausted && level < part->kmin))
		return 0;
	begin = drop > 0 ? part->level_end[drop - 1] : 0;
	while (level == part->level && !part->exhausted && begin + index >= part->count) {
		int r = find_next(part);

		if (r < 0)
			return r;
	}
	if (level > part->level ? begin + index >= part->level_end[drop] : begin + index >= part->count)
		return 0;
	*ret_pairing = stored(part, begin + index);
	return 1;
}

int64_t
part_most_drop(const struct part *part)
{
	return part->exhausted ? part->top - part->level : part->top - part->kmin;
}

int
part_polymers(const struct part *part, const uint16_t *pairing, uint32_t *earliest)
{
	const struct component *comp = part->comp;
	scoped(unions_done) struct unions u = { NULL, 0 };
	scoped(free_ptr) uint32_t *first = NULL;
	const uint16_t *classes = pairing + comp->bonds;
	int r = unions_init(&u, comp->nblocks);

	if (r < 0)
		return r;
	first = calloc(comp->nblocks, sizeof *first);	/* by polymer: position of its first monomer + 1 */
	if (!first)
		return -ENOMEM;
	(void)join_pairing(part, pairing, &u);
	for (uint32_t i = 0; i < comp->nmonomers; i++) {
		uint32_t block = part->net->monomers[comp->monomers[i]].block;

		uint32_t polymer = comp->classes_constrained ? classes[block] : union_find(&u, block);

		if (first[polymer] == 0)
			first[polymer] = i + 1;
		earliest[i] = first[polymer] - 1;
	}
	return 0;
}
