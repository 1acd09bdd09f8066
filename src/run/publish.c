#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "run/publish.h"

enum { NAME_SIZE = NAME_MAX + 8 };	/* what is longer the disk refuses */

struct publication {
	const struct plan *plan;
	int work_fd, cache_fd, new_fd;
	uint64_t bytes;
};

static void
publication_done(struct publication *p)
{
	close_fd(&p->work_fd);
	close_fd(&p->cache_fd);
	close_fd(&p->new_fd);
}

static int
open_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int
work_parent(const struct plan *plan, int job_fd, const char **ret_name)
{
	int fd = plan->scratch ? open_folder(plan->scratch) : fcntl(job_fd, F_DUPFD_CLOEXEC, 0);

	*ret_name = plan->scratch ? plan->id : "work";
	return fd < 0 && !plan->scratch ? -errno : fd;
}

static int
copy_file(struct publication *p, const char *name)
{
	scoped(close_fd) int from = open_regular_at(p->work_fd, name, NULL), to = -EBADF;
	struct stat st;
	int64_t n;

	if (from < 0)
		return from == -ELOOP || from == -EINVAL ? -ENOENT : from;
	if (fstat(from, &st) < 0)
		return -errno;
	p->bytes += (uint64_t)st.st_size;
	if (p->plan->limits.output_bytes > 0 && p->bytes > p->plan->limits.output_bytes)
		return -EFBIG;
	to = make_file_at(p->new_fd, name, 0640, p->plan->groups.read_gid);
	if (to < 0)
		return to;
	n = copy_bytes(from, to, st.st_size);
	if (n < 0)
		return (int)n;
	if (n != st.st_size)
		return -EIO;
	return fsync(to) < 0 ? -errno : 0;
}

/* The file, and its compressed forms where there are any. */
static int
copy_with_siblings(struct publication *p, const char *name)
{
	static const char *const forms[] = { ".gz", ".br" };
	char sibling[NAME_SIZE];
	int r = copy_file(p, name);

	for (size_t i = 0; r == 0 && i < sizeof forms / sizeof *forms; i++) {
		(void)snprintf(sibling, sizeof sibling, "%s%s", name, forms[i]);
		r = copy_file(p, sibling);
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

static bool
is_whole(const struct publication *p)
{
	scoped(close_fd) int entry_fd = open_dir_at(p->cache_fd, p->plan->entry);

	for (char **name = p->plan->publish; entry_fd >= 0 && *name; name++) {
		scoped(close_fd) int fd = open_regular_at(entry_fd, *name, NULL);

		if (fd < 0)
			return false;
	}
	return entry_fd >= 0;
}

/* new takes the entry's place, unless that is whole; 1: then it stays. */
static int
put_in_place(const struct publication *p, const char *new)
{
	char old[NAME_SIZE];
	int r;

	if (renameat(p->cache_fd, new, p->cache_fd, p->plan->entry) == 0)	/* also over an empty folder */
		return 0;
	if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR)
		return -errno;
	if (is_whole(p))
		return 1;
	/* For a moment there is none, which is what half a one should look like anyway. */
	(void)snprintf(old, sizeof old, PUBLISH_OLD "%s", p->plan->id);
	r = remove_tree_at(p->cache_fd, old);
	if (r == 0 && renameat(p->cache_fd, p->plan->entry, p->cache_fd, old) < 0 && errno != ENOENT)
		r = -errno;
	if (r == 0 && renameat(p->cache_fd, new, p->cache_fd, p->plan->entry) < 0)
		r = -errno;
	(void)remove_tree_at(p->cache_fd, old);
	return r;
}

static int
make_entry(struct publication *p, const char *new)
{
	int r;

	p->new_fd = r = make_dir_at(p->cache_fd, new, 02750, p->plan->groups.read_gid);
	for (char **name = p->plan->publish; r >= 0 && *name; name++)
		r = copy_with_siblings(p, *name);
	if (r >= 0 && fsync(p->new_fd) < 0)
		r = -errno;
	if (r >= 0)
		r = put_in_place(p, new);
	if (r == 0 && fsync(p->cache_fd) < 0)
		return -errno;
	return r;
}

/* It becomes one name in the cache. */
static bool
entry_valid(const char *entry)
{
	return entry[0] != '\0' && entry[0] != '.' && !strchr(entry, '/');
}

static int
publish_entry(const struct plan *plan, int parent_fd)
{
	scoped(publication_done) struct publication p = { .plan = plan, .work_fd = -EBADF, .cache_fd = -EBADF, .new_fd = -EBADF };
	char new[NAME_SIZE];
	int r;

	if (!entry_valid(plan->entry))
		return -EINVAL;
	p.cache_fd = open_folder(plan->cache);
	if (p.cache_fd < 0)
		return p.cache_fd;
	p.work_fd = open_dir_at(parent_fd, plan->id);
	/* Another attempt at the end may have come so far before it was killed. */
	if (p.work_fd < 0)
		return p.work_fd == -ENOENT && is_whole(&p) ? 0 : p.work_fd;
	(void)snprintf(new, sizeof new, PUBLISH_NEW "%s", plan->id);
	r = remove_tree_at(p.cache_fd, new);
	if (r == 0)
		r = make_entry(&p, new);
	if (r != 0)
		(void)remove_tree_at(p.cache_fd, new);
	return r < 0 ? r : 0;
}

int
publish(const struct plan *plan, int job_fd, const struct job_result *result)
{
	const char *name = NULL;
	scoped(close_fd) int parent_fd = work_parent(plan, job_fd, &name);
	int r = parent_fd < 0 ? parent_fd : 0, removed;

	if (r < 0)
		return r;
	/* A tool may have taken from work/ the permission to open it. */
	if (fchmodat(parent_fd, name, 02750, 0) < 0 && errno != ENOENT)
		return -errno;
	if (result->verdict == VERDICT_PASSED && plan->entry)
		r = publish_entry(plan, parent_fd);
	removed = remove_tree_at(parent_fd, name);
	return r < 0 ? r : removed;
}
