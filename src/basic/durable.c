#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/durable.h"
#include "basic/fd.h"
#include "basic/id.h"
#include "basic/scoped.h"

enum {
	RANDOM_BYTES = 8,
	NAME_PART_MAX = NAME_MAX - 2 * RANDOM_BYTES - 2,	/* of the name; the two dots and the digits are the rest */
};

static void
temp_name(char ret_tmp[NAME_MAX + 1], const char *name)
{
	char digits[2 * RANDOM_BYTES + 1] = { 0 };

	random_hex(digits, RANDOM_BYTES);
	(void)snprintf(ret_tmp, NAME_MAX + 1, ".%.*s.%s", (int)NAME_PART_MAX, name, digits);
}

static int
fill(int fd, const void *data, size_t len, mode_t mode, gid_t gid, bool flush)
{
	int r = 0;

	if (gid != (gid_t)-1 && fchown(fd, (uid_t)-1, gid) < 0)
		return -errno;
	if (fchmod(fd, mode) < 0)
		return -errno;
	r = write_all(fd, data, len);
	if (r < 0)
		return r;
	return flush && fsync(fd) < 0 ? -errno : 0;
}

static int
replace(int dir_fd, const char *name, const void *data, size_t len, mode_t mode, gid_t gid, bool flush)
{
	scoped(close_fd) int fd = -EBADF;
	char tmp[NAME_MAX + 1] = { 0 };
	int r = 0;

	if (!*name || strchr(name, '/'))
		return -EINVAL;
	temp_name(tmp, name);
	fd = openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = fill(fd, data, len, mode, gid, flush);
	if (r >= 0 && renameat(dir_fd, tmp, dir_fd, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dir_fd, tmp, 0);
		return r;
	}
	return flush && fsync(dir_fd) < 0 ? -errno : 0;
}

int
replace_file_at(int dir_fd, const char *name, const void *data, size_t len, mode_t mode, gid_t gid)
{
	return replace(dir_fd, name, data, len, mode, gid, false);
}

int
replace_file_durable(int dir_fd, const char *name, const void *data, size_t len, mode_t mode, gid_t gid)
{
	return replace(dir_fd, name, data, len, mode, gid, true);
}
