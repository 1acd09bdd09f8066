#include "config.h"

#include <errno.h>
#include <string.h>

#include "tbn_help.h"

struct bad {
	const char *problem, *constraints, *message;
	enum fault_file file;
	size_t line;
	const char *token;
};

static void
check_bad(const struct bad *b)
{
	struct network net = { 0 };
	struct fault fault = { .class = FAULT_NONE };
	int r = read_network(&net, b->problem, b->constraints ? b->constraints : "", &fault);

	if (r != -EINVAL || fault.class != FAULT_TBN || !fault.message || strcmp(fault.message, b->message) != 0)
		fail_msg("wanted <%s>, got %d <%s>", b->message, r, fault.message ? fault.message : "");
	assert_int_equal(fault.file, b->file);
	assert_int_equal(fault.line, b->line);
	if (b->token && !slice_is(fault.token, b->token))
		fail_msg("wanted token <%s>, got <%.*s>", b->token, (int)fault.token.n, fault.token.p);
	network_done(&net);
	fault_done(&fault);
}

/* stableconfigs#3, #16 */
static void
test_monomer_lines_that_are_refused(void **state)
{
	static const struct bad bad[] = {
		{ "", NULL, "Input contains no monomers.", FAULT_NOWHERE, 0, NULL },
		{ "\n# only\n  \n>n\n>n\n", "FREE z", "Input contains no monomers.", FAULT_NOWHERE, 0, NULL },
		{ "a >m\nb >m", NULL, "Duplicate Monomer name. 'b >m'", FAULT_PROBLEM, 2, ">m" },
		{ "a:s\n\nb:s\n", NULL, "Duplicate BindingSite name. 'b:s'", FAULT_PROBLEM, 3, "b:s" },
		{ "a:s b:s", NULL, "Duplicate BindingSite name. 'a:s b:s'", FAULT_PROBLEM, 1, "b:s" },
		{ "a >", NULL, "Empty Monomer name. 'a >'. Note that any whitespace after the monomer name keyword is ignored.",
		    FAULT_PROBLEM, 1, ">" },
		{ "a > m", NULL, "Empty Monomer name. 'a > m'. Note that any whitespace after the monomer name keyword is ignored.",
		    FAULT_PROBLEM, 1, ">" },
		{ "a >#m", NULL, "Empty Monomer name. 'a >#m'. Note that any whitespace after the monomer name keyword is ignored.",
		    FAULT_PROBLEM, 1, ">#m" },
		{ "a *b", NULL, "Invalid BindingSite name. 'a *b'", FAULT_PROBLEM, 1, "*b" },
		{ "*", NULL, "Invalid BindingSite name. '*'", FAULT_PROBLEM, 1, "*" },
		{ "*#", NULL, "Invalid BindingSite name. '*#'", FAULT_PROBLEM, 1, "*#" },
		{ ":s", NULL, "Invalid BindingSite name. ':s'", FAULT_PROBLEM, 1, ":s" },
		{ "a:", NULL, "Invalid BindingSite name. 'a:'", FAULT_PROBLEM, 1, "a:" },
		{ "a:#s", NULL, "Invalid BindingSite name. 'a:#s'", FAULT_PROBLEM, 1, "a:#s" },
		/* the first error wins: the site's name before the monomer's, a line before the next */
		{ "a:s >m\nb:s >m", NULL, "Duplicate BindingSite name. 'b:s >m'", FAULT_PROBLEM, 2, "b:s" },
		{ "a >\n*", "NO", "Empty Monomer name. 'a >'. Note that any whitespace after the monomer name keyword is ignored.",
		    FAULT_PROBLEM, 1, ">" },
		/* the line as it stands, blanks and comments included */
		{ "  a \t*b # why", NULL, "Invalid BindingSite name. '  a \t*b # why'", FAULT_PROBLEM, 1, "*b" },
		{ "\xc3\xa9:\xc3\x9f \xc3\xa9:\xc3\x9f", NULL,
		    "Duplicate BindingSite name. '\xc3\xa9:\xc3\x9f \xc3\xa9:\xc3\x9f'", FAULT_PROBLEM, 1, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		check_bad(&bad[i]);
}

/* stableconfigs#4, #11, #12, #13, #17, #22 */
static void
test_constraint_lines_that_are_refused(void **state)
{
	static const struct bad bad[] = {
		{ "a >m", "free m", "Invalid Constraint 'free'. 'free m'", FAULT_CONSTRAINTS, 1, "free" },
		{ "a >m", "\n#\nNO m", "Invalid Constraint 'NO'. 'NO m'", FAULT_CONSTRAINTS, 3, "NO" },
		{ "a >m", "FREE m m", "Constraint 'FREE' takes 1 arguments, got 2. 'FREE m m'", FAULT_CONSTRAINTS, 1, "FREE" },
		{ "a >m", "FREE", "Constraint 'FREE' takes 1 arguments, got 0. 'FREE'", FAULT_CONSTRAINTS, 1, "FREE" },
		{ "a >m", "PAIRED #a b", "Constraint 'PAIRED' takes 2 arguments, got 0. 'PAIRED #a b'", FAULT_CONSTRAINTS, 1,
		    "PAIRED" },
		{ "a >m", "NOTTOGETHER m", "Constraint 'NOTTOGETHER' takes 2 arguments, got 1. 'NOTTOGETHER m'", FAULT_CONSTRAINTS, 1,
		    NULL },
		{ "a >m", "FREE z", "Monomer 'z' does not exist. 'FREE z'", FAULT_CONSTRAINTS, 1, "z" },
		{ "a >m", "PAIRED m z", "BindingSite 'm' does not exist. 'PAIRED m z'", FAULT_CONSTRAINTS, 1, "m" },
		{ "a:s >m", "PAIRED s z", "BindingSite 'z' does not exist. 'PAIRED s z'", FAULT_CONSTRAINTS, 1, "z" },
		{ ">n\na >m", "FREE n", "Monomer 'n' does not exist. 'FREE n'", FAULT_CONSTRAINTS, 1, "n" },
		{ "a:s1", "ANYPAIRED s1", "Binding Site [s1] does not have any complementary binding sites in the system.",
		    FAULT_CONSTRAINTS, 1, "s1" },
		{ "a >m\nb >n", "TOGETHER m n", "Monomer [n] and Monomer [m] cannot be together in any valid configuration.",
		    FAULT_CONSTRAINTS, 1, "n" },
		{ "a >m\na* >n", "TOGETHER m n m", "Monomer [m] and Monomer [m] cannot be together in any valid configuration.",
		    FAULT_CONSTRAINTS, 1, "m" },
		{ "a >m\nb", "NOTFREE m", "Monomer [m] cannot be together with any other Monomer in any valid configuration.",
		    FAULT_CONSTRAINTS, 1, "m" },
		{ "a a* >m", "NOTFREE m", "Monomer [m] cannot be together with any other Monomer in any valid configuration.",
		    FAULT_CONSTRAINTS, 1, "m" },
		{ "a:s1\na:s2\na*:s3", "PAIRED s1 s2", "Binding Site [s1] and Binding Site [s2] are not complementary.",
		    FAULT_CONSTRAINTS, 1, "s1" },
		{ "a:s1\na*", "PAIRED s1 s1", "Binding Site [s1] and Binding Site [s1] are not complementary.", FAULT_CONSTRAINTS, 1,
		    NULL },
		/* all lines are read before any is weighed */
		{ "a >m\nb >n", "TOGETHER m n\nFREE z", "Monomer 'z' does not exist. 'FREE z'", FAULT_CONSTRAINTS, 2, "z" },
		{ "a >m\nb:s >n", "ANYPAIRED s\nTOGETHER m n",
		    "Binding Site [s] does not have any complementary binding sites in the system.", FAULT_CONSTRAINTS, 1, "s" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		check_bad(&bad[i]);
}

static void
expect_site(const struct network *net, size_t i, const char *type, bool star, const char *name)
{
	const struct site *s = &net->sites[i];

	assert_true(slice_is(net->types[s->type].text, type));
	assert_int_equal(s->star, star);
	assert_true(slice_is(s->name, name));
}

/* stableconfigs#18, #19 */
static void
test_what_the_language_makes_of_odd_lines(void **state)
{
	struct network net = { 0 };
	struct fault fault = { .class = FAULT_NONE };

	(void)state;
	assert_int_equal(read_network(&net, "a>m\na*b:x\n2[a b]\na#b c\n# z\nq*** >n ignored *x\na:s*:t a:>u\r\n", "", &fault), 0);
	assert_int_equal(net.nmonomers, 6);
	assert_int_equal(net.nsites, 8);
	expect_site(&net, 0, "a>m", false, "");
	expect_site(&net, 1, "a", true, "x");
	expect_site(&net, 2, "2[a", false, "");
	expect_site(&net, 3, "b]", false, "");
	expect_site(&net, 4, "a", false, "");
	expect_site(&net, 5, "q", true, "");
	expect_site(&net, 6, "a", false, "s*:t");
	expect_site(&net, 7, "a", false, ">u");
	assert_true(slice_is(net.monomers[4].name, "n"));
	assert_int_equal(net.monomers[5].first, 6);
	assert_int_equal(net.monomers[5].count, 2);
	network_done(&net);
}

static void
test_constraints_that_have_no_effect_are_kept_but_not_effective(void **state)
{
	struct network net = { 0 };
	struct fault fault = { .class = FAULT_NONE };

	(void)state;
	assert_int_equal(read_network(&net, "a:s >m\na* >n\nb:t >o\n",
	    "# none\n\nTOGETHER\nTOGETHER m\nNOTTOGETHER m m\nNOTTOGETHER m o\nFREE o\nNOTPAIRED s t\nNOTANYPAIRED t\n"
	    "FREE m # last\n", &fault), 0);
	assert_int_equal(net.nconstraints, 8);
	for (size_t i = 0; i < net.nconstraints; i++)
		assert_int_equal(net.constraints[i].effective, i == 7);
	assert_int_equal(net.constraints[7].line, 10);
	assert_true(net.components[0].constrained);
	assert_false(net.components[1].constrained);
	network_done(&net);
}

static void
test_a_constraint_with_very_many_arguments_takes_no_time(void **state)
{
	enum { COUNT = 20000 };
	struct network net = { 0 };
	struct fault fault = { .class = FAULT_NONE };
	static char problem[COUNT * 16], constraint[COUNT * 8];
	size_t p = 0, c = 0;

	(void)state;
	c += (size_t)snprintf(constraint, sizeof constraint, "TOGETHER");
	for (int i = 0; i < COUNT; i++) {
		p += (size_t)snprintf(problem + p, sizeof problem - p, "%s >m%d\n", i % 2 ? "a" : "a*", i);
		c += (size_t)snprintf(constraint + c, sizeof constraint - c, " m%d", i);
	}
	assert_int_equal(parse_problem(&net, (struct slice){ problem, p }, &fault), 0);
	assert_int_equal(parse_constraints(&net, (struct slice){ constraint, c }, &fault), 0);
	assert_int_equal(network_analyse(&net), 0);
	assert_int_equal(check_constraints(&net, &fault), 0);
	assert_true(net.constraints[0].effective);
	network_done(&net);
}

static void
test_fault_shows_a_nul_as_something(void **state)
{
	struct network net = { 0 };
	struct fault fault = { .class = FAULT_NONE };

	(void)state;
	assert_int_equal(parse_problem(&net, (struct slice){ "*\0x", 3 }, &fault), -EINVAL);
	assert_string_equal(fault.message, "Invalid BindingSite name. '*\xef\xbf\xbdx'");
	network_done(&net);
	fault_done(&fault);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_monomer_lines_that_are_refused),
		cmocka_unit_test(test_constraint_lines_that_are_refused),
		cmocka_unit_test(test_what_the_language_makes_of_odd_lines),
		cmocka_unit_test(test_constraints_that_have_no_effect_are_kept_but_not_effective),
		cmocka_unit_test(test_a_constraint_with_very_many_arguments_takes_no_time),
		cmocka_unit_test(test_fault_shows_a_nul_as_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
