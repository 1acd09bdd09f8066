#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/scoped.h"
#include "tbn/network.h"
#include "tbn/union.h"
#include "tbn/vec.h"

void
network_done(struct network *net)
{
	for (size_t i = 0; i < net->ntypes; i++) {
		free(net->types[i].sites[0]);
		free(net->types[i].sites[1]);
	}
	for (size_t i = 0; i < net->nconstraints; i++)
		free(net->constraints[i].args);
	for (size_t i = 0; i < net->ncomponents; i++) {
		free(net->components[i].monomers);
		free(net->components[i].types);
	}
	free(net->sites);
	free(net->monomers);
	free(net->types);
	free(net->constraints);
	free(net->components);
	names_done(&net->type_names);
	names_done(&net->site_names);
	names_done(&net->monomer_names);
	*net = (struct network){ 0 };
}

static int
find_type(struct network *net, struct slice text, uint32_t *ret_type)
{
	int64_t known = names_find(&net->type_names, text);
	int r;

	if (known >= 0) {
		*ret_type = (uint32_t)known;
		return 0;
	}
	r = vec_reserve(&net->types, &net->cap_types, net->ntypes + 1, sizeof *net->types);
	if (r < 0)
		return r;
	r = names_add(&net->type_names, text, (uint32_t)net->ntypes);
	if (r < 0)
		return r;
	net->types[net->ntypes] = (struct site_type){ .text = text };
	*ret_type = (uint32_t)net->ntypes++;
	return 0;
}

int
network_add_site(struct network *net, struct slice type, bool star, struct slice name)
{
	struct site_type *t;
	uint32_t number = (uint32_t)net->nsites, type_number = 0;
	int r;

	if (net->nsites >= SITES_MAX || net->nmonomers >= MONOMERS_MAX)
		return -EFBIG;
	r = find_type(net, type, &type_number);
	if (r < 0)
		return r;
	t = &net->types[type_number];
	r = vec_reserve(&net->sites, &net->cap_sites, net->nsites + 1, sizeof *net->sites);
	if (r < 0)
		return r;
	r = vec_reserve(&t->sites[star], &t->cap[star], t->count[star] + 1, sizeof **t->sites);
	if (r < 0)
		return r;
	if (name.n > 0) {
		r = names_add(&net->site_names, name, number);
		if (r < 0)
			return r;
	}
	net->sites[net->nsites++] = (struct site){
		.name = name,
		.type = type_number,
		.monomer = (uint32_t)net->nmonomers,
		.rank = (uint32_t)t->count[star],
		.star = star,
	};
	t->sites[star][t->count[star]++] = number;
	return 0;
}

int
network_add_monomer(struct network *net, struct slice name)
{
	uint32_t first = 0;
	int r;

	if (net->nmonomers > 0) {
		const struct monomer *last = &net->monomers[net->nmonomers - 1];

		first = last->first + last->count;
	}
	r = vec_reserve(&net->monomers, &net->cap_monomers, net->nmonomers + 1, sizeof *net->monomers);
	if (r < 0)
		return r;
	if (name.n > 0) {
		r = names_add(&net->monomer_names, name, (uint32_t)net->nmonomers);
		if (r < 0)
			return r;
	}
	net->monomers[net->nmonomers++] = (struct monomer){
		.name = name,
		.first = first,
		.count = (uint32_t)net->nsites - first,
	};
	return 0;
}

int
network_add_constraint(struct network *net, enum constraint_kind kind, const uint32_t *args, size_t nargs, size_t line)
{
	scoped(free_ptr) uint32_t *copy = calloc(nargs > 0 ? nargs : 1, sizeof *copy);
	int r;

	if (!copy)
		return -ENOMEM;
	if (nargs > 0)
		memcpy(copy, args, nargs * sizeof *copy);
	r = vec_reserve(&net->constraints, &net->cap_constraints, net->nconstraints + 1, sizeof *net->constraints);
	if (r < 0)
		return r;
	net->constraints[net->nconstraints++] =
	    (struct constraint){ .kind = kind, .args = take_ptr(copy), .nargs = (uint32_t)nargs, .line = line };
	return 0;
}

bool
sites_complementary(const struct network *net, uint32_t a, uint32_t b)
{
	return net->sites[a].type == net->sites[b].type && net->sites[a].star != net->sites[b].star;
}

static bool
type_bonds(const struct site_type *type)
{
	return type->count[0] > 0 && type->count[1] > 0;
}

/* Joins the owners of all sites on one side of a type with the owner of one site. */
static bool
join_side(const struct network *net, struct unions *u, const struct site_type *type, uint32_t side, uint32_t monomer)
{
	bool changed = false;

	for (size_t i = 0; i < type->count[side]; i++)
		changed |= union_join(u, monomer, net->sites[type->sites[side][i]].monomer);
	return changed;
}

/* Numbers the components by their earliest monomers and fills their lists. */
static int
list_components(struct network *net, struct unions *u)
{
	scoped(free_ptr) uint32_t *number = calloc(net->nmonomers, sizeof *number);
	size_t count = 0;

	if (!number)
		return -ENOMEM;
	for (uint32_t m = 0; m < net->nmonomers; m++)
		if (union_find(u, m) == m)
			number[m] = (uint32_t)count++;
	net->components = calloc(count, sizeof *net->components);
	if (!net->components)
		return -ENOMEM;
	net->ncomponents = count;
	for (uint32_t m = 0; m < net->nmonomers; m++) {
		net->monomers[m].component = number[union_find(u, m)];
		net->components[net->monomers[m].component].nmonomers++;
	}
	for (uint32_t t = 0; t < net->ntypes; t++)
		if (type_bonds(&net->types[t]))
			net->components[net->monomers[net->sites[net->types[t].sites[0][0]].monomer].component].ntypes++;
	for (size_t c = 0; c < count; c++) {
		struct component *comp = &net->components[c];

		comp->monomers = calloc(comp->nmonomers, sizeof *comp->monomers);
		comp->types = calloc(comp->ntypes > 0 ? comp->ntypes : 1, sizeof *comp->types);
		if (!comp->monomers || !comp->types)
			return -ENOMEM;
		comp->nmonomers = 0;
		comp->ntypes = 0;
	}
	for (uint32_t m = 0; m < net->nmonomers; m++) {
		struct component *comp = &net->components[net->monomers[m].component];

		comp->monomers[comp->nmonomers++] = m;
	}
	for (uint32_t t = 0; t < net->ntypes; t++)
		if (type_bonds(&net->types[t])) {
			uint32_t owner = net->sites[net->types[t].sites[0][0]].monomer;
			struct component *comp = &net->components[net->monomers[owner].component];

			comp->types[comp->ntypes++] = t;
		}
	return 0;
}

/* The set of u that holds all owners of a side, or -1 if there are several. */
static int64_t
common_owner(const struct network *net, struct unions *u, const struct site_type *type, uint32_t side)
{
	uint32_t set = union_find(u, net->sites[type->sites[side][0]].monomer);

	for (size_t i = 1; i < type->count[side]; i++)
		if (union_find(u, net->sites[type->sites[side][i]].monomer) != set)
			return -1;
	return set;
}

/* A site that must be bonded, and all of whose partners are joined already, joins them: repeated until nothing changes. In a
 * branching tree of strands this alone finds the only polymer. */
static void
join_blocks(const struct network *net, struct unions *u)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (size_t t = 0; t < net->ntypes; t++) {
			const struct site_type *type = &net->types[t];

			if (!type_bonds(type))
				continue;
			for (uint32_t side = 0; side < 2; side++) {
				int64_t owner;

				if (side != type->limiting && type->count[0] != type->count[1])
					continue;
				owner = common_owner(net, u, type, !side);
				if (owner >= 0)
					changed |= join_side(net, u, type, side, (uint32_t)owner);
			}
		}
	}
}

static uint64_t
mul_saturated(uint64_t a, uint64_t b)
{
	uint64_t product = 0;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static void
count_component(struct network *net, struct unions *blocks, struct component *comp)
{
	comp->pairings = 1;
	for (size_t i = 0; i < comp->nmonomers; i++) {
		struct monomer *m = &net->monomers[comp->monomers[i]];
		uint32_t root = union_find(blocks, comp->monomers[i]);

		/* union_find() tells the earliest member, which has its number by now */
		m->block = root == comp->monomers[i] ? comp->nblocks++ : net->monomers[root].block;
	}
	comp->nheads = comp->nblocks;
	comp->lower = 1;
	comp->upper = comp->nblocks;
	for (size_t i = 0; i < comp->ntypes; i++) {
		struct site_type *type = &net->types[comp->types[i]];
		uint64_t few = type->count[type->limiting], many = type->count[!type->limiting];

		comp->bonds += few;
		comp->pairs = comp->pairs + few * many;
		for (uint64_t j = 0; j < few && comp->pairings != UINT64_MAX; j++)
			comp->pairings = mul_saturated(comp->pairings, many - j);
	}
}

int
network_analyse(struct network *net)
{
	scoped(unions_done) struct unions near = { NULL, 0 }, blocks = { NULL, 0 };
	int r;

	for (size_t t = 0; t < net->ntypes; t++)
		net->types[t].limiting = net->types[t].count[0] <= net->types[t].count[1] ? 0 : 1;
	r = unions_init(&near, net->nmonomers);
	if (r < 0)
		return r;
	r = unions_init(&blocks, net->nmonomers);
	if (r < 0)
		return r;
	for (size_t t = 0; t < net->ntypes; t++)
		if (type_bonds(&net->types[t])) {
			uint32_t owner = net->sites[net->types[t].sites[0][0]].monomer;

			(void)join_side(net, &near, &net->types[t], 0, owner);
			(void)join_side(net, &near, &net->types[t], 1, owner);
		}
	r = list_components(net, &near);
	if (r < 0)
		return r;
	join_blocks(net, &blocks);
	for (size_t c = 0; c < net->ncomponents; c++)
		count_component(net, &blocks, &net->components[c]);
	return 0;
}
