/* symmetry [COUNT [SEED]]: COUNT random networks full of like sites and like monomers, solved with the ordering clauses and
 * without them, and by brute force where that is possible. Entropy, and the polymers of the first configuration under constraints,
 * must be the same: the clauses may drop pairings but never the last of a kind, and where a constraint names something they
 * must leave it alone. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tbn/bound.h"
#include "tbn/parse.h"
#include "tbn/search.h"
#include "toy.h"

static const uint64_t BRUTE_MAX = 5000;
/* Without the clauses some take for ever; those do not count, and others take their place. */
static const uint64_t PLAIN_LIMIT_USEC = 60000, LIMIT_USEC = 5000000;

static void
make_toy(struct toy *toy, struct toy_rng *rng)
{
	bool both = toy_random(rng, 5) == 0;
	int types = 1 + (int)toy_random(rng, 3), kinds = 1 + (int)toy_random(rng, 4);

	memset(toy, 0, sizeof *toy);
	for (int k = 0; k < kinds; k++) {
		int copies = 1 + (int)toy_random(rng, 4), count = 1 + (int)toy_random(rng, 4);
		int type[4], star[4];

		for (int i = 0; i < count; i++) {
			bool again = i > 0 && toy_random(rng, 2) == 0;

			type[i] = again ? type[i - 1] : (int)toy_random(rng, (uint32_t)types);
			star[i] = again ? star[i - 1] : (int)toy_random(rng, 2);
			for (int j = 0; j < i && !both; j++)
				if (type[j] == type[i])
					star[i] = star[j];
		}
		for (int c = 0; c < copies && toy->nmonomers < TOY_MONOMERS && toy->nsites + count <= TOY_SITES; c++) {
			for (int i = 0; i < count; i++) {
				int s = toy->nsites++;

				toy->owner[s] = toy->nmonomers;
				toy->type[s] = type[i];
				toy->star[s] = star[i] != 0;
			}
			toy->nmonomers++;
		}
	}
}

/* Only constraints that can always apply, so that errors do not use up the instances. */
static void
constrain_toy(struct toy *toy, struct toy_rng *rng)
{
	static const enum toy_kind kinds[] = { TOY_FREE, TOY_NOTTOGETHER, TOY_NOTPAIRED, TOY_NOTANYPAIRED };
	static const int nargs[TOY_KINDS] = { 0, 2, 1, 1, 2, 2, 1, 1 };

	if (toy_random(rng, 2) == 0)
		return;
	toy->nconstraints = 1 + (int)toy_random(rng, TOY_CONSTRAINTS - 1);
	for (int i = 0; i < toy->nconstraints; i++) {
		struct toy_constraint *c = &toy->constraints[i];
		int a = (int)toy_random(rng, (uint32_t)toy->nmonomers), b = (int)toy_random(rng, (uint32_t)toy->nmonomers);

		c->kind = kinds[toy_random(rng, 4)];
		if (a != b && toy_random(rng, 4) == 0 && toy_connected(toy, a, b))
			c->kind = TOY_TOGETHER;
		c->nargs = c->kind == TOY_TOGETHER ? 2 : nargs[c->kind];
		c->args[0] = c->kind >= TOY_PAIRED ? (int)toy_random(rng, (uint32_t)toy->nsites) : a;
		c->args[1] = c->kind >= TOY_PAIRED ? (int)toy_random(rng, (uint32_t)toy->nsites) : b;
	}
}

struct result {
	bool known;
	int64_t entropy;
	int64_t top;	/* polymers of the best configuration under the constraints, 0: there is none */
};

static struct result
solve(const struct toy *toy, bool symmetry, bool bounds, uint64_t limit_usec)
{
	struct part_options options = { .symmetry = symmetry, .eager_max = 1000000 };
	char problem[TOY_TEXT], constraints[TOY_TEXT];
	struct network net = { 0 };
	struct fault fault = { .class = FAULT_NONE };
	struct result result = { false, 0, 0 };
	struct progress progress;
	struct search search;
	int r;

	toy_write(toy, problem, constraints);
	if (parse_problem(&net, (struct slice){ problem, strlen(problem) }, &fault) < 0 ||
	    parse_constraints(&net, (struct slice){ constraints, strlen(constraints) }, &fault) < 0 || network_analyse(&net) < 0 ||
	    check_constraints(&net, &fault) < 0 || (bounds && bound_network(&net) < 0) || progress_init(&progress, NULL, false, limit_usec, 0) < 0 ||
	    search_init(&search, &net, &progress, &options, 1, 1) < 0) {
		printf("symmetry: not parsed: %s\n%s--\n%s", fault.message ? fault.message : "?", problem, constraints);
		exit(1);
	}
	r = search_entropy(&search);
	if (r == 0)
		r = search_configurations(&search);
	if (r != 0 && r != -ETIME) {
		printf("symmetry: error %d\n%s--\n%s", r, problem, constraints);
		exit(1);
	}
	result = (struct result){ r == 0, search.entropy, search.found > 0 ? search.top : 0 };
	search_done(&search);
	progress_done(&progress);
	network_done(&net);
	fault_done(&fault);
	return result;
}

static bool
differ(const struct result *a, const struct result *b)
{
	return a->known && b->known && (a->entropy != b->entropy || a->top != b->top);
}

static struct result
brute(const struct toy *toy)
{
	struct result result = { false, 0, 0 };
	struct toy_answer answer;

	if (toy_pairings(toy, BRUTE_MAX + 1) > BRUTE_MAX || (toy->nconstraints > 0 && toy->nmonomers > 7))
		return result;
	toy_solve(toy, &answer);
	result = (struct result){ true, answer.entropy, answer.count > 0 ? answer.configs[0].polymers : 0 };
	free(answer.configs);
	return result;
}

int
main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 4000, seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	uint64_t compared = 0, against_brute = 0, constrained = 0, n = 0;

	for (; compared < count && n < 2 * count; n++) {
		struct toy_rng rng = { seed + n };
		struct result with, without, bounded, exact;
		struct toy toy;

		make_toy(&toy, &rng);
		constrain_toy(&toy, &rng);
		with = solve(&toy, true, false, LIMIT_USEC);
		bounded = solve(&toy, true, true, LIMIT_USEC);
		without = solve(&toy, false, false, PLAIN_LIMIT_USEC);
		exact = brute(&toy);
		if (differ(&with, &without) || differ(&with, &exact) || differ(&bounded, &with) || differ(&bounded, &without) ||
		    differ(&without, &exact) || differ(&bounded, &exact)) {
			char problem[TOY_TEXT], constraints[TOY_TEXT];

			toy_write(&toy, problem, constraints);
			printf("symmetry: seed %" PRIu64 ": with %" PRId64 "/%" PRId64 ", with bounds %" PRId64 "/%" PRId64
			    ", without %" PRId64 "/%" PRId64 ", brute force %" PRId64 "/%" PRId64 "\n%s--\n%s", seed + n, with.entropy,
			    with.top, bounded.entropy, bounded.top, without.entropy, without.top, exact.entropy, exact.top, problem,
			    constraints);
			return 1;
		}
		compared += with.known && without.known;
		against_brute += with.known && exact.known;
		constrained += with.known && without.known && toy.nconstraints > 0;
	}
	printf("symmetry: %" PRIu64 " of %" PRIu64 " networks agree with the solver without it (%" PRIu64 " constrained), %" PRIu64
	    " with brute force\n", compared, n, constrained, against_brute);
	return compared < count ? 1 : 0;
}
