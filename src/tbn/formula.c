#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "basic/scoped.h"
#include "tbn/formula.h"
#include "tbn/progress.h"
#include "tbn/union.h"
#include "tbn/vec.h"

/* What one formula may hold at most: about 3 GB, which the run's memory limit undercuts as a rule. */
static const uint64_t VARS_MAX = 20000000, CLAUSES_MAX = 30000000, BLOCKS_MAX = 5000;

static uint32_t
block_of(const struct formula *f, uint32_t site)
{
	return f->net->monomers[f->net->sites[site].monomer].block;
}

/* How large it will be, reckoned before anything is built. */
static int
check_size(const struct formula *f)
{
	const struct component *comp = f->comp;
	uint64_t n = comp->nblocks, heads = comp->nheads, levels = (uint64_t)(f->options.kmax - f->options.kmin + 1);
	uint64_t slack = heads - (uint64_t)f->options.kmin + 1;
	uint64_t counter = heads * (levels < slack ? levels : slack) + heads;

	if (n > BLOCKS_MAX)
		return -EFBIG;
	for (size_t t = 0; t < comp->ntypes; t++)
		if (f->net->types[comp->types[t]].count[0] > UINT16_MAX || f->net->types[comp->types[t]].count[1] > UINT16_MAX)
			return -EFBIG;
	/* each pair: itself, two chains of at most three clauses each, an edge; ordering clauses are quadratic in a side */
	if (4 * comp->pairs + n * heads + counter > VARS_MAX || 8 * comp->pairs + 2 * counter > CLAUSES_MAX)
		return -EFBIG;
	return 0;
}

static int
add_edge(struct formula *f, uint32_t x, uint32_t y, int literal)
{
	int r = vec_reserve(&f->edges, &f->cap_edges, f->nedges + 1, sizeof *f->edges);

	if (r < 0)
		return r;
	f->edges[f->nedges++] = (struct edge){ x < y ? x : y, x < y ? y : x, literal };
	return 0;
}

/* Each limiting site is bonded exactly once, each other one at most once (exactly once where the sides are equal). */
static int
add_matching(struct formula *f, size_t type)
{
	const struct site_type *t = &f->net->types[f->comp->types[type]];
	size_t rows = t->count[t->limiting], columns = t->count[!t->limiting];
	scoped(free_ptr) int *literals = calloc(columns, sizeof *literals);	/* columns >= rows */

	if (!literals)
		return -ENOMEM;
	for (size_t i = 0; i < rows; i++) {
		for (size_t j = 0; j < columns; j++) {
			literals[j] = pair_var(f, type, i, j);
			sat_add(&f->sat, literals[j]);
		}
		sat_add(&f->sat, 0);
		sat_at_most_one(&f->sat, literals, (int)columns);
	}
	for (size_t j = 0; j < columns; j++) {
		for (size_t i = 0; i < rows; i++)
			literals[i] = pair_var(f, type, i, j);
		sat_at_most_one(&f->sat, literals, (int)rows);
		if (rows < columns)
			continue;
		for (size_t i = 0; i < rows; i++)
			sat_add(&f->sat, literals[i]);
		sat_add(&f->sat, 0);
	}
	return 0;
}

/* A bond sets the edge between its blocks. Where two blocks have one possible bond only, that is the edge. */
static int
add_edges(struct formula *f)
{
	uint64_t n = f->comp->nblocks;
	scoped(free_ptr) int *first = calloc(n * n, sizeof *first);	/* by x * n + y, x < y: a bond's variable, or - an edge's */

	if (!first)
		return -ENOMEM;
	for (size_t t = 0; t < f->comp->ntypes; t++) {
		const struct site_type *type = &f->net->types[f->comp->types[t]];
		size_t rows = 0, columns = 0;
		const uint32_t *row = limiting_sites(type, &rows), *column = other_sites(type, &columns);

		for (size_t i = 0; i < rows; i++)
			for (size_t j = 0; j < columns; j++) {
				uint32_t a = block_of(f, row[i]), b = block_of(f, column[j]);
				int *slot = &first[a < b ? a * n + b : b * n + a], var = pair_var(f, t, i, j);

				if (a == b)
					continue;
				if (*slot == 0) {
					*slot = var;
					continue;
				}
				if (*slot > 0) {
					int edge = sat_new_var(&f->sat);

					sat_clause2(&f->sat, -*slot, edge);
					*slot = -edge;
				}
				sat_clause2(&f->sat, -var, -*slot);
			}
	}
	for (uint32_t x = 0; x < n; x++)
		for (uint32_t y = x + 1; y < n; y++)
			if (first[x * n + y] != 0) {
				int r = add_edge(f, x, y, abs(first[x * n + y]));

				if (r < 0)
					return r;
			}
	return 0;
}

/* from's label r must be to's as well, if the edge is set. */
static void
add_spread(struct formula *f, const struct edge *e, uint32_t from, uint32_t to, uint32_t r)
{
	if (e->literal != 0)
		sat_add(&f->sat, -e->literal);
	sat_add(&f->sat, -label_var(f, from, r));
	if (r < labels_of(f, to))
		sat_add(&f->sat, label_var(f, to, r));
	sat_add(&f->sat, 0);
}

static void
add_labels(struct formula *f)
{
	uint64_t clauses = 0;

	for (size_t i = 0; i < f->nedges; i++)
		clauses += (uint64_t)labels_of(f, f->edges[i].x) + labels_of(f, f->edges[i].y);
	f->lazy = clauses > f->options.eager_max;
	for (size_t i = 0; i < f->nedges && !f->lazy; i++) {
		const struct edge *e = &f->edges[i];

		for (uint32_t r = 0; r < labels_of(f, e->y); r++)
			add_spread(f, e, e->y, e->x, r);
		for (uint32_t r = 0; r < labels_of(f, e->x); r++)
			add_spread(f, e, e->x, e->y, r);
	}
	if (!f->full_labels)
		return;
	for (uint32_t y = 0; y < f->comp->nblocks; y++) {
		for (uint32_t r = 0; r < labels_of(f, y); r++)
			sat_add(&f->sat, label_var(f, y, r));
		sat_add(&f->sat, 0);
		for (uint32_t r = 0; r < y && r < f->comp->nheads; r++)
			sat_clause2(&f->sat, -label_var(f, y, r), label_var(f, r, r));
	}
}

/* at(i, k): at least k of the first i heads are the least blocks of their polymers; only what level(kmin) .. level(kmax) lead to. */
static int
add_counter(struct formula *f)
{
	int64_t n = f->comp->nheads, kmin = f->options.kmin, kmax = f->options.kmax, width = kmax + 2;
	scoped(free_ptr) int *above = calloc((size_t)width, sizeof *above), *below = calloc((size_t)width, sizeof *below);

	if (!above || !below)
		return -ENOMEM;
	f->level_base = sat_new_vars(&f->sat, (int)(kmax - kmin + 1));
	for (int64_t k = kmin; k <= kmax; k++)
		above[k] = level_var(f, k);
	for (int64_t i = n; i > 0; i--) {
		int least = label_var(f, (uint32_t)(i - 1), (uint32_t)(i - 1));
		int *swap;

		for (int64_t k = 0; k <= kmax; k++)
			below[k] = 0;
		for (int64_t k = 1; k <= kmax; k++) {
			if (above[k] == 0)
				continue;
			/* at(i, k) needs at(i - 1, k - 1), and at(i - 1, k) or head i; at(i - 1, k) is false for k > i - 1 */
			if (k <= i - 1 && below[k] == 0)
				below[k] = sat_new_var(&f->sat);
			if (k > 1 && k - 1 <= i - 1 && below[k - 1] == 0)
				below[k - 1] = sat_new_var(&f->sat);
			sat_add(&f->sat, -above[k]);
			if (k <= i - 1)
				sat_add(&f->sat, below[k]);
			sat_add(&f->sat, least);
			sat_add(&f->sat, 0);
			if (k > 1)
				sat_clause2(&f->sat, -above[k], below[k - 1]);
		}
		swap = above;
		above = below;
		below = swap;
	}
	return 0;
}

int
formula_open(struct formula *f, const struct network *net, const struct component *comp, struct progress *progress,
    const struct formula_options *options)
{
	int r;

	*f = (struct formula){ .net = net, .comp = comp, .options = *options };
	f->full_labels = options->constraints && comp->classes_constrained;
	r = check_size(f);
	if (r < 0)
		return r;
	f->pair_base = calloc(comp->ntypes > 0 ? comp->ntypes : 1, sizeof *f->pair_base);
	if (!f->pair_base)
		return -ENOMEM;
	sat_open(&f->sat, progress);
	for (size_t t = 0; t < comp->ntypes; t++) {
		const struct site_type *type = &net->types[comp->types[t]];

		f->pair_base[t] = sat_new_vars(&f->sat, (int)(type->count[0] * type->count[1]));
	}
	f->label_base = sat_new_vars(&f->sat, label_var(f, comp->nblocks, 0));
	for (size_t t = 0; t < comp->ntypes; t++) {
		r = add_matching(f, t);
		if (r < 0)
			return r;
	}
	r = add_edges(f);
	if (r < 0)
		return r;
	if (options->constraints) {
		r = formula_add_constraints(f);
		if (r < 0)
			return r;
	}
	add_labels(f);
	r = add_counter(f);
	if (r < 0)
		return r;
	if (options->symmetry) {
		r = formula_add_symmetry(f);
		if (r < 0)
			return r;
	}
	return progress->stopped;
}

void
formula_done(struct formula *f)
{
	sat_done(&f->sat);
	free(f->pair_base);
	free(f->edges);
	*f = (struct formula){ .net = NULL };
}

int
bond_var(const struct formula *f, uint32_t a, uint32_t b)
{
	const struct site *limiting = &f->net->sites[a], *other = &f->net->sites[b];
	size_t t = 0;

	if (limiting->star != (f->net->types[limiting->type].limiting == 1)) {
		limiting = &f->net->sites[b];
		other = &f->net->sites[a];
	}
	while (f->comp->types[t] != limiting->type)
		t++;
	return pair_var(f, t, limiting->rank, other->rank);
}

/* Adds the spreading clauses that the model breaks and whose lack could make it wrong; returns how many. */
static uint64_t
refine(struct formula *f)
{
	uint64_t added = 0, labels = (uint64_t)(label_var(f, f->comp->nblocks, 0) - f->label_base);
	scoped(free_ptr) bool *label = calloc(labels, sizeof *label);
	scoped(free_ptr) size_t *set = calloc(f->nedges, sizeof *set);
	size_t nset = 0;
	bool changed = true;

	if (!label || !set)
		return UINT64_MAX;
	/* read everything first: adding a clause ends the model */
	for (uint64_t i = 0; i < labels; i++)
		label[i] = sat_true(&f->sat, f->label_base + (int)i);
	for (size_t i = 0; i < f->nedges; i++)
		if (f->edges[i].literal == 0 || sat_true(&f->sat, f->edges[i].literal))
			set[nset++] = i;
#define LABEL(y_, r_) label[label_var(f, (y_), (r_)) - f->label_base]
	/* follow each label as far as it spreads, so that one round finds a whole path */
	while (changed) {
		changed = false;
		for (size_t i = 0; i < nset; i++) {
			const struct edge *e = &f->edges[set[i]];

			for (uint32_t r = 0; r < labels_of(f, e->x); r++) {
				bool at_x = LABEL(e->x, r), at_y = LABEL(e->y, r);

				if (at_x == at_y || (!f->full_labels && !LABEL(r, r)))
					continue;
				if (at_y)
					add_spread(f, e, e->y, e->x, r);
				else
					add_spread(f, e, e->x, e->y, r);
				LABEL(e->x, r) = true;
				LABEL(e->y, r) = true;
				added++;
				changed = true;
			}
		}
	}
	for (size_t i = 0; i < nset; i++) {
		const struct edge *e = &f->edges[set[i]];

		for (uint32_t r = labels_of(f, e->x); r < labels_of(f, e->y); r++)
			if (LABEL(e->y, r) && (f->full_labels || LABEL(r, r))) {
				add_spread(f, e, e->y, e->x, r);
				added++;
			}
	}
#undef LABEL
	return added;
}

int
formula_solve(struct formula *f, int64_t k, int conflicts, bool *ret_never)
{
	for (;;) {
		int r = sat_solve(&f->sat, level_var(f, k), conflicts);
		uint64_t added;

		if (r == 0) {
			*ret_never = !sat_assumption_failed(&f->sat, level_var(f, k));
			return 0;
		}
		if (r < 0 || !f->lazy)
			return r;
		added = refine(f);
		if (added == UINT64_MAX)
			return -ENOMEM;
		if (added == 0)
			return 1;	/* nothing was added, so the model is still there */
	}
}

void
formula_pairing(struct formula *f, uint16_t *partner)
{
	size_t slot = 0;

	for (size_t t = 0; t < f->comp->ntypes; t++) {
		const struct site_type *type = &f->net->types[f->comp->types[t]];

		for (size_t i = 0; i < type->count[type->limiting]; i++, slot++)
			for (size_t j = 0; j < type->count[!type->limiting]; j++)
				if (sat_true(&f->sat, pair_var(f, t, i, j)))
					partner[slot] = (uint16_t)j;
	}
}

void
formula_classes(struct formula *f, uint16_t *least)
{
	for (uint32_t y = 0; y < f->comp->nblocks; y++) {
		uint32_t r = labels_of(f, y) - 1;

		/* the latest of its labels is the one that counts: see doc/tbn.md */
		while (r > 0 && !sat_true(&f->sat, label_var(f, y, r)))
			r--;
		least[y] = (uint16_t)r;
	}
}

bool
formula_exclude(struct formula *f, const uint16_t *partner)
{
	size_t slot = 0;
	bool any = false;

	for (size_t t = 0; t < f->comp->ntypes; t++) {
		const struct site_type *type = &f->net->types[f->comp->types[t]];
		size_t rows = type->count[type->limiting];
		/* where the sides are equal, the last site takes what the others leave */
		size_t free_rows = rows == type->count[!type->limiting] ? rows - 1 : rows;

		for (size_t i = 0; i < free_rows; i++) {
			sat_add(&f->sat, -pair_var(f, t, i, partner[slot + i]));
			any = true;
		}
		slot += rows;
	}
	sat_add(&f->sat, 0);
	return any;
}
