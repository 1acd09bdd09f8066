#include "config.h"

#include <errno.h>

#include "tbn/progress.h"
#include "tbn/sat.h"
#include "unit.h"

static void
test_at_most_one_allows_none_and_each_alone(void **state)
{
	struct progress progress;

	(void)state;
	assert_int_equal(progress_init(&progress, NULL, false, 0, 0), 0);
	for (int count = 1; count <= 30; count++) {	/* both sides of the change of encoding */
		int literals[30];
		struct sat sat;

		sat_open(&sat, &progress);
		for (int i = 0; i < count; i++)
			literals[i] = sat_new_var(&sat);
		sat_at_most_one(&sat, literals, count);
		for (int i = 0; i < count; i++) {
			assert_int_equal(sat_solve(&sat, literals[i], 0), 1);
			for (int j = 0; j < count; j++)
				assert_int_equal(sat_true(&sat, literals[j]), i == j);
		}
		for (int i = 0; i < count; i++) {	/* two of them: never */
			ccadical_assume(sat.solver, literals[i]);
			assert_int_equal(sat_solve(&sat, literals[(i + 1) % count], 0), count == 1);
		}
		for (int i = 0; i < count; i++)
			sat_clause1(&sat, -literals[i]);
		assert_int_equal(sat_solve(&sat, 0, 0), 1);
		sat_done(&sat);
	}
	progress_done(&progress);
}

/* More pigeons than holes: hard, and without a model. */
static void
add_pigeons(struct sat *sat, int holes)
{
	int first = sat_new_vars(sat, holes * (holes + 1));

	for (int p = 0; p <= holes; p++) {
		for (int h = 0; h < holes; h++)
			sat_add(sat, first + p * holes + h);
		sat_add(sat, 0);
	}
	for (int h = 0; h < holes; h++)
		for (int p = 0; p <= holes; p++)
			for (int q = 0; q < p; q++)
				sat_clause2(sat, -(first + p * holes + h), -(first + q * holes + h));
}

static void
test_sat_solve_gives_up_when_told(void **state)
{
	struct progress progress;
	struct sat sat;

	(void)state;
	assert_int_equal(progress_init(&progress, NULL, false, 0, 0), 0);
	sat_open(&sat, &progress);
	add_pigeons(&sat, 9);
	assert_int_equal(sat_solve(&sat, 0, 10), -EAGAIN);
	sat_done(&sat);
	sat_open(&sat, &progress);
	add_pigeons(&sat, 4);
	assert_int_equal(sat_solve(&sat, 0, 1000000), 0);
	sat_done(&sat);
	progress_done(&progress);
}

static void
test_sat_solve_stops_at_the_time_limit(void **state)
{
	struct progress progress;
	struct sat sat;

	(void)state;
	assert_int_equal(progress_init(&progress, NULL, false, 50000, 0), 0);
	sat_open(&sat, &progress);
	add_pigeons(&sat, 14);
	assert_int_equal(sat_solve(&sat, 0, 0), -ETIME);
	assert_int_equal(sat_solve(&sat, 0, 0), -ETIME);	/* and stays stopped */
	sat_done(&sat);
	progress_done(&progress);
}

static void
test_sat_tells_whether_the_assumption_mattered(void **state)
{
	struct progress progress;
	struct sat sat;
	int a, b;

	(void)state;
	assert_int_equal(progress_init(&progress, NULL, false, 0, 0), 0);
	sat_open(&sat, &progress);
	a = sat_new_var(&sat);
	b = sat_new_var(&sat);
	sat_clause2(&sat, -a, b);
	sat_clause1(&sat, -b);
	assert_int_equal(sat_solve(&sat, a, 0), 0);
	assert_true(sat_assumption_failed(&sat, a));
	sat_clause1(&sat, b);
	assert_int_equal(sat_solve(&sat, a, 0), 0);
	assert_false(sat_assumption_failed(&sat, a));
	sat_done(&sat);
	progress_done(&progress);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_most_one_allows_none_and_each_alone),
		cmocka_unit_test(test_sat_solve_gives_up_when_told),
		cmocka_unit_test(test_sat_solve_stops_at_the_time_limit),
		cmocka_unit_test(test_sat_tells_whether_the_assumption_mattered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
