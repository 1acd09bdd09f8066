#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "run/outputs.h"

/* Their number and their bytes. */
static int
count_inputs(const struct plan *plan, int job_fd, uint64_t *ret_n, uint64_t *ret_bytes)
{
	scoped(close_fd) int in_fd = -EBADF;

	*ret_n = *ret_bytes = 0;
	if (!plan->inputs || !plan->inputs[0])
		return 0;
	in_fd = open_dir_at(job_fd, "in");
	if (in_fd < 0)
		return in_fd == -ENOENT ? 0 : in_fd;
	for (char **name = plan->inputs; *name; name++) {
		struct stat st = { 0 };

		if (fstatat(in_fd, *name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT)	/* then the job was refused for that */
				continue;
			return -errno;
		}
		*ret_n += 1;
		*ret_bytes += (uint64_t)st.st_size;
	}
	return 0;
}

int
outputs_caps(const struct plan *plan, int job_fd, struct walk_caps *ret)
{
	uint64_t n = 0, bytes = 0;
	int r = count_inputs(plan, job_fd, &n, &bytes);

	if (r < 0)
		return r;
	ret->gid = plan->groups.read_gid;
	ret->entries = plan->limits.output_files > 0 ? plan->limits.output_files + n : 0;
	ret->bytes = plan->limits.output_bytes > 0 ? plan->limits.output_bytes + bytes : UINT64_MAX;
	return 0;
}

struct look {
	uint64_t entries_max, bytes_max;
	uint64_t entries, bytes;
	const char *over;
};

static int
open_folder(int dir_fd, const char *name)
{
	enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
	scoped(close_fd) int path_fd = -EBADF;
	struct stat st = { 0 };
	char link[64];
	int fd = openat(dir_fd, name, FLAGS);

	if (fd >= 0 || errno != EACCES)
		return fd;
	path_fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (path_fd < 0 || fstat(path_fd, &st) < 0)
		return -1;
	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", path_fd);
	return chmod(link, (st.st_mode & 07777) | 0500) < 0 ? -1 : openat(dir_fd, name, FLAGS);
}

/* A hole takes no room, and what a file has of its last block is not its doing; but room may have been taken beyond its end. (XFS takes
 * as much again by itself.) */
static uint64_t
bytes_of(const struct stat *st)
{
	uint64_t size = (uint64_t)st->st_size, taken = (uint64_t)st->st_blocks * 512U;

	return taken < size || taken > 2 * size + 1024 * 1024 ? taken : size;
}

static void look_at_folder(struct look *l, int fd, unsigned depth);

static void
look_at_entry(struct look *l, int dir_fd, const char *name, unsigned depth)
{
	struct stat st = { 0 };

	if (++l->entries > l->entries_max) {
		l->over = "more files in its folder than allowed";
		return;
	}
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISREG(st.st_mode))
		l->bytes += bytes_of(&st) / (st.st_nlink > 1 ? st.st_nlink : 1);
	if (l->bytes > l->bytes_max)
		l->over = "more bytes in its folder than allowed";
	else if (S_ISDIR(st.st_mode) && depth == OUTPUTS_DEPTH_MAX)
		l->over = "folders in each other deeper than allowed";
	else if (S_ISDIR(st.st_mode))
		look_at_folder(l, open_folder(dir_fd, name), depth + 1);
}

/* Takes fd over; a negative one is a folder that is gone. */
static void
look_at_folder(struct look *l, int fd, unsigned depth)
{
	scoped(close_dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while (!l->over && (e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			look_at_entry(l, dirfd(dir), e->d_name, depth);
}

const char *
outputs_over(int work_fd, const struct plan *plan, const struct walk_caps *caps)
{
	struct look l = {
		.entries_max = caps->entries > 0 && caps->entries < WALK_ENTRIES_MAX ? caps->entries : WALK_ENTRIES_MAX,
		.bytes_max = caps->bytes,
	};

	for (char **link = plan->links; link && *link; link++)
		l.entries_max++;
	look_at_folder(&l, open_folder(work_fd, "."), 0);
	return l.over;
}
