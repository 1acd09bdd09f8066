/* network.h - a thermodynamic binding network in memory, and what follows from its shape alone.
 * Words: a monomer is a bag of binding sites; a site has a type and a polarity (normal or star); sites of one type and
 * opposite polarity can bond. All texts are slices of the input, which must outlive the network. Indexes are positions in
 * the arrays below; monomers and sites stand in input order, a monomer's sites side by side. */
#ifndef SPOOLGATE_TBN_NETWORK_H
#define SPOOLGATE_TBN_NETWORK_H

#include "tbn/names.h"

/* Bounds on the input, far above what can be solved; they keep every index and product within 32 and 64 bits. */
enum { MONOMERS_MAX = 1000000, SITES_MAX = 4000000, INPUT_MAX = 64 * 1024 * 1024 };

struct site {
	struct slice name;	/* n = 0: none */
	uint32_t type;
	uint32_t monomer;
	uint32_t rank;	/* position among the sites of its type and polarity */
	bool star;
};

struct monomer {
	struct slice name;	/* n = 0: none */
	uint32_t first;	/* its sites are first .. first + count - 1 */
	uint32_t count;
	uint32_t component;
	uint32_t block;	/* number of its block within the component */
};

/* sites[0] are the normal ones, sites[1] the star ones, each in input order. */
struct site_type {
	struct slice text;
	uint32_t *sites[2];
	size_t count[2];
	size_t cap[2];
	uint32_t limiting;	/* polarity of the side all of whose sites are bonded in every saturated pairing */
};

enum constraint_kind { TOGETHER, NOTTOGETHER, FREE, NOTFREE, PAIRED, NOTPAIRED, ANYPAIRED, NOTANYPAIRED, CONSTRAINT_KINDS };

struct constraint {
	enum constraint_kind kind;
	uint32_t *args;	/* monomers or sites, as the kind demands */
	uint32_t nargs;
	bool effective;	/* set by check_constraints(): it forbids something that could be otherwise */
	size_t line;
};

/* What can never be joined is apart: the components of the graph in which monomers are adjacent if a type in one meets its
 * complement in the other. A block is a set of monomers that every saturated pairing joins. */
struct component {
	uint32_t *monomers;	/* ascending */
	size_t nmonomers;
	uint32_t *types;	/* those with both polarities, ascending; all their sites are in this component */
	size_t ntypes;
	uint32_t nblocks;	/* numbered by their earliest monomers, until bound_network() puts heads first */
	uint32_t nheads;	/* every polymer has a block with a number below this one */
	int64_t lower, upper;	/* every pairing makes at least lower polymers, and none more than upper (without constraints) */
	uint64_t bonds;	/* E: in every saturated pairing */
	uint64_t pairs;	/* bonds that are possible */
	uint64_t pairings;	/* W: how many saturated pairings there are; UINT64_MAX: at least so many */
	bool constrained;	/* some constraint that has an effect names something in here */
	bool classes_constrained;	/* ... of the kinds that speak of monomers */
};

struct network {
	struct site *sites;
	size_t nsites, cap_sites;
	struct monomer *monomers;
	size_t nmonomers, cap_monomers;
	struct site_type *types;
	size_t ntypes, cap_types;
	struct constraint *constraints;
	size_t nconstraints, cap_constraints;
	struct names type_names, site_names, monomer_names;
	struct component *components;	/* by their earliest monomers; empty before network_analyse() */
	size_t ncomponents;
};

void network_done(struct network *net);

/* Adding, for the parser. Each returns 0 or -ENOMEM, or -EFBIG over the bounds above. */
int network_add_site(struct network *net, struct slice type, bool star, struct slice name);
/* Ends a monomer: it gets all sites added since the last one. */
int network_add_monomer(struct network *net, struct slice name);
int network_add_constraint(struct network *net, enum constraint_kind kind, const uint32_t *args, size_t nargs, size_t line);

/* Finds limiting sides, components and blocks. 0 or -ENOMEM. Once, after the last monomer. */
int network_analyse(struct network *net);

bool sites_complementary(const struct network *net, uint32_t a, uint32_t b);
/* The sites of the limiting side of a type, and of the other one. */
static inline uint32_t *
limiting_sites(const struct site_type *type, size_t *ret_count)
{
	*ret_count = type->count[type->limiting];
	return type->sites[type->limiting];
}
static inline uint32_t *
other_sites(const struct site_type *type, size_t *ret_count)
{
	*ret_count = type->count[!type->limiting];
	return type->sites[!type->limiting];
}

#endif
