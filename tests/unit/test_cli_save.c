#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "cli/save.h"
#include "unit.h"

static const char key[] = "0123456789abcdef0123456789abcdef";

static void
test_names_that_are_taken(void **state)
{
	static const char *const good[] = { "a", "a/b/c", "...", "..a", "a..", ".hidden", "a b", "\\", "\xff\xc3\xa4", "-rf", "~" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_null(save_name_fault(good[i]));
}

static void
test_names_that_are_not(void **state)
{
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b",
		"./a", "a/.", "a\nb", "\x1b", "\x7f" };
	char text[5001];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_non_null(save_name_fault(bad[i]));
	memset(text, 'x', sizeof text);
	text[256] = '\0';
	assert_non_null(save_name_fault(text));
	text[255] = '\0';
	assert_null(save_name_fault(text));
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 2 ? '/' : 'x';
	text[5000] = '\0';
	assert_non_null(save_name_fault(text));
}

static void
test_parents_are_made_and_links_are_not_followed(void **state)
{
	const struct temp_dir *dir = *state;
	const char *name = NULL;
	int before = next_fd(), fd = save_open_parent(dir->fd, "a/b/c", &name);

	assert_true(fd >= 0);
	assert_string_equal(name, "c");
	close_fd(&fd);
	fd = save_open_parent(dir->fd, "c", &name);
	assert_true(fd >= 0);
	close_fd(&fd);
	assert_int_equal(symlinkat("/tmp", dir->fd, "a/link"), 0);
	assert_true(save_open_parent(dir->fd, "a/link/x", &name) < 0);
	assert_int_equal(symlinkat("b", dir->fd, "a/inside"), 0);
	assert_true(save_open_parent(dir->fd, "a/inside/x", &name) < 0);
	fd = openat(dir->fd, "a/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close_fd(&fd);
	assert_int_equal(save_open_parent(dir->fd, "a/file/x", &name), -ENOTDIR);
	assert_int_equal(next_fd(), before);
}

static void
test_a_folder_with_its_parents(void **state)
{
	const struct temp_dir *dir = *state;
	char path[700];
	struct stat st;
	int fd;

	(void)snprintf(path, sizeof path, "%s/x/y//z/", dir->path);
	fd = save_open_folder(path);
	assert_true(fd >= 0);
	close_fd(&fd);
	fd = save_open_folder(path);
	assert_true(fd >= 0);
	close_fd(&fd);
	assert_int_equal(fstatat(dir->fd, "x/y/z", &st, 0), 0);
	assert_int_equal(save_open_folder(""), -ENOENT);
}

static void
write_partial(const struct temp_dir *dir, const char *etag)
{
	struct save_partial p = { .dir_fd = dir->fd, .fd = -EBADF };

	assert_int_equal(save_partial_begin(&p, key, etag), 0);
	assert_int_equal(write_all(p.fd, "abc", 3), 0);
	p.bytes = 3;
	save_partial_close(&p);
}

static void
test_a_partial_download_is_found_again(void **state)
{
	const struct temp_dir *dir = *state;
	struct save_partial p;
	struct stat st;

	assert_int_equal(save_partial_find(dir->fd, key, &p), 0);
	assert_int_equal(p.fd, -EBADF);
	write_partial(dir, "\"a/b-1\"");
	assert_int_equal(save_partial_find(dir->fd, "f123456789abcdef0123456789abcdef", &p), 0);
	assert_int_equal(p.fd, -EBADF);
	assert_int_equal(save_partial_find(dir->fd, key, &p), 0);
	assert_true(p.fd >= 0);
	assert_int_equal(p.bytes, 3);
	assert_string_equal(p.etag, "\"a/b-1\"");
	assert_int_equal(save_partial_finish(&p, "final", false), 0);
	assert_int_equal(fstatat(dir->fd, "final", &st, 0), 0);
	assert_int_equal(save_partial_find(dir->fd, key, &p), 0);
	assert_int_equal(p.fd, -EBADF);
}

static void
test_a_partial_download_without_an_etag_is_not_left(void **state)
{
	const struct temp_dir *dir = *state;
	char etag[400] = "";
	struct save_partial p;

	write_partial(dir, "");
	memset(etag, '"', sizeof etag - 1);	/* each is three bytes of a name, which has no room for them */
	write_partial(dir, etag);
	etag[100] = '\0';
	write_partial(dir, etag);
	assert_int_equal(save_partial_find(dir->fd, key, &p), 0);
	assert_int_equal(p.fd, -EBADF);
}

static void
test_nothing_is_replaced_unless_forced(void **state)
{
	const struct temp_dir *dir = *state;
	struct save_partial p;
	int fd = openat(dir->fd, "final", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	close_fd(&fd);
	write_partial(dir, "\"e\"");
	assert_int_equal(save_partial_find(dir->fd, key, &p), 0);
	assert_int_equal(save_partial_finish(&p, "final", false), -EEXIST);
	assert_int_equal(save_partial_finish(&p, "final", true), 0);
	assert_int_equal(fstatat(dir->fd, "final", &st, 0), 0);
	assert_int_equal(st.st_size, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_that_are_taken),
		cmocka_unit_test(test_names_that_are_not),
		TEMP_DIR_TEST(test_parents_are_made_and_links_are_not_followed),
		TEMP_DIR_TEST(test_a_folder_with_its_parents),
		TEMP_DIR_TEST(test_a_partial_download_is_found_again),
		TEMP_DIR_TEST(test_a_partial_download_without_an_etag_is_not_left),
		TEMP_DIR_TEST(test_nothing_is_replaced_unless_forced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
