/* remove_tree_at() on trees that a hostile tool may leave. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "basic/scoped.h"
#include "unit.h"

enum { NOBODY = 65534, DEEP = 56000, FDS_MAX = 64 };

/* In memory where that can be had: a busy disk takes minutes to make and remove so many folders. */
static int
make_memory_dir(void **state)
{
	const char *base = getenv("TMPDIR");
	scoped(free_ptr) char *old = base ? strdup(base) : NULL;
	int r = 0;

	if (access("/dev/shm", W_OK) < 0)
		return make_temp_dir(state);
	(void)setenv("TMPDIR", "/dev/shm", 1);
	r = make_temp_dir(state);
	(void)(old ? setenv("TMPDIR", old, 1) : unsetenv("TMPDIR"));
	return r;
}

static void
make_file(int dir_fd, const char *name)
{
	scoped(close_fd) int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
}

static void
assert_gone(const struct temp_dir *dir, const char *name)
{
	struct stat st = { 0 };

	assert_int_equal(fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(errno, ENOENT);
}

/* Removes with no more descriptors at hand than the header permits, and leaks none. */
static int
remove_frugally(const struct temp_dir *dir, const char *name)
{
	struct rlimit old = { 0 }, few = { 0 };
	int first = next_fd(), r = 0;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = (rlim_t)first + FDS_MAX;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	r = remove_tree_at(dir->fd, name);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(next_fd(), first);
	return r;
}

/* A chain of folders below name; returns the deepest one. */
static int
make_chain(int dir_fd, const char *name, unsigned depth)
{
	int fd = make_dir_at(dir_fd, name, 0700, (gid_t)-1);

	for (unsigned i = 0; i < depth; i++) {
		int next = make_dir_at(fd, "d", 0700, (gid_t)-1);

		assert_true(next >= 0);
		close_fd(&fd);
		fd = next;
	}
	return fd;
}

static void
test_remove_tree_takes_files_links_and_nothing(void **state)
{
	const struct temp_dir *dir = *state;
	struct stat st = { 0 };

	assert_int_equal(remove_tree_at(dir->fd, "none"), 0);
	make_file(dir->fd, "file");
	assert_int_equal(mkdirat(dir->fd, "d", 0700), 0);
	assert_int_equal(symlinkat("d", dir->fd, "link"), 0);
	assert_int_equal(remove_tree_at(dir->fd, "file"), 0);
	assert_int_equal(remove_tree_at(dir->fd, "link"), 0);
	assert_gone(dir, "file");
	assert_gone(dir, "link");
	assert_int_equal(fstatat(dir->fd, "d", &st, 0), 0);
	assert_int_equal(remove_tree_at(dir->fd, "d"), 0);
	assert_gone(dir, "d");
}

static void
test_remove_tree_follows_no_link(void **state)
{
	const struct temp_dir *dir = *state;
	scoped(close_fd) int fd = -EBADF, keep = -EBADF;
	struct stat st = { 0 };

	keep = make_dir_at(dir->fd, "keep", 0700, (gid_t)-1);
	make_file(keep, "file");
	fd = make_chain(dir->fd, "tree", 3);
	assert_int_equal(symlinkat(dir->path, fd, "up"), 0);
	assert_int_equal(symlinkat("../../../../keep", fd, "keep"), 0);
	assert_int_equal(symlinkat("loop", fd, "loop"), 0);
	assert_int_equal(mkfifoat(fd, "fifo", 0600), 0);
	assert_int_equal(remove_frugally(dir, "tree"), 0);
	assert_gone(dir, "tree");
	assert_int_equal(fstatat(keep, "file", &st, 0), 0);
}

static void
test_remove_tree_takes_many_entries_on_every_level(void **state)
{
	const struct temp_dir *dir = *state;
	scoped(close_fd) int fd = make_dir_at(dir->fd, "tree", 0700, (gid_t)-1);

	for (int level = 0; level < 100; level++) {
		int next = -EBADF;

		for (int i = 0; i < 20; i++) {
			char name[32] = { 0 };

			(void)snprintf(name, sizeof name, "f%d", i);
			make_file(fd, name);
			(void)snprintf(name, sizeof name, "d%d", i);
			next = make_dir_at(fd, name, 0700, (gid_t)-1);
			make_file(next, "x");
			close_fd(&next);
		}
		next = make_dir_at(fd, "d10", 0700, (gid_t)-1);
		close_fd(&fd);
		fd = next;
	}
	assert_int_equal(remove_frugally(dir, "tree"), 0);
	assert_gone(dir, "tree");
}

static void
test_remove_tree_takes_56000_nested_folders(void **state)
{
	const struct temp_dir *dir = *state;
	scoped(close_fd) int fd = make_chain(dir->fd, "tree", DEEP);

	make_file(fd, "file");
	close_fd(&fd);
	assert_int_equal(remove_frugally(dir, "tree"), 0);
	assert_gone(dir, "tree");
}

/* Root may do everything: without rights of its own the test shows what an ordinary account sees. */
static void
become_nobody(const struct temp_dir *dir)
{
	if (geteuid() != 0)
		return;
	assert_int_equal(fchown(dir->fd, NOBODY, (gid_t)-1), 0);
	assert_int_equal(seteuid(NOBODY), 0);
}

static void
become_self_again(void)
{
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
}

static void
test_remove_tree_gives_itself_the_rights_it_needs(void **state)
{
	static const mode_t modes[] = { 0, 0100, 0200, 0300, 0400, 0500, 0600 };
	const struct temp_dir *dir = *state;
	int top = -EBADF, r = 0;

	become_nobody(dir);
	top = make_dir_at(dir->fd, "tree", 0700, (gid_t)-1);
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		char name[16] = { 0 };
		int fd = -EBADF, inner = -EBADF;

		(void)snprintf(name, sizeof name, "m%03o", (unsigned)modes[i]);
		fd = make_dir_at(top, name, 0700, (gid_t)-1);
		make_file(fd, "file");
		inner = make_dir_at(fd, "inner", 0700, (gid_t)-1);
		make_file(inner, "file");
		assert_int_equal(fchmod(inner, modes[i]), 0);
		assert_int_equal(fchmod(fd, modes[i]), 0);
		close_fd(&inner);
		close_fd(&fd);
	}
	assert_int_equal(fchmod(top, 0), 0);
	close_fd(&top);
	r = remove_frugally(dir, "tree");
	become_self_again();
	assert_int_equal(r, 0);
	assert_gone(dir, "tree");
}

static void
test_remove_tree_moves_up_folders_without_rights(void **state)
{
	const struct temp_dir *dir = *state;
	char name[2] = "d";
	int fd = -EBADF, r = 0;

	become_nobody(dir);
	fd = make_dir_at(dir->fd, "tree", 0700, (gid_t)-1);
	for (int i = 0; i < 200; i++) {
		int next = make_dir_at(fd, name, 0700, (gid_t)-1);

		assert_int_equal(fchmod(fd, i % 2 ? 0 : 0500), 0);
		close_fd(&fd);
		fd = next;
	}
	make_file(fd, "file");
	close_fd(&fd);
	r = remove_frugally(dir, "tree");
	become_self_again();
	assert_int_equal(r, 0);
	assert_gone(dir, "tree");
}

static void
test_remove_tree_tells_the_first_error_and_removes_the_rest(void **state)
{
	const struct temp_dir *dir = *state;
	int top = -EBADF, locked = -EBADF, other = -EBADF, r = 0;
	struct stat st = { 0 };

	if (geteuid() != 0) {
		print_message("cannot: needs root, for a second account\n");
		skip();
	}
	top = make_dir_at(dir->fd, "tree", 0700, (gid_t)-1);
	locked = make_dir_at(top, "locked", 0755, (gid_t)-1);	/* root's: not to be emptied by nobody */
	make_file(locked, "file");
	other = make_dir_at(top, "other", 0700, (gid_t)-1);
	make_file(other, "file");
	assert_int_equal(fchown(other, NOBODY, (gid_t)-1), 0);
	assert_int_equal(fchown(top, NOBODY, (gid_t)-1), 0);
	close_fd(&other);
	become_nobody(dir);
	r = remove_frugally(dir, "tree");
	become_self_again();
	assert_int_equal(r, -EACCES);
	assert_int_equal(fstatat(locked, "file", &st, 0), 0);
	assert_int_equal(fstatat(top, "other", &st, 0), -1);
	close_fd(&locked);
	close_fd(&top);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEMP_DIR_TEST(test_remove_tree_takes_files_links_and_nothing),
		TEMP_DIR_TEST(test_remove_tree_follows_no_link),
		TEMP_DIR_TEST(test_remove_tree_takes_many_entries_on_every_level),
		cmocka_unit_test_setup_teardown(test_remove_tree_takes_56000_nested_folders, make_memory_dir, drop_temp_dir),
		TEMP_DIR_TEST(test_remove_tree_gives_itself_the_rights_it_needs),
		TEMP_DIR_TEST(test_remove_tree_moves_up_folders_without_rights),
		TEMP_DIR_TEST(test_remove_tree_tells_the_first_error_and_removes_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
