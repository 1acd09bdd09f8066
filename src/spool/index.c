#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/escape.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "spool/index.h"
#include "spool/meta.h"
#include "spool/spool_internal.h"

enum {
	PART_SIZE = 256,	/* one encoded component */
	ENTRY_SIZE = 20 + 1 + ID_LEN + 1,	/* <usec>-<id>, at least 16 digits, so that names sort by age until the year 2286 */
	PATH_SIZE = 2 * PART_SIZE + ENTRY_SIZE + 8,
};

/* "<door>/<rest>", each encoded. */
static int
owner_path(const char *owner, char ret_path[PATH_SIZE])
{
	scoped(free_ptr) char *door = NULL;
	char door_name[PART_SIZE], rest_name[PART_SIZE];
	const char *colon = strchr(owner, ':');
	int r = 0;

	if (!colon)
		return -EINVAL;
	door = strndup(owner, (size_t)(colon - owner));
	if (!door)
		return -ENOMEM;
	r = name_encode(door, door_name);
	if (r >= 0)
		r = name_encode(colon + 1, rest_name);
	if (r < 0)
		return r;
	if (strcmp(door_name, DIR_KEY) == 0)
		return -EINVAL;	/* the folder of the services' keys */
	(void)snprintf(ret_path, PATH_SIZE, "%s/%s", door_name, rest_name);
	return 0;
}

int
index_owner_check(const char *owner)
{
	char path[PATH_SIZE];

	return owner_path(owner, path);
}

static void
entry_format(uint64_t usec, const char *id, char ret_name[ENTRY_SIZE])
{
	(void)snprintf(ret_name, ENTRY_SIZE, "%016" PRIu64 "-%s", usec, id);
}

/* Only what entry_format writes. */
static bool
entry_parse(const char *name, struct index_entry *ret)
{
	struct index_entry e = { 0 };
	char again[ENTRY_SIZE];
	const char *dash = strchr(name, '-');
	char *end = NULL;

	if (!dash || !id_valid(dash + 1))
		return false;
	errno = 0;
	e.accepted_usec = strtoull(name, &end, 10);
	if (errno != 0 || end != dash)
		return false;
	memcpy(e.id, dash + 1, ID_SIZE);
	entry_format(e.accepted_usec, e.id, again);
	if (strcmp(name, again) != 0)
		return false;
	*ret = e;
	return true;
}

static int
entry_path(const char *owner, uint64_t usec, const char *id, char ret_path[PATH_SIZE], size_t *ret_folder_len)
{
	char entry[ENTRY_SIZE];
	size_t len = 0;
	int r = 0;

	if (!id_valid(id))
		return -EINVAL;
	r = owner_path(owner, ret_path);
	if (r < 0)
		return r;
	entry_format(usec, id, entry);
	len = strlen(ret_path);
	(void)snprintf(ret_path + len, PATH_SIZE - len, "/%s", entry);
	*ret_folder_len = len;
	return 0;
}

/* The folders above a path of index/, made where they are missing. */
static int
make_parents(const struct spool *s, const char *path)
{
	char part[PATH_SIZE];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		scoped(close_fd) int fd = -EBADF;

		(void)snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
		fd = make_dir_at(s->index_fd, part, MODE_LIST, s->groups.gate_gid);
		if (fd < 0)
			return fd;
	}
	return 0;
}

int
index_add(const struct spool *s, const char *owner, uint64_t accepted_usec, const char *id)
{
	char path[PATH_SIZE];
	size_t folder_len = 0;
	int r = entry_path(owner, accepted_usec, id, path, &folder_len);

	if (r < 0)
		return r;
	r = touch_at(s->index_fd, path);
	if (r != -ENOENT)
		return r;
	r = make_parents(s, path);	/* this owner's first job */
	return r < 0 ? r : touch_at(s->index_fd, path);
}

int
index_remove(const struct spool *s, const char *owner, uint64_t accepted_usec, const char *id)
{
	char path[PATH_SIZE];
	size_t folder_len = 0;
	int r = entry_path(owner, accepted_usec, id, path, &folder_len);

	if (r < 0)
		return r;
	r = unlink_at(s->index_fd, path);
	if (r < 0)
		return r;
	/* An owner without jobs leaves nothing behind: a start-up reads every folder here. Not empty is the usual case. */
	path[folder_len] = '\0';
	(void)unlinkat(s->index_fd, path, AT_REMOVEDIR);
	return 0;
}

int
index_has(const struct spool *s, const char *owner, uint64_t accepted_usec, const char *id)
{
	char path[PATH_SIZE];
	size_t folder_len = 0;
	int r = entry_path(owner, accepted_usec, id, path, &folder_len);

	return r < 0 ? r : exists_at(s->index_fd, path);
}

static int
job_exists(const struct spool *s, const char *id)
{
	char path[JOB_PATH_SIZE];

	job_path(id, "", path);
	return exists_at(s->jobs_fd, path);
}

/* Newest first. */
static int
compare(const struct index_entry *a, const struct index_entry *b)
{
	if (a->accepted_usec != b->accepted_usec)
		return a->accepted_usec > b->accepted_usec ? -1 : 1;
	return -strcmp(a->id, b->id);
}

struct page {
	struct index_entry before;
	struct index_entry *entries;	/* the newest that were seen, sorted */
	size_t n, max;
};

static int
page_take(int dir_fd, const char *name, void *ctx)
{
	struct page *p = ctx;
	struct index_entry e;
	size_t low = 0, high = p->n;

	(void)dir_fd;
	if (!entry_parse(name, &e) || compare(&e, &p->before) <= 0)
		return 0;
	if (p->n == p->max && compare(&e, &p->entries[p->n - 1]) > 0)
		return 0;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(&e, &p->entries[mid]) > 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (p->n < p->max)
		p->n++;
	memmove(&p->entries[low + 1], &p->entries[low], (p->n - 1 - low) * sizeof *p->entries);
	p->entries[low] = e;
	return 0;
}

int
index_page(const struct spool *s, const char *owner, struct index_entry before, struct index_entry *ret, size_t n)
{
	scoped(close_fd) int fd = -EBADF;
	char path[PATH_SIZE];
	size_t found = 0;
	int r = owner_path(owner, path);

	if (r < 0)
		return r;
	fd = open_dir_beneath(s->index_fd, path);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	while (found < n) {
		struct page p = { before, ret + found, 0, n - found };
		size_t kept = 0;

		r = each_name(fd, page_take, &p);
		if (r < 0)
			return r;
		for (size_t i = 0; i < p.n; i++) {
			r = job_exists(s, p.entries[i].id);
			if (r < 0)
				return r;
			if (r > 0)
				p.entries[kept++] = p.entries[i];
			before = p.entries[i];
		}
		found += kept;
		/* A name without a job took a place on the page: there may be more behind. */
		if (kept == p.n || p.n < p.max)
			break;
	}
	return found > INT32_MAX ? -EOVERFLOW : (int)found;
}

struct count {
	const struct spool *s;
	int n, most;
};

static int
count_entry(int dir_fd, const char *name, void *ctx)
{
	struct count *c = ctx;
	struct index_entry e;
	int r;

	(void)dir_fd;
	if (!entry_parse(name, &e))
		return 0;
	r = job_is_pruned(c->s, e.id);
	if (r == 0)
		c->n++;
	return r < 0 && r != -ENOENT && r != -EBADMSG ? r : c->n >= c->most ? -ECANCELED : 0;
}

static int
count_owner(int dir_fd, const char *name, void *ctx)
{
	scoped(close_fd) int fd = open_dir_at(dir_fd, name);

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
	return each_name(fd, count_entry, ctx);
}

int
index_count(const struct spool *s, const char *owner, size_t most)
{
	struct count c = { s, 0, most > INT32_MAX ? INT32_MAX : (int)most };
	scoped(close_fd) int fd = -EBADF;
	char path[PATH_SIZE];
	bool all = !strchr(owner, ':');
	int r = all ? name_encode(owner, path) : owner_path(owner, path);

	if (r < 0)
		return r;
	fd = open_dir_beneath(s->index_fd, path);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = c.most == 0 ? 0 : each_name(fd, all ? count_owner : count_entry, &c);
	return r < 0 && r != -ECANCELED ? r : c.n;
}

struct each {
	int (*f)(const char *owner, uint64_t accepted_usec, const char *id, void *ctx);
	void *ctx;
	const char *door;	/* decoded */
	const char *owner;
};

static int
each_entry(int dir_fd, const char *name, void *ctx)
{
	const struct each *e = ctx;
	struct index_entry entry;

	(void)dir_fd;
	return entry_parse(name, &entry) ? e->f(e->owner, entry.accepted_usec, entry.id, e->ctx) : 0;
}

/* Opens a folder of names; -ENOENT where it went meanwhile or is none: nothing of ours. */
static int
open_names(int dir_fd, const char *name)
{
	int fd = open_dir_at(dir_fd, name);

	return fd == -ENOTDIR || fd == -ELOOP ? -ENOENT : fd;
}

static int
each_owner(int dir_fd, const char *name, void *ctx)
{
	const struct each *up = ctx;
	struct each e = *up;
	scoped(close_fd) int fd = -EBADF;
	scoped(free_ptr) char *rest = NULL, *owner = NULL;
	size_t size = 0;

	if (name_decode(name, &rest) < 0)
		return 0;
	size = strlen(e.door) + 1 + strlen(rest) + 1;
	owner = malloc(size);
	if (!owner)
		return -ENOMEM;
	(void)snprintf(owner, size, "%s:%s", e.door, rest);
	e.owner = owner;
	fd = open_names(dir_fd, name);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	return each_name(fd, each_entry, &e);
}

static int
each_door(int dir_fd, const char *name, void *ctx)
{
	const struct each *up = ctx;
	struct each e = *up;
	scoped(close_fd) int fd = -EBADF;
	scoped(free_ptr) char *door = NULL;

	if (strcmp(name, DIR_KEY) == 0 || name_decode(name, &door) < 0)
		return 0;
	e.door = door;
	fd = open_names(dir_fd, name);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	return each_name(fd, each_owner, &e);
}

int
index_each(const struct spool *s, int (*f)(const char *owner, uint64_t accepted_usec, const char *id, void *ctx), void *ctx)
{
	return each_name(s->index_fd, each_door, &(struct each){ f, ctx, NULL, NULL });
}

static int
key_path(const char *service, const char *key, char ret_path[PATH_SIZE])
{
	char service_name[PART_SIZE], key_name[PART_SIZE];
	int r = name_encode(service, service_name);

	if (r >= 0)
		r = name_encode(key, key_name);
	if (r < 0)
		return r;
	(void)snprintf(ret_path, PATH_SIZE, DIR_KEY "/%s/%s", service_name, key_name);
	return 0;
}

/* What the link says; -ENOENT also for a link of another kind. */
static int
key_read(const struct spool *s, const char *path, char ret_id[ID_SIZE])
{
	char text[ID_SIZE + 1] = { 0 };
	ssize_t n = readlinkat(s->index_fd, path, text, sizeof text - 1);

	if (n < 0)
		return errno == EINVAL ? -ENOENT : -errno;
	if (!id_valid(text))
		return -ENOENT;
	memcpy(ret_id, text, ID_SIZE);
	return 0;
}

int
index_key_set(const struct spool *s, const char *service, const char *key, const char *id)
{
	char path[PATH_SIZE];
	int r = id_valid(id) ? key_path(service, key, path) : -EINVAL;

	if (r < 0)
		return r;
	for (;;) {
		char other[ID_SIZE];

		if (symlinkat(id, s->index_fd, path) == 0)
			return 0;
		r = errno == ENOENT ? make_parents(s, path) : errno == EEXIST ? 0 : -errno;
		if (r < 0)
			return r;
		if (key_read(s, path, other) == 0 && strcmp(other, id) == 0)
			return 0;
		r = unlink_at(s->index_fd, path);	/* there is one writer: nobody takes it in between */
		if (r < 0)
			return r;
	}
}

int
index_key_remove(const struct spool *s, const char *service, const char *key, const char *id)
{
	char path[PATH_SIZE], other[ID_SIZE];
	int r = key_path(service, key, path);

	if (r < 0)
		return r;
	r = key_read(s, path, other);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return strcmp(other, id) == 0 ? unlink_at(s->index_fd, path) : 0;
}

int
index_key_get(const struct spool *s, const char *service, const char *key, char ret_id[ID_SIZE])
{
	char path[PATH_SIZE], id[ID_SIZE];
	int r = key_path(service, key, path);

	if (r >= 0)
		r = key_read(s, path, id);
	if (r < 0)
		return r;
	r = job_exists(s, id);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	memcpy(ret_id, id, ID_SIZE);
	return 0;
}
