/* The Stan service's reading of programs and of what compilers say. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/scoped.h"
#include "gate/api_stan.h"
#include "unit.h"

/* In two pieces; the caller compares. */
static int
name_in_pieces(const char *salt, const char *text, size_t len, size_t cut, char ret[SHA1_HEX_SIZE])
{
	scoped(stan_source_done) struct stan_source s;

	assert_int_equal(stan_source_begin(&s, salt), 0);
	stan_source_add(&s, text, cut);
	stan_source_add(&s, "", 0);
	stan_source_add(&s, text + cut, len - cut);
	return stan_source_finish(&s, ret);
}

static void
test_names_are_the_contract_s(void **state)
{
	/* Section 4. */
	static const struct { const char *salt, *text, *name; } known[] = {
		{ "", "OK1", "c58d40afd949f737b3d1273c770f35cc55155059" },
		{ "", "a\r\nb\rc\n", "3ca69e8d6c234a469d16ac28a4a658c92267c423" },
		{ "", "a\nb\nc\n", "3ca69e8d6c234a469d16ac28a4a658c92267c423" },
		{ "", "\xef\xbb\xbfm", "f17ac9f386288cbb196e05d457444991dd2fd8f4" },
		{ "a salt line", "S", "afd8f8aa04834d5ba5ee6529aed8aeb7ced9c811" },
	};
	char name[SHA1_HEX_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		for (size_t cut = 0; cut <= strlen(known[i].text); cut++) {
			assert_int_equal(name_in_pieces(known[i].salt, known[i].text, strlen(known[i].text), cut, name), 0);
			assert_string_equal(name, known[i].name);
		}
}

static void
test_only_utf8_has_a_name(void **state)
{
	static const char *const good[] = { "", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
		"\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\xf1\x80\x80\x80" };
	static const char *const bad[] = { "\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2" "a", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82", "\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe2\x82" "a", "\xf0\x90\x80" };
	char name[SHA1_HEX_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		for (size_t cut = 0; cut <= strlen(good[i]); cut++)
			assert_int_equal(name_in_pieces("", good[i], strlen(good[i]), cut, name), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		for (size_t cut = 0; cut <= strlen(bad[i]); cut++)
			assert_int_equal(name_in_pieces("", bad[i], strlen(bad[i]), cut, name), -EINVAL);
}

static void
assert_cleaned(const char *text, const char *expected)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(65536);

	stan_clean_text(&s, text, strlen(text));
	assert_int_equal(strbuf_err(&s), 0);
	assert_string_equal(strbuf_str(&s), expected);
}

static void
test_only_the_diagnosis_is_left(void **state)
{
	(void)state;
	assert_cleaned("", "");
	assert_cleaned("make: make STANCFLAGS=--filename-in-msg=main.stan /job/main.js\nError in 'main.stan'\n"
	    "make: *** [Makefile:3: /job/main.hpp] Error 1\nmake[1]: *** [x] Error 2\nmake[12]: Entering directory '/opt/t'\n", "Error in 'main.stan'\n");
	assert_cleaned("/job/main.hpp:1: bad, see /job//job/main.js and /jobs/x\n", "main.hpp:1: bad, see main.js and /jobs/x\n");
	assert_cleaned("the last line /job/", "the last line ");
	/* Words of a program that only look like it. */
	assert_cleaned("make sure that sigma > 0\nmake: this is about you\nmake[\n", "make sure that sigma > 0\nmake: this is about you\nmake[\n");
	assert_cleaned("\xff" "a\x1b[31m\ttab\r\n\x7f", "\xef\xbf\xbd" "a?[31m\ttab?\n?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_the_contract_s),
		cmocka_unit_test(test_only_utf8_has_a_name),
		cmocka_unit_test(test_only_the_diagnosis_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
