#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/scoped.h"
#include "tbn/formula.h"
#include "tbn/vec.h"

/* ---- constraints ---- */

static uint32_t
count_in_block(const struct formula *f, uint32_t block)
{
	uint32_t count = 0;

	for (size_t i = 0; i < f->comp->nmonomers; i++)
		count += f->net->monomers[f->comp->monomers[i]].block == block;
	return count;
}

static int
add_together(struct formula *f, const struct constraint *c)
{
	for (uint32_t i = 1; i < c->nargs; i++) {
		uint32_t a = f->net->monomers[c->args[i - 1]].block, b = f->net->monomers[c->args[i]].block;
		int r;

		if (a == b)
			continue;
		r = vec_reserve(&f->edges, &f->cap_edges, f->nedges + 1, sizeof *f->edges);
		if (r < 0)
			return r;
		f->edges[f->nedges++] = (struct edge){ a < b ? a : b, a < b ? b : a, 0 };
	}
	return 0;
}

static void
add_nottogether(struct formula *f, uint32_t a, uint32_t b)
{
	if (a == b) {
		sat_add(&f->sat, 0);	/* joined by every saturated pairing */
		return;
	}
	for (uint32_t r = 0; r < labels_of(f, a) && r < labels_of(f, b); r++)
		sat_clause2(&f->sat, -label_var(f, a, r), -label_var(f, b, r));
}

static void
add_free(struct formula *f, uint32_t block)
{
	if (count_in_block(f, block) > 1 || block >= f->comp->nheads) {
		sat_add(&f->sat, 0);	/* never alone */
		return;
	}
	sat_clause1(&f->sat, label_var(f, block, block));
	for (uint32_t y = block + 1; y < f->comp->nblocks; y++)
		sat_clause1(&f->sat, -label_var(f, y, block));
}

/* Either the block's polymer has a lesser one, or some greater block's greatest label is this block. */
static void
add_notfree(struct formula *f, uint32_t block)
{
	uint32_t n = f->comp->nblocks;
	int witness;

	if (count_in_block(f, block) > 1 || block >= f->comp->nheads)
		return;
	witness = sat_new_vars(&f->sat, (int)(n - block));
	sat_add(&f->sat, -label_var(f, block, block));
	for (uint32_t y = block + 1; y < n; y++)
		sat_add(&f->sat, witness + (int)(y - block));
	sat_add(&f->sat, 0);
	for (uint32_t y = block + 1; y < n; y++) {
		int w = witness + (int)(y - block);

		sat_clause2(&f->sat, -w, label_var(f, y, block));
		for (uint32_t r = block + 1; r < labels_of(f, y); r++)
			sat_clause2(&f->sat, -w, -label_var(f, y, r));
	}
}

static void
add_anypaired(struct formula *f, uint32_t site, bool paired)
{
	const struct site *s = &f->net->sites[site];
	const struct site_type *type = &f->net->types[s->type];

	for (size_t i = 0; i < type->count[!s->star]; i++) {
		int var = bond_var(f, site, type->sites[!s->star][i]);

		if (paired)
			sat_add(&f->sat, var);
		else
			sat_clause1(&f->sat, -var);
	}
	if (paired)
		sat_add(&f->sat, 0);
}

static int
add_constraint(struct formula *f, const struct constraint *c)
{
	const struct monomer *monomers = f->net->monomers;

	switch (c->kind) {
	case TOGETHER:
		return add_together(f, c);
	case NOTTOGETHER:
		add_nottogether(f, monomers[c->args[0]].block, monomers[c->args[1]].block);
		break;
	case FREE:
		add_free(f, monomers[c->args[0]].block);
		break;
	case NOTFREE:
		add_notfree(f, monomers[c->args[0]].block);
		break;
	case PAIRED:
		sat_clause1(&f->sat, bond_var(f, c->args[0], c->args[1]));
		break;
	case NOTPAIRED:
		sat_clause1(&f->sat, -bond_var(f, c->args[0], c->args[1]));
		break;
	case ANYPAIRED:
	case NOTANYPAIRED:
		add_anypaired(f, c->args[0], c->kind == ANYPAIRED);
		break;
	case CONSTRAINT_KINDS:
		break;
	}
	return 0;
}

static bool
on_sites(enum constraint_kind kind)
{
	return kind == PAIRED || kind == NOTPAIRED || kind == ANYPAIRED || kind == NOTANYPAIRED;
}

static uint32_t
component_index(const struct network *net, const struct constraint *c)
{
	uint32_t m = on_sites(c->kind) ? net->sites[c->args[0]].monomer : c->args[0];

	return net->monomers[m].component;
}

int
formula_add_constraints(struct formula *f)
{
	for (size_t i = 0; i < f->net->nconstraints; i++) {
		const struct constraint *c = &f->net->constraints[i];
		int r;

		if (!c->effective || &f->net->components[component_index(f->net, c)] != f->comp)
			continue;
		r = add_constraint(f, c);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- symmetry ----
 * Exchanging two like sites of one monomer, or two monomers that are alike, makes one saturated pairing of another with as
 * many polymers. Write a pairing as its matrices, one for each type in the order of the component's list, limiting sites down,
 * the others across, and read them row by row: of all pairings that exchanges make of each other, the one that reads
 * largest meets every clause below. doc/tbn.md, "Symmetry", has the proof. What a constraint names takes no part. */

struct fixed {
	bool *sites, *monomers;	/* by index in the network */
};

static void
mark_fixed(const struct formula *f, struct fixed *fixed)
{
	for (size_t i = 0; f->options.constraints && i < f->net->nconstraints; i++) {
		const struct constraint *c = &f->net->constraints[i];

		for (uint32_t a = 0; c->effective && a < c->nargs; a++) {
			if (on_sites(c->kind)) {
				fixed->sites[c->args[a]] = true;
				fixed->monomers[f->net->sites[c->args[a]].monomer] = true;
			} else {
				fixed->monomers[c->args[a]] = true;
			}
		}
	}
}

/* If b (of two sites of one side, a before b) is bonded to something, then a is bonded to something earlier. */
static void
order_sites(struct formula *f, size_t t, const struct site *a, const struct site *b)
{
	const struct site_type *type = &f->net->types[f->comp->types[t]];
	bool row = a->star == (type->limiting == 1);
	size_t partners = type->count[!a->star];
	int before = 0;	/* a is bonded to one of those seen so far */

	for (size_t j = 0; j < partners; j++) {
		int at_a = row ? pair_var(f, t, a->rank, j) : pair_var(f, t, j, a->rank);
		int at_b = row ? pair_var(f, t, b->rank, j) : pair_var(f, t, j, b->rank);

		sat_add(&f->sat, -at_b);
		if (before != 0)
			sat_add(&f->sat, before);
		sat_add(&f->sat, 0);
		f->symmetry_clauses++;
		if (j + 1 < partners) {
			int next = sat_new_var(&f->sat);

			/* next -> at_a or before */
			sat_add(&f->sat, -next);
			sat_add(&f->sat, at_a);
			if (before != 0)
				sat_add(&f->sat, before);
			sat_add(&f->sat, 0);
			before = next;
		}
	}
}

static void
order_like_sites(struct formula *f, size_t t, const struct fixed *fixed)
{
	const struct site_type *type = &f->net->types[f->comp->types[t]];

	for (uint32_t side = 0; side < 2; side++) {
		const struct site *last = NULL;

		for (size_t i = 0; i < type->count[side]; i++) {
			const struct site *s = &f->net->sites[type->sites[side][i]];

			if (fixed->sites[type->sites[side][i]])
				continue;
			if (last && last->monomer == s->monomer)
				order_sites(f, t, last, s);
			last = s;
		}
	}
}

/* A monomer's sites that can bond, sorted: what has the same list is alike. */
struct shape {
	uint32_t monomer;
	uint32_t count;
	const uint64_t *keys;	/* position of the type in the component's list << 33 | star << 32 | site */
};

static int
compare_keys(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int
compare_looks(const struct shape *a, const struct shape *b)
{
	if (a->count != b->count)
		return a->count < b->count ? -1 : 1;
	for (uint32_t i = 0; i < a->count; i++) {
		uint64_t x = a->keys[i] >> 32, y = b->keys[i] >> 32;

		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}

static int
compare_shapes(const void *a, const void *b)
{
	const struct shape *x = a, *y = b;
	int looks = compare_looks(x, y);

	if (looks != 0)
		return looks;
	return x->monomer < y->monomer ? -1 : x->monomer > y->monomer;
}

/* The exchange argument needs monomers that cannot bond among themselves. */
static bool
has_both_polarities(const struct shape *s)
{
	for (uint32_t i = 1; i < s->count; i++)
		if (s->keys[i] >> 33 == s->keys[i - 1] >> 33 && s->keys[i] >> 32 != s->keys[i - 1] >> 32)
			return true;
	return false;
}

static size_t
list_shapes(const struct formula *f, const struct fixed *fixed, const uint32_t *type_position, uint64_t *keys,
    struct shape *shapes)
{
	size_t nshapes = 0;

	for (size_t i = 0; i < f->comp->nmonomers; i++) {
		const struct monomer *m = &f->net->monomers[f->comp->monomers[i]];
		struct shape *shape = &shapes[nshapes];
		uint32_t count = 0;

		if (fixed->monomers[f->comp->monomers[i]])
			continue;
		for (uint32_t s = m->first; s < m->first + m->count; s++) {
			const struct site *site = &f->net->sites[s];

			if (type_position[site->type] != UINT32_MAX)
				keys[count++] = (uint64_t)type_position[site->type] << 33 | (uint64_t)site->star << 32 | s;
		}
		qsort(keys, count, sizeof *keys, compare_keys);
		*shape = (struct shape){ f->comp->monomers[i], count, keys };
		if (count == 0 || has_both_polarities(shape))
			continue;
		keys += count;
		nshapes++;
	}
	qsort(shapes, nshapes, sizeof *shapes, compare_shapes);
	return nshapes;
}

static int
order_like_monomers(struct formula *f, const struct fixed *fixed)
{
	const struct network *net = f->net;
	size_t nkeys = 0, nshapes;
	scoped(free_ptr) uint32_t *type_position = calloc(net->ntypes, sizeof *type_position);
	scoped(free_ptr) struct shape *shapes = calloc(f->comp->nmonomers, sizeof *shapes);
	scoped(free_ptr) uint64_t *keys = NULL;

	for (size_t i = 0; i < f->comp->nmonomers; i++)
		nkeys += net->monomers[f->comp->monomers[i]].count;
	keys = calloc(nkeys, sizeof *keys);
	if (!type_position || !shapes || !keys)
		return -ENOMEM;
	memset(type_position, 0xff, net->ntypes * sizeof *type_position);
	for (uint32_t t = 0; t < f->comp->ntypes; t++)
		type_position[f->comp->types[t]] = t;
	nshapes = list_shapes(f, fixed, type_position, keys, shapes);
	for (size_t i = 1; i < nshapes; i++) {
		const struct shape *a = &shapes[i - 1], *b = &shapes[i];

		if (compare_looks(a, b) == 0)
			order_sites(f, (size_t)(a->keys[0] >> 33), &net->sites[(uint32_t)a->keys[0]], &net->sites[(uint32_t)b->keys[0]]);
	}
	return 0;
}

int
formula_add_symmetry(struct formula *f)
{
	scoped(free_ptr) bool *sites = calloc(f->net->nsites, sizeof *sites), *monomers = calloc(f->net->nmonomers, sizeof *monomers);
	struct fixed fixed = { sites, monomers };

	if (!sites || !monomers)
		return -ENOMEM;
	mark_fixed(f, &fixed);
	for (size_t t = 0; t < f->comp->ntypes; t++)
		order_like_sites(f, t, &fixed);
	return order_like_monomers(f, &fixed);
}
