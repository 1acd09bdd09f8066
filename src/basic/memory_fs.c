#include "config.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "basic/memory_fs.h"
#include "basic/scoped.h"

static int
is_memory(const struct statfs *fs)
{
	return fs->f_type == TMPFS_MAGIC || fs->f_type == RAMFS_MAGIC;
}

int
path_in_memory(const char *path)
{
	scoped(free_ptr) char *copy = strdup(path);
	struct statfs fs;

	if (!copy)
		return -ENOMEM;
	while (statfs(copy, &fs) < 0) {
		char *slash = strrchr(copy, '/');

		if (errno != ENOENT || !slash)
			return -errno;
		slash[slash == copy] = '\0';
	}
	return is_memory(&fs);
}

int
fd_in_memory(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) < 0 ? -errno : is_memory(&fs);
}
