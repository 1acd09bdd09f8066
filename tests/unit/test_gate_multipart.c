/* test_gate_multipart.c - parts and their bounds, however the body is cut into pieces. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "gate/multipart.h"

static const char type[] = "multipart/form-data; boundary=xyz";

struct body {
	const char *data;
	size_t left, piece;
};

static ssize_t
source(void *ctx, char *buf, size_t len)
{
	struct body *b = ctx;
	size_t n = len < b->piece ? len : b->piece;

	if (n > b->left)
		n = b->left;
	memcpy(buf, b->data, n);
	b->data += n;
	b->left -= n;
	return (ssize_t)n;
}

/* Parts as "name=data;" one after the other, a file's with "name@"; or "!errno". The caller frees. */
static char *
walk(const char *content_type, const char *data, size_t len, size_t piece, size_t take)
{
	struct body body = { data, len, piece };
	scoped(free_multipart) struct multipart *m = NULL;
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(100000);
	scoped(free_ptr) char *buf = malloc(take);
	struct part part;
	char *text = NULL;
	ssize_t n = 0;
	int r;

	assert_non_null(buf);
	assert_int_equal(multipart_new(content_type, source, &body, &m), 0);
	while ((r = multipart_next(m, &part)) > 0) {
		strbuf_addf(&s, "%s%c", part.name, part.has_file_name ? '@' : '=');
		while ((n = multipart_read(m, buf, take)) > 0)
			strbuf_add(&s, buf, (size_t)n);
		if (n < 0)
			break;
		strbuf_addch(&s, ';');
	}
	if (r < 0 || n < 0)
		strbuf_addf(&s, "!%d", r < 0 ? -r : (int)-n);
	strbuf_add(&s, "", 0);
	assert_int_equal(strbuf_take(&s, &text, NULL), 0);
	return text;
}

static void
check(const char *data, const char *wanted)
{
	static const size_t pieces[] = { 1, 2, 3, 7, 100, 100000 }, takes[] = { 1, 5, 4096 };

	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
		for (size_t j = 0; j < sizeof takes / sizeof *takes; j++) {
			scoped(free_ptr) char *got = walk(type, data, strlen(data), pieces[i], takes[j]);

			assert_string_equal(got, wanted);
		}
}

#define HEAD(name) "Content-Disposition: form-data; name=" name "\r\n"

static void
test_parts_in_order(void **state)
{
	(void)state;
	check("--xyz\r\n" HEAD("a") "\r\none\r\n--xyz\r\n" HEAD("\"b c\"") "Content-Type: x/y\r\n\r\n\r\n--xyz--\r\n", "a=one;b c=;");
	check("preamble\r\n--xyz \t\r\n" HEAD("a") "\r\n\r\n--xy\r\n-xyz\r\n\r\n--xyz--epilogue\r\n--xyz\r\n", "a=\r\n--xy\r\n-xyz\r\n;");
	check("--xyz\r\n" HEAD("a") "\r\n--xyz--", "a=;");
	check("--xyz--", "");
}

static void
test_names_and_files(void **state)
{
	(void)state;
	check("--xyz\r\n" HEAD("\"a\\\"b\\\\c\"") "\r\n1\r\n--xyz--", "a\"b\\c=1;");
	check("--xyz\r\n" HEAD("\"a\"; filename=\"C:\\x\\y.txt\"") "\r\n1\r\n--xyz--", "a@1;");
	check("--xyz\r\ncontent-disposition:form-data;filename=\"\";NAME=a;x=y\r\n\r\n1\r\n--xyz--", "a@1;");
	check("--xyz\r\n" HEAD("\"\xc3\xa4\"") "\r\n1\r\n--xyz--", "\xc3\xa4=1;");
}

static void
test_names_that_are_none(void **state)
{
	(void)state;
	check("--xyz\r\n" HEAD("") "\r\n1\r\n--xyz--", "!22");
	check("--xyz\r\n" HEAD("\"\"") "\r\n1\r\n--xyz--", "!22");
	check("--xyz\r\n" HEAD("\"a") "\r\n1\r\n--xyz--", "!22");
	check("--xyz\r\n" HEAD("\"\xff\"") "\r\n1\r\n--xyz--", "!22");
	check("--xyz\r\n" HEAD("\"a\tb\"") "\r\n1\r\n--xyz--", "!22");
	check("--xyz\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--xyz--", "!22");
	check("--xyz\r\nContent-Type: x/y\r\n\r\n1\r\n--xyz--", "!22");
	check("--xyz\r\n\r\n1\r\n--xyz--", "!22");
}

static void
test_a_body_that_is_cut_off_anywhere(void **state)
{
	static const char whole[] = "--xyz\r\n" HEAD("a") "\r\none\r\n--xyz\r\n" HEAD("b") "\r\ntwo\r\n--xyz--";

	(void)state;
	for (size_t len = 0; len < sizeof whole - 1; len++) {
		scoped(free_ptr) char *got = walk(type, whole, len, 3, 5);

		assert_non_null(strstr(got, "!74"));	/* EBADMSG */
	}
}

static void
test_long_headers_and_names(void **state)
{
	char text[3 * MULTIPART_HEADERS_MAX];
	char line[MULTIPART_HEADERS_MAX + 1];

	(void)state;
	memset(line, 'y', sizeof line);
	line[MULTIPART_HEADERS_MAX] = '\0';
	(void)snprintf(text, sizeof text, "--xyz\r\nX: %s\r\n" HEAD("a") "\r\n1\r\n--xyz--", line);
	check(text, "!7");	/* E2BIG */
	line[MULTIPART_NAME_MAX + 1] = '\0';
	(void)snprintf(text, sizeof text, "--xyz\r\n" HEAD("%s") "\r\n1\r\n--xyz--", line);
	check(text, "!22");
	line[MULTIPART_NAME_MAX] = '\0';
	(void)snprintf(text, sizeof text, "--xyz\r\n" HEAD("%s") "\r\n1\r\n--xyz--", line);
	{
		scoped(free_ptr) char *got = walk(type, text, strlen(text), 100, 100);

		assert_int_equal(strlen(got), MULTIPART_NAME_MAX + 3);
	}
}

static void
test_boundaries(void **state)
{
	static const char *const bad[] = { "", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"a",
		"multipart/form-data; boundary=a\"b", "multipart/form-data; boundary=\"a \"", "multipart/form-dataX; boundary=a", "multipart/mixed; boundary=a",
		"multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789x" };
	static const char odd[] = "--a b'(c)\r\n" HEAD("a") "\r\n1\r\n--a b'(c)--";
	struct multipart *m = NULL;
	struct body body = { "", 0, 1 };
	scoped(free_ptr) char *got = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(multipart_new(bad[i], source, &body, &m), -EINVAL);
	got = walk(" Multipart/Form-Data; charset=utf-8; Boundary=\"a b'(c)\"", odd, sizeof odd - 1, 2, 3);
	assert_string_equal(got, "a=1;");
}

static ssize_t
broken(void *ctx, char *buf, size_t len)
{
	(void)ctx;
	(void)buf;
	(void)len;
	return -EFBIG;
}

static void
test_the_sources_error_is_passed_on(void **state)
{
	scoped(free_multipart) struct multipart *m = NULL;
	struct part part;

	(void)state;
	assert_int_equal(multipart_new(type, broken, NULL, &m), 0);
	assert_int_equal(multipart_next(m, &part), -EFBIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_in_order),
		cmocka_unit_test(test_names_and_files),
		cmocka_unit_test(test_names_that_are_none),
		cmocka_unit_test(test_a_body_that_is_cut_off_anywhere),
		cmocka_unit_test(test_long_headers_and_names),
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_the_sources_error_is_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
