#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/id.h"
#include "basic/scoped.h"

int
write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int
pwrite_all(int fd, const void *data, size_t len, off_t offset)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, at, len, offset);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		at += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

ssize_t
read_full(int fd, void *buf, size_t len)
{
	char *at = buf;
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, at + got, len - got);

		if (n == 0)
			break;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		got += (size_t)n;
	}
	return (ssize_t)got;
}

ssize_t
pread_full(int fd, void *buf, size_t len, off_t offset)
{
	char *at = buf;
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, at + got, len - got, offset + (off_t)got);

		if (n == 0)
			break;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		got += (size_t)n;
	}
	return (ssize_t)got;
}

static const int dir_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
static const int file_flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

int
open_dir_at(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, dir_flags);

	return fd < 0 ? -errno : fd;
}

int
make_dir_at(int dir_fd, const char *name, mode_t mode, gid_t gid)
{
	scoped(close_fd) int fd = -EBADF;
	struct stat st = { 0 };

	if (mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open_dir_at(dir_fd, name);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	/* Group before mode: chown(2) may drop the set-group-id bit. */
	if (gid != (gid_t)-1 && st.st_gid != gid) {
		if (fchown(fd, (uid_t)-1, gid) < 0 || fstat(fd, &st) < 0)
			return -errno;
	}
	if ((st.st_mode & 07777) != (mode & 07777) && fchmod(fd, mode & 07777) < 0)
		return -errno;
	return take_fd(fd);
}

int
make_file_at(int dir_fd, const char *name, mode_t mode, gid_t gid)
{
	scoped(close_fd) int fd = -EBADF;

	if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (gid != (gid_t)-1 && fchown(fd, (uid_t)-1, gid) < 0)
		return -errno;
	return fchmod(fd, mode) < 0 ? -errno : take_fd(fd);
}

/* Takes fd over: back it comes if it is a regular file. */
static int
check_regular(int fd_, off_t *ret_size)
{
	scoped(close_fd) int fd = fd_;
	struct stat st = { 0 };

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (ret_size)
		*ret_size = st.st_size;
	return take_fd(fd);
}

int
open_regular_at(int dir_fd, const char *name, off_t *ret_size)
{
	int fd = openat(dir_fd, name, file_flags);

	if (fd < 0)
		return errno == ENXIO ? -EINVAL : -errno;	/* ENXIO: a socket, or a device without a driver */
	return check_regular(fd, ret_size);
}

/* RESOLVE_BENEATH alone permits a ".." that stays below. */
bool
path_has_dot_dot(const char *path)
{
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.')
			return true;
		path += n;
		path += strspn(path, "/");
	}
	return false;
}

/* A folder on the way, for passing through only. */
static int
step_into(int dir_fd, const char *name)
{
	scoped(close_fd) int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st = { 0 };

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return S_ISLNK(st.st_mode) ? -ELOOP : -ENOTDIR;
	return take_fd(fd);
}

/* As openat2(2) does, folder by folder: for a sandbox's filter, or valgrind, that does not know it. */
static int
walk_beneath(int dir_fd, const char *path, int flags)
{
	scoped(close_fd) int held = -EBADF;
	char name[NAME_MAX + 1] = { 0 };
	int fd = -EBADF;

	if (*path == '/')
		return -EXDEV;
	if (*path == '\0')
		return -ENOENT;
	for (;;) {
		size_t n = strcspn(path, "/");
		int r = 0;

		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, path, n);
		name[n] = '\0';
		path += n;
		path += strspn(path, "/");
		if (*path == '\0' && n > 0 && path[-1] != '/')
			break;
		r = step_into(held < 0 ? dir_fd : held, name);
		if (r < 0)
			return r;
		close_fd(&held);
		held = r;
		if (*path == '\0') {	/* a slash at the end */
			memcpy(name, ".", 2);
			break;
		}
	}
	fd = openat(held < 0 ? dir_fd : held, name, flags);
	if (fd < 0 && errno == ENOTDIR) {
		fd = step_into(held < 0 ? dir_fd : held, name);	/* tells a link from a file */
		return fd < 0 ? fd : (close_fd(&fd), -ENOTDIR);
	}
	return fd < 0 ? -errno : fd;
}

static int
open_beneath(int dir_fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(flags & ~O_NOFOLLOW),	/* with it the last link would be -ENOTDIR for a folder */
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = 0;

	if (path_has_dot_dot(path))
		return -EXDEV;
	fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
	if (fd < 0)
		return errno == ENOSYS ? walk_beneath(dir_fd, path, flags) : -errno;
	return (int)fd;
}

int
open_regular_beneath(int dir_fd, const char *path, off_t *ret_size)
{
	int fd = open_beneath(dir_fd, path, file_flags);

	if (fd < 0)
		return fd == -ENXIO ? -EINVAL : fd;
	return check_regular(fd, ret_size);
}

int
open_dir_beneath(int dir_fd, const char *path)
{
	return open_beneath(dir_fd, path, dir_flags);
}

int
read_file_at(int dir_fd, const char *name, size_t max, char **ret_data, size_t *ret_len)
{
	scoped(close_fd) int fd = -EBADF;
	scoped(free_ptr) char *data = NULL;
	off_t size = 0;
	size_t len = 0, cap = 0;

	fd = open_regular_at(dir_fd, name, &size);
	if (fd < 0)
		return fd;
	if ((uintmax_t)size > max)
		return -EFBIG;
	/* The size is a guess: a file may grow meanwhile, and those of /proc say 0. Reading one byte more shows the end. */
	for (cap = (size_t)size;; cap = cap > max / 2 ? max : cap * 2) {
		char *more = NULL;
		ssize_t n = 0;

		if (cap < 256)
			cap = max < 256 ? max : 256;
		more = realloc(data, cap + 2);
		if (!more)
			return -ENOMEM;
		data = more;
		n = read_full(fd, data + len, cap + 1 - len);
		if (n < 0)
			return (int)n;
		len += (size_t)n;
		if (len <= cap)
			break;
		if (cap >= max)
			return -EFBIG;
	}
	data[len] = '\0';
	*ret_data = take_ptr(data);
	*ret_len = len;
	return 0;
}

int
memory_file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? -errno : fd;
}

enum { SEALS_NEEDED = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK };

int
seal_memory_file(int fd)
{
	return fcntl(fd, F_ADD_SEALS, SEALS_NEEDED | F_SEAL_SEAL) < 0 ? -errno : 0;
}

int
memory_file_sealed(const char *name, const void *data, size_t len)
{
	scoped(close_fd) int fd = memory_file(name);
	int r = 0;

	if (fd < 0)
		return fd;
	r = pwrite_all(fd, data, len, 0);	/* the position stays at the start, for whoever reads */
	if (r >= 0)
		r = seal_memory_file(fd);
	return r < 0 ? r : take_fd(fd);
}

int
is_sealed_memory_file(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0)
		return errno == EINVAL ? 0 : -errno;	/* EINVAL: of a kind that has no seals */
	return (seals & SEALS_NEEDED) == SEALS_NEEDED;
}

int64_t
copy_bytes(int from_fd, int to_fd, int64_t len)
{
	char buf[65536];
	int64_t done = 0;
	bool in_kernel = true;

	while (len < 0 || done < len) {
		int64_t left = len < 0 ? INT64_MAX : len - done;
		off_t offset = (off_t)done;
		ssize_t n = 0;
		int r = 0;

		if (in_kernel) {
			n = copy_file_range(from_fd, &offset, to_fd, NULL, left < (1 << 30) ? (size_t)left : 1 << 30, 0);
			if (n > 0) {
				done += n;
				continue;
			}
			/* Not between these two, or the end: what read and write say about it counts. */
			in_kernel = false;
		}
		n = pread_full(from_fd, buf, left < (int64_t)sizeof buf ? (size_t)left : sizeof buf, (off_t)done);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		r = write_all(to_fd, buf, (size_t)n);
		if (r < 0)
			return r;
		done += n;
	}
	return done;
}

int
set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int
set_cloexec(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0)
		return -errno;
	flags = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
	return fcntl(fd, F_SETFD, flags) < 0 ? -errno : 0;
}

/* Removing a tree. One directory stream per level of a bounded stack; a folder that lies deeper is first moved up into the
 * top folder under a name of ours, where it is found again as an entry like any other. */
enum { LEVELS_MAX = 32 };

struct removal {
	DIR *level[LEVELS_MAX];	/* level[0] is the top folder */
	char name[LEVELS_MAX][NAME_MAX + 1];	/* of each level in the one above; not of the top */
	unsigned depth;	/* levels in use */
	uint64_t progress;	/* entries removed or moved up */
	int err;	/* the first failure; the rest is removed all the same */
};

static void
failed(struct removal *rm, int err)
{
	if (rm->err == 0)
		rm->err = -err;
}

/* Opens a folder, with all rights of its owner where they can be had. */
static DIR *
open_to_empty(int dir_fd, const char *name)
{
	scoped(close_fd) int fd = openat(dir_fd, name, dir_flags);
	struct stat st = { 0 };
	DIR *dir = NULL;

	if (fd < 0 && errno == EACCES) {
		/* Never through a link: glibc opens it by O_PATH | O_NOFOLLOW first. */
		if (fchmodat(dir_fd, name, 0700, AT_SYMLINK_NOFOLLOW) < 0) {
			errno = EACCES;
			return NULL;
		}
		fd = openat(dir_fd, name, dir_flags);
	}
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && (st.st_mode & 0700) != 0700)
		(void)fchmod(fd, 0700);	/* if not, removing what is inside will tell */
	dir = fdopendir(fd);
	if (dir)
		(void)take_fd(fd);
	return dir;
}

/* Moves a folder that lies too deep into the top folder. */
static int
move_up(struct removal *rm, int dir_fd, const char *name)
{
	char digits[2 * 16 + 1] = { 0 };
	int top_fd = dirfd(rm->level[0]);

	random_hex(digits, 16);
	/* rename(2) rewrites the moved folder's "..", for which it must be writable. */
	if (renameat(dir_fd, name, top_fd, digits) < 0) {
		if (errno != EACCES || fchmodat(dir_fd, name, 0700, AT_SYMLINK_NOFOLLOW) < 0 ||
		    renameat(dir_fd, name, top_fd, digits) < 0)
			return -errno;
	}
	rm->progress++;
	return 0;
}

/* Removes an entry at once, or makes it the new deepest level. */
static void
remove_entry(struct removal *rm, const struct dirent *entry)
{
	int dir_fd = dirfd(rm->level[rm->depth - 1]), r = 0;
	const char *name = entry->d_name;
	DIR *dir = NULL;

	if (entry->d_type != DT_DIR) {
		if (unlinkat(dir_fd, name, 0) == 0) {
			rm->progress++;
			return;
		}
		if (errno == ENOENT)
			return;
		if (errno != EISDIR) {
			failed(rm, errno);
			return;
		}
	}
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0) {
		rm->progress++;
		return;
	}
	if (errno == ENOENT)
		return;
	if (errno != ENOTEMPTY && errno != EEXIST) {
		failed(rm, errno);
		return;
	}
	if (rm->depth == LEVELS_MAX) {
		r = move_up(rm, dir_fd, name);
		if (r < 0 && r != -ENOENT)
			failed(rm, -r);
		return;
	}
	dir = open_to_empty(dir_fd, name);
	if (!dir) {
		failed(rm, errno);
		return;
	}
	rm->level[rm->depth] = dir;
	memcpy(rm->name[rm->depth], name, strlen(name) + 1);
	rm->depth++;
}

/* Empties the top folder's tree once, as far as it can. */
static void
remove_pass(struct removal *rm)
{
	rewinddir(rm->level[0]);
	rm->depth = 1;
	while (rm->depth > 0) {
		DIR *dir = rm->level[rm->depth - 1];
		const struct dirent *entry = NULL;

		errno = 0;
		entry = readdir(dir);
		if (entry) {
			if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
				remove_entry(rm, entry);
			continue;
		}
		if (errno != 0)
			failed(rm, errno);
		rm->depth--;
		if (rm->depth == 0)
			break;
		(void)closedir(dir);
		rm->level[rm->depth] = NULL;
		if (unlinkat(dirfd(rm->level[rm->depth - 1]), rm->name[rm->depth], AT_REMOVEDIR) == 0)
			rm->progress++;
		else if (errno != ENOENT && rm->err == 0)
			failed(rm, errno);
	}
}

int
remove_tree_at(int dir_fd, const char *name)
{
	scoped(free_ptr) struct removal *rm = NULL;
	scoped(close_dir) DIR *top = NULL;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return -errno;
	rm = calloc(1, sizeof *rm);
	if (!rm)
		return -ENOMEM;
	top = open_to_empty(dir_fd, name);
	if (!top)
		return errno == ENOENT ? 0 : -errno;
	rm->level[0] = top;
	for (;;) {
		uint64_t before = rm->progress;

		rm->err = 0;
		remove_pass(rm);
		if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST)
			return -errno;
		/* A stream need not show what was moved up, or names that shifted in it, while it ran: look again. */
		if (rm->progress == before)
			return rm->err < 0 ? rm->err : -ENOTEMPTY;
	}
}
