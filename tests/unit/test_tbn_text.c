#include "config.h"

#include <string.h>

#include "tbn/names.h"
#include "tbn/text.h"
#include "unit.h"

static struct slice
text(const char *s)
{
	return (struct slice){ s, strlen(s) };
}

static void
test_words_are_separated_as_python_does(void **state)
{
	/* one of each: 09-0d 1c-20 85 a0 1680 2000 200a 2028 2029 202f 205f 3000 */
	static const char *const blanks[] = { "\t", "\n", "\v", "\f", "\r", "\x1c", "\x1d", "\x1e", "\x1f", " ", "\xc2\x85",
		"\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf",
		"\xe2\x81\x9f", "\xe3\x80\x80" };
	struct slice word = { NULL, 0 };

	(void)state;
	for (size_t i = 0; i < sizeof blanks / sizeof blanks[0]; i++) {
		char line[16];
		struct slice rest;

		(void)snprintf(line, sizeof line, "%sa%sbc%s", blanks[i], blanks[i], blanks[i]);
		rest = text(line);
		assert_true(next_word(&rest, &word));
		assert_true(slice_is(word, "a"));
		assert_true(next_word(&rest, &word));
		assert_true(slice_is(word, "bc"));
		assert_false(next_word(&rest, &word));
	}
}

static void
test_zero_width_space_separates_nothing(void **state)
{
	static const char *const letters[] = { "a\xe2\x80\x8b" "b", "a\x1b" "b", "a\xc2\x84" "b", "a\xe2\x80\x8b", "\xf0\x9f\x98\x80" };
	struct slice word = { NULL, 0 };

	(void)state;
	for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
		struct slice rest = text(letters[i]);

		assert_true(next_word(&rest, &word));
		assert_true(slice_is(word, letters[i]));
		assert_false(next_word(&rest, &word));
	}
}

static void
test_a_nul_is_a_letter(void **state)
{
	static const char line[] = "a\0b c";
	struct slice rest = { line, sizeof line - 1 }, word = { NULL, 0 };

	(void)state;
	assert_true(next_word(&rest, &word));
	assert_int_equal(word.n, 3);
}

static void
test_lines(void **state)
{
	struct slice rest = text("one\n\ntwo"), line = { NULL, 0 };

	(void)state;
	assert_true(next_line(&rest, &line));
	assert_true(slice_is(line, "one"));
	assert_true(next_line(&rest, &line));
	assert_true(slice_is(line, ""));
	assert_true(next_line(&rest, &line));
	assert_true(slice_is(line, "two"));
	assert_false(next_line(&rest, &line));
}

static void
test_utf8_bad_line_finds_what_is_none(void **state)
{
	static const char *const bad[] = { "\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80",
		"\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe2\x82", "\xf0\x9f\x98" };
	static const char *const good[] = { "", "a", "\xc3\x9f", "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80",
		"\xf4\x8f\xbf\xbf", "\xef\xbf\xbf" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(utf8_bad_line(text(good[i])), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char lines[32];

		(void)snprintf(lines, sizeof lines, "a\nb%s\nc", bad[i]);
		assert_int_equal(utf8_bad_line(text(lines)), 2);
		assert_int_equal(utf8_bad_line(text(bad[i])), 1);
	}
}

static void
test_names_keeps_thousands(void **state)
{
	struct names names = { NULL, 0, 0 };
	static char store[5000][8];

	(void)state;
	assert_int_equal(names_find(&names, text("0")), -1);
	for (uint32_t i = 0; i < 5000; i++) {
		(void)snprintf(store[i], sizeof store[i], "%u", i);
		assert_int_equal(names_find(&names, text(store[i])), -1);
		assert_int_equal(names_add(&names, text(store[i]), i), 0);
	}
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(names_find(&names, text(store[i])), i);
	assert_int_equal(names_find(&names, text("5000")), -1);
	assert_int_equal(names_find(&names, text("")), -1);
	names_done(&names);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_are_separated_as_python_does),
		cmocka_unit_test(test_zero_width_space_separates_nothing),
		cmocka_unit_test(test_a_nul_is_a_letter),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_utf8_bad_line_finds_what_is_none),
		cmocka_unit_test(test_names_keeps_thousands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
