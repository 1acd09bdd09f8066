#include "config.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "unit.h"

#include "gate/number.h"

static void
check_repr(double value, const char *expected)
{
	char text[NUMBER_REPR_SIZE];

	number_repr(value, text);
	assert_string_equal(text, expected);
}

static void
test_number_repr_prints_as_python_does(void **state)
{
	(void)state;
	check_repr(0, "0.0");
	check_repr(-0.0, "-0.0");
	check_repr(4, "4.0");
	check_repr(-3, "-3.0");
	check_repr(2.5, "2.5");
	check_repr(0.1, "0.1");
	check_repr(0.1 + 0.2, "0.30000000000000004");
	check_repr(1e15, "1000000000000000.0");
	check_repr(9999999999999998.0, "9999999999999998.0");
	check_repr(1e16, "1e+16");
	check_repr(1.5e16, "1.5e+16");
	check_repr(1e308, "1e+308");
	check_repr(DBL_MAX, "1.7976931348623157e+308");
	check_repr(1e-4, "0.0001");
	check_repr(0.00012345, "0.00012345");
	check_repr(1e-5, "1e-05");
	check_repr(1.25e-100, "1.25e-100");
	check_repr(5e-324, "5e-324");
	check_repr(123456.789, "123456.789");
	check_repr((double)INFINITY, "inf");
	check_repr(-(double)INFINITY, "-inf");
	check_repr((double)NAN, "nan");
}

/* Where doubles lie twice as dense on one side, the nearest text of the fewest digits is not the right one. */
static void
test_number_repr_is_shortest_at_powers_of_two(void **state)
{
	(void)state;
	check_repr(ldexp(1, -44), "5.684341886080802e-14");
	check_repr(ldexp(1, -24), "5.960464477539063e-08");
	check_repr(ldexp(1, -1022), "2.2250738585072014e-308");
	check_repr(9007199254740992.0, "9007199254740992.0");
	for (int e = -1074; e < 1024; e++) {
		char text[NUMBER_REPR_SIZE];

		number_repr(ldexp(1, e), text);
		assert_true(strtod(text, NULL) == ldexp(1, e));
	}
}

static void
check_json(const char *text, const char *expected)
{
	char out[64];

	assert_int_equal(number_from_json(text, strlen(text), out, sizeof out), strlen(expected));
	assert_string_equal(out, expected);
}

static void
test_number_from_json_keeps_integers_digit_for_digit(void **state)
{
	(void)state;
	check_json("4", "4");
	check_json("-0", "0");
	check_json("-12", "-12");
	check_json("100000000000000000000000000000000000001", "100000000000000000000000000000000000001");
	check_json("4.0", "4.0");
	check_json("4e0", "4.0");
	check_json("1e308", "1e+308");
	check_json("1E400", "inf");
	check_json("-1E400", "-inf");
	check_json("-0.0", "-0.0");
	check_json("2.50", "2.5");
}

static void
test_number_from_json_refuses_what_is_too_long(void **state)
{
	char out[4];

	(void)state;
	assert_int_equal(number_from_json("123", 3, out, sizeof out), 3);
	assert_int_equal(number_from_json("1234", 4, out, sizeof out), -ERANGE);
	assert_int_equal(number_from_json("1.25", 4, out, sizeof out), -ERANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number_repr_prints_as_python_does),
		cmocka_unit_test(test_number_repr_is_shortest_at_powers_of_two),
		cmocka_unit_test(test_number_from_json_keeps_integers_digit_for_digit),
		cmocka_unit_test(test_number_from_json_refuses_what_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
