#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/hash.h"
#include "basic/scoped.h"
#include "unit.h"

static const char abc_hex[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";	/* FIPS 180 */
static const char empty_hex[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void
test_sha256_hex_knows_the_standard_s_examples(void **state)
{
	char hex[SHA256_HEX_SIZE] = { 0 };

	(void)state;
	sha256_hex("abc", 3, hex);
	assert_string_equal(hex, abc_hex);
	sha256_hex("", 0, hex);
	assert_string_equal(hex, empty_hex);
}

static void
test_sha256_finish_begins_anew(void **state)
{
	scoped(free_sha256) struct sha256 *h = sha256_new();
	char hex[SHA256_HEX_SIZE] = { 0 };

	(void)state;
	assert_non_null(h);
	for (int i = 0; i < 3; i++) {
		sha256_add(h, "a", 1);
		sha256_add(h, "", 0);
		sha256_add(h, "bc", 2);
		sha256_finish(h, hex);
		assert_string_equal(hex, abc_hex);
	}
	sha256_finish(h, hex);
	assert_string_equal(hex, empty_hex);
	assert_null(sha256_free(NULL));
}

static void
test_sha256_fd_hashes_from_the_start_and_leaves_the_position(void **state)
{
	scoped(close_fd) int fd = memory_file("hash");
	char hex[SHA256_HEX_SIZE] = { 0 };

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, "abc", 3), 0);
	assert_int_equal(sha256_fd(fd, 3, hex), 3);
	assert_string_equal(hex, abc_hex);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 3);
}

static void
test_sha256_fd_refuses_more_than_max(void **state)
{
	scoped(close_fd) int fd = memory_file("hash");
	scoped(free_ptr) char *data = calloc(1, 100000);
	char hex[SHA256_HEX_SIZE] = "untouched", whole[SHA256_HEX_SIZE] = { 0 };

	(void)state;
	assert_non_null(data);
	assert_int_equal(write_all(fd, data, 100000), 0);
	assert_int_equal(sha256_fd(fd, 99999, hex), -EFBIG);
	assert_string_equal(hex, "untouched");
	assert_int_equal(sha256_fd(fd, 100000, hex), 100000);
	sha256_hex(data, 100000, whole);
	assert_string_equal(hex, whole);
	assert_int_equal(sha256_fd(-EBADF, 1, hex), -EBADF);
}

static void
test_crc32c_knows_the_iscsi_examples(void **state)
{
	unsigned char buf[32] = { 0 };

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283U);
	assert_int_equal(crc32c(0, "", 0), 0);
	assert_int_equal(crc32c(0, buf, sizeof buf), 0x8a9136aaU);	/* RFC 3720 B.4, as all below */
	memset(buf, 0xff, sizeof buf);
	assert_int_equal(crc32c(0, buf, sizeof buf), 0x62a8ab43U);
	for (size_t i = 0; i < sizeof buf; i++)
		buf[i] = (unsigned char)i;
	assert_int_equal(crc32c(0, buf, sizeof buf), 0x46dd794eU);
}

static void
test_crc32c_continues_at_any_place(void **state)
{
	unsigned char data[67];
	uint32_t whole = 0;

	(void)state;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)(i * 37);
	whole = crc32c(0, data, sizeof data);
	for (size_t cut = 0; cut <= sizeof data; cut++)
		assert_int_equal(crc32c(crc32c(0, data, cut), data + cut, sizeof data - cut), whole);
}

static void
test_secret_equal_compares_whole_strings(void **state)
{
	(void)state;
	assert_true(secret_equal("", ""));
	assert_true(secret_equal("token", "token"));
	assert_false(secret_equal("token", "tokem"));
	assert_false(secret_equal("token", "token1"));
	assert_false(secret_equal("token1", "token"));
	assert_false(secret_equal("", "token"));
	assert_false(secret_equal("token", ""));
	assert_false(secret_equal("\xff", "\x7f"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256_hex_knows_the_standard_s_examples),
		cmocka_unit_test(test_sha256_finish_begins_anew),
		cmocka_unit_test(test_sha256_fd_hashes_from_the_start_and_leaves_the_position),
		cmocka_unit_test(test_sha256_fd_refuses_more_than_max),
		cmocka_unit_test(test_crc32c_knows_the_iscsi_examples),
		cmocka_unit_test(test_crc32c_continues_at_any_place),
		cmocka_unit_test(test_secret_equal_compares_whole_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
