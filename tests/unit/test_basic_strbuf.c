#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "unit.h"

static void
test_strbuf_appends_in_order(void **state)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(1000);

	(void)state;
	assert_string_equal(strbuf_str(&s), "");
	strbuf_add(&s, "abc", 2);
	strbuf_addstr(&s, "cd");
	strbuf_addch(&s, '-');
	strbuf_addf(&s, "%d/%s", 42, "x");
	assert_int_equal(strbuf_err(&s), 0);
	assert_string_equal(strbuf_str(&s), "abcd-42/x");
	assert_int_equal(s.len, 9);
}

static void
test_strbuf_keeps_nul_bytes(void **state)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(10);

	(void)state;
	strbuf_add(&s, "a\0b", 3);
	strbuf_addch(&s, '\0');
	assert_int_equal(s.len, 4);
	assert_memory_equal(s.buf, "a\0b\0", 5);
}

static void
test_strbuf_fills_up_to_its_limit(void **state)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(1000);

	(void)state;
	for (int i = 0; i < 1000; i++)
		strbuf_addch(&s, 'x');
	assert_int_equal(strbuf_err(&s), 0);
	assert_int_equal(s.len, 1000);
	assert_int_equal(s.buf[1000], '\0');
	strbuf_add(&s, "", 0);
	assert_int_equal(strbuf_err(&s), 0);
	strbuf_addch(&s, 'x');
	assert_int_equal(strbuf_err(&s), -EFBIG);
}

static void
test_strbuf_first_error_sticks(void **state)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(4);
	char *text = NULL;

	(void)state;
	strbuf_addstr(&s, "ab");
	strbuf_addstr(&s, "cde");
	strbuf_addstr(&s, "f");	/* would fit */
	strbuf_addf(&s, "%d", 1);
	assert_int_equal(strbuf_err(&s), -EFBIG);
	assert_int_equal(s.len, 2);
	assert_string_equal(strbuf_str(&s), "");
	assert_int_equal(strbuf_take(&s, &text, NULL), -EFBIG);
	assert_null(text);
	strbuf_reset(&s);
	assert_int_equal(strbuf_err(&s), 0);
	strbuf_addf(&s, "%04d", 7);
	assert_string_equal(strbuf_str(&s), "0007");
	strbuf_addf(&s, "%s", "x");
	assert_int_equal(strbuf_err(&s), -EFBIG);
}

static void
test_strbuf_take_hands_the_text_over(void **state)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(100);
	char *text = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(strbuf_take(&s, &text, &len), 0);
	assert_string_equal(text, "");
	assert_int_equal(len, 0);
	free(text);
	strbuf_addstr(&s, "first");
	assert_int_equal(strbuf_take(&s, &text, &len), 0);
	assert_string_equal(text, "first");
	assert_int_equal(len, 5);
	strbuf_addstr(&s, "second");
	assert_string_equal(text, "first");
	assert_string_equal(strbuf_str(&s), "second");
	free(text);
}

static void
test_strbuf_without_limit_reports_memory(void **state)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(SIZE_MAX);

	(void)state;
	strbuf_addstr(&s, "abc");
	strbuf_add(&s, "", SIZE_MAX - 3);
	assert_int_equal(strbuf_err(&s), -ENOMEM);
	strbuf_reset(&s);
	strbuf_addstr(&s, "abc");
	strbuf_add(&s, "", SIZE_MAX - 2);
	assert_int_equal(strbuf_err(&s), -EFBIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strbuf_appends_in_order),
		cmocka_unit_test(test_strbuf_keeps_nul_bytes),
		cmocka_unit_test(test_strbuf_fills_up_to_its_limit),
		cmocka_unit_test(test_strbuf_first_error_sticks),
		cmocka_unit_test(test_strbuf_take_hands_the_text_over),
		cmocka_unit_test(test_strbuf_without_limit_reports_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
