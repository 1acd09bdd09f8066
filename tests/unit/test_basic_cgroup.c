/* Reading and writing a cgroup's files; the kernel's own are there only where controllers are, which the guest's tests have. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/cgroup.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "unit.h"

static void
put(int dir_fd, const char *name, const char *text)
{
	scoped(close_fd) int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

static void
test_numbers(void **state)
{
	char path[] = "/tmp/sg-cgroup-XXXXXX";
	scoped(close_fd) int fd = -EBADF;
	uint64_t n = 7;

	(void)state;
	assert_non_null(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put(fd, "cpu.stat", "usage_usec 123\nuser_usec 100\nsystem_usec 23\n");
	put(fd, "memory.peak", "18446744073709551615\n");
	put(fd, "memory.max", "max\n");
	put(fd, "odd", "-1\n");
	put(fd, "empty", "");
	assert_int_equal(cgroup_number(fd, "cpu.stat", "usage_usec", &n), 0);
	assert_int_equal(n, 123);
	assert_int_equal(cgroup_number(fd, "cpu.stat", "system_usec", &n), 0);
	assert_int_equal(n, 23);
	assert_int_equal(cgroup_number(fd, "cpu.stat", "usage", &n), -ENOENT);
	assert_int_equal(cgroup_number(fd, "cpu.stat", "usec", &n), -ENOENT);
	assert_int_equal(cgroup_number(fd, "memory.peak", NULL, &n), 0);
	assert_true(n == UINT64_MAX);
	n = 0;
	assert_int_equal(cgroup_number(fd, "memory.max", NULL, &n), 0);
	assert_true(n == UINT64_MAX);
	assert_int_equal(cgroup_number(fd, "odd", NULL, &n), -EBADMSG);
	assert_int_equal(cgroup_number(fd, "empty", NULL, &n), -EBADMSG);
	assert_int_equal(cgroup_number(fd, "none", NULL, &n), -ENOENT);
	put(fd, "cgroup.subtree_control", "cpuset cpu pids\n");
	assert_int_equal(cgroup_has(fd, "cpu"), 1);
	assert_int_equal(cgroup_has(fd, "pids"), 1);
	assert_int_equal(cgroup_has(fd, "memory"), 0);
	assert_int_equal(cgroup_write(fd, "none", "1"), -ENOENT);
	assert_int_equal(cgroup_write(fd, "memory.max", "12\n"), 0);
	assert_int_equal(cgroup_number(fd, "memory.max", NULL, &n), 0);
	assert_int_equal(n, 12);
	assert_int_equal(remove_tree_at(AT_FDCWD, path), 0);
}

static void
test_what_is_not_there_is_removed(void **state)
{
	char path[] = "/tmp/sg-cgroup-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(path));
	assert_int_equal(cgroup_remove(path), 0);
	assert_int_equal(cgroup_remove(path), 0);
}

static void
test_every_process_has_its_place(void **state)
{
	scoped(free_ptr) char *own = NULL, *same = NULL, *gone = NULL;
	int r = cgroup_own(&own);

	(void)state;
	assert_int_equal(cgroup_of(getpid(), &same), r);
	if (r == 0)	/* where a cgroup v2 is mounted */
		assert_string_equal(own, same);
	assert_int_equal(cgroup_of(INT_MAX, &gone), -ENOENT);
	assert_null(gone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_what_is_not_there_is_removed),
		cmocka_unit_test(test_every_process_has_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
