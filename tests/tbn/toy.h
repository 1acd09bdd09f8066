/* toy.h - small random networks, and everything about them by brute force.
 * This is the oracle of the engine: it shares no code with it and knows the definitions alone (doc/tbn.md, "What is
 * computed"). It lists every saturated pairing, and under constraints on monomers every partition of its polymers. */
#ifndef SPOOLGATE_TEST_TOY_H
#define SPOOLGATE_TEST_TOY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOY_MONOMERS = 16, TOY_SITES = 40, TOY_TYPES = 4, TOY_CONSTRAINTS = 4, TOY_ARGS = 3 };

enum toy_kind { TOY_TOGETHER, TOY_NOTTOGETHER, TOY_FREE, TOY_NOTFREE, TOY_PAIRED, TOY_NOTPAIRED, TOY_ANYPAIRED, TOY_NOTANYPAIRED,
	TOY_KINDS };

struct toy_constraint {
	enum toy_kind kind;
	int nargs;
	int args[TOY_ARGS];	/* monomers or sites */
};

/* Site i is named s<i>, monomer i m<i>. */
struct toy {
	int nmonomers, nsites, nconstraints;
	int type[TOY_SITES], owner[TOY_SITES];
	bool star[TOY_SITES];
	struct toy_constraint constraints[TOY_CONSTRAINTS];
};

/* One saturated pairing that the constraints allow. */
struct toy_config {
	int polymers;
	int8_t partner[TOY_SITES];	/* site, or -1 */
	int8_t leader[TOY_MONOMERS];	/* the earliest monomer of each one's polymer; with NOTFREE one way of several */
};

struct toy_answer {
	const char *error;	/* beginning of the message, or NULL */
	int entropy;
	uint64_t pairings;	/* without constraints */
	struct toy_config *configs;	/* polymers falling */
	size_t count;
};

struct toy_rng {
	uint64_t state;
};
uint32_t toy_random(struct toy_rng *rng, uint32_t below);

/* How many saturated pairings there are, at most limit. */
uint64_t toy_pairings(const struct toy *toy, uint64_t limit);
/* The lines as the engine reads them; each buffer at least TOY_TEXT bytes. */
enum { TOY_TEXT = 4096 };
void toy_write(const struct toy *toy, char *problem, char *constraints);
/* Solves it. The caller frees answer->configs. Exits if memory runs out. */
void toy_solve(const struct toy *toy, struct toy_answer *answer);

/* Whether bonds may exist between two monomers by way of others. */
bool toy_connected(const struct toy *toy, int a, int b);
/* Whether a partition and a pairing meet all constraints. */
bool toy_allows(const struct toy *toy, const int8_t *partner, const int8_t *leader);

#endif
