#include "config.h"

#include <string.h>

#include "tbn/pairings.h"
#include "tbn_help.h"

static void
open_network(struct network *net, const char *problem)
{
	struct fault fault = { .class = FAULT_NONE };

	*net = (struct network){ 0 };
	assert_int_equal(read_network(net, problem, "", &fault), 0);
}

static void
test_components_are_what_can_meet(void **state)
{
	struct network net;

	(void)state;
	open_network(&net, "a\nb c\na* d\nc*\ne\nd*\ne\nx x*\nx\n");
	assert_int_equal(net.ncomponents, 5);
	assert_int_equal(net.components[0].nmonomers, 3);	/* a, a* d, d* */
	assert_int_equal(net.components[0].monomers[2], 5);
	assert_int_equal(net.components[1].nmonomers, 2);	/* b c, c* */
	assert_int_equal(net.components[1].ntypes, 1);
	assert_int_equal(net.components[2].nmonomers, 1);	/* e and e cannot */
	assert_int_equal(net.components[4].nmonomers, 2);	/* x x* and x */
	assert_int_equal(net.components[4].bonds, 1);
	network_done(&net);
}

static void
test_pairings_are_counted_and_saturate(void **state)
{
	struct network net;
	char many[400] = "";

	(void)state;
	open_network(&net, "a a a\na* a* a* a* a*\nb\nb*\n");
	assert_int_equal(net.components[0].pairings, 60);
	assert_int_equal(net.components[0].bonds, 3);
	assert_int_equal(net.components[0].pairs, 15);
	network_done(&net);
	for (int i = 0; i < 40; i++)
		(void)snprintf(many + 5 * i, sizeof many - 5 * (size_t)i, "a\na*\n");
	open_network(&net, many);
	assert_true(net.components[0].pairings == UINT64_MAX);	/* 40! */
	network_done(&net);
}

static void
test_blocks_are_what_every_pairing_joins(void **state)
{
	struct network net;

	(void)state;
	/* both b's must go to the one monomer that has b*; then c and c* are in one block anyway */
	open_network(&net, "b* b* c\nb\nb c*\nc*\n");
	assert_int_equal(net.components[0].nblocks, 2);	/* the last c* may or may not be bonded */
	network_done(&net);
	/* all limiting sites are a's, of which each may choose */
	open_network(&net, "a\na*\na*\n");
	assert_int_equal(net.components[0].nblocks, 3);
	network_done(&net);
	/* bonds inside one monomer join nothing */
	open_network(&net, "a a*\n");
	assert_int_equal(net.components[0].nblocks, 1);
	network_done(&net);
}

static void
test_limiting_side(void **state)
{
	struct network net;

	(void)state;
	open_network(&net, "a a*\nb\nb*\nb*\nc\n");
	assert_int_equal(net.types[0].limiting, 0);	/* equal: the normal side */
	assert_int_equal(net.types[1].limiting, 0);
	assert_int_equal(net.types[2].limiting, 1);	/* nothing to bond with: the empty side */
	network_done(&net);
}

static void
test_bounds_are_tight_where_they_are_easy(void **state)
{
	struct network net;

	(void)state;
	open_network(&net, "a\na\na\na*\na*\na*\n");
	assert_int_equal(net.components[0].lower, 3);
	assert_int_equal(net.components[0].upper, 3);
	assert_int_equal(net.components[0].nheads, 3);
	network_done(&net);
	open_network(&net, "a b\na* b*\na\nb\n");
	assert_int_equal(net.components[0].lower, 2);
	assert_int_equal(net.components[0].upper, 3);
	network_done(&net);
}

static void
test_heads_get_the_lowest_numbers(void **state)
{
	struct network net;
	bool seen[4] = { false };

	(void)state;
	open_network(&net, "a* b*\na b\na\nb\n");
	for (size_t m = 0; m < 4; m++) {
		assert_true(net.monomers[m].block < 4);
		assert_false(seen[net.monomers[m].block]);
		seen[net.monomers[m].block] = true;
	}
	assert_int_equal(net.components[0].nheads, 3);
	assert_int_equal(net.monomers[0].block, 3);	/* what needs both a and b is never alone */
	network_done(&net);
}

static void
test_pairings_next_goes_through_all_once(void **state)
{
	static const char *const problems[] = { "a a a\na* a* a* a* a*\nb\nb*\n", "a\na*\n", "a*\na*\na\nb\nb*\nb b*\na b\n",
		"a\nb\na b c*\na* b* c\na*\n" };

	(void)state;
	for (size_t i = 0; i < sizeof problems / sizeof problems[0]; i++) {
		uint16_t partner[8], last[8] = { 0 };
		const struct component *comp;
		struct network net;
		uint64_t count = 0;

		open_network(&net, problems[i]);
		comp = &net.components[0];
		assert_int_equal(net.ncomponents - 1, i == 0 ? 1 : 0);
		assert_true(comp->bonds <= 8);
		pairings_first(&net, comp, partner);
		do {
			size_t bytes = comp->bonds * sizeof *partner;

			/* strictly rising, so never twice */
			for (size_t k = 0; count > 0 && k < comp->bonds; k++)
				if (partner[k] != last[k]) {
					assert_true(partner[k] > last[k]);
					break;
				}
			assert_true(count == 0 || memcmp(partner, last, bytes) != 0);
			memcpy(last, partner, bytes);
			count++;
		} while (pairings_next(&net, comp, partner) == 1);
		assert_int_equal(count, comp->pairings);
		network_done(&net);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_components_are_what_can_meet),
		cmocka_unit_test(test_pairings_are_counted_and_saturate),
		cmocka_unit_test(test_blocks_are_what_every_pairing_joins),
		cmocka_unit_test(test_limiting_side),
		cmocka_unit_test(test_bounds_are_tight_where_they_are_easy),
		cmocka_unit_test(test_heads_get_the_lowest_numbers),
		cmocka_unit_test(test_pairings_next_goes_through_all_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
