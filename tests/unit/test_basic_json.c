#include "config.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "unit.h"

static int
scan(const char *text)
{
	return json_scan(text, strlen(text), JSON_DEPTH_MAX, NULL);
}

static json_object *
parse(const char *text)
{
	json_object *obj = NULL;

	assert_int_equal(json_parse(text, strlen(text), &obj), 0);
	return obj;
}

static void
test_json_scan_accepts_rfc8259(void **state)
{
	static const char *const good[] = {
		"null", "true", "false", "0", "-0", "12", "-1.5", "0.1e+9", "1E-3", "1e400", "123456789012345678901234567890",
		"\"\"", "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83d\\uDe00\\u0000\"", "\"\x7f\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
		"\"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\"", "[]", "[ ]", "{}", "{ }", " \t\r\n[1 , 2\n]\r ",
		"{\"a\":{\"a\":1,\"a\":[{},[]]},\"\":null}", "[[[1],2],{\"x\":[{\"y\":0}]}]", "[\"\",-1]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(scan(good[i]), 0);
}

static void
test_json_scan_refuses_what_is_nearly_json(void **state)
{
	static const char *const bad[] = {
		"", " ", "nul", "nulll", "True", "NaN", "Infinity", "-Infinity", "-", "+1", "01", "-01", "1.", ".5", "1.e5", "1e",
		"1e+", "0x10", "1 2", "\"", "\"a", "'a'", "\"\\x\"", "\"\\", "\"\\u12\"", "\"\\u12g4\"", "\"\\u", "\"\\U0041\"",
		"[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1}", "{", "}", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}",
		"{,}", "{1:2}", "{a:1}", "{\"a\" 1}", "{\"a\":1]", "{\"a\":1 \"b\":2}", "[] []", "{} x", "//\n1", "/**/1", "[1]\f", "\v1",
		"\xef\xbb\xbf{}", "\xc2\xa0[1]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(scan(bad[i]), -EBADMSG);
}

static void
test_json_scan_refuses_control_bytes_and_nul(void **state)
{
	char text[] = "\"?\"";

	(void)state;
	for (int c = 0; c < 0x20; c++) {
		text[1] = (char)c;
		assert_int_equal(json_scan(text, 3, JSON_DEPTH_MAX, NULL), -EBADMSG);
	}
	assert_int_equal(json_scan("1\0", 2, JSON_DEPTH_MAX, NULL), -EBADMSG);
	assert_int_equal(json_scan("\"\\\0\"", 4, JSON_DEPTH_MAX, NULL), -EBADMSG);
	assert_int_equal(json_scan("[1]x", 3, JSON_DEPTH_MAX, NULL), 0);	/* nothing beyond len is read */
}

static void
test_json_scan_refuses_lone_surrogates(void **state)
{
	static const char *const bad[] = {
		"\"\\ud800\"", "\"\\udfff\"", "\"\\ud800x\"", "\"\\ud800\\n\"", "\"\\ud800\\u0041\"", "\"\\ud800\\ud800\"",
		"\"\\udc00\\ud800\"", "\"\\ud800\\u\"", "\"\\ud800\\udc0", "\"\xed\xa0\x80\"", "\"\xed\xa0\xbd\xed\xb8\x80\"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(scan(bad[i]), -EBADMSG);
}

static void
test_utf8_valid_follows_rfc3629(void **state)
{
	static const char *const good[] = { "", "a\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = {
		"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xc2\xc2\x80", "\xe0\x9f\xbf", "\xe1\x80", "\xe1\x80\x41",
		"\xe1\x41\x80", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf1\x80\x80", "\xf1\x80\x80\xc0", "\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80", "\xff", "\xfe",
	};
	char literal[16] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(utf8_valid(good[i], strlen(good[i])), 1);
	assert_int_equal(utf8_valid("a\0b", 3), 1);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(utf8_valid(bad[i], strlen(bad[i])), 0);
		(void)snprintf(literal, sizeof literal, "\"%s\"", bad[i]);
		assert_int_equal(scan(literal), -EBADMSG);
	}
	assert_int_equal(utf8_valid("\xe2\x82\xac", 2), 0);
}

static void
test_json_scan_bounds_the_depth(void **state)
{
	char text[3000] = { 0 };

	(void)state;
	memset(text, '[', 32);
	memset(text + 32, ']', 32);
	assert_int_equal(json_scan(text, 64, 32, NULL), 0);
	assert_int_equal(json_scan(text, 64, 31, NULL), -E2BIG);
	assert_int_equal(json_scan("[]", 2, 0, NULL), -E2BIG);
	assert_int_equal(json_scan("{\"a\":{}}", 8, 1, NULL), -E2BIG);
	assert_int_equal(json_scan("1", 1, 0, NULL), 0);
	memset(text, '[', sizeof text);
	assert_int_equal(json_scan(text, sizeof text, 5000, NULL), -E2BIG);
	memset(text + 1024, ']', 1024);
	assert_int_equal(json_scan(text, 2048, 5000, NULL), 0);
	for (size_t i = 0; i < 1200; i += 6)
		memcpy(text + i, "[{\"a\":", 6);
	text[1200] = '1';
	for (size_t i = 0; i < 400; i += 2)
		memcpy(text + 1201 + i, "}]", 2);
	assert_int_equal(json_scan(text, 1601, 400, NULL), 0);
	assert_int_equal(json_scan(text, 1601, 399, NULL), -E2BIG);
	text[1201 + 100] = ']';
	assert_int_equal(json_scan(text, 1601, 400, NULL), -EBADMSG);
}

static void
assert_offset(const char *text, size_t expected)
{
	size_t offset = 999;

	assert_int_equal(json_scan(text, strlen(text), 2, &offset), scan(text) == 0 ? -E2BIG : -EBADMSG);
	assert_int_equal(offset, expected);
}

static void
test_json_scan_tells_where(void **state)
{
	(void)state;
	assert_offset("", 0);
	assert_offset("{\"a\": x}", 6);
	assert_offset("[1, 2", 5);
	assert_offset("[1] 2", 4);
	assert_offset("[\"ab\x01\"]", 4);
	assert_offset("[\"ab\\x\"]", 4);
	assert_offset("[1.x]", 3);
	assert_offset("nulx", 3);
	assert_offset("[[ []]]", 3);
}

static void
test_json_parse_builds_what_the_text_says(void **state)
{
	scoped(put_json) json_object *obj = parse(" {\"a\":[1,-2,2.5,true,null],\"s\":\"\\u00e9\\ud83d\\ude00\",\"a b\":{}} ");
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(json_format(obj, &text, &len), 0);
	assert_string_equal(text, "{\"a\":[1,-2,2.5,true,null],\"s\":\"\xc3\xa9\xf0\x9f\x98\x80\",\"a b\":{}}");
	assert_int_equal(len, strlen(text));
}

static void
test_json_parse_takes_scalars_at_the_top(void **state)
{
	static const char *const texts[] = { "12", "-0.5", "true", "\"x\"", "0" };
	json_object *null = json_object_new_int(1), *one = null;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		scoped(put_json) json_object *obj = parse(texts[i]);
		scoped(free_ptr) char *text = NULL;

		assert_int_equal(json_format(obj, &text, NULL), 0);
		assert_string_equal(text, texts[i]);
	}
	assert_int_equal(json_parse("null", 4, &null), 0);
	assert_null(null);
	put_json(&one);
}

static void
test_json_parse_reads_no_byte_beyond(void **state)
{
	scoped(free_ptr) char *text = malloc(2);	/* for the sanitizer and valgrind */
	scoped(put_json) json_object *obj = NULL;

	(void)state;
	memcpy(text, "12", 2);
	assert_int_equal(json_parse(text, 2, &obj), 0);
	assert_int_equal(json_object_get_int(obj), 12);
}

static void
test_json_parse_keeps_nul_in_values_and_refuses_it_in_names(void **state)
{
	scoped(put_json) json_object *obj = parse("{\"a\\\\u0000\":\"x\\u0000y\"}");
	json_object *val = NULL, *none = NULL;
	const char *text = NULL, bad[] = "{\"b\":1,\"a\\u0000\":2}";

	(void)state;
	assert_true(json_object_object_get_ex(obj, "a\\u0000", &val));
	assert_int_equal(json_object_get_string_len(val), 3);
	assert_memory_equal(json_object_get_string(val), "x\0y", 4);
	assert_int_equal(json_get_string(obj, "a\\u0000", &text), -EBADMSG);
	assert_int_equal(json_parse(bad, strlen(bad), &none), -EBADMSG);
	assert_null(none);
	assert_null(text);
}

/* json-c 0.16's parser makes U+FFFD of these. */
static void
test_json_parse_decodes_every_surrogate_pair(void **state)
{
	(void)state;
	for (unsigned c = 0x10000; c <= 0x10ffff; c += 0x1ff) {
		const unsigned high = 0xd800 + ((c - 0x10000) >> 10), low = 0xdc00 + (c & 0x3ff);
		const char utf8[] = { (char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 63)), (char)(0x80 | (c >> 6 & 63)),
			(char)(0x80 | (c & 63)), '\0' };
		char text[32] = { 0 };
		scoped(put_json) json_object *obj = NULL;

		(void)snprintf(text, sizeof text, "\"\\u%04x\\u%04X\"", high, low);
		obj = parse(text);
		assert_string_equal(json_object_get_string(obj), utf8);
	}
}

static void
test_json_parse_keeps_numbers_as_they_were_written(void **state)
{
	static const char text[] = "[18446744073709551616,-9223372036854775809,1e400,-1E-7,2.50,0.1,12345678901234567890]";
	scoped(put_json) json_object *obj = parse(text);
	scoped(free_ptr) char *printed = NULL;

	(void)state;
	assert_int_equal(json_format(obj, &printed, NULL), 0);
	assert_string_equal(printed, text);
	assert_true(json_object_get_double(json_object_array_get_idx(obj, 0)) > 1.8e19);
	assert_true(isinf(json_object_get_double(json_object_array_get_idx(obj, 2))));
	assert_true(json_object_get_uint64(json_object_array_get_idx(obj, 6)) == 12345678901234567890U);
}

static void
test_json_parse_takes_the_last_of_duplicates(void **state)
{
	scoped(put_json) json_object *obj = parse("{\"a\":1,\"a\":2}");
	int64_t n = 0;

	(void)state;
	assert_int_equal(json_get_int(obj, "a", &n), 0);
	assert_int_equal(n, 2);
}

static void
test_json_parse_takes_the_deepest_that_it_scans(void **state)
{
	char text[2 * JSON_DEPTH_MAX + 4] = { 0 };
	json_object *obj = NULL;

	(void)state;
	memset(text, '[', JSON_DEPTH_MAX);
	text[JSON_DEPTH_MAX] = '1';
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX);
	obj = parse(text);
	put_json(&obj);
	memset(text, '[', JSON_DEPTH_MAX + 1);
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	assert_int_equal(json_parse(text, strlen(text), &obj), -E2BIG);
	assert_null(obj);
}

static void
assert_member(const char *text, const char *name, const char *expected)
{
	const char *value = NULL;
	size_t len = 0;

	assert_int_equal(json_member_text(text, strlen(text), name, &value, &len), 0);
	assert_true(value >= text && value + len <= text + strlen(text));
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(value, expected, len);
}

static void
test_json_member_text_gives_the_raw_value(void **state)
{
	static const char text[] = " { \"a\" : 1.50e0 , \"b\":[1, {\"a\":2}] ,\"c\":\"x\\n\",\"d\":null,\"\":true } ";

	(void)state;
	assert_member(text, "a", "1.50e0");
	assert_member(text, "b", "[1, {\"a\":2}]");
	assert_member(text, "c", "\"x\\n\"");
	assert_member(text, "d", "null");
	assert_member(text, "", "true");
	assert_member("{\"a\":1}", "a", "1");
}

static void
test_json_member_text_unescapes_names_and_takes_the_last(void **state)
{
	(void)state;
	assert_member("{\"a\":1,\"\\u0061\":2}", "a", "2");
	assert_member("{\"\\u0061\":2,\"a\":1,\"ab\":3,\"\":4}", "a", "1");
	assert_member("{\"a\\/b\":7}", "a/b", "7");
	assert_member("{\"a\\u0000\":7,\"a\":8}", "a", "8");
	assert_member("{\"a\":8,\"a\\u0000\":7}", "a", "8");
}

static void
test_json_member_text_finds_nothing_elsewhere(void **state)
{
	static const char *const texts[] = { "{}", "[\"a\"]", "\"a\"", "1", "null", "{\"b\":{\"a\":1}}", "{\"aa\":1,\"\":2,\"A\":3}", "{ }" };
	const char *value = NULL;
	size_t len = 0;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_int_equal(json_member_text(texts[i], strlen(texts[i]), "a", &value, &len), -ENOENT);
	assert_null(value);
}

static void
test_json_get_checks_presence_and_type(void **state)
{
	scoped(put_json) json_object *obj = parse("{\"s\":\"x\",\"i\":7,\"b\":true,\"a\":[],\"o\":{},\"n\":null,\"d\":1.0}");
	scoped(free_ptr) char *copy = NULL;
	json_object *sub = NULL;
	const char *s = NULL;
	int64_t i = -1;
	uint64_t u = 99;
	bool b = false;

	(void)state;
	assert_int_equal(json_get_string(obj, "s", &s), 0);
	assert_string_equal(s, "x");
	assert_int_equal(json_dup_string(obj, "s", &copy), 0);
	assert_string_equal(copy, "x");
	assert_int_equal(json_get_int(obj, "d", &i), -EBADMSG);
	assert_int_equal(json_get_int(obj, "none", &i), -ENOENT);
	assert_int_equal(json_get_int(obj, "b", &i), -EBADMSG);
	assert_int_equal(i, -1);
	assert_int_equal(json_get_int(obj, "i", &i), 0);
	assert_int_equal(i, 7);
	assert_int_equal(json_get_uint(obj, "s", &u), -EBADMSG);
	assert_int_equal(u, 99);
	assert_int_equal(json_get_uint(obj, "i", &u), 0);
	assert_int_equal(u, 7);
	assert_int_equal(json_get_bool(obj, "i", &b), -EBADMSG);
	assert_int_equal(json_get_bool(obj, "b", &b), 0);
	assert_true(b);
	assert_int_equal(json_get_array(obj, "o", &sub), -EBADMSG);
	assert_int_equal(json_get_object(obj, "a", &sub), -EBADMSG);
	assert_int_equal(json_get_object(obj, "n", &sub), -EBADMSG);
	assert_null(sub);
	assert_int_equal(json_get_array(obj, "a", &sub), 0);
	assert_int_equal(json_object_array_length(sub), 0);
	assert_int_equal(json_get_object(obj, "o", &sub), 0);
	assert_int_equal(json_get_string(NULL, "s", &s), -EBADMSG);
	assert_int_equal(json_get_string(sub, "s", &s), -ENOENT);
}

static void
test_json_get_refuses_integers_out_of_range(void **state)
{
	static const struct {
		const char *text;
		bool is_int, is_uint;
	} cases[] = {
		{ "{\"n\":0}", true, true }, { "{\"n\":-1}", true, false },
		{ "{\"n\":9223372036854775807}", true, true }, { "{\"n\":9223372036854775808}", false, true },
		{ "{\"n\":18446744073709551615}", false, true }, { "{\"n\":18446744073709551616}", false, false },
		{ "{\"n\":1000000000000000000000000000000}", false, false }, { "{\"n\":-9223372036854775808}", true, false },
		{ "{\"n\":-9223372036854775809}", false, false }, { "{\"n\":1e3}", false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		scoped(put_json) json_object *obj = parse(cases[i].text);
		int64_t n = 0;
		uint64_t u = 0;

		assert_int_equal(json_get_int(obj, "n", &n), cases[i].is_int ? 0 : -EBADMSG);
		assert_int_equal(json_get_uint(obj, "n", &u), cases[i].is_uint ? 0 : -EBADMSG);
	}
}

static void
test_jsonw_builds_in_order(void **state)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	scoped(free_ptr) char *text = NULL;

	(void)state;
	jsonw_string(&w, "z", "a/b\"\n\x7f");
	jsonw_string(&w, "s", NULL);
	jsonw_int(&w, "i", INT64_MIN);
	jsonw_bool(&w, "b", false);
	jsonw_null(&w, "n");
	jsonw_add(&w, "a", json_object_new_array());
	assert_int_equal(jsonw_finish(&w, &obj), 0);
	assert_int_equal(json_format(obj, &text, NULL), 0);
	assert_string_equal(text, "{\"z\":\"a/b\\\"\\n\x7f\",\"s\":null,\"i\":-9223372036854775808,\"b\":false,\"n\":null,\"a\":[]}");
}

static void
test_jsonw_first_error_sticks(void **state)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *obj = NULL;

	(void)state;
	jsonw_int(&w, "a", 1);
	jsonw_add(&w, "b", NULL);	/* a constructor that failed */
	jsonw_add(&w, "c", json_object_new_string("freed all the same"));
	jsonw_null(&w, "d");
	assert_int_equal(jsonw_finish(&w, &obj), -ENOMEM);
	assert_null(obj);
}

static void
test_json_format_refuses_what_json_cannot_hold(void **state)
{
	static const double bad[] = { (double)NAN, (double)INFINITY };
	char *text = NULL;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		scoped(put_json) json_object *obj = json_object_new_double(bad[i]);

		assert_int_equal(json_format(obj, &text, NULL), -EBADMSG);
	}
	{
		scoped(put_json) json_object *obj = json_object_new_string("\xff");

		assert_int_equal(json_format(obj, &text, NULL), -EBADMSG);
	}
	assert_null(text);
	assert_int_equal(json_format(NULL, &text, NULL), 0);
	assert_string_equal(text, "null");
	free(text);
}

static void
assert_quoted(const char *text, size_t len, bool ascii, const char *expected)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(4096);

	json_quote(&s, text, len, ascii);
	assert_int_equal(strbuf_err(&s), 0);
	assert_string_equal(strbuf_str(&s), expected);
}

/* The expected texts are what Python 3.11's json.dumps printed. */
static void
test_json_quote_writes_as_json_dumps_does(void **state)
{
	static const char text[] = "\"\\/\b\f\n\r\t\x01\x1f ~\x7f\xc2\x80\xc3\xa9\xe2\x80\xa8\xef\xbf\xbf\xf0\x90\x80\x80\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf";

	(void)state;
	assert_quoted(text, strlen(text), true,
	    "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f ~\\u007f\\u0080\\u00e9\\u2028\\uffff\\ud800\\udc00\\ud83d\\ude00\\udbff\\udfff\"");
	assert_quoted(text, strlen(text), false,
	    "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f ~\x7f\xc2\x80\xc3\xa9\xe2\x80\xa8\xef\xbf\xbf\xf0\x90\x80\x80\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\"");
	assert_quoted("a\0b", 3, true, "\"a\\u0000b\"");
	assert_quoted("", 0, false, "\"\"");
}

static void
test_json_quote_refuses_what_is_not_utf8(void **state)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(4096), small = STRBUF_INIT(3);

	(void)state;
	strbuf_addstr(&s, "[");
	json_quote(&s, "ab\xc3", 3, true);
	assert_int_equal(strbuf_err(&s), -EBADMSG);
	strbuf_addstr(&s, "]");
	assert_int_equal(strbuf_err(&s), -EBADMSG);
	json_quote(&small, "ab", 2, true);
	assert_int_equal(strbuf_err(&small), -EFBIG);
	json_quote(&small, "\xff", 1, true);
	assert_int_equal(strbuf_err(&small), -EFBIG);
}

static void
test_json_load_at_reads_a_bounded_file(void **state)
{
	const struct temp_dir *dir = *state;
	scoped(close_fd) int fd = openat(dir->fd, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	scoped(put_json) json_object *obj = NULL;
	int64_t v = 0;

	assert_int_equal(write_all(fd, "{\"v\":1}", 7), 0);
	assert_int_equal(json_load_at(dir->fd, "f", 6, &obj), -EFBIG);
	assert_int_equal(json_load_at(dir->fd, "none", 7, &obj), -ENOENT);
	assert_int_equal(json_load_at(dir->fd, "f", 7, &obj), 0);
	assert_int_equal(json_get_int(obj, "v", &v), 0);
	assert_int_equal(v, 1);
	put_json(&obj);
	assert_int_equal(write_all(fd, "}", 1), 0);
	assert_int_equal(json_load_at(dir->fd, "f", 100, &obj), -EBADMSG);
	assert_int_equal(ftruncate(fd, 0), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(pwrite_all(fd, "[", 1, i), 0);
	assert_int_equal(json_load_at(dir->fd, "f", 100, &obj), -EBADMSG);
	assert_null(obj);
}

static void
test_what_is_no_utf8_is_shown_as_such(void **state)
{
	static const struct { const char *raw, *text; } table[] = {
		{ "", "" }, { "a\xc3\xa4\xf0\x9f\xa7\xac", "a\xc3\xa4\xf0\x9f\xa7\xac" }, { "a\xff" "b", "a\xef\xbf\xbd" "b" },
		{ "\xc3", "\xef\xbf\xbd" }, { "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd" }, { "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		scoped(strbuf_done) struct strbuf s = STRBUF_INIT(100);

		utf8_add(&s, table[i].raw, strlen(table[i].raw));
		assert_string_equal(strbuf_str(&s), table[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_scan_accepts_rfc8259),
		cmocka_unit_test(test_json_scan_refuses_what_is_nearly_json),
		cmocka_unit_test(test_json_scan_refuses_control_bytes_and_nul),
		cmocka_unit_test(test_json_scan_refuses_lone_surrogates),
		cmocka_unit_test(test_utf8_valid_follows_rfc3629),
		cmocka_unit_test(test_json_scan_bounds_the_depth),
		cmocka_unit_test(test_json_scan_tells_where),
		cmocka_unit_test(test_json_parse_builds_what_the_text_says),
		cmocka_unit_test(test_json_parse_takes_scalars_at_the_top),
		cmocka_unit_test(test_json_parse_reads_no_byte_beyond),
		cmocka_unit_test(test_json_parse_keeps_nul_in_values_and_refuses_it_in_names),
		cmocka_unit_test(test_json_parse_decodes_every_surrogate_pair),
		cmocka_unit_test(test_json_parse_keeps_numbers_as_they_were_written),
		cmocka_unit_test(test_json_parse_takes_the_last_of_duplicates),
		cmocka_unit_test(test_json_parse_takes_the_deepest_that_it_scans),
		cmocka_unit_test(test_json_member_text_gives_the_raw_value),
		cmocka_unit_test(test_json_member_text_unescapes_names_and_takes_the_last),
		cmocka_unit_test(test_json_member_text_finds_nothing_elsewhere),
		cmocka_unit_test(test_json_get_checks_presence_and_type),
		cmocka_unit_test(test_json_get_refuses_integers_out_of_range),
		cmocka_unit_test(test_jsonw_builds_in_order),
		cmocka_unit_test(test_jsonw_first_error_sticks),
		cmocka_unit_test(test_json_format_refuses_what_json_cannot_hold),
		cmocka_unit_test(test_json_quote_writes_as_json_dumps_does),
		cmocka_unit_test(test_json_quote_refuses_what_is_not_utf8),
		cmocka_unit_test(test_what_is_no_utf8_is_shown_as_such),
		TEMP_DIR_TEST(test_json_load_at_reads_a_bounded_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
