#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/scoped.h"
#include "spool/accept.h"
#include "spool/accept_internal.h"
#include "spool/index.h"
#include "spool/meta.h"
#include "spool/record.h"
#include "spool/spool_internal.h"

enum { COPY_CHUNK = 64 * 1024 };

int
queued_store(int job_fd, gid_t gid, bool replace)
{
	const struct job_want queued = { .want = WANT_QUEUED, .at_usec = clock_wall() };
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = 0;

	if (replace)
		return want_store(job_fd, (struct spool_groups){ (gid_t)-1, gid }, &queued);
	r = want_format(&queued, &text, &len);
	/* Nobody knows this folder yet: no need to replace by rename. */
	return r < 0 ? r : create_file_at(job_fd, FILE_STATE, text, len, MODE_RECORD, gid, false);
}

/* Everything in a new folder but job.json and the inputs. */
static int
begin_in(int job_fd, struct spool_groups groups, int *ret_in_fd)
{
	scoped(close_fd) int in_fd = make_dir_at(job_fd, JOB_IN, MODE_LIST, groups.gate_gid);
	int r = 0;

	if (in_fd < 0)
		return in_fd;
	r = create_file_at(job_fd, FILE_LOCK, NULL, 0, MODE_OWN_FILE, (gid_t)-1, false);
	if (r >= 0)
		r = queued_store(job_fd, groups.gate_gid, false);
	if (r < 0)
		return r;
	*ret_in_fd = take_fd(in_fd);
	return 0;
}

int
incoming_begin(const struct spool *s, const char *id, int *ret_job_fd, int *ret_in_fd)
{
	scoped(close_fd) int job_fd = -EBADF;
	int r = 0;

	if (!id_valid(id))
		return -EINVAL;
	if (mkdirat(s->incoming_fd, id, 0700) < 0)
		return -errno;	/* one that is there already is not ours to remove */
	job_fd = make_dir_at(s->incoming_fd, id, MODE_PASS, s->groups.read_gid);
	r = job_fd < 0 ? job_fd : begin_in(job_fd, s->groups, ret_in_fd);
	if (r < 0) {
		incoming_abort(s, id);
		return r;
	}
	*ret_job_fd = take_fd(job_fd);
	return 0;
}

/* Exactly size bytes of from; a byte more or less is -ESTALE. */
static int
copy_exactly(int from, int to, uint64_t size, char ret_hex[SHA256_HEX_SIZE])
{
	scoped(free_sha256) struct sha256 *hash = sha256_new();
	scoped(free_ptr) char *buf = malloc(COPY_CHUNK);
	uint64_t done = 0;

	if (!hash || !buf)
		return -ENOMEM;
	for (;;) {
		ssize_t n = pread_full(from, buf, COPY_CHUNK, (off_t)done);
		int r = 0;

		if (n < 0)
			return (int)n;
		if ((uint64_t)n > size - done)
			return -ESTALE;
		if (n == 0)
			break;
		sha256_add(hash, buf, (size_t)n);
		r = write_all(to, buf, (size_t)n);
		if (r < 0)
			return r;
		done += (uint64_t)n;
		if (n < COPY_CHUNK)
			break;
	}
	if (done != size)
		return -ESTALE;
	sha256_finish(hash, ret_hex);
	return 0;
}

int
incoming_input(int in_fd, struct spool_groups groups, int fd, uint64_t max, int flush, struct job_input *input)
{
	scoped(close_fd) int to = -EBADF;
	int r = 0;

	if (!input_name_valid(input->name))
		return -EINVAL;
	if (input->size > max || input->size > INT64_MAX)
		return -EFBIG;
	r = create_file_at(in_fd, input->name, NULL, 0, MODE_RECORD, groups.gate_gid, false);
	if (r < 0)
		return r;
	to = openat(in_fd, input->name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	r = to < 0 ? -errno : copy_exactly(fd, to, input->size, input->sha256);
	if (r >= 0 && flush && fsync(to) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(in_fd, input->name, 0);
	return r;
}

int
incoming_finish(const struct spool *s, const char *id, int job_fd, int in_fd, const char *text, size_t len, int flush)
{
	int r = create_file_at(job_fd, FILE_JOB, text, len, MODE_RECORD, s->groups.gate_gid, flush);

	(void)id;
	if (r < 0 || !flush)
		return r;
	return fsync(in_fd) < 0 || fsync(job_fd) < 0 || fsync(s->incoming_fd) < 0 ? -errno : 0;
}

void
incoming_abort(const struct spool *s, const char *id)
{
	if (id_valid(id))
		(void)remove_tree_at(s->incoming_fd, id);
}

/* incoming/<id> -> jobs/<xx>/<id>, unless that was done before. */
static int
move_in(const struct spool *s, const char *id)
{
	char path[JOB_PATH_SIZE], xx[3] = { id[0], id[1], '\0' };
	scoped(close_fd) int xx_fd = -EBADF;

	job_path(id, "", path);
	if (renameat(s->incoming_fd, id, s->jobs_fd, path) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	if (exists_at(s->jobs_fd, path) == 1)
		return 0;
	/* jobs/<xx> is missing, as in a restored spool; or there is no such folder anywhere. */
	xx_fd = make_dir_at(s->jobs_fd, xx, MODE_PASS, s->groups.read_gid);
	if (xx_fd < 0)
		return xx_fd;
	return renameat(s->incoming_fd, id, s->jobs_fd, path) < 0 ? -errno : 0;
}

/* Of a job that is accepted again, by the replay. */
static bool
callback_is_over(const struct spool *s, const char *id)
{
	scoped(close_fd) int job_fd = spool_open_job(s, id);
	struct job_meta meta;

	if (job_fd < 0 || meta_load(job_fd, &meta) < 0)
		return false;
	meta_done(&meta);
	return meta.callback.state != CALLBACK_PENDING;
}

int
accept_publish(const struct spool *s, const struct job *job)
{
	char path[JOB_PATH_SIZE];
	int r = id_valid(job->id) ? move_in(s, job->id) : -EINVAL;

	if (r < 0)
		return r;
	job_path(job->id, FILE_RESULT, path);
	r = exists_at(s->jobs_fd, path);
	if (r == 0)
		r = spool_mark_active(s, job->id);
	if (r >= 0)
		r = index_add(s, job->owner, job->accepted_usec, job->id);
	if (r >= 0 && job->callback && !callback_is_over(s, job->id))
		r = spool_mark_pending(s, job->id);
	if (r >= 0 && job->key)
		r = index_key_set(s, job->service, job->key, job->id);
	if (r >= 0 && job->once[0]) {
		char name[ONCE_NAME_SIZE];

		once_name(job->once, name);
		r = index_key_set(s, job->service, name, job->id);
	}
	return r < 0 ? r : 0;
}

/* Into trash/; under another name where an earlier deletion of the same one still lies there. */
static int
to_trash(const struct spool *s, int dir_fd, const char *path, const char *name)
{
	char other[NAME_MAX + 1], digits[17];

	if (renameat2(dir_fd, path, s->trash_fd, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == ENOENT)
		return 0;
	if (errno != EEXIST && errno != EINVAL)	/* EINVAL: a file system without RENAME_NOREPLACE */
		return -errno;
	random_hex(digits, 8);
	(void)snprintf(other, sizeof other, "%.200s.%s", name, digits);
	return renameat(dir_fd, path, s->trash_fd, other) < 0 && errno != ENOENT ? -errno : 0;
}

int
drop_folder(const struct spool *s, const char *id, const char *name)
{
	char path[JOB_PATH_SIZE], as[ID_SIZE + 16];

	if (!id_valid(id))
		return -EINVAL;
	job_path(id, name, path);
	(void)snprintf(as, sizeof as, "%s.%s", id, name);
	return to_trash(s, s->jobs_fd, path, as);
}

int
accept_drop_work(const struct spool *s, const char *id)
{
	return drop_folder(s, id, JOB_WORK);
}

/* The names that its own record says; a damaged one leaves them to the check, which sweeps names without a job. */
static int
forget_names(const struct spool *s, const char *id)
{
	scoped(close_fd) int job_fd = spool_open_job(s, id);
	scoped(free_job) struct job *job = NULL;
	int r = job_fd < 0 ? job_fd : job_load(job_fd, &job);

	if (r == -ENOENT || r == -EBADMSG || r == -EPROTONOSUPPORT)
		return 0;
	if (r >= 0)
		r = index_remove(s, job->owner, job->accepted_usec, id);
	if (r >= 0 && job->key)
		r = index_key_remove(s, job->service, job->key, id);
	if (r >= 0 && job->once[0]) {
		char name[ONCE_NAME_SIZE];

		once_name(job->once, name);
		r = index_key_remove(s, job->service, name, id);
	}
	return r < 0 ? r : 0;
}

int
accept_forget(const struct spool *s, const char *id)
{
	char path[JOB_PATH_SIZE];
	int r = id_valid(id) ? forget_names(s, id) : -EINVAL;

	if (r >= 0)
		r = unlink_at(s->active_fd, id);
	if (r >= 0)
		r = unlink_at(s->pending_fd, id);
	if (r < 0)
		return r;
	job_path(id, "", path);
	return to_trash(s, s->jobs_fd, path, id);
}

static int
sweep_one(int dir_fd, const char *name, void *ctx)
{
	return to_trash(ctx, dir_fd, name, name);
}

int
incoming_sweep(const struct spool *s)
{
	struct spool copy = *s;

	return each_name(s->incoming_fd, sweep_one, &copy);
}

struct removal {
	int count;
	int err;	/* the first */
};

/* What cannot be removed does not keep what lies behind it. */
static int
remove_one(int dir_fd, const char *name, void *ctx)
{
	struct removal *m = ctx;
	scoped(close_fd) int fd = open_dir_at(dir_fd, name);
	int r = 0;

	/* state.json goes before result.json, which is not left to the order of a directory: a reader that has the folder open
	 * and meets neither file knows that the job is gone, while state.json alone would tell it that the job runs. */
	if (fd >= 0)
		(void)unlinkat(fd, FILE_STATE, 0);
	r = remove_tree_at(dir_fd, name);
	if (r >= 0)
		m->count++;
	else if (m->err == 0)
		m->err = r;
	return 0;
}

int
trash_empty(const struct spool *s, int all)
{
	struct removal m = { 0, 0 };
	int r = each_name(s->trash_fd, remove_one, &m);

	if (r >= 0 && all)
		r = each_name(s->incoming_fd, remove_one, &m);
	if (r >= 0)
		r = m.err;
	return r < 0 ? r : m.count;
}
