/* differential [COUNT [SEED]]: random networks through the engine and through brute force; whatever is unique must agree, and
 * what may differ must be valid. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tbn/bound.h"
#include "tbn/parse.h"
#include "tbn/search.h"
#include "toy.h"

static const uint64_t PAIRINGS_MAX = 400;

static void
make_toy(struct toy *toy, struct toy_rng *rng)
{
	do {
		bool both = toy_random(rng, 4) == 0;	/* monomers may hold a type and its complement */
		int types = 1 + (int)toy_random(rng, TOY_TYPES), alike = (int)toy_random(rng, 3);

		memset(toy, 0, sizeof *toy);
		toy->nmonomers = 1 + (int)toy_random(rng, 7);
		for (int m = 0; m < toy->nmonomers; m++) {
			int count = 1 + (int)toy_random(rng, 3), first = toy->nsites;

			for (int i = 0; i < count && toy->nsites < TOY_SITES; i++) {
				int s = toy->nsites++;

				toy->owner[s] = m;
				toy->type[s] = (int)toy_random(rng, (uint32_t)types);
				toy->star[s] = toy_random(rng, 2) == 0;
				for (int j = first; j < s && !both; j++)
					if (toy->type[j] == toy->type[s])
						toy->star[s] = toy->star[j];
				/* like sites and like monomers are what symmetry is about */
				if (alike > 0 && i > 0 && toy_random(rng, 2) == 0) {
					toy->type[s] = toy->type[s - 1];
					toy->star[s] = toy->star[s - 1];
				}
			}
			if (alike > 1 && first > 0 && toy_random(rng, 2) == 0) {
				int before = first;

				while (before > 0 && toy->owner[before - 1] == m - 1)
					before--;
				toy->nsites = first;
				for (int i = before; i < first && toy->nsites < TOY_SITES; i++) {
					int s = toy->nsites++;

					toy->owner[s] = m;
					toy->type[s] = toy->type[i];
					toy->star[s] = toy->star[i];
				}
			}
		}
		/* the last monomers may have found no room */
		toy->nmonomers = toy->owner[toy->nsites - 1] + 1;
	} while (toy_pairings(toy, PAIRINGS_MAX + 1) > PAIRINGS_MAX);
}

static void
constrain_toy(struct toy *toy, struct toy_rng *rng)
{
	static const int nargs[TOY_KINDS] = { 0, 2, 1, 1, 2, 2, 1, 1 };

	if (toy_random(rng, 5) < 2)
		return;
	toy->nconstraints = 1 + (int)toy_random(rng, TOY_CONSTRAINTS - 1);
	for (int i = 0; i < toy->nconstraints; i++) {
		struct toy_constraint *c = &toy->constraints[i];
		int range;

		c->kind = (enum toy_kind)toy_random(rng, TOY_KINDS);
		c->nargs = c->kind == TOY_TOGETHER ? (int)toy_random(rng, TOY_ARGS + 1) : nargs[c->kind];
		range = c->kind >= TOY_PAIRED ? toy->nsites : toy->nmonomers;
		for (int a = 0; a < c->nargs; a++)
			c->args[a] = (int)toy_random(rng, (uint32_t)range);
	}
}

struct checker {
	const struct toy *toy;
	const struct toy_answer *answer;
	struct toy_config *seen;
	size_t nseen;
	const char *wrong;	/* the first thing that was */
};

static void
fail(struct checker *c, const char *why)
{
	if (!c->wrong)
		c->wrong = why;
}

/* Every bond must lie within one polymer, every type must be saturated, every constraint hold. */
static void
check_config(struct checker *c, const struct toy_config *config)
{
	const struct toy *toy = c->toy;
	int polymers = 0, bonds[TOY_TYPES] = { 0 }, sides[TOY_TYPES][2] = { { 0 } };

	for (int i = 0; i < toy->nsites; i++) {
		int p = config->partner[i];

		sides[toy->type[i]][toy->star[i]]++;
		if (p < 0)
			continue;
		bonds[toy->type[i]]++;
		if (config->partner[p] != i || toy->type[p] != toy->type[i] || toy->star[p] == toy->star[i])
			fail(c, "not a pairing");
		if (config->leader[toy->owner[i]] != config->leader[toy->owner[p]])
			fail(c, "a bond between polymers");
	}
	for (int t = 0; t < TOY_TYPES; t++)
		if (bonds[t] != 2 * (sides[t][0] < sides[t][1] ? sides[t][0] : sides[t][1]))
			fail(c, "not saturated");
	for (int m = 0; m < toy->nmonomers; m++) {
		if (config->leader[m] > m || config->leader[(int)config->leader[m]] != config->leader[m])
			fail(c, "a polymer is not named by its earliest monomer");
		if (!toy_connected(toy, m, config->leader[m]))
			fail(c, "a polymer across components");
		polymers += config->leader[m] == m;
	}
	if (!toy_allows(toy, config->partner, config->leader))
		fail(c, "a constraint is broken");
	if (c->nseen >= c->answer->count) {
		fail(c, "too many configurations");
		return;
	}
	if (polymers != c->answer->configs[c->nseen].polymers)
		fail(c, "polymers_count differs");
	for (size_t i = 0; i < c->nseen; i++)
		if (memcmp(c->seen[i].partner, config->partner, (size_t)toy->nsites) == 0)
			fail(c, "a pairing twice");
	c->seen[c->nseen++] = *config;
}

static int
on_config(struct search *s, void *data)
{
	struct checker *c = data;
	struct toy_config config = { .polymers = 0 };

	memset(config.partner, -1, sizeof config.partner);
	for (size_t k = 0; k < s->net->ncomponents; k++) {
		const struct component *comp = &s->net->components[k];
		uint32_t earliest[TOY_MONOMERS] = { 0 };
		size_t slot = 0;

		if (part_polymers(&s->parts[k], s->current[k], earliest) < 0)
			abort();
		for (size_t i = 0; i < comp->nmonomers; i++)
			config.leader[comp->monomers[i]] = (int8_t)comp->monomers[earliest[i]];
		for (size_t t = 0; t < comp->ntypes; t++) {
			size_t rows = 0, columns = 0;
			const uint32_t *row = limiting_sites(&s->net->types[comp->types[t]], &rows);
			const uint32_t *column = other_sites(&s->net->types[comp->types[t]], &columns);

			for (size_t i = 0; i < rows; i++, slot++) {
				uint32_t partner = column[s->current[k][slot]];

				config.partner[row[i]] = (int8_t)partner;
				config.partner[partner] = (int8_t)row[i];
			}
		}
	}
	check_config(c, &config);
	return c->wrong ? -1 : 0;
}

static int
compare_leaders(const void *a, const void *b)
{
	return memcmp(((const struct toy_config *)a)->leader, ((const struct toy_config *)b)->leader, TOY_MONOMERS);
}

/* All were listed: then they print the same, but for the order. */
static void
compare_partitions(struct checker *c)
{
	for (int i = 0; i < c->toy->nconstraints; i++)
		if (c->toy->constraints[i].kind == TOY_NOTFREE)
			return;
	if (c->nseen == 0)
		return;
	qsort(c->seen, c->nseen, sizeof *c->seen, compare_leaders);
	qsort(c->answer->configs, c->answer->count, sizeof *c->answer->configs, compare_leaders);
	for (size_t i = 0; i < c->nseen; i++)
		if (memcmp(c->seen[i].leader, c->answer->configs[i].leader, (size_t)c->toy->nmonomers) != 0)
			fail(c, "the partitions differ");
}

/* How many of the answer's configurations must come out. */
static size_t
expected_count(const struct toy *toy, const struct toy_answer *answer, int64_t gen, int64_t init_k)
{
	int64_t want = toy->nconstraints > 0 ? gen : gen > 1 ? gen : 1;
	size_t count = 0;

	while (count < answer->count && (int64_t)count < want && answer->configs[count].polymers >= init_k)
		count++;
	return count;
}

static void
check_run(struct checker *c, struct network *net, int64_t gen, int64_t init_k, const struct part_options *options)
{
	struct progress progress;
	struct search search;
	size_t expected = expected_count(c->toy, c->answer, gen, init_k);
	int r;

	if (progress_init(&progress, NULL, false, 0, 0) < 0 || search_init(&search, net, &progress, options, gen, init_k) < 0)
		abort();
	r = search_entropy(&search);
	if (init_k > c->answer->entropy) {
		if (r != -ERANGE)
			fail(c, "init_k should have been too high");
	} else if (r != 0) {
		fail(c, "no entropy");
	} else {
		if (search.entropy != c->answer->entropy)
			fail(c, "entropy differs");
		if (search_configurations(&search) != 0)
			fail(c, "no configurations");
		if (search.found != (int64_t)expected)
			fail(c, "count differs");
		(void)search_each(&search, on_config, c);
		if (c->nseen != expected)
			fail(c, "listed fewer than found");
		if (!c->wrong && expected == c->answer->count)
			compare_partitions(c);
	}
	search_done(&search);
	progress_done(&progress);
}

static const char *
run_toy(const struct toy *toy, struct toy_answer *answer, int64_t gen, int64_t init_k, bool bounds,
    const struct part_options *options)
{
	char problem[TOY_TEXT], constraints[TOY_TEXT];
	struct network net = { 0 };
	struct fault fault = { .class = FAULT_NONE };
	struct checker c = { .toy = toy, .answer = answer };
	int r;

	c.seen = calloc(answer->count + 1, sizeof *c.seen);
	if (!c.seen)
		abort();
	toy_write(toy, problem, constraints);
	r = parse_problem(&net, (struct slice){ problem, strlen(problem) }, &fault);
	if (r == 0)
		r = parse_constraints(&net, (struct slice){ constraints, strlen(constraints) }, &fault);
	if (r == 0)
		r = network_analyse(&net);
	if (r < 0)
		fail(&c, "not parsed");
	else
		r = check_constraints(&net, &fault);
	if (!c.wrong && (r < 0) != (answer->error != NULL))
		fail(&c, "error differs");
	else if (r < 0 && answer->error && strncmp(fault.message, answer->error, strlen(answer->error)) != 0)
		fail(&c, "message differs");
	else if (bounds && bound_network(&net) < 0)
		abort();
	else if (r == 0)
		check_run(&c, &net, gen, init_k, options);
	network_done(&net);
	fault_done(&fault);
	free(c.seen);
	return c.wrong;
}

int
main(int argc, char **argv)
{
	static const int64_t gens[] = { 0, 1, 2, 5, 1000, 1000 };
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000, seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	uint64_t errors = 0, constrained = 0, exhaustive = 0;

	for (uint64_t n = 0; n < count; n++) {
		struct toy_rng rng = { seed + n };
		struct part_options options;
		struct toy_answer answer;
		struct toy toy;
		const char *wrong;
		bool bounds;
		int64_t gen = gens[toy_random(&rng, 6)], init_k = (int64_t)toy_random(&rng, 4) - 1;

		make_toy(&toy, &rng);
		constrain_toy(&toy, &rng);
		options.symmetry = toy_random(&rng, 4) > 0;
		bounds = toy_random(&rng, 3) > 0;
		options.walk = toy_random(&rng, 2) > 0;
		options.eager_max = toy_random(&rng, 3) > 0 ? 1000000 : 0;
		toy_solve(&toy, &answer);
		wrong = run_toy(&toy, &answer, gen, init_k, bounds, &options);
		if (wrong) {
			char problem[TOY_TEXT], constraints[TOY_TEXT];

			toy_write(&toy, problem, constraints);
			printf("differential: %s\nseed %" PRIu64 ", gen %" PRId64 ", init_k %" PRId64
			    ", symmetry %d, bounds %d, lazy %d, walk %d, entropy %d, count %zu\n%s--\n%s",
			    wrong, seed + n, gen, init_k, options.symmetry, bounds, options.eager_max == 0, options.walk, answer.entropy,
			    answer.count, problem, constraints);
			return 1;
		}
		errors += answer.error != NULL;
		constrained += toy.nconstraints > 0;
		exhaustive += !answer.error && gen == 1000;
		free(answer.configs);
	}
	printf("differential: %" PRIu64 " networks agree with brute force (%" PRIu64 " constrained, %" PRIu64 " errors, %" PRIu64
	    " listed in full)\n", count, constrained, errors, exhaustive);
	return 0;
}
