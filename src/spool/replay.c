/* Doing the journal's records again. They are a gap-free end of the history, done in order, on a spool that may have seen all,
 * some or none of their effects, and torn versions of those that were not flushed when the power went.
 *
 * Nothing of a run is ever taken back. A folder that a record describes is mended in place: a torn job.json or input is written
 * again from the record, what the supervisor wrote (run.json, ended.json, result.json, work/) stays as it is, because only the
 * helper's unflushed files can be torn while a flushed verdict lies beside them. state.json only goes forward (state_rank), so
 * that doing `start 1` again on a job that is being killed changes nothing at any moment. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/durable.h"
#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/scoped.h"
#include "spool/accept.h"
#include "spool/accept_internal.h"
#include "spool/meta.h"
#include "spool/record.h"
#include "spool/spool_internal.h"

/* Mode and group of an unflushed file may be those of its creation. */
static int
mend_mode(int fd, mode_t mode, gid_t gid)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (gid != (gid_t)-1 && st.st_gid != gid && (fchown(fd, (uid_t)-1, gid) < 0 || fstat(fd, &st) < 0))
		return -errno;
	return (st.st_mode & 07777) != mode && fchmod(fd, mode) < 0 ? -errno : 0;
}

static int
mend_mode_at(int dir_fd, const char *name, gid_t gid)
{
	scoped(close_fd) int fd = open_regular_at(dir_fd, name, NULL);

	return fd < 0 ? fd : mend_mode(fd, MODE_RECORD, gid);
}

/* 1: the file is there, as the record has it; 0: it is missing or torn. */
static int
file_is(int dir_fd, const char *name, const void *data, uint64_t len, gid_t gid)
{
	scoped(close_fd) int fd = -EBADF;
	scoped(free_ptr) char *have = NULL;
	off_t size = 0;
	ssize_t n = 0;
	int r = 0;

	fd = open_regular_at(dir_fd, name, &size);
	if (fd < 0)
		return fd == -ENOENT || fd == -EINVAL || fd == -ELOOP ? 0 : fd;
	if ((uint64_t)size != len)
		return 0;
	if (data) {
		have = malloc(len + 1);
		if (!have)
			return -ENOMEM;
		n = pread_full(fd, have, len, 0);
		if (n < 0)
			return (int)n;
		if ((uint64_t)n != len || memcmp(have, data, len) != 0)
			return 0;
	}
	r = mend_mode(fd, MODE_RECORD, gid);
	return r < 0 ? r : 1;
}

static int
mend_file(int dir_fd, const char *name, const void *data, size_t len, gid_t gid)
{
	int r = file_is(dir_fd, name, data, len, gid);

	return r != 0 ? (r < 0 ? r : 0) : replace_file_at(dir_fd, name, data, len, MODE_RECORD, gid);
}

/* The inputs of the record. One that lies outside the journal was flushed, with its folder, before the record was: its size tells
 * whether that was so, and its content is not read at every start-up. */
static int
mend_inputs(int in_fd, gid_t gid, const struct job *job, const struct redo_record *rec, bool pruned)
{
	for (size_t i = 0; i < job->n_inputs; i++) {
		const struct job_input *in = &job->inputs[i];
		const struct redo_blob *blob = &rec->blobs[i];
		int r = 0;

		if (blob->data) {
			r = mend_file(in_fd, in->name, blob->data, blob->len, gid);
		} else {
			r = file_is(in_fd, in->name, NULL, in->size, gid);
			if (r == 0 && !pruned)
				r = -EBADMSG;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int
mend_folder(const struct spool *s, int job_fd, const struct job *job, const struct redo_record *rec, bool pruned)
{
	const gid_t gid = s->groups.gate_gid;
	scoped(close_fd) int in_fd = -EBADF;
	struct job_want want;
	int r = mend_mode(job_fd, MODE_PASS, s->groups.read_gid);

	if (r < 0)
		return r;
	in_fd = make_dir_at(job_fd, JOB_IN, MODE_LIST, gid);
	if (in_fd < 0)
		return in_fd;
	r = mend_inputs(in_fd, gid, job, rec, pruned);
	if (r < 0)
		return r;
	r = exists_at(job_fd, FILE_LOCK);
	if (r == 0)
		r = create_file_at(job_fd, FILE_LOCK, NULL, 0, MODE_OWN_FILE, (gid_t)-1, false);
	if (r < 0)
		return r;
	r = want_load(job_fd, &want);
	/* Torn or missing: all that was wanted since the acceptance stands in the records that follow. */
	if (r == -ENOENT || r == -EBADMSG)
		r = queued_store(job_fd, gid, true);
	else if (r >= 0)
		r = mend_mode_at(job_fd, FILE_STATE, gid);
	if (r < 0)
		return r;
	/* Last, so that a folder with a good job.json is a whole one. */
	return mend_file(job_fd, FILE_JOB, rec->text, rec->text_len, gid);
}

/* Nowhere: from the record alone. */
static int
make_again(const struct spool *s, const struct job *job, const struct redo_record *rec)
{
	scoped(close_fd) int job_fd = -EBADF, in_fd = -EBADF;
	int r = 0;

	for (size_t i = 0; i < rec->n_blobs; i++) {
		if (!rec->blobs[i].data)
			return -EBADMSG;
	}
	r = incoming_begin(s, job->id, &job_fd, &in_fd);
	return r < 0 ? r : mend_folder(s, job_fd, job, rec, false);
}

static int
record_job(const struct redo_record *rec, struct job **ret)
{
	scoped(free_job) struct job *job = NULL;
	int r = job_parse(rec->text, rec->text_len, &job);

	if (r < 0)
		return r;
	if (strcmp(job->id, rec->id) != 0 || job->n_inputs != rec->n_blobs)
		return -EBADMSG;
	for (size_t i = 0; i < job->n_inputs; i++) {
		char hex[SHA256_HEX_SIZE];

		if (rec->blobs[i].len != job->inputs[i].size)
			return -EBADMSG;
		if (!rec->blobs[i].data)
			continue;
		sha256_hex(rec->blobs[i].data, rec->blobs[i].len, hex);
		if (strcmp(hex, job->inputs[i].sha256) != 0)
			return -EBADMSG;
	}
	*ret = take_ptr(job);
	return 0;
}

/* pruned: by a later record, so that its inputs may be gone, rightly. */
static int
replay_accept(const struct spool *s, const struct redo_record *rec, bool pruned)
{
	scoped(free_job) struct job *job = NULL;
	scoped(close_fd) int job_fd = -EBADF;
	int r = record_job(rec, &job);

	if (r < 0)
		return r;
	job_fd = spool_open_job(s, rec->id);
	if (job_fd == -ENOENT)
		job_fd = open_dir_at(s->incoming_fd, rec->id);
	if (job_fd < 0 && job_fd != -ENOENT)
		return job_fd;
	r = job_fd < 0 ? make_again(s, job, rec) : mend_folder(s, job_fd, job, rec, pruned);
	return r < 0 ? r : accept_publish(s, job);
}

/* Which of two states is the later one. A job is started with growing attempts; QUEUED with attempt N takes `start N` back, which
 * never began; a kill is the last word. */
static uint64_t
state_rank(const struct job_want *w)
{
	if (w->want == WANT_KILL)
		return UINT64_MAX;
	return 2 * (uint64_t)w->attempt + (w->want == WANT_QUEUED);
}

static int
replay_state(const struct spool *s, int job_fd, const struct redo_record *rec)
{
	struct job_want wanted, have;
	int r = want_parse(rec->text, rec->text_len, &wanted);

	if (r < 0)
		return r;
	r = exists_at(job_fd, FILE_RESULT);
	if (r != 0)
		return r < 0 ? r : 0;
	r = want_load(job_fd, &have);
	if (r >= 0 && state_rank(&have) >= state_rank(&wanted))
		return 0;
	if (r < 0 && r != -ENOENT && r != -EBADMSG)
		return r;
	return replace_file_at(job_fd, FILE_STATE, rec->text, rec->text_len, MODE_RECORD, s->groups.gate_gid);
}

static int
replay_meta(const struct spool *s, int job_fd, const struct redo_record *rec)
{
	struct job_meta meta = { .note = NULL };
	int r = meta_store(job_fd, s->groups, rec->text, rec->text_len);

	if (r >= 0)
		r = meta_parse(rec->text, rec->text_len, &meta);
	meta_done(&meta);
	if (r >= 0 && meta.callback.state != CALLBACK_PENDING)
		r = spool_clear_pending(s, rec->id);
	return r >= 0 && meta.pruned_usec > 0 ? prune_files(s, rec->id) : r;
}

static int
replay(const struct spool *s, const struct redo_record *rec, bool pruned)
{
	scoped(close_fd) int job_fd = -EBADF;

	if (rec->type == REDO_ACCEPT)
		return replay_accept(s, rec, pruned);
	if (rec->type == REDO_FORGET)
		return accept_forget(s, rec->id);
	job_fd = spool_open_job(s, rec->id);
	if (job_fd == -ENOENT)
		return 0;
	if (job_fd < 0)
		return job_fd;
	if (rec->type == REDO_META)
		return replay_meta(s, job_fd, rec);
	return replay_state(s, job_fd, rec);
}

int
accept_replay(const struct spool *s, const struct redo_record *rec)
{
	return replay(s, rec, false);
}

struct ids {
	char (*ids)[ID_SIZE];	/* sorted once all are there */
	size_t n, cap;
};

struct recovery {
	const struct spool *s;
	struct ids forgotten, pruned;
};

static int
add_id(struct ids *i, const char *id)
{
	if (i->n == i->cap) {
		size_t cap = i->cap ? 2 * i->cap : 64;
		char (*more)[ID_SIZE] = reallocarray(i->ids, cap, sizeof *more);

		if (!more)
			return -ENOMEM;
		i->ids = more;
		i->cap = cap;
	}
	memcpy(i->ids[i->n++], id, ID_SIZE);
	return 0;
}

static int
note_ends(const struct redo_record *rec, void *ctx)
{
	struct recovery *rv = ctx;
	struct job_meta meta = { .note = NULL };

	if (rec->type == REDO_FORGET)
		return add_id(&rv->forgotten, rec->id);
	if (rec->type != REDO_META || meta_parse(rec->text, rec->text_len, &meta) < 0)
		return 0;
	meta_done(&meta);
	return meta.pruned_usec > 0 ? add_id(&rv->pruned, rec->id) : 0;
}

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, ID_SIZE);
}

static void
sort_ids(struct ids *i)
{
	if (i->n > 0)
		qsort(i->ids, i->n, sizeof *i->ids, compare_ids);
}

static bool
has_id(const struct ids *i, const char *id)
{
	return i->n > 0 && bsearch(id, i->ids, i->n, sizeof *i->ids, compare_ids);
}

static int
replay_one(const struct redo_record *rec, void *ctx)
{
	const struct recovery *rv = ctx;

	if (rec->type != REDO_FORGET && has_id(&rv->forgotten, rec->id))
		return 0;
	return replay(rv->s, rec, has_id(&rv->pruned, rec->id));
}

int64_t
accept_recover(const struct spool *s, struct redo *redo)
{
	struct recovery rv = { .s = s };
	int64_t n = redo_replay(redo, note_ends, &rv);

	if (n >= 0) {
		sort_ids(&rv.forgotten);
		sort_ids(&rv.pruned);
		n = redo_replay(redo, replay_one, &rv);
	}
	free(rv.forgotten.ids);
	free(rv.pruned.ids);
	return n;
}
