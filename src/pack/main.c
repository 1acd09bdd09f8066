/* spoolgate-pack - makes one zip of what a finished job left. Started by spoolgated with the job's folder as descriptor 3 and packs/
 * as descriptor 4; its one argument is the zip's name without ".zip". A program of its own because libzip keeps a record of every
 * entry in memory, and because a supervisor, which is static and small, needs none of it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include <zip.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "spool/manifest.h"
#include "spool/pack.h"
#include "spool/record.h"

enum { JOB_FD = 3, PACKS_FD = 4, NAME_SIZE = 8192 };

/* One file of the job, opened when its turn comes: thousands are never open at once. */
struct entry {
	char *path;	/* below the job's folder */
	uint64_t size;
	int fd;
	off_t at;
	zip_error_t error;
};

struct packing {
	zip_t *zip;
	time_t mtime;	/* of every entry: a zip made again is the same, byte by byte */
	const char *what;	/* the libzip call that failed */
};

static zip_int64_t
entry_stat(struct entry *e, void *data, zip_uint64_t len)
{
	zip_stat_t *st = data;

	if (len < sizeof *st) {
		zip_error_set(&e->error, ZIP_ER_INVAL, 0);
		return -1;
	}
	zip_stat_init(st);
	st->valid = ZIP_STAT_SIZE;
	st->size = e->size;
	return sizeof *st;
}

static zip_int64_t
entry_read(struct entry *e, void *data, zip_uint64_t len)
{
	ssize_t n;

	if ((uint64_t)e->at + len > e->size)
		len = e->size - (uint64_t)e->at;
	n = pread_full(e->fd, data, len, e->at);
	if (n < 0 || (zip_uint64_t)n != len) {	/* a finished file does not shrink */
		zip_error_set(&e->error, ZIP_ER_READ, n < 0 ? (int)-n : EIO);
		return -1;
	}
	e->at += n;
	return n;
}

static zip_int64_t
entry_open(struct entry *e)
{
	off_t size = 0;

	e->at = 0;
	e->fd = open_regular_beneath(JOB_FD, e->path, &size);
	if (e->fd < 0 || (uint64_t)size != e->size) {
		zip_error_set(&e->error, ZIP_ER_OPEN, e->fd < 0 ? -e->fd : ESTALE);
		close_fd(&e->fd);
		e->fd = -EBADF;
		return -1;
	}
	return 0;
}

static zip_int64_t
entry_source(void *ctx, void *data, zip_uint64_t len, zip_source_cmd_t cmd)
{
	struct entry *e = ctx;

	switch (cmd) {
	case ZIP_SOURCE_OPEN:
		return entry_open(e);
	case ZIP_SOURCE_READ:
		return entry_read(e, data, len);
	case ZIP_SOURCE_CLOSE:
		close_fd(&e->fd);
		e->fd = -EBADF;
		return 0;
	case ZIP_SOURCE_STAT:
		return entry_stat(e, data, len);
	case ZIP_SOURCE_ERROR:
		return zip_error_to_data(&e->error, data, len);
	case ZIP_SOURCE_FREE:
		close_fd(&e->fd);
		zip_error_fini(&e->error);
		free(e->path);
		free(e);
		return 0;
	case ZIP_SOURCE_SUPPORTS:
		return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT,
		    ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, ZIP_SOURCE_SUPPORTS, -1);
	default:
		zip_error_set(&e->error, ZIP_ER_OPNOTSUPP, 0);
		return -1;
	}
}

/* What every entry has. */
static int
finish_entry(struct packing *p, zip_int64_t index, mode_t mode)
{
	if (index < 0 || zip_file_set_mtime(p->zip, (zip_uint64_t)index, p->mtime, 0) < 0 ||
	    zip_file_set_external_attributes(p->zip, (zip_uint64_t)index, 0, ZIP_OPSYS_UNIX, (zip_uint32_t)mode << 16) < 0)
		return -EIO;
	return 0;
}

/* Bytes that are no UTF-8 stay what they are. */
static zip_flags_t
name_flags(const char *name)
{
	return utf8_valid(name, strlen(name)) ? ZIP_FL_ENC_UTF_8 : ZIP_FL_ENC_CP437;
}

static int
add_file(struct packing *p, const char *path, const char *name, uint64_t size)
{
	struct entry *e = calloc(1, sizeof *e);
	zip_source_t *source = NULL;
	zip_int64_t index;

	if (!e)
		return -ENOMEM;
	e->fd = -EBADF;
	e->size = size;
	zip_error_init(&e->error);
	e->path = strdup(path);
	source = e->path ? zip_source_function(p->zip, entry_source, e) : NULL;
	if (!source) {
		free(e->path);
		free(e);
		return -ENOMEM;
	}
	index = zip_file_add(p->zip, name, source, name_flags(name));
	if (index < 0)
		zip_source_free(source);
	return finish_entry(p, index, S_IFREG | 0644);
}

/* One of the job's own files, where it is there. */
static int
add_own(struct packing *p, const char *name)
{
	struct stat st;

	if (fstatat(JOB_FD, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return S_ISREG(st.st_mode) ? add_file(p, name, name, (uint64_t)st.st_size) : -EINVAL;
}

static int
add_output(const struct manifest_entry *e, void *ctx)
{
	struct packing *p = ctx;
	char path[NAME_SIZE], name[NAME_SIZE];

	if (snprintf(path, sizeof path, JOB_WORK "/%s", e->path) >= (int)sizeof path ||
	    snprintf(name, sizeof name, "files/%s", e->path) >= (int)sizeof name)
		return -ENAMETOOLONG;
	if (!e->sha256[0])
		return finish_entry(p, zip_dir_add(p->zip, name, name_flags(name)), S_IFDIR | 0755);
	return add_file(p, path, name, e->size);
}

static int
fill(struct packing *p)
{
	int r = add_own(p, JOB_RECEIPT);

	if (r == 0)
		r = add_own(p, JOB_LOG);
	if (r == 0)
		r = add_own(p, JOB_STDOUT);
	if (r == 0)
		r = manifest_each(JOB_FD, MANIFEST_MAX, add_output, p);
	return r == -ENOENT ? 0 : r;	/* a job that never ran left nothing */
}

static int
pack(const char *new_name, time_t mtime)
{
	struct packing p = { .mtime = mtime };
	int error = 0;
	int r;

	p.zip = zip_open(new_name, ZIP_CREATE | ZIP_TRUNCATE, &error);
	if (!p.zip)
		return -EIO;
	r = fill(&p);
	if (r == 0 && zip_get_num_entries(p.zip, 0) == 0) {	/* libzip writes no file for an archive without entries */
		zip_source_t *none = zip_source_buffer(p.zip, "", 0, 0);

		r = finish_entry(&p, none ? zip_file_add(p.zip, JOB_LOG, none, ZIP_FL_ENC_UTF_8) : -1, S_IFREG | 0644);
	}
	if (r == 0 && zip_close(p.zip) == 0)
		return 0;
	if (r == 0)
		log_error("%s: %s", new_name, zip_strerror(p.zip));
	zip_discard(p.zip);
	return r < 0 ? r : -EIO;
}

/* Its time is the job's end, which the ETag is made of. */
static int
publish(const char *new_name, const char *name, time_t mtime)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_sec = mtime } };

	if (fchmodat(PACKS_FD, new_name, 0640, 0) < 0 || utimensat(PACKS_FD, new_name, times, 0) < 0 ||
	    renameat(PACKS_FD, new_name, PACKS_FD, name) < 0)
		return -errno;
	return 0;
}

int
main(int argc, char **argv)
{
	char new_name[PACK_NAME_SIZE + 8], name[PACK_NAME_SIZE + 8];
	struct job_result result;
	time_t mtime;
	int r;

	if (argc != 2 || strlen(argv[1]) != PACK_NAME_SIZE - 1) {
		(void)fputs("usage: spoolgate-pack NAME\nIt is started by spoolgated, with a job's folder and packs/ as descriptors 3 and 4.\n",
		    stderr);
		return EX_USAGE;
	}
	log_init("spoolgate-pack", LOG_INFO);
	(void)umask(0027);
	(void)setenv("TZ", "UTC", 1);	/* a zip has local times */
	(void)snprintf(new_name, sizeof new_name, "%s.new", argv[1]);
	(void)snprintf(name, sizeof name, "%s.zip", argv[1]);
	r = result_load(JOB_FD, &result);
	mtime = (time_t)(result.ended_usec / USEC_PER_SEC);
	if (r == 0 && fchdir(PACKS_FD) < 0)
		r = -errno;
	if (r == 0)
		r = pack(new_name, mtime);
	if (r == 0)
		r = publish(new_name, name, mtime);
	if (r < 0) {
		log_error("%s: %s", name, strerror(-r));
		(void)unlinkat(PACKS_FD, new_name, 0);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
