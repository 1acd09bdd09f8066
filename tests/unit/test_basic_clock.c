#include "config.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "basic/clock.h"
#include "unit.h"

enum { OFFSET_SEC = -86400 };

static uint64_t
real_usec(void)
{
	struct timespec ts = { 0 };

	assert_int_equal(clock_gettime(CLOCK_REALTIME, &ts), 0);
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

static void
assert_offset(int64_t usec)
{
	uint64_t before = real_usec(), now = clock_wall(), after = real_usec();

	assert_true(now >= before + (uint64_t)usec);
	assert_true(now <= after + (uint64_t)usec);
}

static void
test_clock_wall_takes_its_offset_from_the_environment(void **state)
{
	(void)state;
	assert_offset(OFFSET_SEC * (int64_t)USEC_PER_SEC);
}

static void
test_clock_wall_reads_the_environment_once(void **state)
{
	(void)state;
	assert_int_equal(setenv("SPOOLGATE_CLOCK_OFFSET", "5000000", 1), 0);
	assert_offset(OFFSET_SEC * (int64_t)USEC_PER_SEC);
}

static void
test_clock_shift_adds_to_the_offset(void **state)
{
	(void)state;
	clock_shift(3600 * (int64_t)USEC_PER_SEC);
	assert_offset((OFFSET_SEC + 3600) * (int64_t)USEC_PER_SEC);
	clock_shift(-3600 * (int64_t)USEC_PER_SEC);
	assert_offset(OFFSET_SEC * (int64_t)USEC_PER_SEC);
}

static void
test_clock_wall_stops_at_1970(void **state)
{
	int64_t far = -200LL * 365 * 86400 * (int64_t)USEC_PER_SEC;

	(void)state;
	clock_shift(far);
	assert_true(clock_wall() == 0);
	clock_shift(-far);
	assert_offset(OFFSET_SEC * (int64_t)USEC_PER_SEC);
}

static void
test_clock_mono_is_boot_time_without_the_offset(void **state)
{
	struct timespec ts = { 0 };
	uint64_t boot = 0, now = 0;

	(void)state;
	assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &ts), 0);
	boot = (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
	now = clock_mono();
	assert_true(now >= boot && now < boot + 60 * USEC_PER_SEC);
	assert_true(clock_mono() >= now);
}

static void
assert_format(uint64_t usec, const char *text)
{
	char got[CLOCK_TEXT_SIZE] = { 0 };

	clock_format(usec, got);
	assert_string_equal(got, text);
	assert_int_equal(strlen(got), CLOCK_TEXT_SIZE - 1);
}

static void
test_clock_format_writes_rfc3339(void **state)
{
	(void)state;
	assert_format(0, "1970-01-01T00:00:00.000000Z");
	assert_format(951782400000001, "2000-02-29T00:00:00.000001Z");
	assert_format(1795644535123456, "2026-11-25T22:08:55.123456Z");
}

static void
test_clock_format_stops_at_the_year_9999(void **state)
{
	(void)state;
	assert_format(UINT64_MAX, "9999-12-31T23:59:59.999999Z");
	assert_format(253402300799999999, "9999-12-31T23:59:59.999999Z");
	assert_format(253402300799999998, "9999-12-31T23:59:59.999998Z");
}

static void
test_clock_parse_reads_rfc3339(void **state)
{
	static const struct { const char *text; uint64_t usec; } good[] = {
		{ "1970-01-01T00:00:00Z", 0 }, { "2026-11-25T22:08:55.123456Z", 1795644535123456 },
		{ "2026-11-25t22:08:55.1234569z", 1795644535123456 }, { "2026-11-25 22:08:55.5Z", 1795644535500000 },
		{ "2026-11-26T00:08:55+02:00", 1795644535000000 }, { "2026-11-25T20:38:55-01:30", 1795644535000000 },
		{ "2000-02-29T00:00:00Z", 951782400000000 }, { "1969-12-31T23:59:59.5Z", 0 }, { "1970-01-01T00:00:00+01:00", 0 },
		{ "0217-04-01T10:40:05Z", 0 },
	};
	static const char *const bad[] = { "", "2026", "2026-11-25", "2026-11-25T22:08Z", "2026-11-25T22:08:55", "2026-11-25T22:08:55.Z",
		"2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-11-25T24:00:00Z", "2026-11-25T22:60:00Z",
		"2026-11-25T22:08:61Z", "2026-11-25T22:08:55+2", "2026-11-25T22:08:55+02:60", "2026-11-25T22:08:55Zx",
	 "x026-11-25T22:08:55Z", "2026-11-25T22:08:55+02:0", "2026-1-25T22:08:55Z" };
	uint64_t usec = 7;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(clock_parse(good[i].text, &usec), 0);
		assert_int_equal(usec, good[i].usec);
	}
	usec = 7;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (clock_parse(bad[i], &usec) != -EINVAL || usec != 7)
			fail_msg("\"%s\" was taken", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock_wall_takes_its_offset_from_the_environment),
		cmocka_unit_test(test_clock_wall_reads_the_environment_once),
		cmocka_unit_test(test_clock_shift_adds_to_the_offset),
		cmocka_unit_test(test_clock_wall_stops_at_1970),
		cmocka_unit_test(test_clock_mono_is_boot_time_without_the_offset),
		cmocka_unit_test(test_clock_format_writes_rfc3339),
		cmocka_unit_test(test_clock_format_stops_at_the_year_9999),
		cmocka_unit_test(test_clock_parse_reads_rfc3339),
	};

	if (setenv("SPOOLGATE_CLOCK_OFFSET", "-86400", 1) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
