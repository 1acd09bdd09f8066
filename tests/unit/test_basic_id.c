#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/id.h"
#include "unit.h"

static void
test_id_new_gives_valid_and_different_ids(void **state)
{
	char a[ID_SIZE] = { 0 }, b[ID_SIZE] = { 0 };

	(void)state;
	id_new(a);
	id_new(b);
	assert_true(id_valid(a));
	assert_true(id_valid(b));
	assert_string_not_equal(a, b);
}

static void
test_id_valid_refuses_everything_else(void **state)
{
	(void)state;
	assert_true(id_valid("0123456789abcdef0123456789abcdef"));
	assert_false(id_valid(""));
	assert_false(id_valid("0123456789abcdef0123456789abcde"));
	assert_false(id_valid("0123456789abcdef0123456789abcdef0"));
	assert_false(id_valid("0123456789abcdef0123456789abcdeF"));
	assert_false(id_valid("0123456789abcdef0123456789abcdeg"));
	assert_false(id_valid("../3456789abcdef0123456789abcdef"));
}

static void
test_id_to_uuid_and_back(void **state)
{
	char uuid[UUID_SIZE] = { 0 }, id[ID_SIZE] = { 0 };

	(void)state;
	id_to_uuid("0123456789abcdef0123456789abcdef", uuid);
	assert_string_equal(uuid, "01234567-89ab-cdef-0123-456789abcdef");
	assert_int_equal(id_from_uuid(uuid, id), 0);
	assert_string_equal(id, "0123456789abcdef0123456789abcdef");
}

static void
test_id_from_uuid_takes_only_the_canonical_spelling(void **state)
{
	static const char *const bad[] = {
		"", "01234567-89AB-cdef-0123-456789abcdef", "0123456789abcdef0123456789abcdef",
		"{1234567-89ab-cdef-0123-456789abcde}", "01234567-89ab-cdef-0123-456789abcde",
		"01234567-89ab-cdef-0123-456789abcdef0", "01234567089ab-cdef-0123-456789abcdef",
		"0123456-789ab-cdef-0123-456789abcdef", "01234567-89ab-cdef-0123-456789abcde-",
		"urn:uuid:01234567-89ab-cdef-0123-456789abcdef",
	};
	char id[ID_SIZE] = "untouched";

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(id_from_uuid(bad[i], id), -EINVAL);
	assert_string_equal(id, "untouched");
}

static void
test_id_to_token_is_base64url(void **state)
{
	char token[TOKEN_SIZE] = { 0 };

	(void)state;
	id_to_token("00000000000000000000000000000000", token);
	assert_string_equal(token, "AAAAAAAAAAAAAAAAAAAAAA");
	id_to_token("ffffffffffffffffffffffffffffffff", token);
	assert_string_equal(token, "_____________________w");
	id_to_token("fbf0123456789abcdeffedcba9876543", token);	/* by Python's base64.urlsafe_b64encode */
	assert_string_equal(token, "-_ASNFZ4mrze_-3LqYdlQw");
}

static void
test_id_from_token_gives_the_same_bits(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		char id[ID_SIZE] = { 0 }, token[TOKEN_SIZE] = { 0 }, back[ID_SIZE] = { 0 };

		id_new(id);
		id_to_token(id, token);
		assert_int_equal(strlen(token), TOKEN_LEN);
		assert_int_equal(id_from_token(token, back), 0);
		assert_string_equal(back, id);
	}
}

static void
test_id_from_token_takes_only_the_canonical_spelling(void **state)
{
	static const char *const bad[] = {
		"", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAA==",
		"AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAAP", "+AAAAAAAAAAAAAAAAAAAAA",
		"/AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA=", " AAAAAAAAAAAAAAAAAAAAA",
	};
	char id[ID_SIZE] = "untouched";

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(id_from_token(bad[i], id), -EINVAL);
	assert_string_equal(id, "untouched");
}

static void
test_random_hex_writes_twice_as_many_digits(void **state)
{
	static const size_t sizes[] = { 0, 1, 8, 64, 65, 200 };
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		memset(text, 'x', sizeof text);
		random_hex(text, sizes[i]);
		assert_int_equal(strspn(text, "0123456789abcdef"), 2 * sizes[i]);
		assert_int_equal(text[2 * sizes[i]], '\0');
		assert_int_equal(text[2 * sizes[i] + 1], 'x');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_id_new_gives_valid_and_different_ids),
		cmocka_unit_test(test_id_valid_refuses_everything_else),
		cmocka_unit_test(test_id_to_uuid_and_back),
		cmocka_unit_test(test_id_from_uuid_takes_only_the_canonical_spelling),
		cmocka_unit_test(test_id_to_token_is_base64url),
		cmocka_unit_test(test_id_from_token_gives_the_same_bits),
		cmocka_unit_test(test_id_from_token_takes_only_the_canonical_spelling),
		cmocka_unit_test(test_random_hex_writes_twice_as_many_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
