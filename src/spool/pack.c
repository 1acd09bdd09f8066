#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "spool/manifest.h"
#include "spool/pack.h"
#include "spool/record.h"
#include "spool/spool_internal.h"

enum { PATH_SIZE = sizeof DIR_PACKS + PACK_NAME_SIZE + 16, HALF_SEC = 3600 };

static void
pack_path(const char *name, const char *suffix, char ret[PATH_SIZE])
{
	(void)snprintf(ret, PATH_SIZE, "%s/%s%s", DIR_PACKS, name, suffix);
}

int
pack_name(const struct spool *s, const char *id, char ret_name[PACK_NAME_SIZE])
{
	scoped(close_fd) int job_fd = spool_open_job(s, id);
	scoped(free_sha256) struct sha256 *h = NULL;
	scoped(free_ptr) char *manifest = NULL;
	struct job_result result;
	size_t len = 0;
	int r;

	if (job_fd < 0)
		return job_fd;
	r = result_load(job_fd, &result);
	if (r == 0)
		r = read_file_at(job_fd, JOB_MANIFEST, MANIFEST_MAX, &manifest, &len);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == -ENOENT && result_load(job_fd, &result) < 0)
		return -ENOENT;
	h = sha256_new();
	if (!h)
		return -ENOMEM;
	sha256_add(h, id, ID_LEN);
	sha256_add(h, manifest ? manifest : "", len);
	sha256_finish(h, ret_name);
	return 0;
}

int
pack_state(const struct spool *s, const char *name)
{
	char path[PATH_SIZE];

	pack_path(name, ".zip", path);
	if (faccessat(s->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	pack_path(name, ".failed", path);
	return faccessat(s->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? -EIO : 0;
}

int
pack_use(const struct spool *s, const char *name)
{
	/* The time of its content stays what it is: nginx makes the ETag of it. */
	const struct timespec now[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_OMIT } };
	char path[PATH_SIZE];

	pack_path(name, ".failed", path);
	(void)unlinkat(s->root_fd, path, 0);
	pack_path(name, ".zip", path);
	if (utimensat(s->root_fd, path, now, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : -errno;
}

static int
remove_half(int dir_fd, const char *name, void *ctx)
{
	const char *pack = ctx;

	if (strncmp(name, pack, PACK_NAME_SIZE - 1) == 0 && strncmp(name + PACK_NAME_SIZE - 1, ".new", 4) == 0)
		(void)unlinkat(dir_fd, name, 0);
	return 0;
}

void
pack_remove(const struct spool *s, const char *name)
{
	char path[PATH_SIZE];

	pack_path(name, ".zip", path);
	(void)unlinkat(s->root_fd, path, 0);
}

void
pack_failed(const struct spool *s, const char *name)
{
	scoped(close_fd) int fd = pack_open_folder(s);
	char path[PATH_SIZE];

	/* libzip writes to <name>.new with six random characters behind it, and renames that at its end. */
	if (fd >= 0)
		(void)each_name(fd, remove_half, (void *)(uintptr_t)name);
	pack_path(name, ".failed", path);
	(void)touch_at(s->root_fd, path);
}

int
pack_open_folder(const struct spool *s)
{
	return open_dir_at(s->root_fd, DIR_PACKS);
}

struct found {
	char name[NAME_MAX + 1];
	uint64_t bytes;
	int64_t used_sec;
};

struct sweep {
	struct found *all;
	size_t n;
	uint64_t bytes;
	int64_t now_sec;
};

static int
sweep_take(int dir_fd, const char *name, void *ctx)
{
	struct sweep *w = ctx;
	const char *dot = strrchr(name, '.');
	struct found *more;
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (!dot || strcmp(dot, ".zip") != 0) {
		if (st.st_ctim.tv_sec + HALF_SEC < w->now_sec)
			(void)unlinkat(dir_fd, name, 0);
		else
			w->bytes += (uint64_t)st.st_size;	/* it takes room, too: whole ones go earlier for it */
		return 0;
	}
	if (st.st_atim.tv_sec + (int64_t)(PACK_KEEP_USEC / USEC_PER_SEC) < w->now_sec) {
		(void)unlinkat(dir_fd, name, 0);
		return 0;
	}
	more = reallocarray(w->all, w->n + 1, sizeof *more);
	if (!more)
		return -ENOMEM;
	w->all = more;
	(void)snprintf(more[w->n].name, sizeof more[w->n].name, "%s", name);
	more[w->n].bytes = (uint64_t)st.st_size;
	more[w->n].used_sec = st.st_atim.tv_sec;
	w->n++;
	w->bytes += (uint64_t)st.st_size;
	return 0;
}

static int
by_use(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->used_sec < y->used_sec ? -1 : x->used_sec > y->used_sec;
}

int
pack_sweep(const struct spool *s, uint64_t max_bytes)
{
	scoped(close_fd) int fd = pack_open_folder(s);
	struct sweep w = { .n = 0 };
	struct timespec now;
	int r;

	if (fd < 0)
		return fd;
	/* The kernel's own clock, which the times of files come from. */
	(void)clock_gettime(CLOCK_REALTIME, &now);
	w.now_sec = now.tv_sec;
	r = each_name(fd, sweep_take, &w);
	if (r == 0 && w.n > 0) {
		qsort(w.all, w.n, sizeof *w.all, by_use);
		for (size_t i = 0; i < w.n && w.bytes > max_bytes; i++) {
			(void)unlinkat(fd, w.all[i].name, 0);
			w.bytes -= w.all[i].bytes;
		}
	}
	free(w.all);
	return r;
}
