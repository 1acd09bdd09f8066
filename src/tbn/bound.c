#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "basic/scoped.h"
#include "tbn/bound.h"

/* What a block holds of one type. */
struct holding {
	uint32_t type;	/* position in the component's list */
	uint32_t count[2];	/* limiting sites, other sites */
};

struct feeding {
	size_t nblocks, ntypes;
	struct holding *holdings;	/* by block */
	size_t *first;	/* block b's are first[b] .. first[b + 1] - 1 */
	uint64_t *supply[2];	/* by type: what the set at hand holds of each side */
	bool *equal;	/* by type: both sides are all bonded */
	bool *in;	/* by block: in the set at hand */
};

static void
feeding_done(struct feeding *f)
{
	free(f->holdings);
	free(f->first);
	free(f->supply[0]);
	free(f->supply[1]);
	free(f->equal);
	free(f->in);
}

static int
compare_holdings(const void *a, const void *b)
{
	const struct holding *x = a, *y = b;

	return x->type < y->type ? -1 : x->type > y->type;
}

/* Collects what each block holds, one holding for each type. */
static int
feeding_init(struct feeding *f, const struct network *net, const struct component *comp)
{
	scoped(free_ptr) size_t *filled = calloc(comp->nblocks, sizeof *filled);
	size_t total = 0, out = 0;

	for (size_t t = 0; t < comp->ntypes; t++)
		total += net->types[comp->types[t]].count[0] + net->types[comp->types[t]].count[1];
	*f = (struct feeding){ .nblocks = comp->nblocks, .ntypes = comp->ntypes };
	f->holdings = calloc(total > 0 ? total : 1, sizeof *f->holdings);
	f->first = calloc(f->nblocks + 1, sizeof *f->first);
	f->supply[0] = calloc(f->ntypes + 1, sizeof **f->supply);
	f->supply[1] = calloc(f->ntypes + 1, sizeof **f->supply);
	f->equal = calloc(f->ntypes + 1, sizeof *f->equal);
	f->in = calloc(f->nblocks, sizeof *f->in);
	if (!filled || !f->holdings || !f->first || !f->supply[0] || !f->supply[1] || !f->equal || !f->in)
		return -ENOMEM;
	for (uint32_t pass = 0; pass < 2; pass++) {
		for (uint32_t t = 0; t < f->ntypes; t++) {
			const struct site_type *type = &net->types[comp->types[t]];

			f->equal[t] = type->count[0] == type->count[1];
			for (uint32_t side = 0; side < 2; side++)
				for (size_t i = 0; i < type->count[side]; i++) {
					uint32_t b = net->monomers[net->sites[type->sites[side][i]].monomer].block;
					struct holding h = { t, { side == type->limiting, side != type->limiting } };

					if (pass == 0)
						f->first[b + 1]++;
					else
						f->holdings[f->first[b] + filled[b]++] = h;
				}
		}
		for (size_t b = 0; b < f->nblocks && pass == 0; b++)
			f->first[b + 1] += f->first[b];
	}
	for (size_t b = 0; b < f->nblocks; b++) {
		size_t from = f->first[b], to = f->first[b + 1];

		qsort(f->holdings + from, to - from, sizeof *f->holdings, compare_holdings);
		f->first[b] = out;
		for (size_t i = from; i < to; i++) {
			if (out > f->first[b] && f->holdings[out - 1].type == f->holdings[i].type) {
				f->holdings[out - 1].count[0] += f->holdings[i].count[0];
				f->holdings[out - 1].count[1] += f->holdings[i].count[1];
			} else {
				f->holdings[out++] = f->holdings[i];
			}
		}
	}
	f->first[f->nblocks] = out;
	return 0;
}

static void
put_in(struct feeding *f, size_t b, bool in)
{
	for (size_t i = f->first[b]; i < f->first[b + 1]; i++)
		for (int side = 0; side < 2; side++) {
			uint64_t *supply = &f->supply[side][f->holdings[i].type];

			*supply = in ? *supply + f->holdings[i].count[side] : *supply - f->holdings[i].count[side];
		}
	f->in[b] = in;
}

/* No part of the set at hand that holds b feeds itself. */
static bool
starves(const struct feeding *f, size_t b)
{
	for (size_t i = f->first[b]; i < f->first[b + 1]; i++) {
		const struct holding *h = &f->holdings[i];

		if (h->count[0] > f->supply[1][h->type] || (f->equal[h->type] && h->count[1] > f->supply[0][h->type]))
			return true;
	}
	return false;
}

/* Takes starving blocks out until none starves; returns how many are left. */
static size_t
peel(struct feeding *f)
{
	size_t left = 0;
	bool changed = true;

	while (changed) {
		changed = false;
		left = 0;
		for (size_t b = 0; b < f->nblocks; b++) {
			if (!f->in[b])
				continue;
			if (starves(f, b)) {
				put_in(f, b, false);
				changed = true;
			} else {
				left++;
			}
		}
	}
	return left;
}

/* The block whose lack cuts deepest into what is left of some type. */
static size_t
scarcest(const struct feeding *f)
{
	size_t best = SIZE_MAX;
	double best_share = -1;

	for (size_t b = 0; b < f->nblocks; b++) {
		double share = 0;

		if (!f->in[b])
			continue;
		for (size_t i = f->first[b]; i < f->first[b + 1]; i++) {
			const struct holding *h = &f->holdings[i];

			for (int side = 0; side < 2; side++)
				if (h->count[side] > 0 && (side == 1 || f->equal[h->type])) {
					double s = (double)h->count[side] / (double)f->supply[side][h->type];

					share = s > share ? s : share;
				}
		}
		if (share > best_share) {
			best = b;
			best_share = share;
		}
	}
	return best;
}

/* Starts from all blocks but the heads and peels; true if nothing is left. */
static bool
all_starve(struct feeding *f, const bool *head)
{
	for (size_t b = 0; b < f->nblocks; b++)
		if (f->in[b])
			put_in(f, b, false);
	for (size_t b = 0; b < f->nblocks; b++)
		if (!head[b])
			put_in(f, b, true);
	return peel(f) == 0;
}

/* Looking for fewer heads is quadratic and more; it is not worth more than this. */
enum { SHRINK_BLOCKS_MAX = 600 };

/* Marks blocks as heads until the rest starves, then takes back what the rest can do with. */
static void
choose_heads(struct feeding *f, bool *head)
{
	for (size_t b = 0; b < f->nblocks; b++)
		put_in(f, b, true);
	while (peel(f) > 0) {
		size_t b = scarcest(f);

		head[b] = true;
		put_in(f, b, false);
	}
	for (size_t b = f->nblocks; b-- > 0 && f->nblocks <= SHRINK_BLOCKS_MAX;) {
		if (!head[b])
			continue;
		head[b] = false;
		if (!all_starve(f, head))
			head[b] = true;
	}
}

/* How many joins the bonds can make at most: one each, and none where a type is all within one block. */
static int64_t
count_joins(const struct network *net, const struct component *comp)
{
	int64_t joins = 0;

	for (size_t t = 0; t < comp->ntypes; t++) {
		const struct site_type *type = &net->types[comp->types[t]];
		uint32_t b = net->monomers[net->sites[type->sites[0][0]].monomer].block;
		bool inside = true;

		for (uint32_t side = 0; side < 2; side++)
			for (size_t i = 0; i < type->count[side] && inside; i++)
				inside = net->monomers[net->sites[type->sites[side][i]].monomer].block == b;
		if (!inside)
			joins += (int64_t)type->count[type->limiting];
	}
	return joins;
}

static int
bound_component(struct network *net, struct component *comp)
{
	scoped(feeding_done) struct feeding f = { 0 };
	scoped(free_ptr) bool *head = calloc(comp->nblocks, sizeof *head);
	scoped(free_ptr) uint32_t *number = calloc(comp->nblocks, sizeof *number);
	int64_t joins = count_joins(net, comp);
	uint32_t next = 0;
	int r;

	if (!head || !number)
		return -ENOMEM;
	r = feeding_init(&f, net, comp);
	if (r < 0)
		return r;
	choose_heads(&f, head);
	for (uint32_t b = 0; b < comp->nblocks; b++)
		if (head[b])
			number[b] = next++;
	comp->nheads = next;
	for (uint32_t b = 0; b < comp->nblocks; b++)
		if (!head[b])
			number[b] = next++;
	for (size_t i = 0; i < comp->nmonomers; i++) {
		struct monomer *m = &net->monomers[comp->monomers[i]];

		m->block = number[m->block];
	}
	comp->lower = (int64_t)comp->nblocks - joins > 1 ? (int64_t)comp->nblocks - joins : 1;
	comp->upper = comp->nheads;
	return 0;
}

int
bound_network(struct network *net)
{
	for (size_t c = 0; c < net->ncomponents; c++) {
		int r = net->components[c].pairings > 1 ? bound_component(net, &net->components[c]) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}
