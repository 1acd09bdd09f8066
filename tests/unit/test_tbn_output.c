#include "config.h"

#include <string.h>
#include <sys/mman.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "tbn/output.h"
#include "tbn_help.h"

static void
test_json_strings_are_pythons(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *json;
	} cases[] = {
		{ "", 0, "\"\"" },
		{ "a\"b\\c/d'", 8, "\"a\\\"b\\\\c/d'\"" },
		{ "\b\t\n\v\f\r\x1f\x7f", 8, "\"\\b\\t\\n\\u000b\\f\\r\\u001f\\u007f\"" },
		{ "\0", 1, "\"\\u0000\"" },
		{ "\xc3\xa9\xc3\x9f\xc3\xbc", 6, "\"\\u00e9\\u00df\\u00fc\"" },
		{ "\xe2\x82\xac\xef\xbf\xbf", 6, "\"\\u20ac\\uffff\"" },
		{ "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf", 8, "\"\\ud83d\\ude00\\udbff\\udfff\"" },
		{ "\xff", 1, "\"\\ufffd\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		scoped(strbuf_done) struct strbuf s = STRBUF_INIT(1000);

		json_add_string(&s, (struct slice){ cases[i].text, cases[i].len });
		assert_string_equal(strbuf_str(&s), cases[i].json);
	}
}

/* What a network prints; the caller frees it. */
static char *
print(const char *problem, int64_t gen, enum output_form form, const char *note)
{
	struct part_options options = { .symmetry = true, .walk = true, .eager_max = 1000000 };
	struct fault fault = { .class = FAULT_NONE };
	scoped(close_fd) int fd = memory_file("out");
	struct network net = { 0 };
	struct progress progress;
	struct search search;
	char *text = NULL;
	ssize_t len;

	assert_int_equal(read_network(&net, problem, "", &fault), 0);
	assert_int_equal(progress_init(&progress, NULL, false, 0, 0), 0);
	assert_int_equal(search_init(&search, &net, &progress, &options, gen, 1), 0);
	assert_int_equal(search_entropy(&search), 0);
	assert_int_equal(search_configurations(&search), 0);
	assert_int_equal(output_result(fd, &search, form, "COMPLETE", note), 0);
	text = calloc(1, 65536);
	assert_non_null(text);
	len = pread(fd, text, 65535, 0);
	assert_true(len > 0);
	search_done(&search);
	progress_done(&progress);
	network_done(&net);
	return text;
}

/* stableconfigs#1, #20 */
static void
test_compact_json_to_the_byte(void **state)
{
	scoped(free_ptr) char *text = print("a b >mon1\na* b* >mon2\na >mon3\nb >mon4\n", 1, OUTPUT_COMPACT, NULL);
	scoped(free_ptr) char *names = print("\xc3\xa9:\xc3\x9f\n\xc3\xa9* >\xc3\xbc\n", 1, OUTPUT_COMPACT, NULL);

	(void)state;
	assert_string_equal(text, "{\"configs\":[{\"polymers\":[[[\"a\",\"b\",\">mon1\"],[\"a*\",\"b*\",\">mon2\"]],[[\"a\",\">mon3\"]],"
	    "[[\"b\",\">mon4\"]]],\"polymers_count\":3}],\"count\":1,\"entropy\":3,\"status\":\"COMPLETE\"}\n");
	assert_string_equal(names, "{\"configs\":[{\"polymers\":[[[\"\\u00e9:\\u00df\"],[\"\\u00e9*\",\">\\u00fc\"]]],"
	    "\"polymers_count\":1}],\"count\":1,\"entropy\":1,\"status\":\"COMPLETE\"}\n");
}

static void
test_polymers_stand_by_their_earliest_monomer(void **state)
{
	scoped(free_ptr) char *text = print("a\nx\nb\nb*\nx*\na*\ny\n", 1, OUTPUT_COMPACT, NULL);

	(void)state;
	assert_non_null(strstr(text, "[[[\"a\"],[\"a*\"]],[[\"x\"],[\"x*\"]],[[\"b\"],[\"b*\"]],[[\"y\"]]]"));
}

static void
test_text_is_safe_on_a_terminal(void **state)
{
	scoped(free_ptr) char *text = print("a\x1b[2J >m\x7f\na*\n", 1, OUTPUT_TEXT, "stopped early");

	(void)state;
	assert_null(strchr(text, '\x1b'));
	assert_null(strchr(text, '\x7f'));
	assert_non_null(strstr(text, "{a\\x1b[2J >m\\x7f}"));
	assert_non_null(strstr(text, "1 configuration, stopped early\n"));
}

static void
test_many_configurations_print_whole(void **state)
{
	scoped(free_ptr) char *text = print("a\na\na\na\na* a* a* a*\nb\nb\nb\nb* b* b*\n", 1000, OUTPUT_COMPACT, NULL);
	size_t configs = 0;

	(void)state;
	for (const char *p = text; (p = strstr(p, "\"polymers_count\":2}")); p++)
		configs++;
	assert_int_equal(configs, 144);	/* 4! 3! of two components */
	assert_non_null(strstr(text, "],\"count\":144,\"entropy\":2,"));
}

static void
test_output_message(void **state)
{
	scoped(close_fd) int fd = memory_file("out");
	char text[200] = "";

	(void)state;
	assert_int_equal(output_message(fd, "L'\"\xc3\xa9", "TBNException"), 0);
	assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
	assert_string_equal(text, "{\"message\":\"L'\\\"\\u00e9\",\"status\":\"TBNException\"}\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_strings_are_pythons),
		cmocka_unit_test(test_compact_json_to_the_byte),
		cmocka_unit_test(test_polymers_stand_by_their_earliest_monomer),
		cmocka_unit_test(test_text_is_safe_on_a_terminal),
		cmocka_unit_test(test_many_configurations_print_whole),
		cmocka_unit_test(test_output_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
