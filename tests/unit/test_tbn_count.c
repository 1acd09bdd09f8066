#include "config.h"

#include <errno.h>
#include <inttypes.h>

#include "tbn/parse.h"
#include "unit.h"

static void
test_parse_count_rounds_up(void **state)
{
	static const struct {
		const char *text;
		int64_t count;
	} good[] = {
		{ "0", 0 }, { "-0", 0 }, { "1", 1 }, { "+7", 7 }, { "007", 7 }, { "-3", -3 }, { "2.5", 3 }, { "2.0", 2 },
		{ "2.", 2 }, { ".5", 1 }, { "-2.5", -2 }, { "-0.5", 0 }, { "4.0", 4 }, { "1e3", 1000 }, { "1E+3", 1000 },
		{ "1.5e1", 15 }, { "1.55e1", 16 }, { "25e-1", 3 }, { "20e-1", 2 }, { "1e-400", 1 }, { "0e999", 0 },
		{ "0.0", 0 }, { "0.0001e4", 1 }, { "1e308", INT64_MAX }, { "-1e308", -INT64_MAX }, { "1e-99999999999999999999", 1 },
		{ "1e99999999999999999999", INT64_MAX }, { "9223372036854775807", INT64_MAX },
		{ "9223372036854775808", INT64_MAX }, { "9223372036854775806", INT64_MAX - 1 },
		{ "123456789012345678901234567890", INT64_MAX }, { "-123456789012345678901234567890", -INT64_MAX },
		{ "9223372036854775806.5", INT64_MAX }, { "922337203685477580.7e1", INT64_MAX }, { "true", 1 }, { "false", 0 },
		{ "True", 1 }, { "False", 0 }, { "inf", INT64_MAX }, { "-inf", -INT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		int64_t count = 42;

		if (parse_count(good[i].text, &count) != 0 || count != good[i].count)
			fail_msg("%s is %" PRId64, good[i].text, count);
	}
}

static void
test_parse_count_refuses_what_is_no_number(void **state)
{
	static const char *const bad[] = { "", " ", " 1", "1 ", "a", "-", "+", ".", "-.", "e5", "1e", "1e+", "1e5.0", "1.2.3", "--1",
		"0x10", "nan", "null", "string", "1_000", "1,5", "\xd9\xa1" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int64_t count = 42;

		if (parse_count(bad[i], &count) != -EINVAL || count != 42)
			fail_msg("'%s' was taken for %" PRId64, bad[i], count);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_count_rounds_up),
		cmocka_unit_test(test_parse_count_refuses_what_is_no_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
