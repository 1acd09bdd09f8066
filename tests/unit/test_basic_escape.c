#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/escape.h"
#include "basic/strbuf.h"
#include "unit.h"

static void
assert_decoded(const char *text, const char *expected)
{
	char *got = NULL;

	assert_int_equal(percent_decode(text, strlen(text), &got), 0);
	assert_string_equal(got, expected);
	free(got);
}

static void
test_percent_decode_decodes_either_case_and_leaves_plus(void **state)
{
	(void)state;
	assert_decoded("", "");
	assert_decoded("a+b%20c%2fd%2F%C3%a9", "a+b c/d/\xc3\xa9");
	assert_decoded("%2541", "%41");
}

static void
test_percent_decode_refuses_broken_escapes(void **state)
{
	static const char *const bad[] = { "%", "%4", "a%", "%4g", "%g4", "%%41", "%+1", "% 1" };
	char *got = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(percent_decode(bad[i], strlen(bad[i]), &got), -EINVAL);
	assert_int_equal(percent_decode("%41", 2, &got), -EINVAL);
	assert_null(got);
}

static void
test_percent_decode_refuses_nul(void **state)
{
	char *got = NULL;

	(void)state;
	assert_int_equal(percent_decode("a%00b", 5, &got), -EINVAL);
	assert_int_equal(percent_decode("a\0b", 3, &got), -EINVAL);
	assert_null(got);
}

static void
test_percent_encode_keeps_only_unreserved(void **state)
{
	struct strbuf s = STRBUF_INIT(4096);
	char all[256] = { 0 };
	char *back = NULL;

	(void)state;
	percent_encode(&s, "aZ09-._~ /+%\xc3\xa9");
	assert_string_equal(strbuf_str(&s), "aZ09-._~%20%2F%2B%25%C3%A9");
	strbuf_reset(&s);
	for (int c = 1; c < 256; c++)
		all[c - 1] = (char)c;
	percent_encode(&s, all);
	assert_int_equal(strbuf_err(&s), 0);
	assert_int_equal(s.len, 66 + 3 * (255 - 66));
	assert_int_equal(percent_decode(s.buf, s.len, &back), 0);
	assert_string_equal(back, all);
	free(back);
	strbuf_done(&s);
}

static void
test_name_encode_never_begins_with_a_dot(void **state)
{
	char name[256] = { 0 };

	(void)state;
	assert_int_equal(name_encode(".", name), 0);
	assert_string_equal(name, "%2E");
	assert_int_equal(name_encode("..", name), 0);
	assert_string_equal(name, "%2E.");
	assert_int_equal(name_encode("../a.b", name), 0);
	assert_string_equal(name, "%2E.%2Fa.b");
	assert_int_equal(name_encode("", name), -EINVAL);
}

static void
test_name_encode_stops_at_255_bytes(void **state)
{
	char text[300] = { 0 }, name[256] = { 0 };

	(void)state;
	memset(text, 'a', 255);
	assert_int_equal(name_encode(text, name), 0);
	assert_string_equal(name, text);
	text[255] = 'a';
	assert_int_equal(name_encode(text, name), -ENAMETOOLONG);
	memset(text, '/', 86);
	text[86] = '\0';
	assert_int_equal(name_encode(text, name), -ENAMETOOLONG);
}

static void
test_name_decode_gives_back_what_was_encoded(void **state)
{
	static const char *const texts[] = { "a", ".", "..", "mip:user:ann", "a/b", "%41", "\x01\x7f\xff", "stamina:ip:2001:db8::/64" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char name[256] = { 0 };
		char *back = NULL;

		assert_int_equal(name_encode(texts[i], name), 0);
		assert_int_equal(name_decode(name, &back), 0);
		assert_string_equal(back, texts[i]);
		free(back);
	}
}

static void
test_name_decode_refuses_other_spellings(void **state)
{
	static const char *const bad[] = { "", ".", "..", ".a", "a b", "a%20%", "%2e", "%41", "a/b", "%2f", "a:b", "\xc3\xa9" };
	char *got = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(name_decode(bad[i], &got), -EINVAL);
	assert_null(got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_percent_decode_decodes_either_case_and_leaves_plus),
		cmocka_unit_test(test_percent_decode_refuses_broken_escapes),
		cmocka_unit_test(test_percent_decode_refuses_nul),
		cmocka_unit_test(test_percent_encode_keeps_only_unreserved),
		cmocka_unit_test(test_name_encode_never_begins_with_a_dot),
		cmocka_unit_test(test_name_encode_stops_at_255_bytes),
		cmocka_unit_test(test_name_decode_gives_back_what_was_encoded),
		cmocka_unit_test(test_name_decode_refuses_other_spellings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
