/* What a finished job has kept: work/ holds exactly what manifest says, and the log is as long as the verdict says. Everything is
 * read and hashed: after a power cut a file of the right size may hold zeros. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "spool/check_internal.h"
#include "spool/manifest.h"
#include "spool/meta.h"
#include "spool/spool_internal.h"

enum { MANIFEST_BYTES_MAX = 64 * 1024 * 1024, FILE_BITS = 07777 };

struct outputs {
	struct check *c;
	const char *id;
	int work_fd;	/* -EBADF: there is none */
	uint64_t files, bytes;
	size_t names;	/* that the manifest says */
	size_t found;	/* that the folders hold */
};

static int
count_name(int dir_fd, const char *name, void *ctx)
{
	struct outputs *o = ctx;

	(void)dir_fd;
	(void)name;
	o->found++;
	return 0;
}

static int
check_file(struct outputs *o, const struct manifest_entry *e)
{
	scoped(close_fd) int fd = open_regular_beneath(o->work_fd, e->path, NULL);
	char hex[SHA256_HEX_SIZE];
	struct stat st;
	int64_t n = 0;

	if (fd < 0) {
		check_found(o->c, CHECK_BROKEN, 0, "job %s: output %s: %s", o->id, e->path, strerror(-fd));
		return 0;
	}
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size != e->size)
		check_found(o->c, CHECK_BROKEN, 0, "job %s: output %s has %jd bytes instead of %" PRIu64, o->id, e->path,
		    (intmax_t)st.st_size, e->size);
	else if ((n = sha256_fd(fd, INT64_MAX, hex)) < 0)
		check_found(o->c, CHECK_BROKEN, 0, "job %s: output %s: %s", o->id, e->path, strerror((int)-n));
	else if (strcmp(hex, e->sha256) != 0)
		check_found(o->c, CHECK_BROKEN, 0, "job %s: output %s has another content", o->id, e->path);
	if (st.st_nlink != 1 || (st.st_mode & FILE_BITS) != (e->mode & FILE_BITS))
		check_found(o->c, CHECK_BROKEN, 0, "job %s: output %s has mode %04o and %ju links", o->id, e->path,
		    (unsigned)st.st_mode & FILE_BITS, (uintmax_t)st.st_nlink);
	return 0;
}

static int
check_folder(struct outputs *o, const struct manifest_entry *e)
{
	scoped(close_fd) int fd = open_dir_beneath(o->work_fd, e->path);
	struct stat st;

	if (fd < 0) {
		check_found(o->c, CHECK_BROKEN, 0, "job %s: folder %s: %s", o->id, e->path, strerror(-fd));
		return 0;
	}
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & FILE_BITS) != (e->mode & FILE_BITS))
		check_found(o->c, CHECK_BROKEN, 0, "job %s: folder %s has mode %04o", o->id, e->path,
		    (unsigned)st.st_mode & FILE_BITS);
	return each_name(fd, count_name, o);
}

static int
check_entry(const struct manifest_entry *e, void *ctx)
{
	struct outputs *o = ctx;

	o->names++;
	if (e->sha256[0]) {
		o->files++;
		o->bytes += e->size;
	}
	if (o->work_fd < 0)
		return 0;
	return e->sha256[0] ? check_file(o, e) : check_folder(o, e);
}

/* The job's files were taken away while its record stays. */
static bool
is_pruned(int job_fd)
{
	struct job_meta meta;

	if (meta_load(job_fd, &meta) < 0)
		return false;
	meta_done(&meta);
	return meta.pruned_usec > 0;
}

static void
check_length(struct check *c, int job_fd, const char *id, const char *name, uint64_t want)
{
	struct stat st;
	uint64_t have = fstatat(job_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_size : 0;

	if (have != want)
		check_found(c, CHECK_BROKEN, 0, "job %s: %s has %" PRIu64 " bytes, its verdict says %" PRIu64, id, name, have, want);
}

int
check_outputs(struct check *c, int job_fd, const char *id, const struct job_result *result)
{
	struct outputs o = { .c = c, .id = id };
	scoped(close_fd) int work_fd = open_dir_at(job_fd, JOB_WORK);
	int r = 0;

	if (work_fd < 0 && work_fd != -ENOENT) {
		check_found(c, CHECK_BROKEN, 0, "job %s: work: %s", id, strerror(-work_fd));
		return 0;
	}
	if (is_pruned(job_fd))
		return 0;
	o.work_fd = work_fd < 0 ? -EBADF : work_fd;
	r = manifest_each(job_fd, MANIFEST_BYTES_MAX, check_entry, &o);
	if (r == -ENOENT) {
		/* Never walked. What lies there is not proven to be files. */
		if (work_fd >= 0)
			check_found(c, CHECK_BROKEN, 0, "job %s: finished, and its work was never listed", id);
		else if (result->output_files > 0)
			check_found(c, CHECK_BROKEN, 0, "job %s: its manifest is gone", id);
		return 0;
	}
	if (r == -EBADMSG) {
		check_found(c, CHECK_BROKEN, 0, "job %s: its manifest is damaged", id);
		return 0;
	}
	if (r < 0)
		return r;
	if (work_fd >= 0) {
		struct stat st;

		if (fstat(work_fd, &st) < 0)
			return -errno;
		if (st.st_mode & 027)
			check_found(c, CHECK_BROKEN, 0, "job %s: work has mode %04o", id, (unsigned)st.st_mode & FILE_BITS);
		r = each_name(work_fd, count_name, &o);
		if (r < 0)
			return r;
		/* Each listed one is there, or was told to be missing: so more names are some that nobody listed. */
		if (o.found != o.names)
			check_found(c, CHECK_BROKEN, 0, "job %s: work holds %zu entries, its manifest says %zu", id, o.found, o.names);
	} else if (o.names > 0) {
		check_found(c, CHECK_BROKEN, 0, "job %s: its work is gone", id);
	}
	if (o.files != result->output_files || o.bytes != result->output_bytes)
		check_found(c, CHECK_BROKEN, 0, "job %s: its verdict counts other outputs than its manifest", id);
	check_length(c, job_fd, id, JOB_LOG, result->log_bytes);
	check_length(c, job_fd, id, JOB_STDOUT, result->stdout_bytes);
	return 0;
}
