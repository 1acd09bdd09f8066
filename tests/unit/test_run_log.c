#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "unit.h"

#include "basic/scoped.h"
#include "run/log.h"

/* Prints total bytes, in pieces; byte i is 'a' + i % 23, and every 80th a newline. */
static char
byte_at(uint64_t i)
{
	return i % 80 == 79 ? '\n' : (char)('a' + i % 23);
}

static void
print(struct run_log *l, uint64_t total, size_t piece)
{
	scoped(free_ptr) char *buf = malloc(piece);

	assert_non_null(buf);
	for (uint64_t at = 0; at < total;) {
		size_t n = piece < total - at ? piece : (size_t)(total - at);

		for (size_t i = 0; i < n; i++)
			buf[i] = byte_at(at + i);
		run_log_add(l, buf, n);
		at += n;
	}
}

static char *
text_of(const struct temp_dir *dir, size_t *ret_len)
{
	char *text = NULL;

	assert_return_code(read_file_at(dir->fd, "log", 8 * 1024 * 1024, &text, ret_len), 0);
	return text;
}

static void
assert_bytes(const char *text, uint64_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] != byte_at(from + i))
			fail_msg("byte %zu of the piece is not byte %zu of the output", i, (size_t)from + i);
}

static void
check(const struct temp_dir *dir, uint64_t cap, uint64_t total, size_t piece)
{
	struct run_log l = { .fd = -EBADF };
	scoped(free_ptr) char *text = NULL;
	size_t len = 0, head = 0, marker = 0;
	const char *at = NULL;
	unsigned long long missing = 0;

	assert_return_code(run_log_open(&l, dir->fd, "log", cap, (gid_t)-1), 0);
	print(&l, total, piece);
	assert_int_equal(run_log_finish(&l), 0);
	text = text_of(dir, &len);
	assert_int_equal(len, l.written);
	assert_int_equal(total, l.seen);
	if (total <= cap) {
		assert_int_equal(len, total);
		assert_bytes(text, 0, len);
	} else {
		assert_int_equal(len, cap);
		head = (size_t)l.head_max;
		assert_bytes(text, 0, head);
		if (l.ring_size > 0) {
			at = text + head;
			if (byte_at(head - 1) != '\n')
				assert_int_equal(*at++, '\n');
			assert_int_equal(sscanf(at, "[spoolgate: %llu bytes are left out here]", &missing), 1);
			at = strchr(at, '\n');
			assert_non_null(at);
			marker = (size_t)(at + 1 - (text + head));
			assert_int_equal(missing, total - (cap - marker));
			assert_bytes(at + 1, total - (cap - head - marker), (size_t)cap - head - marker);
		}
	}
	run_log_done(&l);
}

static void
test_keeps_everything_up_to_the_cap(void **state)
{
	check(*state, 4096, 0, 1);
	check(*state, 4096, 1, 1);
	check(*state, 4096, 3072, 100);
	check(*state, 4096, 3073, 100);
	check(*state, 4096, 4096, 7);
	check(*state, 4096, 4096, 5000);
}

static void
test_keeps_head_and_tail_to_the_byte(void **state)
{
	static const uint64_t caps[] = { 512, 513, 1000, 4096, 65537, 1024 * 1024, 3 * 1024 * 1024 + 1 };
	static const size_t pieces[] = { 61, 4096, 65536 };

	for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++)
		for (size_t j = 0; j < sizeof pieces / sizeof pieces[0]; j++) {
			check(*state, caps[i], caps[i] + 1, pieces[j]);
			check(*state, caps[i], caps[i] + caps[i] / 4 + 3, pieces[j]);
			check(*state, caps[i], caps[i] * 3 + 17, pieces[j]);
		}
}

/* The number in the marker gets a digit longer because of the marker. */
static void
test_marker_counts_itself(void **state)
{
	for (uint64_t total = 4096 + 1; total < 4096 + 200; total++)
		check(*state, 4096, total, 4096);
	for (uint64_t total = 4096 + 900; total < 4096 + 1100; total++)
		check(*state, 4096, total, 333);
}

static void
test_small_caps_keep_the_beginning(void **state)
{
	for (uint64_t cap = 0; cap < 520; cap += 13)
		check(*state, cap, 2000, 100);
}

static void
test_file_before_the_end_is_a_beginning_of_the_file_after_it(void **state)
{
	const struct temp_dir *dir = *state;
	struct run_log l = { .fd = -EBADF };
	scoped(free_ptr) char *before = NULL, *after = NULL;
	size_t before_len = 0, after_len = 0;

	assert_return_code(run_log_open(&l, dir->fd, "log", 5000, (gid_t)-1), 0);
	print(&l, 100000, 999);
	before = text_of(dir, &before_len);
	assert_int_equal(run_log_finish(&l), 0);
	after = text_of(dir, &after_len);
	assert_int_equal(before_len, 5000 - 1250);
	assert_int_equal(after_len, 5000);
	assert_memory_equal(before, after, before_len);
	run_log_done(&l);
}

static void
test_plain_file_keeps_its_first_bytes(void **state)
{
	const struct temp_dir *dir = *state;
	struct run_log l = { .fd = -EBADF };
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;

	assert_return_code(run_log_open_plain(&l, dir->fd, "log", 1000, (gid_t)-1), 0);
	print(&l, 5000, 300);
	assert_int_equal(run_log_finish(&l), 0);
	text = text_of(dir, &len);
	assert_int_equal(len, 1000);
	assert_int_equal(l.seen, 5000);
	assert_bytes(text, 0, len);
	run_log_done(&l);
}

static void
test_new_file_replaces_an_old_one_or_a_link(void **state)
{
	const struct temp_dir *dir = *state;
	struct run_log l = { .fd = -EBADF };
	struct stat st = { 0 };

	assert_return_code(symlinkat("elsewhere", dir->fd, "log"), errno);
	assert_return_code(run_log_open(&l, dir->fd, "log", 1000, (gid_t)-1), 0);
	run_log_done(&l);
	assert_return_code(fstatat(dir->fd, "log", &st, AT_SYMLINK_NOFOLLOW), errno);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(faccessat(dir->fd, "elsewhere", F_OK, 0), -1);
}

static void
test_failure_to_write_is_kept_and_ends_nothing(void **state)
{
	struct run_log l = { .fd = open("/dev/full", O_WRONLY | O_CLOEXEC), .head_max = 1000, .last = '\n' };

	(void)state;
	assert_true(l.fd >= 0);
	print(&l, 5000, 300);
	assert_int_equal(l.err, -ENOSPC);
	assert_int_equal(l.seen, 5000);
	assert_int_equal(run_log_finish(&l), -ENOSPC);
	run_log_done(&l);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEMP_DIR_TEST(test_keeps_everything_up_to_the_cap),
		TEMP_DIR_TEST(test_keeps_head_and_tail_to_the_byte),
		TEMP_DIR_TEST(test_marker_counts_itself),
		TEMP_DIR_TEST(test_small_caps_keep_the_beginning),
		TEMP_DIR_TEST(test_file_before_the_end_is_a_beginning_of_the_file_after_it),
		TEMP_DIR_TEST(test_plain_file_keeps_its_first_bytes),
		TEMP_DIR_TEST(test_new_file_replaces_an_old_one_or_a_link),
		cmocka_unit_test(test_failure_to_write_is_kept_and_ends_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
