#include "config.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

#include "gate/api_stableconfigs_problem.h"

static struct problem problem;
static char *copy;	/* of exactly the body's length, in which the lines come to lie */

static int
parse_copy(const char *text, const char **ret_why)
{
	size_t len = strlen(text);

	free(copy);
	copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, text, len);
	return problem_parse(copy, len, &problem, ret_why);
}

static void
parse(const char *text)
{
	const char *why = NULL;

	assert_int_equal(parse_copy(text, &why), 0);
}

static void
refuse(const char *text, const char *sentence)
{
	const char *why = NULL;

	assert_int_equal(parse_copy(text, &why), -EINVAL);
	assert_non_null(strstr(why, sentence));
}

static void
expect_lines(struct lines lines, const char *expected)
{
	assert_int_equal(lines.len, strlen(expected));
	assert_memory_equal(lines.text, expected, lines.len);
}

static void
test_lines_are_joined_with_blanks(void **state)
{
	(void)state;
	parse("{\"monomers\":[[\"a\",\"b\",\">mon1\"],[\"a*\" , \"b*\"],[],[\"\"],[\"\",\"d\"],[\"a b\",\"c\"]],\"x\":[1,{}]}");
	expect_lines(problem.monomers, "a b >mon1\na* b*\n\n\n d\na b c\n");
	assert_false(problem.has_constraints);
	assert_string_equal(problem.gen, "1");
	assert_string_equal(problem.init_k, "1");
	parse(" { \"monomers\" : [ ] , \"constraints\" : [ ] } ");
	expect_lines(problem.monomers, "");
	assert_false(problem.has_constraints);
	parse("{\"constraints\":[[\"FREE\",\"m\"]],\"monomers\":[[\"a\"]]}");
	assert_true(problem.has_constraints);
	expect_lines(problem.constraints, "FREE m\n");
	parse("{\"constraints\":[[]],\"monomers\":[[\"a\"]]}");
	assert_true(problem.has_constraints);
	expect_lines(problem.constraints, "\n");
	parse("{\"monomers\":[[\"a\"]],\"monomers\":[[\"b\"]]}");
	expect_lines(problem.monomers, "b\n");
}

static void
test_escapes_become_their_characters_and_line_feeds_blanks(void **state)
{
	(void)state;
	parse("{\"monomers\":[[\"\\u00e9:\\u00df\",\"\\ud83d\\ude00\\\"\\\\\\/\",\"x\\ny\\u000az\\t\\r\\b\\f\\u2028\xc3\xa9\"]]}");
	expect_lines(problem.monomers,
	    "\xc3\xa9:\xc3\x9f \xf0\x9f\x98\x80\"\\/ x y z\t\r\b\f\xe2\x80\xa8\xc3\xa9\n");
}

static void
test_numbers_are_shown_as_python_shows_them(void **state)
{
	static const char *const cases[][2] = {
		{ "2", "2" }, { "-1", "-1" }, { "2.5", "2.5" }, { "4.0", "4.0" }, { "1e308", "1e+308" }, { "1e999", "inf" },
		{ "true", "1" }, { "false", "0" }, { "null", "null" }, { "\"2\"", "string" }, { "[2]", "array" }, { "{}", "object" },
		{ "123456789012345678901234567890", "123456789012345678901234567890" },
	};
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		(void)snprintf(text, sizeof text, "{\"init_k\":%s,\"gen\": %s ,\"monomers\":[]}", cases[i][0], cases[i][0]);
		parse(text);
		assert_string_equal(problem.gen, cases[i][1]);
		assert_string_equal(problem.init_k, cases[i][1]);
	}
}

static void
test_bad_bodies_are_refused(void **state)
{
	static const char *const shape[] = { "{\"monomers\":\"ab\"}", "{\"monomers\":null}", "{\"monomers\":[\"ab\"]}",
		"{\"monomers\":[[\"a\",1]]}", "{\"monomers\":[[[\"a\"]]]}", "{\"monomers\":{}}", "{\"monomers\":[null]}" };
	char text[1000];

	(void)state;
	refuse("", "not valid JSON");
	refuse("{", "not valid JSON");
	refuse("{\"monomers\":[[\"\xff\"]]}", "not valid JSON");
	refuse("{\"monomers\":[[\"\\ud800\"]]}", "not valid JSON");
	refuse("{\"monomers\":[],\"gen\":NaN}", "not valid JSON");
	refuse("{\"monomers\":[]}x", "not valid JSON");
	refuse("[1]", "object");
	refuse("null", "object");
	refuse("{}", "missing");
	for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++)
		refuse(shape[i], "monomers must be an array of arrays of strings");
	refuse("{\"monomers\":[],\"constraints\":null}", "constraints must be");
	refuse("{\"monomers\":[[\"a\\u0000\"]]}", "NUL");
	refuse("{\"monomers\":[],\"constraints\":[[\"a\\u0000\"]]}", "NUL");
	(void)snprintf(text, sizeof text, "{\"monomers\":[],\"gen\":%0401d}", 0);
	text[21] = '1';
	refuse(text, "gen is too long");
	(void)snprintf(text, sizeof text, "{\"monomers\":[],\"x\":%.*s%.*s}", 40, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 40,
	    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
	refuse(text, "deeply");
}

static int
forget(void **state)
{
	(void)state;
	free(copy);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_are_joined_with_blanks),
		cmocka_unit_test(test_escapes_become_their_characters_and_line_feeds_blanks),
		cmocka_unit_test(test_numbers_are_shown_as_python_shows_them),
		cmocka_unit_test(test_bad_bodies_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}
