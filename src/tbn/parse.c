#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/scoped.h"
#include "tbn/parse.h"
#include "tbn/vec.h"

static const struct kind {
	const char *name;
	int nargs;	/* -1: any number */
	bool on_sites;
} kinds[CONSTRAINT_KINDS] = {
	[TOGETHER] = { "TOGETHER", -1, false },
	[NOTTOGETHER] = { "NOTTOGETHER", 2, false },
	[FREE] = { "FREE", 1, false },
	[NOTFREE] = { "NOTFREE", 1, false },
	[PAIRED] = { "PAIRED", 2, true },
	[NOTPAIRED] = { "NOTPAIRED", 2, true },
	[ANYPAIRED] = { "ANYPAIRED", 1, true },
	[NOTANYPAIRED] = { "NOTANYPAIRED", 1, true },
};

const char *
constraint_kind_name(enum constraint_kind kind)
{
	return kinds[kind].name;
}

/* Where c first stands in word, or its length. */
static size_t
find(struct slice word, char c)
{
	const char *p = word.n > 0 ? memchr(word.p, c, word.n) : NULL;

	return p ? (size_t)(p - word.p) : word.n;
}

/* The comment mark may stand inside a word: true if it does, and word is cut there. */
static bool
cut_comment(struct slice *word)
{
	size_t hash = find(*word, '#');
	bool found = hash < word->n;

	word->n = hash;
	return found;
}

/* type["*"junk][":"name]; word is not empty and begins with neither ">" nor "*". */
static int
parse_site(struct network *net, struct slice word, struct slice line, struct fault *fault)
{
	struct slice type = word, name = { NULL, 0 };
	size_t colon = find(word, ':'), star;

	if (colon < word.n) {
		type.n = colon;
		name = (struct slice){ word.p + colon + 1, word.n - colon - 1 };
		if (type.n == 0 || name.n == 0)
			return fault_set(fault, FAULT_TBN, "Invalid BindingSite name. '%v'", &line);
		if (names_find(&net->site_names, name) >= 0)
			return fault_set(fault, FAULT_TBN, "Duplicate BindingSite name. '%v'", &line);
	}
	star = find(type, '*');
	return network_add_site(net, (struct slice){ type.p, star }, star < type.n, name);
}

static int
parse_monomer(struct network *net, struct slice line, size_t number, struct fault *fault)
{
	struct slice rest = line, word = { NULL, 0 }, name = { NULL, 0 }, name_word = { NULL, 0 };
	size_t before = net->nsites;
	bool comment = false;

	while (!comment && next_word(&rest, &word)) {
		struct slice whole = word;
		int r;

		if (word.p[0] == '*') {
			(void)fault_set(fault, FAULT_TBN, "Invalid BindingSite name. '%v'", &line);
			return fault_at(fault, FAULT_PROBLEM, number, whole);
		}
		comment = cut_comment(&word);
		if (word.n == 0)
			break;
		if (word.p[0] == '>') {
			name = (struct slice){ word.p + 1, word.n - 1 };
			name_word = whole;
			if (name.n > 0)
				break;
			(void)fault_set(fault, FAULT_TBN, "Empty Monomer name. '%v'. Note that any whitespace after the "
			    "monomer name keyword is ignored.", &line);
			return fault_at(fault, FAULT_PROBLEM, number, whole);
		}
		r = parse_site(net, word, line, fault);
		if (r == -EINVAL)
			return fault_at(fault, FAULT_PROBLEM, number, whole);
		if (r < 0)
			return r;
	}
	if (net->nsites == before)
		return 0;
	if (name.n > 0 && names_find(&net->monomer_names, name) >= 0) {
		(void)fault_set(fault, FAULT_TBN, "Duplicate Monomer name. '%v'", &line);
		return fault_at(fault, FAULT_PROBLEM, number, name_word);
	}
	return network_add_monomer(net, name);
}

int
parse_problem(struct network *net, struct slice text, struct fault *fault)
{
	struct slice line = { NULL, 0 };
	size_t number = 0;

	while (next_line(&text, &line)) {
		int r = parse_monomer(net, line, ++number, fault);

		if (r < 0)
			return r;
	}
	if (net->nmonomers == 0)
		return fault_set(fault, FAULT_TBN, "Input contains no monomers.");
	return 0;
}

/* Looks an argument up where its kind says. */
static int
find_argument(const struct network *net, const struct kind *kind, struct slice word, struct slice line, struct fault *fault,
    uint32_t *ret_arg)
{
	int64_t found = names_find(kind->on_sites ? &net->site_names : &net->monomer_names, word);

	if (found < 0)
		return fault_set(fault, FAULT_TBN,
		    kind->on_sites ? "BindingSite '%v' does not exist. '%v'" : "Monomer '%v' does not exist. '%v'", &word, &line);
	*ret_arg = (uint32_t)found;
	return 0;
}

static int
find_kind(struct slice word, enum constraint_kind *ret_kind)
{
	for (enum constraint_kind k = 0; k < CONSTRAINT_KINDS; k++)
		if (slice_is(word, kinds[k].name)) {
			*ret_kind = k;
			return 0;
		}
	return -ENOENT;
}

static int
parse_constraint(struct network *net, struct slice line, size_t number, struct fault *fault)
{
	scoped(free_ptr) struct slice *words = NULL;
	scoped(free_ptr) uint32_t *args = NULL;
	struct slice rest = line, word = { NULL, 0 };
	size_t cap = 0, count = 0;
	enum constraint_kind kind = TOGETHER;
	bool comment = false;
	int r;

	while (!comment && next_word(&rest, &word)) {
		comment = cut_comment(&word);
		if (word.n == 0)
			break;
		r = vec_reserve(&words, &cap, count + 1, sizeof *words);
		if (r < 0)
			return r;
		words[count++] = word;
	}
	if (count == 0)
		return 0;
	if (find_kind(words[0], &kind) < 0) {
		(void)fault_set(fault, FAULT_TBN, "Invalid Constraint '%v'. '%v'", &words[0], &line);
		return fault_at(fault, FAULT_CONSTRAINTS, number, words[0]);
	}
	count--;
	if (kinds[kind].nargs >= 0 && (size_t)kinds[kind].nargs != count) {
		(void)fault_set(fault, FAULT_TBN, "Constraint '%v' takes %d arguments, got %d. '%v'", &words[0], kinds[kind].nargs,
		    (int)count, &line);
		return fault_at(fault, FAULT_CONSTRAINTS, number, words[0]);
	}
	args = calloc(count > 0 ? count : 1, sizeof *args);
	if (!args)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		r = find_argument(net, &kinds[kind], words[i + 1], line, fault, &args[i]);
		if (r < 0)
			return fault_at(fault, FAULT_CONSTRAINTS, number, words[i + 1]);
	}
	return network_add_constraint(net, kind, args, count, number);
}

int
parse_constraints(struct network *net, struct slice text, struct fault *fault)
{
	struct slice line = { NULL, 0 };
	size_t number = 0;

	while (next_line(&text, &line)) {
		int r = parse_constraint(net, line, ++number, fault);

		if (r < 0)
			return r;
	}
	return 0;
}

static struct component *
component_of(const struct network *net, uint32_t monomer)
{
	return &net->components[net->monomers[monomer].component];
}

/* Every two of them must be able to meet, and be two. seen holds, for each monomer, the last constraint (from 1) naming it. */
static int
check_together(const struct network *net, size_t number, uint32_t *seen, struct fault *fault)
{
	struct constraint *c = &net->constraints[number];

	for (uint32_t i = 0; i < c->nargs; i++) {
		const struct monomer *m = &net->monomers[c->args[i]], *other = &net->monomers[c->args[0]];
		bool twice = seen[c->args[i]] == number + 1;

		seen[c->args[i]] = (uint32_t)number + 1;
		if (!twice && m->component == other->component)
			continue;
		(void)fault_set(fault, FAULT_TBN, "Monomer [%v] and Monomer [%v] cannot be together in any valid configuration.",
		    &m->name, twice ? &m->name : &other->name);
		return fault_at(fault, FAULT_CONSTRAINTS, c->line, m->name);
	}
	if (c->nargs > 1) {
		component_of(net, c->args[0])->constrained = true;
		component_of(net, c->args[0])->classes_constrained = true;
		c->effective = true;
	}
	return 0;
}

static int
check_on_monomers(const struct network *net, struct constraint *c, struct fault *fault)
{
	struct component *comp = component_of(net, c->args[0]);
	const struct monomer *m = &net->monomers[c->args[0]];

	if (c->kind == NOTTOGETHER && (c->args[0] == c->args[1] || component_of(net, c->args[1]) != comp))
		return 0;
	if (c->kind != NOTTOGETHER && comp->nmonomers == 1) {
		if (c->kind == FREE)
			return 0;
		(void)fault_set(fault, FAULT_TBN,
		    "Monomer [%v] cannot be together with any other Monomer in any valid configuration.", &m->name);
		return fault_at(fault, FAULT_CONSTRAINTS, c->line, m->name);
	}
	comp->constrained = true;
	comp->classes_constrained = true;
	c->effective = true;
	return 0;
}

static int
check_on_sites(const struct network *net, struct constraint *c, struct fault *fault)
{
	const struct site *a = &net->sites[c->args[0]], *b = &net->sites[c->args[c->nargs - 1]];
	bool two = c->kind == PAIRED || c->kind == NOTPAIRED;
	bool possible = two ? sites_complementary(net, c->args[0], c->args[1]) : net->types[a->type].count[!a->star] > 0;

	if (possible) {
		component_of(net, a->monomer)->constrained = true;
		c->effective = true;
		return 0;
	}
	if (c->kind == PAIRED)
		(void)fault_set(fault, FAULT_TBN, "Binding Site [%v] and Binding Site [%v] are not complementary.", &a->name,
		    &b->name);
	else if (c->kind == ANYPAIRED)
		(void)fault_set(fault, FAULT_TBN,
		    "Binding Site [%v] does not have any complementary binding sites in the system.", &a->name);
	else
		return 0;
	return fault_at(fault, FAULT_CONSTRAINTS, c->line, a->name);
}

int
check_constraints(struct network *net, struct fault *fault)
{
	scoped(free_ptr) uint32_t *seen = calloc(net->nmonomers, sizeof *seen);

	if (!seen)
		return -ENOMEM;
	for (size_t i = 0; i < net->nconstraints; i++) {
		struct constraint *c = &net->constraints[i];
		int r;

		if (c->kind == TOGETHER)
			r = check_together(net, i, seen, fault);
		else if (kinds[c->kind].on_sites)
			r = check_on_sites(net, c, fault);
		else
			r = check_on_monomers(net, c, fault);
		if (r < 0)
			return r;
	}
	return 0;
}
