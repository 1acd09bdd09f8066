#include "config.h"

#include <errno.h>
#include <locale.h>
#include <string.h>
#include <time.h>

#include "basic/clock.h"
#include "basic/scoped.h"
#include "cli/show.h"
#include "unit.h"

static void
assert_shown(const char *text, const char *expected)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(4096);

	show_text(&s, text, strlen(text));
	assert_string_equal(strbuf_str(&s), expected);
}

static void
test_text_that_is_harmless_stays(void **state)
{
	(void)state;
	assert_shown("", "");
	assert_shown("a b\\c \"~\" \xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x8d", "a b\\c \"~\" \xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x8d");
}

static void
test_controls_and_broken_utf8_are_escaped(void **state)
{
	(void)state;
	assert_shown("a\x1b[31m\n\t\x7f", "a\\x1b[31m\\x0a\\x09\\x7f");
	assert_shown("\x80\xff\xc3", "\\x80\\xff\\xc3");
	assert_shown("\xc0\xaf\xed\xa0\x80", "\\xc0\\xaf\\xed\\xa0\\x80");	/* overlong; a surrogate */
	assert_shown("\xc2\x9b" "31m", "\\u009b31m");	/* CSI in C1 */
}

static void
test_what_turns_or_hides_text_is_escaped(void **state)
{
	(void)state;
	assert_shown("a\xe2\x80\xae" "b\xe2\x81\xa6" "c\xe2\x80\x8b" "d\xef\xbb\xbf", "a\\u202eb\\u2066c\\u200bd\\ufeff");
	assert_shown("\xf3\xa0\x81\x81", "\\U000e0041");
}

static void
assert_cut(const char *text, size_t columns, const char *expected)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(4096);

	show_cut(&s, text, columns);
	assert_string_equal(strbuf_str(&s), expected);
}

static void
test_cut_keeps_within_its_columns(void **state)
{
	(void)state;
	assert_cut("abcdef", 6, "abcdef");
	assert_cut("abcdefg", 6, "abc...");
	assert_cut("abc\x1b" "def", 8, "abc...");	/* an escape is not cut in its middle */
	assert_cut("\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", 7, "\xe4\xb8\xad\xe4\xb8\xad...");
	assert_cut("abcd", 3, "...");
}

static void
assert_size(uint64_t bytes, const char *expected)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(64);

	show_bytes(&s, bytes);
	assert_string_equal(strbuf_str(&s), expected);
}

static void
test_sizes(void **state)
{
	(void)state;
	assert_size(0, "0 B");
	assert_size(1023, "1023 B");
	assert_size(1024, "1.0 KiB");
	assert_size(10 * 1024, "10 KiB");
	assert_size(1024 * 1024 - 1, "1.0 MiB");
	assert_size(UINT64_MAX, "16 EiB");
}

static void
assert_duration(uint64_t usec, const char *expected)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(64);

	show_duration(&s, usec);
	assert_string_equal(strbuf_str(&s), expected);
}

static void
test_durations(void **state)
{
	(void)state;
	assert_duration(0, "0.0 s");
	assert_duration(9999999, "9.9 s");
	assert_duration(10 * USEC_PER_SEC, "0:10");
	assert_duration(3599 * USEC_PER_SEC, "59:59");
	assert_duration(3600 * USEC_PER_SEC, "1:00:00");
	assert_duration(90061 * USEC_PER_SEC, "1d 01:01:01");
}

static void
test_moments_of_an_option(void **state)
{
	const uint64_t now = 1795711800000000ULL;
	uint64_t t = 0;

	(void)state;
	assert_int_equal(setenv("TZ", "UTC-1", 1), 0);	/* an hour east */
	tzset();
	assert_int_equal(when_parse("90s", now, &t), 0);
	assert_int_equal(t, now - 90 * USEC_PER_SEC);
	assert_int_equal(when_parse("9999999d", now, &t), 0);
	assert_int_equal(t, 0);
	assert_int_equal(when_parse("2026-11-26T16:50:00Z", now, &t), 0);
	assert_int_equal(t, now);
	assert_int_equal(when_parse("2026-11-26 17:50", now, &t), 0);
	assert_int_equal(t, now);
	assert_int_equal(when_parse("2026-11-26T17:50:01", now, &t), 0);
	assert_int_equal(t, now + USEC_PER_SEC);
	assert_int_equal(when_parse("2026-11-26", now, &t), 0);
	assert_int_equal(t, 1795647600000000ULL);
	assert_int_equal(when_parse("2024-02-29", now, &t), 0);
	assert_int_equal(when_parse("2026-02-29", now, &t), -EINVAL);
	assert_int_equal(when_parse("1969-01-01", now, &t), -EINVAL);
	assert_int_equal(when_parse("2026-11-26 17:50 ", now, &t), -EINVAL);
	assert_int_equal(when_parse("2026-11-26 17", now, &t), -EINVAL);
	assert_int_equal(when_parse("yesterday", now, &t), -EINVAL);
	assert_int_equal(when_parse("", now, &t), -EINVAL);
}

static void
test_a_table_is_aligned_and_harmless(void **state)
{
	scoped(table_done) struct table t = { .columns = 3 };
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	(void)state;
	table_add(&t, "A");
	table_add(&t, "BB");
	table_add(&t, "C");
	table_add(&t, "\xc3\xa4\xe4\xb8\xad");
	table_add(&t, NULL);
	table_add(&t, "x\ny");
	assert_int_equal(table_print(&t, to), 0);
	assert_int_equal(fclose(to), 0);
	assert_string_equal(text, "A    BB  C\n\xc3\xa4\xe4\xb8\xad  -   x\\x0ay\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_that_is_harmless_stays),
		cmocka_unit_test(test_controls_and_broken_utf8_are_escaped),
		cmocka_unit_test(test_what_turns_or_hides_text_is_escaped),
		cmocka_unit_test(test_cut_keeps_within_its_columns),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_moments_of_an_option),
		cmocka_unit_test(test_a_table_is_aligned_and_harmless),
	};

	(void)setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
