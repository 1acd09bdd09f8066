#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "spool/manifest.h"
#include "spool/pack.h"
#include "spool/receipt.h"
#include "spool/share.h"
#include "spool/spool_internal.h"

enum {
	SYNCFS_FROM = 1000,	/* entries from which one syncfs(2) is cheaper than a flush of each */
	RECEIPT_MAX = 64 * 1024 * 1024,	/* it lists the manifest's files */
};

struct copy {
	int from_fd, to_fd;	/* both work/ */
	gid_t gid;
	bool flush;	/* each for itself */
};

/* Exactly what is there. */
static int
copy_file(const struct copy *c, const char *path, mode_t mode)
{
	scoped(close_fd) int from = -EBADF;
	scoped(close_fd) int to = -EBADF;
	off_t size = 0;
	int64_t n;

	from = open_regular_beneath(c->from_fd, path, &size);
	if (from < 0)
		return from;
	to = make_file_at(c->to_fd, path, mode, c->gid);
	if (to < 0)
		return to;
	n = copy_bytes(from, to, size);
	if (n < 0)
		return (int)n;
	if (n != size)
		return -ESTALE;
	return c->flush && fsync(to) < 0 ? -errno : 0;
}

/* The manifest names each folder before what lies in it. */
static int
copy_entry(const struct manifest_entry *e, void *ctx)
{
	const struct copy *c = ctx;
	scoped(close_fd) int fd = -EBADF;

	if (e->sha256[0])
		return copy_file(c, e->path, e->mode);
	fd = make_dir_at(c->to_fd, e->path, e->mode, c->gid);
	return fd < 0 ? fd : 0;
}

static int
flush_folder(const struct manifest_entry *e, void *ctx)
{
	const struct copy *c = ctx;
	scoped(close_fd) int fd = -EBADF;

	if (e->sha256[0])
		return 0;
	fd = open_dir_beneath(c->to_fd, e->path);
	return fd < 0 ? fd : fsync(fd) < 0 ? -errno : 0;
}

static int
copy_work(const struct copy *files)
{
	scoped(close_fd) int from_work = open_dir_at(files->from_fd, JOB_WORK);
	scoped(close_fd) int to_work = -EBADF;
	struct copy c = *files;
	int r;

	if (from_work < 0)
		return from_work == -ENOENT ? 0 : from_work;
	to_work = make_dir_at(files->to_fd, JOB_WORK, MODE_LIST, files->gid);
	if (to_work < 0)
		return to_work;
	c.from_fd = from_work;
	c.to_fd = to_work;
	r = manifest_each(files->from_fd, MANIFEST_MAX, copy_entry, &c);
	if (r >= 0 && c.flush)
		r = manifest_each(files->from_fd, MANIFEST_MAX, flush_folder, &c);
	if (r < 0)
		return r;
	return c.flush && fsync(to_work) < 0 ? -errno : 0;
}

/* log, stdout, manifest, as far as they are there. The manifest is the gate's to read, the others are everybody's who reads results. */
static int
copy_beside(const struct copy *files, gid_t gate_gid)
{
	static const char *const names[] = { JOB_LOG, JOB_STDOUT, JOB_MANIFEST };
	struct copy c = *files;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		int r;

		c.gid = strcmp(names[i], JOB_MANIFEST) == 0 ? gate_gid : files->gid;
		r = copy_file(&c, names[i], MODE_RECORD);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

/* The receipt says in which jail the work was done, and of what it is proof, as that of the other does. */
static int
write_receipt(int from_fd, int to_fd, struct spool_groups groups, const struct job_result *result, bool flush)
{
	scoped(put_json) json_object *other = NULL;
	scoped(close_fd) int fd = -EBADF;
	json_object *outputs = NULL;
	const char *jail = NULL, *manifest = NULL;
	bool network = false;
	int r = json_load_at(from_fd, JOB_RECEIPT, RECEIPT_MAX, &other);

	if (r < 0)
		return r;
	(void)json_get_string(other, "jail", &jail);
	(void)json_get_bool(other, "network", &network);
	if (json_get_object(other, "outputs", &outputs) == 0)
		(void)json_get_string(outputs, "manifest_sha256", &manifest);
	r = receipt_store(to_fd, groups, jail, network, result, manifest);
	if (r < 0 || !flush)
		return r;
	fd = open_regular_at(to_fd, JOB_RECEIPT, NULL);
	return fd < 0 ? fd : fsync(fd) < 0 ? -errno : 0;
}

int
share_end(const struct spool *s, const char *from, const char *to, struct job_result *result)
{
	scoped(close_fd) int from_fd = spool_open_job(s, from);
	scoped(close_fd) int to_fd = spool_open_job(s, to);
	scoped(close_fd) int lock_fd = -EBADF;
	struct copy c = { from_fd, to_fd, s->groups.read_gid, result->output_files < SYNCFS_FROM };
	int r = from_fd < 0 ? from_fd : to_fd;

	if (r < 0)
		return r;
	result->attempt = 0;
	result->shared = true;
	(void)snprintf(result->message, sizeof result->message, "an equal job did the work");
	lock_fd = r = job_lock(to_fd);
	if (r >= 0)
		r = copy_work(&c);
	if (r >= 0)
		r = copy_beside(&c, s->groups.gate_gid);
	if (r >= 0)
		r = write_receipt(from_fd, to_fd, s->groups, result, c.flush);
	if (r >= 0 && !c.flush)
		r = spool_sync(s);
	if (r >= 0)
		r = result_store_durable(to_fd, s->groups, result);
	if (r >= 0)
		(void)spool_clear_active(s, to);
	return r == -EWOULDBLOCK ? -EBUSY : r;
}
