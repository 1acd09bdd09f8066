#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "basic/durable.h"
#include "basic/scoped.h"
#include "unit.h"

typedef int (*replace_fn)(int dir_fd, const char *name, const void *data, size_t len, mode_t mode, gid_t gid);
static const replace_fn both[] = { replace_file_at, replace_file_durable };

static void
assert_content(int dir_fd, const char *name, const char *text)
{
	char *data = NULL;
	size_t len = 0;

	assert_int_equal(read_file_at(dir_fd, name, 4096, &data, &len), 0);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(data, text, len);
	free(data);
}

static unsigned
count_entries(const struct temp_dir *dir)
{
	scoped(close_dir) DIR *stream = opendir(dir->path);
	unsigned n = 0;

	assert_non_null(stream);
	while (readdir(stream))
		n++;
	return n - 2;
}

static void
test_replace_file_creates_and_replaces(void **state)
{
	const struct temp_dir *dir = *state;

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(both[i](dir->fd, "a", "old", 3, 0600, (gid_t)-1), 0);
		assert_content(dir->fd, "a", "old");
		assert_int_equal(both[i](dir->fd, "a", "newer", 5, 0600, (gid_t)-1), 0);
		assert_content(dir->fd, "a", "newer");
		assert_int_equal(both[i](dir->fd, "a", "", 0, 0600, (gid_t)-1), 0);
		assert_content(dir->fd, "a", "");
		assert_int_equal(count_entries(dir), 1);
	}
}

static void
test_replace_file_sets_the_mode_whatever_the_umask(void **state)
{
	const struct temp_dir *dir = *state;
	mode_t mask = umask(0777);
	struct stat st = { 0 };

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(both[i](dir->fd, "a", "x", 1, 0664, (gid_t)-1), 0);
		assert_int_equal(fstatat(dir->fd, "a", &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0664);
		assert_int_equal(both[i](dir->fd, "a", "x", 1, 0400, getegid()), 0);
		assert_int_equal(fstatat(dir->fd, "a", &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0400);
		assert_int_equal(st.st_gid, getegid());
	}
	(void)umask(mask);
}

static void
test_replace_file_replaces_a_link_and_not_what_it_points_to(void **state)
{
	const struct temp_dir *dir = *state;
	struct stat st = { 0 };

	assert_int_equal(replace_file_at(dir->fd, "target", "kept", 4, 0600, (gid_t)-1), 0);
	assert_int_equal(symlinkat("target", dir->fd, "a"), 0);
	assert_int_equal(replace_file_at(dir->fd, "a", "mine", 4, 0600, (gid_t)-1), 0);
	assert_content(dir->fd, "target", "kept");
	assert_int_equal(fstatat(dir->fd, "a", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void
test_replace_file_leaves_nothing_behind_on_failure(void **state)
{
	const struct temp_dir *dir = *state;

	assert_int_equal(mkdirat(dir->fd, "folder", 0700), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(both[i](dir->fd, "folder", "x", 1, 0600, (gid_t)-1), -EISDIR);
		assert_int_equal(both[i](dir->fd, "a/b", "x", 1, 0600, (gid_t)-1), -EINVAL);
		assert_int_equal(both[i](dir->fd, "", "x", 1, 0600, (gid_t)-1), -EINVAL);
	}
	assert_int_equal(count_entries(dir), 1);
}

static void
test_replace_file_takes_the_longest_name(void **state)
{
	const struct temp_dir *dir = *state;
	char name[NAME_MAX + 2] = { 0 };

	memset(name, 'n', NAME_MAX);
	assert_int_equal(replace_file_durable(dir->fd, name, "x", 1, 0600, (gid_t)-1), 0);
	assert_content(dir->fd, name, "x");
	name[NAME_MAX] = 'n';
	assert_int_equal(replace_file_durable(dir->fd, name, "x", 1, 0600, (gid_t)-1), -ENAMETOOLONG);
	assert_int_equal(count_entries(dir), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEMP_DIR_TEST(test_replace_file_creates_and_replaces),
		TEMP_DIR_TEST(test_replace_file_sets_the_mode_whatever_the_umask),
		TEMP_DIR_TEST(test_replace_file_replaces_a_link_and_not_what_it_points_to),
		TEMP_DIR_TEST(test_replace_file_leaves_nothing_behind_on_failure),
		TEMP_DIR_TEST(test_replace_file_takes_the_longest_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
