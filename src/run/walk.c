#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/scoped.h"
#include "run/walk.h"

enum { OPEN_LEVELS = 16, FILE_MODE = 0640, FOLDER_MODE = 02750 };

/* A folder on the way from work/ to where we are. */
struct level {
	int fd;	/* -EBADF: shut for the time being, to be found again by ".." */
	dev_t dev;
	ino_t ino;
	char **names;
	size_t n, next;
	size_t path_len;	/* of the folder's own path; 0 at the top */
};

struct walk {
	const struct walk_caps *caps;
	uint64_t entries_max;
	int (*keep)(const struct manifest_entry *e, void *ctx);
	void *ctx;
	struct walk_counts *counts;
	uint64_t waiting;	/* names read but not looked at: they will be entries, so they count already */
	uint64_t paths;	/* bytes of the paths kept */
	char path[WALK_PATH_MAX];
	struct level *levels;
	size_t depth, cap;
};

static void
level_done(struct walk *w, struct level *l)
{
	for (size_t i = l->next; i < l->n; i++)
		free(l->names[i]);
	w->waiting -= l->n - l->next;
	free(l->names);
	l->names = NULL;
	l->n = l->next = 0;
	close_fd(&l->fd);
}

static void
walk_done(struct walk *w)
{
	while (w->depth > 0)
		level_done(w, &w->levels[--w->depth]);
	free(w->levels);
	w->levels = NULL;
}

static bool
full(const struct walk *w)
{
	return w->counts->files + w->counts->folders + w->waiting >= w->entries_max;
}

/* Removes what is not kept; its folder is u+rwx by now. */
static int
drop(int dir_fd, const char *name, uint64_t *counter)
{
	++*counter;
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	return errno == EISDIR || errno == EPERM ? remove_tree_at(dir_fd, name) : -errno;
}

/* Mode and group of what is kept. Group first: it may clear the set-group-id bit. */
static int
set_access(int fd, const struct stat *st, mode_t mode, gid_t gid)
{
	if (gid != (gid_t)-1 && st->st_gid != gid && fchown(fd, (uid_t)-1, gid) < 0)
		return -errno;
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

/* Opens name, whose mode may forbid it even to its owner: then the mode is set by way of an O_PATH descriptor, which needs no
 * permission and follows no link. */
static int
open_hostile(int dir_fd, const char *name, int flags, mode_t mode)
{
	scoped(close_fd) int path_fd = -EBADF;
	char link[64];
	int fd = openat(dir_fd, name, flags);

	if (fd >= 0)
		return fd;
	if (errno != EACCES)
		return -errno;
	path_fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (path_fd < 0)
		return -errno;
	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", path_fd);
	if (chmod(link, mode) < 0)
		return -errno;
	fd = openat(dir_fd, name, flags);
	return fd < 0 ? -errno : fd;
}

static int
name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
add_name(struct walk *w, struct level *l, size_t *cap, const char *name)
{
	if (l->n == *cap) {
		size_t more = *cap > 0 ? *cap * 2 : 16;
		char **names = reallocarray(l->names, more, sizeof *names);

		if (!names)
			return -ENOMEM;
		l->names = names;
		*cap = more;
	}
	l->names[l->n] = strdup(name);
	if (!l->names[l->n])
		return -ENOMEM;
	l->n++;
	w->waiting++;
	return 0;
}

/* DT_UNKNOWN where the file system does not say. */
static int
entry_type(int dir_fd, const struct dirent *e)
{
	struct stat st = { 0 };

	if (e->d_type != DT_UNKNOWN)
		return e->d_type;
	if (fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_LNK;
}

static int
read_entry(struct walk *w, struct level *l, size_t *cap, const struct dirent *e)
{
	int type = 0;

	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
		return 0;
	type = entry_type(l->fd, e);
	if (type < 0)
		return type;
	if (type != DT_REG && type != DT_DIR)
		return drop(l->fd, e->d_name, &w->counts->odd);
	if (full(w))
		return drop(l->fd, e->d_name, &w->counts->over);
	return add_name(w, l, cap, e->d_name);
}

/* Reads the names of a folder; what cannot stay goes at once, so that a million files cost no memory. */
static int
read_level(struct walk *w, struct level *l)
{
	scoped(close_dir) DIR *dir = NULL;
	size_t cap = 0;
	int fd = openat(l->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	for (;;) {
		const struct dirent *e = NULL;

		errno = 0;
		e = readdir(dir);
		if (!e) {
			if (errno != 0)
				return -errno;
			break;
		}
		r = read_entry(w, l, &cap, e);
		if (r < 0)
			return r;
	}
	if (l->n > 1)
		qsort(l->names, l->n, sizeof *l->names, name_compare);
	return 0;
}

/* Takes fd over as the folder we are in now. */
static int
push(struct walk *w, int fd, size_t path_len)
{
	struct stat st = { 0 };
	struct level *l = NULL;

	if (w->depth == w->cap) {
		size_t more = w->cap > 0 ? w->cap * 2 : 16;
		struct level *levels = reallocarray(w->levels, more, sizeof *levels);

		if (!levels) {
			(void)close(fd);
			return -ENOMEM;
		}
		w->levels = levels;
		w->cap = more;
	}
	l = &w->levels[w->depth++];
	*l = (struct level){ .fd = fd, .path_len = path_len };
	if (w->depth > OPEN_LEVELS + 1)	/* never the top itself */
		close_fd(&w->levels[w->depth - 1 - OPEN_LEVELS].fd);
	if (fstat(fd, &st) < 0)
		return -errno;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return read_level(w, l);
}

/* Back to the folder above. Nothing runs in work/, so ".." leads where we came from; it is checked all the same. */
static int
pop(struct walk *w)
{
	struct level *l = &w->levels[w->depth - 1], *up = NULL;
	int r = 0;

	if (w->depth > 1 && (up = l - 1)->fd < 0) {
		struct stat st = { 0 };

		up->fd = openat(l->fd, "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (up->fd < 0 || fstat(up->fd, &st) < 0)
			r = -errno;
		else if (st.st_dev != up->dev || st.st_ino != up->ino)
			r = -EXDEV;
	}
	level_done(w, l);
	w->depth--;
	return r;
}

static int
keep_entry(struct walk *w, struct manifest_entry *e)
{
	w->paths += strlen(w->path);
	e->path = w->path;
	return w->keep(e, w->ctx);
}

static int
visit_file(struct walk *w, int dir_fd, const char *name)
{
	scoped(close_fd) int fd = -EBADF;
	struct manifest_entry e = { .mode = FILE_MODE };
	struct stat st = { 0 };
	int64_t n = 0;
	int r = 0;

	fd = open_hostile(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	/* Dropping each but the last link that is met keeps one name and needs no table of inodes. */
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return drop(dir_fd, name, &w->counts->odd);
	e.size = (uint64_t)st.st_size;
	if (e.size > w->caps->bytes - w->counts->bytes)
		return drop(dir_fd, name, &w->counts->over);
	r = set_access(fd, &st, FILE_MODE, w->caps->gid);
	if (r < 0)
		return r;
	n = sha256_fd(fd, st.st_size, e.sha256);
	if (n < 0)
		return (int)n;
	if ((uint64_t)n != e.size)
		return -EIO;
	w->counts->files++;
	w->counts->bytes += e.size;
	return keep_entry(w, &e);
}

static int
visit_folder(struct walk *w, int dir_fd, const char *name, size_t path_len)
{
	struct manifest_entry e = { .mode = FOLDER_MODE };
	struct stat st = { 0 };
	int r = 0;
	int fd = open_hostile(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0700);

	if (fd < 0)
		return fd;
	r = fstat(fd, &st) < 0 ? -errno : set_access(fd, &st, FOLDER_MODE, w->caps->gid);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	w->counts->folders++;
	r = keep_entry(w, &e);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	return push(w, fd, path_len);
}

/* The next name of the folder we are in. */
static int
visit(struct walk *w)
{
	struct level *l = &w->levels[w->depth - 1];
	scoped(free_ptr) char *name = l->names[l->next++];
	size_t len = strlen(name), slash = l->path_len > 0 ? 1 : 0;
	struct stat st = { 0 };

	w->waiting--;
	if (fstatat(l->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (l->path_len + slash + len + 1 > sizeof w->path || w->paths + l->path_len + len + 1 > WALK_PATHS_MAX)
		return drop(l->fd, name, &w->counts->over);
	if (slash)
		w->path[l->path_len] = '/';
	memcpy(w->path + l->path_len + slash, name, len + 1);
	if (S_ISREG(st.st_mode))
		return visit_file(w, l->fd, name);
	if (!S_ISDIR(st.st_mode))
		return drop(l->fd, name, &w->counts->odd);
	return visit_folder(w, l->fd, name, l->path_len + slash + len);
}

int
walk_outputs(int work_fd, const struct walk_caps *caps, int (*keep)(const struct manifest_entry *e, void *ctx), void *ctx,
    struct walk_counts *ret)
{
	struct walk_counts counts = { 0 };
	scoped(walk_done) struct walk w = {
		.caps = caps,
		.entries_max = caps->entries > 0 && caps->entries < WALK_ENTRIES_MAX ? caps->entries : WALK_ENTRIES_MAX,
		.keep = keep,
		.ctx = ctx,
		.counts = &counts,
	};
	struct stat st = { 0 };
	int fd = -EBADF, r = 0;

	/* The tool owns work/ as well and may have taken every permission from it. */
	if (fstat(work_fd, &st) < 0)
		return -errno;
	r = set_access(work_fd, &st, FOLDER_MODE, caps->gid);
	if (r < 0)
		return r;
	fd = openat(work_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = push(&w, fd, 0);
	while (r >= 0 && w.depth > 0) {
		const struct level *l = &w.levels[w.depth - 1];

		r = l->next < l->n ? visit(&w) : pop(&w);
	}
	if (r < 0)
		return r;
	*ret = counts;
	return 0;
}
