/* formula.h - the saturated pairings of one component that make at least k polymers, as clauses.
 * Variables: pair(i, j) of a type, the bond between its limiting site i and its other site j; edge(x, y), set where some bond
 * joins blocks x < y; label(y, r) for heads r <= y, "r is the least block of y's polymer" (which is a head: bound.h);
 * level(k), "at least k blocks are the least of their polymers". A block is the least of its polymer where label(r, r) holds.
 * Without constraints on monomers a label only has to spread along bonds and never past a lesser block: k labels then prove
 * k polymers. With them every block has a label. doc/tbn.md, "The formula", has the proof. */
#ifndef SPOOLGATE_TBN_FORMULA_H
#define SPOOLGATE_TBN_FORMULA_H

#include "tbn/network.h"
#include "tbn/sat.h"

struct formula_options {
	bool constraints;	/* those of the network bind */
	bool symmetry;	/* of all pairings that exchanging like sites and monomers makes of each other, keep at least one */
	int64_t kmin, kmax;	/* levels that will be asked for, 1 <= kmin <= kmax <= number of blocks */
	uint64_t eager_max;	/* spread labels in advance if that takes at most so many clauses, else where models need it */
};

struct edge {
	uint32_t x, y;	/* x < y */
	int literal;	/* 0: always set */
};

struct formula {
	struct sat sat;
	const struct network *net;
	const struct component *comp;
	struct formula_options options;
	int *pair_base;	/* by position in comp->types */
	int label_base;
	int level_base;	/* level(k) is level_base + k - kmin */
	struct edge *edges;
	size_t nedges, cap_edges;
	bool lazy;
	bool full_labels;	/* every block has one */
	uint64_t symmetry_clauses;
};

/* Builds it. 0; -ENOMEM; -EFBIG: larger than what a run may hold; or the reason to stop. */
int formula_open(struct formula *f, const struct network *net, const struct component *comp, struct progress *progress,
    const struct formula_options *options);
void formula_done(struct formula *f);

/* Looks for a pairing of at least k polymers (kmin <= k <= kmax). 1, 0, -EAGAIN (given up after so many conflicts; 0: never),
 * -ENOMEM, or the reason to stop. After 0, *ret_never tells that not even fewer polymers would have made one. */
int formula_solve(struct formula *f, int64_t k, int conflicts, bool *ret_never);

/* After 1. partner gets, for each limiting site in the order of the component's types and their sites, its partner's
 * position among the other sites of the type. */
void formula_pairing(struct formula *f, uint16_t *partner);
/* After 1, with constraints on monomers: for each block the least block of its polymer. */
void formula_classes(struct formula *f, uint16_t *least);
/* Excludes one pairing from now on. False if that leaves none. */
bool formula_exclude(struct formula *f, const uint16_t *partner);

/* Adds the ordering clauses; part of formula_open(). 0 or -ENOMEM. */
int formula_add_symmetry(struct formula *f);
/* Adds the clauses of all effective constraints on this component; part of formula_open(). */
int formula_add_constraints(struct formula *f);

static inline int
pair_var(const struct formula *f, size_t type, size_t i, size_t j)
{
	const struct site_type *t = &f->net->types[f->comp->types[type]];

	return f->pair_base[type] + (int)(i * t->count[!t->limiting] + j);
}
static inline int
label_var(const struct formula *f, uint32_t y, uint32_t r)
{
	uint64_t heads = f->comp->nheads, full = y < heads ? y : heads;

	return f->label_base + (int)(full * (full + 1) / 2 + (y - full) * heads + r);
}
/* How many labels a block can have: r < labels_of(). */
static inline uint32_t
labels_of(const struct formula *f, uint32_t y)
{
	return y < f->comp->nheads ? y + 1 : f->comp->nheads;
}
static inline int
level_var(const struct formula *f, int64_t k)
{
	return f->level_base + (int)(k - f->options.kmin);
}
/* The variable of a possible bond between two sites. */
int bond_var(const struct formula *f, uint32_t a, uint32_t b);

#endif
