#include "config.h"

#include <errno.h>
#include <string.h>

#include "tbn/search.h"
#include "tbn_help.h"

static const char B4[] = "a b >mon1\na* b* >mon2\na >mon3\nb >mon4\n";

/* A problem, what is asked, and what must come: entropy, then the polymers of each configuration. entropy 0: init_k is too
 * high. */
struct expected {
	const char *problem, *constraints;
	int64_t gen, init_k;
	int64_t entropy;
	const char *polymers;
};

static int
add_polymers(struct search *s, void *data)
{
	char *text = data;
	int64_t count = 0;

	for (size_t c = 0; c < s->net->ncomponents; c++) {
		uint32_t earliest[32];

		assert_true(s->net->components[c].nmonomers <= 32);
		assert_int_equal(part_polymers(&s->parts[c], s->current[c], earliest), 0);
		for (uint32_t i = 0; i < s->net->components[c].nmonomers; i++)
			count += earliest[i] == i;
	}
	(void)snprintf(text + strlen(text), 1000 - strlen(text), "%s%d", *text ? " " : "", (int)count);
	return 0;
}

static void
check(const struct expected *e)
{
	for (int mode = 0; mode < 8; mode++) {	/* with and without ordering and walking, labels in advance and on demand */
		struct part_options options = { .symmetry = mode & 1, .walk = mode & 4, .eager_max = mode & 2 ? 1000000 : 0 };
		struct fault fault = { .class = FAULT_NONE };
		struct network net = { 0 };
		struct progress progress;
		struct search search;
		char polymers[1000] = "", again[1000] = "";
		int r;

		assert_int_equal(read_network(&net, e->problem, e->constraints ? e->constraints : "", &fault), 0);
		assert_int_equal(progress_init(&progress, NULL, false, 0, 0), 0);
		assert_int_equal(search_init(&search, &net, &progress, &options, e->gen, e->init_k), 0);
		r = search_entropy(&search);
		assert_int_equal(r, e->entropy > 0 ? 0 : -ERANGE);
		if (r == 0) {
			assert_int_equal(search.entropy, e->entropy);
			assert_int_equal(search_configurations(&search), 0);
			assert_int_equal(search_each(&search, add_polymers, polymers), 0);
			assert_string_equal(polymers, e->polymers);
			assert_int_equal(search_each(&search, add_polymers, again), 0);
			assert_string_equal(again, polymers);
		}
		search_done(&search);
		progress_done(&progress);
		network_done(&net);
	}
}

#define CASES(...) \
	do { \
		static const struct expected cases_[] = { __VA_ARGS__ }; \
		for (size_t i_ = 0; i_ < sizeof cases_ / sizeof cases_[0]; i_++) \
			check(&cases_[i_]); \
	} while (0)

/* stableconfigs#1, #2, #7, #8, #9 */
static void
test_basic_network(void **state)
{
	(void)state;
	CASES({ B4, NULL, 2, 1, 3, "3 2" },
	    { B4, "FREE mon1", 1, 1, 3, "2" },
	    { B4, NULL, 50, 1, 3, "3 2 2 2" },
	    { B4, NULL, 50, 2, 3, "3 2 2 2" },
	    { B4, NULL, 5, 3, 3, "3" },
	    { B4, NULL, 1, 4, 0, "" },
	    { B4, NULL, 1, INT64_MAX, 0, "" },
	    { B4, NULL, 0, 1, 3, "3" },
	    { B4, NULL, -1, 1, 3, "3" },
	    { B4, NULL, INT64_MAX, 1, 3, "3 2 2 2" },
	    { B4, "FREE mon1", 0, 1, 3, "" },
	    { B4, NULL, 1, 0, 3, "3" },
	    { B4, NULL, 1, -3, 3, "3" });
}

/* stableconfigs#6: the sample request that came with the first description of the API */
static void
test_sample_request(void **state)
{
	(void)state;
	CASES({ "a b\na* b*\na* >mon1\nb*\n", "FREE mon1", 2, 2, 3, "3 2" });
}

/* stableconfigs#10, #13 */
static void
test_constraints_that_leave_nothing(void **state)
{
	(void)state;
	CASES({ "a >m\na*\n", "FREE m", 5, 1, 1, "" },
	    { "a:s1\na:s2\na*:s3\n", "PAIRED s1 s3", 5, 1, 2, "2" },
	    { "a:s1\na:s2\na*:s3\n", "NOTANYPAIRED s3", 5, 1, 2, "" },
	    { "a >m\na* >n\na\n", "TOGETHER m n\nNOTTOGETHER m n", 5, 1, 2, "" });
}

/* stableconfigs#14: TOGETHER and NOTFREE may join what no bond joins */
static void
test_polymers_without_bonds(void **state)
{
	static const char four[] = "a >t1\na* b*\na b\nb >t2\n";

	(void)state;
	CASES({ four, "TOGETHER t1 t2", 10, 1, 3, "2 2 1 1" },
	    { four, "NOTFREE t1", 10, 1, 3, "2 2 2 1" });
}

/* stableconfigs#15, #21 */
static void
test_different_pairings_count_apart(void **state)
{
	(void)state;
	CASES({ "a a\na* a*\n", NULL, 9, 1, 1, "1 1" },
	    { "a\nb\nc\n", NULL, 5, 1, 3, "3" });
}

/* stableconfigs#18, #32: bonds inside one monomer join nothing and hide nothing */
static void
test_bonds_within_a_monomer(void **state)
{
	(void)state;
	CASES({ "a a*\n", NULL, 5, 1, 1, "1" },
	    { "x\na a*\n", NULL, 5, 1, 2, "2" },
	    { "a a* >m\na\n", "FREE m", 5, 1, 2, "2" },
	    { "a a* >m\na\n", "NOTFREE m", 5, 1, 2, "1 1" },
	    { "a>m\na*b:x\n2[a b]\na#b c\n# z\n", NULL, 5, 1, 3, "3" });
}

static void
test_components_are_combined_in_falling_order(void **state)
{
	(void)state;
	/* each half alone: 3 2 2 2 */
	CASES({ "a b\na* b*\na\nb\nc d\nc* d*\nc\nd\n", NULL, 100, 1, 6, "6 5 5 5 5 5 5 4 4 4 4 4 4 4 4 4" },
	    { "a b\na* b*\na\nb\nc d\nc* d*\nc\nd\n", NULL, 9, 5, 6, "6 5 5 5 5 5 5" },
	    { "a b >m\na* b*\na\nb\nc d\nc* d*\nc\nd\n", "FREE m", 100, 4, 6, "5 4 4 4" },
	    { "a b >m\na* b*\na\nb\nc d\nc* d*\nc\nd\n", "FREE m", 100, 6, 6, "" });
}

static void
test_symmetric_networks_are_quick(void **state)
{
	(void)state;
	CASES({ "a\na\na\na\na\na\na\na\na\na\na\na\na\na\na*\na*\na*\na*\na*\na*\na*\na*\na*\na*\na*\na*\na*\na*\n", NULL, 3, 1, 14,
	    "14 14 14" });
}

static void
test_too_large_a_component_is_refused_before_it_is_built(void **state)
{
	enum { COUNT = 6000 };
	struct part_options options = { .symmetry = true, .eager_max = 1000000 };
	struct fault fault = { .class = FAULT_NONE };
	struct network net = { 0 };
	struct progress progress;
	struct search search;
	static char problem[COUNT * 8];
	size_t len = 0;

	(void)state;
	for (int i = 0; i < COUNT; i++)
		len += (size_t)snprintf(problem + len, sizeof problem - len, "%s\n", i % 3 ? "a b" : i % 2 ? "a*" : "b*");
	assert_int_equal(parse_problem(&net, (struct slice){ problem, len }, &fault), 0);
	assert_int_equal(network_analyse(&net), 0);
	assert_int_equal(check_constraints(&net, &fault), 0);
	assert_int_equal(progress_init(&progress, NULL, false, 0, 0), 0);
	assert_int_equal(search_init(&search, &net, &progress, &options, 1, 1), 0);
	assert_int_equal(search_entropy(&search), -EFBIG);
	search_done(&search);
	progress_done(&progress);
	network_done(&net);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basic_network),
		cmocka_unit_test(test_sample_request),
		cmocka_unit_test(test_constraints_that_leave_nothing),
		cmocka_unit_test(test_polymers_without_bonds),
		cmocka_unit_test(test_different_pairings_count_apart),
		cmocka_unit_test(test_bonds_within_a_monomer),
		cmocka_unit_test(test_components_are_combined_in_falling_order),
		cmocka_unit_test(test_symmetric_networks_are_quick),
		cmocka_unit_test(test_too_large_a_component_is_refused_before_it_is_built),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
