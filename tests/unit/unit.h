/* unit.h - what every unit test includes: cmocka, and a private folder for tests that write.
 * cmocka_unit_test_setup_teardown(test_x, make_temp_dir, drop_temp_dir) gives test_x a struct temp_dir in *state. */
#ifndef SPOOLGATE_UNIT_H
#define SPOOLGATE_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "basic/fd.h"

struct temp_dir {
	char path[512];	/* absolute */
	int fd;
};

#define TEMP_DIR_TEST(fn) cmocka_unit_test_setup_teardown(fn, make_temp_dir, drop_temp_dir)

static inline int
make_temp_dir(void **state)
{
	struct temp_dir *dir = calloc(1, sizeof *dir);
	const char *base = getenv("TMPDIR");

	if (!dir)
		return -1;
	(void)snprintf(dir->path, sizeof dir->path, "%s/spoolgate-unit-XXXXXX", base && *base == '/' ? base : "/tmp");
	if (!mkdtemp(dir->path)) {
		free(dir);
		return -1;
	}
	dir->fd = open_dir_at(AT_FDCWD, dir->path);
	*state = dir;
	return dir->fd < 0 ? -1 : 0;
}

static inline int
drop_temp_dir(void **state)
{
	struct temp_dir *dir = *state;
	int r = remove_tree_at(AT_FDCWD, dir->path);

	(void)close(dir->fd);
	free(dir);
	return r;
}

/* The lowest descriptor number that is free: the same before and after shows that nothing leaked. */
static inline int
next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	(void)close(fd);
	return fd;
}

#endif
