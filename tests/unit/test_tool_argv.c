/* test_tool_argv.c - from the values of a submission to an argument vector, and what is refused. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <stdio.h>

#include "basic/json.h"
#include "config/tool.h"
#include "config_help.h"

static const char tool_text[] =
    "[tool]\ncommand =\n\t/bin/echo\n\tplain\n\t{text}\n\t--n={n}\n\tx={x},{n}\n\t{must}\n\tdata.txt\n\t{extra.txt}\n\t{job}/out\n\t{open\n"
    "[parameter text]\nmin = 2\nmax = 10\n[parameter n]\ntype = integer\nmin = -5\nmax = 1000000\n[parameter x]\ntype = number\n"
    "min = -1\n[parameter free]\ntype = integer\n[parameter must]\nmax = 4096\nrequired = yes\n"
    "[input data.txt]\n[input extra.txt]\nrequired = no\n";

struct fixture {
	struct temp_dir *dir;
	struct tool *tool;
};

static int
setup(void **state)
{
	static struct fixture f;
	void *dir = NULL;
	struct faults faults = { NULL, 0 };

	f = (struct fixture){ NULL, NULL };
	if (make_temp_dir(&dir) < 0)
		return -1;
	f.dir = dir;
	put_file(f.dir, "t.tool", tool_text);
	assert_int_equal(tool_load(f.dir->fd, "t.tool", "t.tool", &faults, &f.tool), 0);
	assert_int_equal(faults.n, 0);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	void *dir = f->dir;

	f->tool = tool_free(f->tool);
	return drop_temp_dir(&dir);
}

/* params: a JSON text; "" for none at all. inputs: a list that NULL ends. */
static int
build(void **state, const char *params, const char *const *inputs, char ***ret, struct tool_refusal *ret_refusal)
{
	const struct fixture *f = *state;
	scoped(put_json) json_object *obj = NULL;
	size_t n = 0;

	while (inputs && inputs[n])
		n++;
	if (params[0])
		assert_int_equal(json_parse(params, strlen(params), &obj), 0);
	return tool_build_argv(f->tool, obj, inputs, n, ret, ret_refusal);
}

#define DATA ((const char *const[]){ "data.txt", NULL })

static void
assert_argv(void **state, const char *params, const char *const *inputs, const char *const *wanted)
{
	scoped(free_argv) char **argv = NULL;
	struct tool_refusal refusal = { .why = "" };
	size_t n = 0;
	int r = build(state, params, inputs, &argv, &refusal);

	if (r < 0)
		fail_msg("refused: %s", refusal.why);
	assert_string_equal(refusal.why, "");
	for (; wanted[n]; n++) {
		assert_non_null(argv[n]);
		assert_string_equal(argv[n], wanted[n]);
	}
	assert_null(argv[n]);
}
#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void
assert_refused(void **state, const char *params, const char *const *inputs, const char *wanted)
{
	scoped(free_argv) char **argv = NULL;
	struct tool_refusal refusal = { .why = "" };

	assert_int_equal(build(state, params, inputs, &argv, &refusal), -EINVAL);
	assert_null(argv);
	assert_string_equal(refusal.why, wanted);
	/* The reason need not be asked for. */
	assert_int_equal(build(state, params, inputs, &argv, NULL), -EINVAL);
}

static void
test_absent_names_leave_their_lines_out(void **state)
{
	assert_argv(state, "{\"must\":\"m\"}", DATA, LIST("/bin/echo", "plain", "m", "data.txt", "/job/out", "{open"));
}

static void
test_given_values_stand_where_they_belong(void **state)
{
	assert_argv(state, "{\"text\":\"a b\",\"n\":-5,\"x\":0.5,\"must\":\"\"}", LIST("extra.txt", "data.txt"),
	    LIST("/bin/echo", "plain", "a b", "--n=-5", "x=0.5,-5", "", "data.txt", "extra.txt", "/job/out", "{open"));
}

static void
test_a_line_with_two_names_needs_both(void **state)
{
	assert_argv(state, "{\"x\":1,\"must\":\"m\"}", DATA, LIST("/bin/echo", "plain", "m", "data.txt", "/job/out", "{open"));
}

static void
test_a_value_is_never_read_as_a_name(void **state)
{
	assert_argv(state, "{\"text\":\"{must}\",\"must\":\"{job} {text}\"}", DATA,
	    LIST("/bin/echo", "plain", "{must}", "{job} {text}", "data.txt", "/job/out", "{open"));
}

static void
test_text_is_kept_to_the_byte(void **state)
{
	assert_argv(state, "{\"must\":\"\\u00e4 \\\"'\\\\ $(x) \xe2\x82\xac\"}", DATA,
	    LIST("/bin/echo", "plain", "\xc3\xa4 \"'\\ $(x) \xe2\x82\xac", "data.txt", "/job/out", "{open"));
}

static void
test_types_are_checked(void **state)
{
	assert_refused(state, "{\"must\":1}", DATA, "must must be a text");
	assert_refused(state, "{\"must\":null}", DATA, "must must be a text");
	assert_refused(state, "{\"must\":[\"m\"]}", DATA, "must must be a text");
	assert_refused(state, "{\"must\":\"m\",\"n\":\"1\"}", DATA, "n must be an integer");
	assert_refused(state, "{\"must\":\"m\",\"n\":1.0}", DATA, "n must be an integer");
	assert_refused(state, "{\"must\":\"m\",\"n\":true}", DATA, "n must be an integer");
	assert_refused(state, "{\"must\":\"m\",\"x\":\"1\"}", DATA, "x must be a number");
	assert_refused(state, "{\"must\":\"m\",\"x\":{}}", DATA, "x must be a number");
	assert_refused(state, "[1]", DATA, "the parameters must be an object");
	assert_refused(state, "\"must\"", DATA, "the parameters must be an object");
}

static void
test_ranges_are_checked(void **state)
{
	assert_refused(state, "{\"must\":\"m\",\"n\":-6}", DATA, "n is out of its range");
	assert_refused(state, "{\"must\":\"m\",\"n\":1000001}", DATA, "n is out of its range");
	assert_refused(state, "{\"must\":\"m\",\"x\":-1.0000001}", DATA, "x is out of its range");
	assert_refused(state, "{\"must\":\"m\",\"x\":1e999}", DATA, "x is out of its range");
	assert_refused(state, "{\"must\":\"m\",\"text\":\"a\"}", DATA, "text is too short or too long");
	assert_refused(state, "{\"must\":\"m\",\"text\":\"01234567890\"}", DATA, "text is too short or too long");
	assert_refused(state, "{\"must\":\"m\",\"text\":\"\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\"}", DATA, "text is too short or too long");
}

static void
test_an_integer_that_json_c_cannot_hold_is_refused(void **state)
{
	assert_argv(state, "{\"must\":\"m\",\"free\":9223372036854775807}", DATA,
	    LIST("/bin/echo", "plain", "m", "data.txt", "/job/out", "{open"));
	assert_refused(state, "{\"must\":\"m\",\"free\":99999999999999999999}", DATA, "free is out of its range");
	assert_refused(state, "{\"must\":\"m\",\"free\":-99999999999999999999}", DATA, "free is out of its range");
}

static void
test_names_are_checked(void **state)
{
	assert_refused(state, "", DATA, "the parameter must is missing");
	assert_refused(state, "{}", DATA, "the parameter must is missing");
	assert_refused(state, "{\"must\":\"m\",\"mus\":\"m\"}", DATA, "there is no such parameter");
	assert_refused(state, "{\"must\":\"m\",\"\":\"m\"}", DATA, "there is no such parameter");
	assert_refused(state, "{\"must\":\"m\",\"job\":\"m\"}", DATA, "there is no such parameter");
	assert_refused(state, "{\"must\":\"m\",\"data.txt\":\"m\"}", DATA, "there is no such parameter");
	assert_refused(state, "{\"must\":\"m\"}", NULL, "the input data.txt is missing");
	assert_refused(state, "{\"must\":\"m\"}", LIST("extra.txt"), "the input data.txt is missing");
	assert_refused(state, "{\"must\":\"m\"}", LIST("data.txt", "more"), "there is no such input");
	assert_refused(state, "{\"must\":\"m\"}", LIST("data.txt", "must"), "there is no such input");
	assert_refused(state, "{\"must\":\"m\"}", LIST("data.txt", "data.txt"), "the input data.txt is given twice");
}

static void
test_control_bytes_are_refused(void **state)
{
	assert_refused(state, "{\"must\":\"a\\u0000b\"}", DATA, "must has a control character");
	assert_refused(state, "{\"must\":\"a\\nb\"}", DATA, "must has a control character");
	assert_refused(state, "{\"must\":\"\\t\"}", DATA, "must has a control character");
	assert_refused(state, "{\"must\":\"\\u001b[0m\"}", DATA, "must has a control character");
	assert_refused(state, "{\"must\":\"\x7f\"}", DATA, "must has a control character");
}

static void
test_overlong_values_are_refused(void **state)
{
	char params[8192];

	(void)snprintf(params, sizeof params, "{\"must\":\"%04097d\"}", 0);
	assert_refused(state, params, DATA, "must is too short or too long");
	(void)snprintf(params, sizeof params, "{\"must\":\"m\",\"%0200d\":1}", 0);
	assert_refused(state, params, DATA,
	    "there is no such parameter");
}

static void
test_an_overlong_argument_is_refused(void **state)
{
	const struct fixture *f = *state;
	scoped(free_tool) struct tool *tool = NULL;
	scoped(put_json) json_object *params = json_object_new_object();
	scoped(free_argv) char **argv = NULL;
	struct tool_refusal refusal = { .why = "" };
	struct faults faults = { NULL, 0 };
	char text[4097];

	put_file(f->dir, "long.tool", "[tool]\ncommand =\n\t/bin/echo\n\t{a}{a}{a}{a}x\n[parameter a]\n");
	assert_int_equal(tool_load(f->dir->fd, "long.tool", "long.tool", &faults, &tool), 0);
	memset(text, 'y', 4096);
	text[4096] = '\0';
	json_object_object_add(params, "a", json_object_new_string(text));
	assert_int_equal(tool_build_argv(tool, params, NULL, 0, &argv, &refusal), -EINVAL);
	assert_string_equal(refusal.why, "an argument is too long");
	json_object_object_add(params, "a", json_object_new_string(text + 1));
	assert_int_equal(tool_build_argv(tool, params, NULL, 0, &argv, NULL), 0);
	assert_int_equal(strlen(argv[1]), 4 * 4095 + 1);
}

static void
test_variables_have_values_or_are_not_there(void **state)
{
	static const char text[] = "{\"a\":\"x=y\",\"b\":-1,\"c\":true,\"d\":\"z\"}";
	const struct fixture *f = *state;
	scoped(put_json) json_object *params = NULL;
	scoped(free_argv) char **none = NULL, **all = NULL;
	scoped(free_tool) struct tool *t = NULL;
	struct faults faults = { NULL, 0 };

	put_file(f->dir, "v.tool", "[tool]\ncommand = /bin/true\n[parameter a]\nenvironment = A\n[parameter b]\ntype = integer\n"
	    "default = 3\nenvironment = B\n[parameter c]\ntype = boolean\ntrue = yes please\nenvironment = C\n[parameter d]\n");
	assert_int_equal(tool_load(f->dir->fd, "v.tool", "v.tool", &faults, &t), 0);
	assert_int_equal(faults.n, 0);
	assert_int_equal(tool_build_env(t, NULL, false, &none), 0);
	assert_string_equal(none[0], "B=3");
	assert_null(none[1]);
	assert_int_equal(json_parse(text, sizeof text - 1, &params), 0);
	assert_int_equal(tool_build_env(t, params, false, &all), 0);
	assert_string_equal(all[0], "A=x=y");
	assert_string_equal(all[1], "B=-1");
	assert_string_equal(all[2], "C=yes please");
	assert_null(all[3]);
}

#define TOOL_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TOOL_TEST(test_absent_names_leave_their_lines_out),
		TOOL_TEST(test_given_values_stand_where_they_belong),
		TOOL_TEST(test_a_line_with_two_names_needs_both),
		TOOL_TEST(test_a_value_is_never_read_as_a_name),
		TOOL_TEST(test_text_is_kept_to_the_byte),
		TOOL_TEST(test_types_are_checked),
		TOOL_TEST(test_ranges_are_checked),
		TOOL_TEST(test_an_integer_that_json_c_cannot_hold_is_refused),
		TOOL_TEST(test_names_are_checked),
		TOOL_TEST(test_control_bytes_are_refused),
		TOOL_TEST(test_overlong_values_are_refused),
		TOOL_TEST(test_an_overlong_argument_is_refused),
		TOOL_TEST(test_variables_have_values_or_are_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
