#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "run/after.h"
#include "run/finish.h"
#include "run/inputs.h"
#include "run/outputs.h"
#include "run/publish.h"
#include "run/verdict.h"
#include "run/walk.h"
#include "spool/manifest.h"
#include "spool/receipt.h"

enum {
	MANIFEST_PIECE = 32 * 1024,	/* what is written at once; an entry has at most 3 * WALK_PATH_MAX + 90 bytes */
	MANIFEST_MAX = 16 * 1024 * 1024,	/* above what WALK_ENTRIES_MAX and WALK_PATHS_MAX permit */
	SYNCFS_FROM = 1000,	/* entries from which one syncfs(2) is cheaper than a flush of each */
};

/* The file manifest while it is written. */
struct manifest_writer {
	int fd;
	struct strbuf piece;
	struct sha256 *hash;
	char sha256[SHA256_HEX_SIZE];
};

static void
manifest_done(struct manifest_writer *m)
{
	close_fd(&m->fd);
	strbuf_done(&m->piece);
	m->hash = sha256_free(m->hash);
}

static int
manifest_open(struct manifest_writer *m, int job_fd, gid_t gid)
{
	strbuf_init(&m->piece, MANIFEST_PIECE * 2);
	m->hash = sha256_new();
	if (!m->hash)
		return -ENOMEM;
	m->fd = make_file_at(job_fd, "manifest", 0640, gid);
	return m->fd < 0 ? m->fd : 0;
}

static int
manifest_write(struct manifest_writer *m)
{
	int r = strbuf_err(&m->piece);

	if (r == 0 && m->piece.len > 0) {
		sha256_add(m->hash, m->piece.buf, m->piece.len);
		r = write_all(m->fd, m->piece.buf, m->piece.len);
		strbuf_reset(&m->piece);
	}
	return r;
}

static int
manifest_keep(const struct manifest_entry *e, void *ctx)
{
	struct manifest_writer *m = ctx;
	int r = manifest_add(&m->piece, e);

	if (r < 0)
		return r;
	return m->piece.len >= MANIFEST_PIECE ? manifest_write(m) : 0;
}

static int
manifest_finish(struct manifest_writer *m)
{
	int r = manifest_write(m);

	if (r == 0)
		sha256_finish(m->hash, m->sha256);
	return r;
}

/* Proves work/ and writes the manifest of what is left in it. */
static int
list_outputs(const struct plan *plan, int job_fd, struct job_result *result, char ret_sha256[SHA256_HEX_SIZE])
{
	scoped(manifest_done) struct manifest_writer m = { .fd = -EBADF };
	scoped(close_fd) int work_fd = -EBADF;
	struct walk_counts counts = { 0 };
	struct walk_caps caps = { 0 };
	int r = outputs_caps(plan, job_fd, &caps);

	if (r == 0)
		r = manifest_open(&m, job_fd, plan->groups.gate_gid);
	if (r < 0)
		return r;
	/* A tool may have taken from work/ the permission to open it. */
	if (fchmodat(job_fd, "work", 02750, 0) < 0 && errno != ENOENT)
		return -errno;
	work_fd = open_dir_at(job_fd, "work");
	if (work_fd < 0 && work_fd != -ENOENT)	/* a refused job may have none */
		return work_fd;
	if (work_fd >= 0) {
		links_remove(plan, work_fd);
		r = walk_outputs(work_fd, &caps, manifest_keep, &m, &counts);
	}
	if (r == 0)
		r = manifest_finish(&m);
	if (r < 0)
		return r;
	memcpy(ret_sha256, m.sha256, sizeof m.sha256);
	result->output_files = counts.files;
	result->output_bytes = counts.bytes;
	if (counts.over > 0)
		verdict_outputs_over(result, "outputs over the limit were removed");
	return 0;
}

/* Nothing of work/ can be shown: an empty one takes its place. What cannot be removed is shut at least. */
static int
give_up_outputs(const struct plan *plan, int job_fd, struct job_result *result, int err, char ret_sha256[SHA256_HEX_SIZE])
{
	scoped(manifest_done) struct manifest_writer m = { .fd = -EBADF };
	int r = remove_tree_at(job_fd, "work");

	if (r < 0)
		(void)!fchmodat(job_fd, "work", 0, 0);
	verdict_outputs_lost(result, "outputs could not be kept", err);
	result->output_files = result->output_bytes = 0;
	r = manifest_open(&m, job_fd, plan->groups.gate_gid);
	if (r == 0)
		r = manifest_finish(&m);
	memcpy(ret_sha256, m.sha256, sizeof m.sha256);
	return r;
}

static int
flush(int fd)
{
	return fsync(fd) < 0 ? -errno : 0;
}

static int
flush_entry(const struct manifest_entry *e, void *ctx)
{
	const int *work_fd = ctx;
	scoped(close_fd) int fd = e->sha256[0] ? open_regular_beneath(*work_fd, e->path, NULL) :
	    open_dir_beneath(*work_fd, e->path);

	return fd < 0 ? fd : flush(fd);
}

static int
start_entry(const struct manifest_entry *e, void *ctx)
{
	const int *work_fd = ctx;
	scoped(close_fd) int fd = -EBADF;

	if (e->sha256[0] == '\0')
		return 0;
	fd = open_regular_beneath(*work_fd, e->path, NULL);
	if (fd < 0)
		return fd;
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

static int
count_entry(const struct manifest_entry *e, void *ctx)
{
	size_t *n = ctx;

	(void)e;
	++*n;
	return 0;
}

/* The files beside work/. All are handed to the disk before the first is waited for: then that one's commit of the file system's
 * journal holds the others too, and they need none of their own. ended.json is not among them: result.json stands for it. */
static int
flush_files(int job_fd)
{
	static const char *const names[] = { "log", "stdout", "manifest", "receipt.json" };
	enum { N = sizeof names / sizeof names[0] };
	int fds[N], r = 0;

	for (size_t i = 0; i < N; i++) {
		fds[i] = open_regular_at(job_fd, names[i], NULL);
		if (fds[i] >= 0)
			(void)sync_file_range(fds[i], 0, 0, SYNC_FILE_RANGE_WRITE);
		else if (fds[i] != -ENOENT && r == 0)
			r = fds[i];
	}
	for (size_t i = 0; i < N; i++) {
		if (fds[i] >= 0 && r == 0)
			r = flush(fds[i]);
		close_fd(&fds[i]);
	}
	return r;
}

/* Everything but the verdict. The job's folder itself is flushed with that. */
static int
flush_all(int job_fd)
{
	scoped(close_fd) int work_fd = -EBADF;
	size_t entries = 0;
	int r = manifest_each(job_fd, MANIFEST_MAX, count_entry, &entries);

	if (r < 0 && r != -ENOENT)
		return r;
	if (entries >= SYNCFS_FROM)
		return syncfs(job_fd) < 0 ? -errno : 0;
	work_fd = open_dir_at(job_fd, "work");
	if (work_fd < 0 && work_fd != -ENOENT)
		return work_fd;
	if (work_fd >= 0 && entries > 0) {
		r = manifest_each(job_fd, MANIFEST_MAX, start_entry, &work_fd);
		if (r < 0)
			return r;
	}
	r = flush_files(job_fd);
	if (r < 0 || work_fd < 0)
		return r;
	if (entries > 0)
		r = manifest_each(job_fd, MANIFEST_MAX, flush_entry, &work_fd);
	return r < 0 ? r : flush(work_fd);
}

int
finish(const struct plan *plan, int job_fd, struct job_result *result)
{
	char manifest_sha256[SHA256_HEX_SIZE] = "";
	int r = 0, suspect = 0;

	if (plan->mode == PLAN_RUN)
		(void)ended_store(job_fd, plan->groups, result);
	if (result->verdict != VERDICT_REFUSED)
		after_run(plan);
	if (plan->scratch && (r = publish(plan, job_fd, result)) < 0)
		verdict_outputs_lost(result, "its files could not be published", r);
	r = list_outputs(plan, job_fd, result, manifest_sha256);
	if (r == 0)
		r = receipt_store(job_fd, plan->groups, plan->jail == JAIL_BWRAP ? "bwrap" : "none", plan->network, result, manifest_sha256);
	if (r < 0 && (r = give_up_outputs(plan, job_fd, result, r, manifest_sha256)) == 0)
		r = receipt_store(job_fd, plan->groups, plan->jail == JAIL_BWRAP ? "bwrap" : "none", plan->network, result, manifest_sha256);
	/* A verdict without manifest or receipt is still better than none. */
	if (r == 0)
		r = flush_all(job_fd);
	if (r < 0) {
		suspect = 1;
		verdict_note(result, "not everything could be flushed to disk");
	}
	r = result_store_durable(job_fd, plan->groups, result);
	return r < 0 ? r : r > 0 || suspect ? 1 : 0;
}
