#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "cli/value.h"
#include "unit.h"

static const char tool_text[] =
    "{\"parameters\":[{\"name\":\"i\",\"type\":\"integer\"},{\"name\":\"n\",\"type\":\"number\"},"
    "{\"name\":\"b\",\"type\":\"boolean\"},"
    "{\"name\":\"c\",\"type\":\"choice\",\"choices\":[\"one\",\"two\",null]},{\"name\":\"t\",\"type\":\"text\"},{\"name\":\"u\"}],"
    "\"inputs\":[{\"name\":\"f\"}]}";

static json_object *
tool(void)
{
	json_object *obj = NULL;

	assert_int_equal(json_parse(tool_text, sizeof tool_text - 1, &obj), 0);
	return obj;
}

/* What a value becomes, as JSON text; NULL: refused, with a reason. */
static void
assert_value(const char *name, const char *text, const char *expected)
{
	scoped(put_json) json_object *obj = tool(), *value = NULL;
	scoped(strbuf_done) struct strbuf why = STRBUF_INIT(1024);
	scoped(free_ptr) char *got = NULL;
	int r = value_parse(tool_parameter(obj, name), text, strlen(text), &why, &value);

	if (!expected) {
		assert_int_equal(r, -EINVAL);
		assert_true(why.len > 0);
		assert_null(value);
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(json_format(value, &got, NULL), 0);
	assert_string_equal(got, expected);
}

static void
test_integers(void **state)
{
	(void)state;
	assert_value("i", "0", "0");
	assert_value("i", "-7", "-7");
	assert_value("i", "+7", "7");
	assert_value("i", "007", "7");
	assert_value("i", "9223372036854775807", "9223372036854775807");
	assert_value("i", "9223372036854775808", NULL);
	assert_value("i", "", NULL);
	assert_value("i", " 1", NULL);
	assert_value("i", "1 ", NULL);
	assert_value("i", "1.0", NULL);
	assert_value("i", "0x1", NULL);
}

static void
test_numbers_stay_as_they_were_written(void **state)
{
	(void)state;
	assert_value("n", "0.10", "0.10");
	assert_value("n", "1e400", NULL);
	assert_value("n", "12345678901234567890123", "12345678901234567890123");
	assert_value("n", "-.5", "-0.5");
	assert_value("n", "+2", "2.0");
	assert_value("n", "inf", NULL);
	assert_value("n", "nan", NULL);
	assert_value("n", "0x1p3", NULL);
	assert_value("n", "1e", NULL);
	assert_value("n", "", NULL);
}

static void
test_booleans_and_choices(void **state)
{
	(void)state;
	assert_value("b", "TRUE", "true");
	assert_value("b", "on", "true");
	assert_value("b", "0", "false");
	assert_value("b", "2", NULL);
	assert_value("b", "", NULL);
	assert_value("c", "two", "\"two\"");
	assert_value("c", "tw", NULL);
	assert_value("c", "null", NULL);
}

static void
test_text_is_whatever_is_utf8(void **state)
{
	(void)state;
	assert_value("t", "", "\"\"");
	assert_value("t", "5", "\"5\"");
	assert_value("t", "a\nb\xc3\xa4", "\"a\\nb\xc3\xa4\"");
	assert_value("t", "\xff", NULL);
	assert_value("u", "no type", "\"no type\"");
}

static void
test_a_nul_is_refused(void **state)
{
	scoped(put_json) json_object *obj = tool(), *value = NULL;
	scoped(strbuf_done) struct strbuf why = STRBUF_INIT(1024);

	(void)state;
	assert_int_equal(value_parse(tool_parameter(obj, "t"), "a\0b", 3, &why, &value), -EINVAL);
}

static void
test_names_of_a_tool(void **state)
{
	scoped(put_json) json_object *obj = tool(), *none = json_object_new_object();
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(1024);

	(void)state;
	assert_non_null(tool_input(obj, "f"));
	assert_null(tool_input(obj, "i"));
	assert_null(tool_parameter(obj, "f"));
	assert_null(tool_parameter(none, "f"));
	tool_names(&s, obj, "parameters");
	strbuf_addstr(&s, "; ");
	tool_names(&s, none, "inputs");
	assert_string_equal(strbuf_str(&s), "i, n, b, c, t, u; none");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_numbers_stay_as_they_were_written),
		cmocka_unit_test(test_booleans_and_choices),
		cmocka_unit_test(test_text_is_whatever_is_utf8),
		cmocka_unit_test(test_a_nul_is_refused),
		cmocka_unit_test(test_names_of_a_tool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
