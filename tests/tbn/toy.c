#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toy.h"

static const char *const kind_names[TOY_KINDS] = { "TOGETHER", "NOTTOGETHER", "FREE", "NOTFREE", "PAIRED", "NOTPAIRED", "ANYPAIRED",
	"NOTANYPAIRED" };

uint32_t
toy_random(struct toy_rng *rng, uint32_t below)
{
	uint64_t z = (rng->state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)((z ^ z >> 31) >> 33) % below;
}

static int
count_side(const struct toy *toy, int type, bool star)
{
	int count = 0;

	for (int i = 0; i < toy->nsites; i++)
		count += toy->type[i] == type && toy->star[i] == star;
	return count;
}

uint64_t
toy_pairings(const struct toy *toy, uint64_t limit)
{
	uint64_t product = 1;

	for (int t = 0; t < TOY_TYPES; t++) {
		int n = count_side(toy, t, false), c = count_side(toy, t, true);
		int few = n < c ? n : c, many = n < c ? c : n;

		for (int i = 0; i < few; i++) {
			product *= (uint64_t)(many - i);
			if (product > limit)
				return limit;
		}
	}
	return product;
}

void
toy_write(const struct toy *toy, char *problem, char *constraints)
{
	size_t at = 0;

	for (int m = 0; m < toy->nmonomers; m++) {
		for (int i = 0; i < toy->nsites; i++)
			if (toy->owner[i] == m)
				at += (size_t)snprintf(problem + at, TOY_TEXT - at, "%c%s:s%d ", 'a' + toy->type[i],
				    toy->star[i] ? "*" : "", i);
		at += (size_t)snprintf(problem + at, TOY_TEXT - at, ">m%d\n", m);
	}
	at = 0;
	constraints[0] = '\0';
	for (int i = 0; i < toy->nconstraints; i++) {
		const struct toy_constraint *c = &toy->constraints[i];

		at += (size_t)snprintf(constraints + at, TOY_TEXT - at, "%s", kind_names[c->kind]);
		for (int a = 0; a < c->nargs; a++)
			at += (size_t)snprintf(constraints + at, TOY_TEXT - at, " %c%d", c->kind >= TOY_PAIRED ? 's' : 'm', c->args[a]);
		at += (size_t)snprintf(constraints + at, TOY_TEXT - at, "\n");
	}
}

static bool
complementary(const struct toy *toy, int a, int b)
{
	return toy->type[a] == toy->type[b] && toy->star[a] != toy->star[b];
}

bool
toy_connected(const struct toy *toy, int a, int b)
{
	bool reached[TOY_MONOMERS] = { false }, changed = true;

	reached[a] = true;
	while (changed) {
		changed = false;
		for (int i = 0; i < toy->nsites; i++)
			for (int j = 0; j < toy->nsites; j++)
				if (complementary(toy, i, j) && reached[toy->owner[i]] && !reached[toy->owner[j]])
					reached[toy->owner[j]] = changed = true;
	}
	return reached[b];
}

static bool
isolated(const struct toy *toy, int m)
{
	for (int i = 0; i < toy->nmonomers; i++)
		if (i != m && toy_connected(toy, m, i))
			return false;
	return true;
}

static bool
has_complement(const struct toy *toy, int site)
{
	return count_side(toy, toy->type[site], !toy->star[site]) > 0;
}

/* The first constraint that cannot apply. */
static const char *
find_error(const struct toy *toy)
{
	for (int i = 0; i < toy->nconstraints; i++) {
		const struct toy_constraint *c = &toy->constraints[i];

		if (c->kind == TOY_TOGETHER)
			for (int a = 0; a < c->nargs; a++)
				for (int b = 0; b < a; b++)
					if (c->args[a] == c->args[b] || !toy_connected(toy, c->args[a], c->args[b]))
						return "Monomer [";
		if (c->kind == TOY_NOTFREE && isolated(toy, c->args[0]))
			return "Monomer [";
		if (c->kind == TOY_PAIRED && !complementary(toy, c->args[0], c->args[1]))
			return "Binding Site [";
		if (c->kind == TOY_ANYPAIRED && !has_complement(toy, c->args[0]))
			return "Binding Site [";
	}
	return NULL;
}

static bool
allows_pairing(const struct toy *toy, const int8_t *partner)
{
	for (int i = 0; i < toy->nconstraints; i++) {
		const struct toy_constraint *c = &toy->constraints[i];
		bool bonded = c->kind >= TOY_PAIRED && partner[c->args[0]] >= 0;
		bool paired = bonded && c->nargs > 1 && partner[c->args[0]] == c->args[1];

		if ((c->kind == TOY_PAIRED && !paired) || (c->kind == TOY_NOTPAIRED && paired) ||
		    (c->kind == TOY_ANYPAIRED && !bonded) || (c->kind == TOY_NOTANYPAIRED && bonded))
			return false;
	}
	return true;
}

static bool
alone(const struct toy *toy, const int8_t *leader, int m)
{
	for (int i = 0; i < toy->nmonomers; i++)
		if (i != m && leader[i] == leader[m])
			return false;
	return true;
}

static bool
allows_partition(const struct toy *toy, const int8_t *leader)
{
	for (int i = 0; i < toy->nconstraints; i++) {
		const struct toy_constraint *c = &toy->constraints[i];

		if (c->kind == TOY_TOGETHER)
			for (int a = 1; a < c->nargs; a++)
				if (leader[c->args[a]] != leader[c->args[0]])
					return false;
		if (c->kind == TOY_NOTTOGETHER && c->args[0] != c->args[1] && leader[c->args[0]] == leader[c->args[1]])
			return false;
		if (c->kind == TOY_FREE && !alone(toy, leader, c->args[0]))
			return false;
		if (c->kind == TOY_NOTFREE && alone(toy, leader, c->args[0]))
			return false;
	}
	return true;
}

bool
toy_allows(const struct toy *toy, const int8_t *partner, const int8_t *leader)
{
	return allows_pairing(toy, partner) && allows_partition(toy, leader);
}

static int
count_polymers(const struct toy *toy, const int8_t *leader)
{
	int count = 0;

	for (int m = 0; m < toy->nmonomers; m++)
		count += leader[m] == m;
	return count;
}

static void
connect_bonds(const struct toy *toy, const int8_t *partner, int8_t *leader)
{
	bool changed = true;

	for (int m = 0; m < toy->nmonomers; m++)
		leader[m] = (int8_t)m;
	while (changed) {
		changed = false;
		for (int i = 0; i < toy->nsites; i++) {
			int8_t *a = &leader[toy->owner[i]], *b;

			if (partner[i] < 0)
				continue;
			b = &leader[toy->owner[(int)partner[i]]];
			if (*a != *b) {
				*a = *b = *a < *b ? *a : *b;
				changed = true;
			}
		}
	}
}

struct solver {
	const struct toy *toy;
	struct toy_answer *answer;
	size_t cap;
	int8_t partner[TOY_SITES];
	bool limiting[TOY_SITES];
	bool joinable[TOY_MONOMERS][TOY_MONOMERS];
	bool on_monomers;	/* some constraint speaks of monomers */
};

/* All partitions coarser than base, polymer by polymer: this one joins an earlier one or stays. */
static void
coarsen(struct solver *s, const int8_t *base, int m, int8_t *leader, struct toy_config *best)
{
	const struct toy *toy = s->toy;

	while (m < toy->nmonomers && base[m] != m) {
		leader[m] = leader[(int)base[m]];
		m++;
	}
	if (m == toy->nmonomers) {
		int polymers = count_polymers(toy, leader);

		if (polymers > best->polymers && allows_partition(toy, leader)) {
			best->polymers = polymers;
			memcpy(best->leader, leader, sizeof best->leader);
		}
		return;
	}
	leader[m] = (int8_t)m;
	coarsen(s, base, m + 1, leader, best);
	for (int e = 0; e < m; e++)
		if (base[e] == e && leader[e] == e && s->joinable[e][m]) {
			leader[m] = (int8_t)e;
			coarsen(s, base, m + 1, leader, best);
		}
}

static void
on_pairing(struct solver *s)
{
	struct toy_config config = { .polymers = 0 };
	struct toy_answer *answer = s->answer;
	int8_t base[TOY_MONOMERS] = { 0 }, leader[TOY_MONOMERS] = { 0 };
	int polymers;

	connect_bonds(s->toy, s->partner, base);
	polymers = count_polymers(s->toy, base);
	answer->entropy = polymers > answer->entropy ? polymers : answer->entropy;
	answer->pairings++;
	if (!allows_pairing(s->toy, s->partner))
		return;
	memcpy(config.partner, s->partner, sizeof config.partner);
	if (s->on_monomers) {
		coarsen(s, base, 0, leader, &config);
	} else {
		config.polymers = polymers;
		memcpy(config.leader, base, sizeof config.leader);
	}
	if (config.polymers == 0)
		return;
	if (answer->count == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		answer->configs = reallocarray(answer->configs, s->cap, sizeof *answer->configs);
		if (!answer->configs)
			abort();
	}
	answer->configs[answer->count++] = config;
}

static void
pair_from(struct solver *s, int site)
{
	const struct toy *toy = s->toy;

	while (site < toy->nsites && !s->limiting[site])
		site++;
	if (site == toy->nsites) {
		on_pairing(s);
		return;
	}
	for (int i = 0; i < toy->nsites; i++)
		if (complementary(toy, site, i) && s->partner[i] < 0) {
			s->partner[i] = (int8_t)site;
			s->partner[site] = (int8_t)i;
			pair_from(s, site + 1);
			s->partner[i] = s->partner[site] = -1;
		}
}

static int
compare_configs(const void *a, const void *b)
{
	return ((const struct toy_config *)b)->polymers - ((const struct toy_config *)a)->polymers;
}

void
toy_solve(const struct toy *toy, struct toy_answer *answer)
{
	struct solver s = { .toy = toy, .answer = answer };

	*answer = (struct toy_answer){ .error = find_error(toy) };
	memset(s.partner, -1, sizeof s.partner);
	for (int i = 0; i < toy->nsites; i++) {
		int n = count_side(toy, toy->type[i], false), c = count_side(toy, toy->type[i], true);

		s.limiting[i] = n <= c ? !toy->star[i] : toy->star[i];
	}
	for (int i = 0; i < toy->nconstraints; i++)
		s.on_monomers |= toy->constraints[i].kind < TOY_PAIRED;
	for (int a = 0; a < toy->nmonomers; a++)
		for (int b = 0; b < toy->nmonomers; b++)
			s.joinable[a][b] = toy_connected(toy, a, b);
	pair_from(&s, 0);
	if (answer->count > 0)
		qsort(answer->configs, answer->count, sizeof *answer->configs, compare_configs);
}
