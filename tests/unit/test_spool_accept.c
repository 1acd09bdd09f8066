#include "config.h"

#include "spool_help.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "spool/accept.h"
#include "spool/index.h"
#include "spool/record.h"

static const char *const inputs[] = { "problem.txt", "some text\n", "empty", "", NULL };
static const char owner[] = "v1:token:lab";

static void
assert_whole(const struct fixture *f, const struct job *job)
{
	scoped(close_fd) int job_fd = spool_open_job(f->s, job->id), in_fd = -EBADF;
	scoped(free_ptr) char *text = NULL, *have = NULL, *first = NULL, *second = NULL;
	struct job_want want;
	struct index_entry page[4];
	size_t len = 0;

	assert_true(job_fd >= 0);
	assert_int_equal(job_format(job, &text, &len), 0);
	have = help_read(job_fd, "job.json");
	assert_string_equal(have, text);
	in_fd = open_dir_at(job_fd, "in");
	assert_true(in_fd >= 0);
	first = help_read(in_fd, "problem.txt");
	assert_string_equal(first, "some text\n");
	second = help_read(in_fd, "empty");
	assert_string_equal(second, "");
	assert_int_equal(want_load(job_fd, &want), 0);
	assert_int_equal(job_locked(job_fd), 0);
	assert_int_equal(help_mode(job_fd, "."), 02710);
	assert_int_equal(help_mode(job_fd, "in"), 02750);
	assert_int_equal(help_mode(job_fd, "job.json"), 0640);
	assert_int_equal(help_mode(job_fd, "state.json"), 0640);
	assert_int_equal(help_mode(in_fd, "problem.txt"), 0640);
	assert_false(help_exists(f->s->incoming_fd, job->id));
	assert_int_equal(help_exists(f->s->active_fd, job->id), !help_exists(job_fd, "result.json"));
	assert_int_equal(index_page(f->s, owner, (struct index_entry){ UINT64_MAX, "" }, page, 4), 1);
	assert_string_equal(page[0].id, job->id);
}

static void
assert_nowhere(const struct fixture *f, const char *id)
{
	struct index_entry page[4];

	assert_int_equal(spool_open_job(f->s, id), -ENOENT);
	assert_false(help_exists(f->s->incoming_fd, id));
	assert_false(help_exists(f->s->active_fd, id));
	assert_false(help_exists(f->s->pending_fd, id));
	assert_int_equal(index_page(f->s, owner, (struct index_entry){ UINT64_MAX, "" }, page, 4), 0);
}

static void
test_incoming_becomes_a_job(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', owner, inputs);
	mode_t old = umask(077);

	help_incoming(f, job, inputs);
	(void)umask(old);
	assert_int_equal(spool_open_job(f->s, job->id), -ENOENT);
	assert_int_equal(accept_publish(f->s, job), 0);
	assert_whole(f, job);
	assert_int_equal(accept_publish(f->s, job), 0);
	assert_whole(f, job);
}

static void
test_incoming_begin_never_touches_another(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', owner, inputs);
	int job_fd = -EBADF, in_fd = -EBADF;

	help_incoming(f, job, inputs);
	assert_int_equal(incoming_begin(f->s, job->id, &job_fd, &in_fd), -EEXIST);
	assert_int_equal(accept_publish(f->s, job), 0);
	assert_whole(f, job);
	assert_int_equal(incoming_begin(f->s, "..", &job_fd, &in_fd), -EINVAL);
}

static void
test_incoming_input_is_checked_and_leaves_nothing(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', owner, inputs);
	scoped(close_fd) int job_fd = -EBADF, in_fd = -EBADF, fd = memory_file_sealed("x", "0123456789", 10), dir = -EBADF;
	struct job_input in = { .name = (char []){ "f" }, .size = 10 };

	assert_int_equal(incoming_begin(f->s, job->id, &job_fd, &in_fd), 0);
	assert_int_equal(incoming_input(in_fd, f->s->groups, fd, 9, 0, &in), -EFBIG);
	in.size = 9;
	assert_int_equal(incoming_input(in_fd, f->s->groups, fd, 100, 0, &in), -ESTALE);
	in.size = 11;
	assert_int_equal(incoming_input(in_fd, f->s->groups, fd, 100, 0, &in), -ESTALE);
	in.name[0] = '.';
	assert_int_equal(incoming_input(in_fd, f->s->groups, fd, 100, 0, &in), -EINVAL);
	in.name[0] = 'f';
	dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(incoming_input(in_fd, f->s->groups, dir, 100, 0, &in), -EISDIR);
	assert_false(help_exists(in_fd, "f"));
	in.size = 10;
	assert_int_equal(incoming_input(in_fd, f->s->groups, fd, 10, 1, &in), 0);
	assert_string_equal(in.sha256, "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882");
	assert_int_equal(incoming_input(in_fd, f->s->groups, fd, 10, 0, &in), -EEXIST);
	incoming_abort(f->s, job->id);
	incoming_abort(f->s, job->id);
	assert_nowhere(f, job->id);
}

static void
test_incoming_input_of_many_chunks(void **state)
{
	enum { SIZE = 3 * 65536 + 17 };
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', owner, NULL);
	scoped(close_fd) int job_fd = -EBADF, in_fd = -EBADF, fd = -EBADF, got = -EBADF;
	scoped(free_ptr) char *data = malloc(SIZE), *back = malloc(SIZE);
	char hex[SHA256_HEX_SIZE];

	assert_non_null(data);
	assert_non_null(back);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (char)(i * 31 >> 3);
	assert_int_equal(incoming_begin(f->s, job->id, &job_fd, &in_fd), 0);
	for (size_t size = SIZE; size > SIZE - 18; size--) {	/* 3 chunks exactly among them */
		struct job_input in = { .name = (char []){ "f" }, .size = size };

		close_fd(&fd);
		fd = memory_file_sealed("x", data, size);
		assert_int_equal(incoming_input(in_fd, f->s->groups, fd, SIZE, 0, &in), 0);
		sha256_hex(data, size, hex);
		assert_string_equal(in.sha256, hex);
		close_fd(&got);
		got = open_regular_at(in_fd, "f", NULL);
		assert_int_equal(pread_full(got, back, SIZE, 0), size);
		assert_memory_equal(back, data, size);
		assert_int_equal(unlinkat(in_fd, "f", 0), 0);
	}
	incoming_abort(f->s, job->id);
}

static void
test_accept_publish_makes_a_missing_folder(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', owner, inputs);

	assert_int_equal(unlinkat(f->s->jobs_fd, "aa", AT_REMOVEDIR), 0);
	assert_int_equal(accept_publish(f->s, job), -ENOENT);
	help_accept(f, job, inputs);
	assert_whole(f, job);
	assert_int_equal(help_mode(f->s->jobs_fd, "aa"), 02710);
}

static void
finish_job(const struct fixture *f, const char *id)
{
	scoped(close_fd) int job_fd = spool_open_job(f->s, id);

	assert_int_equal(result_store_durable(job_fd, f->s->groups, &(struct job_result){ .attempt = 1, .verdict = VERDICT_PASSED }), 0);
	assert_int_equal(spool_clear_active(f->s, id), 0);
}

static void
test_accept_publish_leaves_a_finished_job_finished(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', owner, inputs);

	help_accept(f, job, inputs);
	finish_job(f, job->id);
	assert_int_equal(accept_publish(f->s, job), 0);
	assert_whole(f, job);
}

static void
test_accept_forget_takes_everything(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', owner, inputs);

	for (int i = 0; i < 3; i++) {	/* the second and third meet the first in trash/ */
		help_accept(f, job, inputs);
		help_write(f->s->pending_fd, job->id, "");
		assert_int_equal(accept_forget(f->s, job->id), 0);
		assert_nowhere(f, job->id);
		assert_int_equal(accept_forget(f->s, job->id), 0);
	}
	assert_int_equal(trash_empty(f->s, 0), 3);
	assert_int_equal(trash_empty(f->s, 0), 0);
}

static void
test_accept_forget_of_a_damaged_job(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', owner, inputs);
	scoped(close_fd) int job_fd = -EBADF;

	help_accept(f, job, inputs);
	job_fd = spool_open_job(f->s, job->id);
	help_write(job_fd, "job.json", "");
	assert_int_equal(accept_forget(f->s, job->id), 0);
	assert_nowhere(f, job->id);
}

/* Whatever a reader that still has the folder open meets, it is never a job that runs. */
static void
test_trash_empty_takes_the_state_first(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', owner, inputs);
	scoped(close_fd) int job_fd = -EBADF;
	struct job_status status;

	help_accept(f, job, inputs);
	finish_job(f, job->id);
	job_fd = spool_open_job(f->s, job->id);
	assert_int_equal(accept_forget(f->s, job->id), 0);
	assert_int_equal(status_load(job_fd, &status), 0);
	assert_int_equal(status.state, JOB_FINISHED);
	assert_int_equal(trash_empty(f->s, 0), 1);
	assert_int_equal(status_load(job_fd, &status), -ENOENT);
}

static void
test_accept_drop_work_moves_it_away(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', owner, inputs);
	scoped(close_fd) int job_fd = -EBADF, work_fd = -EBADF;

	help_accept(f, job, inputs);
	assert_int_equal(accept_drop_work(f->s, job->id), 0);
	job_fd = spool_open_job(f->s, job->id);
	for (int i = 0; i < 2; i++) {
		close_fd(&work_fd);
		work_fd = make_dir_at(job_fd, "work", 0750, (gid_t)-1);
		help_write(work_fd, "file", "x");
		assert_int_equal(accept_drop_work(f->s, job->id), 0);
		assert_false(help_exists(job_fd, "work"));
	}
	assert_int_equal(trash_empty(f->s, 0), 2);
	assert_whole(f, job);
}

static void
test_incoming_sweep_and_trash_empty_all(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *a = help_job('a', owner, inputs), *b = help_job('b', owner, inputs);

	help_incoming(f, a, inputs);
	assert_int_equal(trash_empty(f->s, 0), 0);
	assert_int_equal(incoming_sweep(f->s), 0);
	assert_nowhere(f, a->id);
	help_incoming(f, b, inputs);
	assert_int_equal(trash_empty(f->s, 1), 2);
	assert_nowhere(f, b->id);
}

/* ---- the replay ---- */

static void
append(struct redo *r, const struct redo_record *rec)
{
	scoped(free_ptr) void *data = NULL;
	size_t len = 0, done = 0;
	int half = -1;

	assert_int_equal(redo_encode(rec, &data, &len), 0);
	assert_int_equal(redo_append(r, (const void *const[]){ data }, &len, 1, &done, &half), 0);
}

static void
append_text(struct redo *r, enum redo_type type, const char *id, const char *text)
{
	struct redo_record rec = { .type = type, .text = text, .text_len = strlen(text) };

	memcpy(rec.id, id, ID_SIZE);
	append(r, &rec);
}

static void
append_want(struct redo *r, enum redo_type type, const char *id, const struct job_want *want)
{
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;

	assert_int_equal(want_format(want, &text, &len), 0);
	append_text(r, type, id, text);
}

static void
append_accept(struct redo *r, const struct job *job)
{
	struct redo_record rec;
	struct redo_blob blobs[INPUTS_MAX];
	scoped(free_ptr) char *text = NULL;

	help_accept_record(job, inputs, &rec, blobs, &text);
	append(r, &rec);
}

/* As a new helper does it. */
static int64_t
recover(const struct fixture *f, struct redo **r)
{
	int64_t n = 0;

	*r = redo_free(*r);
	assert_int_equal(redo_open(f->s, 0, r), 0);
	n = accept_recover(f->s, *r);
	if (n >= 0)
		assert_int_equal(incoming_sweep(f->s), 0);
	return n;
}

static void
test_replay_makes_a_job_from_the_record_alone(void **state)
{
	const struct fixture *f = *state;
	scoped(free_redo) struct redo *r = NULL;
	scoped(free_job) struct job *job = help_job('a', owner, inputs);

	assert_int_equal(redo_open(f->s, 0, &r), 0);
	append_accept(r, job);
	assert_int_equal(recover(f, &r), 1);
	assert_whole(f, job);
	assert_int_equal(recover(f, &r), 1);
	assert_whole(f, job);
}

static unsigned rnd_state = 12345;

static unsigned
rnd(unsigned below)
{
	rnd_state = rnd_state * 1103515245 + 12345;
	return rnd_state >> 16 & 0x7fff ? (rnd_state >> 16 & 0x7fff) % below : 0;
}

/* What a power cut may leave of an unflushed file. */
static void
tear(int dir_fd, const char *name)
{
	scoped(close_fd) int fd = -EBADF;
	struct stat st;

	if (fstatat(dir_fd, name, &st, 0) < 0)
		return;
	switch (rnd(6)) {
	case 0:
		assert_int_equal(unlinkat(dir_fd, name, 0), 0);
		break;
	case 1:	/* the name, not the content */
		help_write(dir_fd, name, "");
		break;
	case 2:	/* the size, not the content */
		fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(ftruncate(fd, st.st_size), 0);
		break;
	case 3:	/* nor its mode */
		assert_int_equal(fchmodat(dir_fd, name, 0600, 0), 0);
		break;
	default:
		break;
	}
}

static void
tear_folder(int parent_fd, const char *name)
{
	scoped(close_fd) int job_fd = open_dir_at(parent_fd, name), in_fd = -EBADF;

	if (job_fd < 0)
		return;
	tear(job_fd, "job.json");
	tear(job_fd, "state.json");
	tear(job_fd, "meta.json");
	if (rnd(5) == 0)
		assert_int_equal(unlinkat(job_fd, "lock", 0), 0);
	in_fd = open_dir_at(job_fd, "in");
	tear(in_fd, "problem.txt");
	tear(in_fd, "empty");
	if (rnd(8) == 0) {
		(void)unlinkat(in_fd, "problem.txt", 0);
		(void)unlinkat(in_fd, "empty", 0);
		assert_int_equal(unlinkat(job_fd, "in", AT_REMOVEDIR), 0);
	}
	if (rnd(6) == 0)
		assert_int_equal(fchmod(job_fd, 0700), 0);
}

/* A job in any of its states, torn in any way that unflushed files can be: the replay gives the same job, in the same state, and
 * what the supervisor wrote stays. */
static void
test_replay_mends_whatever_was_torn(void **state)
{
	struct fixture *f = *state;
	const struct job_want start = { WANT_START, 1, "11111111-2222-3333-4444-555555555555", "", 7 };
	const struct job_want kill = { WANT_KILL, 1, "11111111-2222-3333-4444-555555555555", "client", 8 };
	const struct job_run run = { .attempt = 1, .pid = 5, .boot = "11111111-2222-3333-4444-555555555555" };

	for (int round = 0; round < 400; round++) {
		scoped(free_redo) struct redo *r = NULL;
		scoped(free_job) struct job *job = help_job(0, owner, inputs);
		unsigned progress = rnd(6), forgotten = rnd(8) == 0;	/* accepted, started, begun, killed, finished, with meta */
		struct job_want want;

		assert_int_equal(redo_open(f->s, 0, &r), 0);
		append_accept(r, job);
		help_incoming(f, job, inputs);
		if (progress > 0 || rnd(2))
			assert_int_equal(accept_publish(f->s, job), 0);
		if (progress >= 1) {
			scoped(close_fd) int job_fd = spool_open_job(f->s, job->id);

			append_want(r, REDO_START, job->id, &start);
			if (rnd(4) > 0)
				assert_int_equal(want_store(job_fd, f->s->groups, &start), 0);
			if (progress >= 2)
				assert_int_equal(run_store(job_fd, f->s->groups, &run), 0);
			if (progress >= 3) {
				append_want(r, REDO_KILL, job->id, &kill);
				if (rnd(4) > 0)
					assert_int_equal(want_store(job_fd, f->s->groups, &kill), 0);
			}
			if (progress >= 4)
				finish_job(f, job->id);
			if (progress >= 5) {
				append_text(r, REDO_META, job->id, "{\"v\":1,\"name\":\"old\"}");
				append_text(r, REDO_META, job->id, "{\"v\":1,\"name\":\"new\"}");
				assert_int_equal(meta_store(job_fd, f->s->groups, "{\"v\":1,\"name\":\"new\"}", 20), 0);
			}
		}
		if (forgotten) {
			append_text(r, REDO_FORGET, job->id, "");
			if (rnd(2))
				assert_int_equal(accept_forget(f->s, job->id), 0);
			if (rnd(2))
				assert_int_equal(trash_empty(f->s, 0) >= 0, 1);
		}
		{
			char xx[3] = { job->id[0], job->id[1], '\0' };
			scoped(close_fd) int xx_fd = open_dir_at(f->s->jobs_fd, xx);

			tear_folder(xx_fd, job->id);
			tear_folder(f->s->incoming_fd, job->id);
			if (progress < 4 && rnd(3) == 0)
				assert_int_equal(spool_clear_active(f->s, job->id), 0);
			if (rnd(3) == 0)
				assert_int_equal(index_remove(f->s, owner, job->accepted_usec, job->id), 0);
		}
		for (int again = 0; again < 2; again++) {
			assert_true(recover(f, &r) > 0);
			assert_int_equal(redo_reset(r), 0);
			if (forgotten) {
				assert_nowhere(f, job->id);
				continue;
			}
			assert_whole(f, job);
			{
				scoped(close_fd) int job_fd = spool_open_job(f->s, job->id);
				scoped(free_ptr) char *meta = help_read(job_fd, "meta.json");
				struct job_run have;
				struct job_result res;

				assert_int_equal(want_load(job_fd, &want), 0);
				assert_int_equal(run_load(job_fd, &have), progress >= 2 ? 0 : -ENOENT);
				assert_int_equal(result_load(job_fd, &res), progress >= 4 ? 0 : -ENOENT);
				if (progress >= 5)
					assert_string_equal(meta, "{\"v\":1,\"name\":\"new\"}");
				if (progress < 4)
					assert_int_equal(want.want, progress == 0 ? WANT_QUEUED : progress < 3 ? WANT_START : WANT_KILL);
				if (progress >= 1 && progress < 4) {
					assert_int_equal(want.attempt, 1);
					assert_string_equal(want.boot, start.boot);
				}
			}
		}
		if (!forgotten)
			assert_int_equal(accept_forget(f->s, job->id), 0);
		assert_int_equal(trash_empty(f->s, 1) >= 0, 1);
		r = redo_free(r);
		assert_int_equal(unlinkat(f->s->root_fd, "redo", 0), 0);
	}
}

static void
test_replay_never_takes_a_state_back(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', owner, inputs);
	scoped(close_fd) int job_fd = -EBADF;
	static const struct job_want order[] = {
		{ WANT_QUEUED, 0, "", "", 1 }, { WANT_START, 1, "", "", 2 }, { WANT_QUEUED, 1, "", "", 3 }, { WANT_START, 2, "", "", 4 },
		{ WANT_KILL, 2, "", "client", 5 },
	};
	enum { N = sizeof order / sizeof *order };

	help_accept(f, job, inputs);
	job_fd = spool_open_job(f->s, job->id);
	for (size_t have = 0; have < N; have++) {
		for (size_t rec = 1; rec < N; rec++) {
			scoped(free_ptr) char *text = NULL;
			struct redo_record record = { .type = rec == N - 1 ? REDO_KILL : REDO_START };
			struct job_want after;

			if (order[rec].want == WANT_QUEUED)
				continue;
			memcpy(record.id, job->id, ID_SIZE);
			assert_int_equal(want_format(&order[rec], &text, &record.text_len), 0);
			record.text = text;
			assert_int_equal(want_store(job_fd, f->s->groups, &order[have]), 0);
			assert_int_equal(accept_replay(f->s, &record), 0);
			assert_int_equal(want_load(job_fd, &after), 0);
			assert_int_equal(after.at_usec, order[have > rec ? have : rec].at_usec);
		}
	}
}

static void
test_replay_of_large_inputs(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', owner, inputs), *other = help_job('b', "v1:token:other", inputs);
	scoped(free_ptr) char *text = NULL, *other_text = NULL;
	struct redo_blob blobs[INPUTS_MAX], other_blobs[INPUTS_MAX];
	struct redo_record rec, other_rec;
	scoped(close_fd) int job_fd = -EBADF, in_fd = -EBADF;
	scoped(free_redo) struct redo *r = NULL;

	/* Outside the journal: taken from incoming/ or jobs/, where its size proves that it was flushed. */
	help_accept_record(job, inputs, &rec, blobs, &text);
	blobs[0].data = NULL;
	assert_int_equal(accept_replay(f->s, &rec), -EBADMSG);
	help_incoming(f, job, inputs);
	assert_int_equal(accept_replay(f->s, &rec), 0);
	assert_whole(f, job);
	assert_int_equal(accept_replay(f->s, &rec), 0);
	job_fd = spool_open_job(f->s, job->id);
	in_fd = open_dir_at(job_fd, "in");
	help_write(in_fd, "problem.txt", "");
	assert_int_equal(accept_replay(f->s, &rec), -EBADMSG);
	/* But one that a later record forgets may be gone with its inputs. */
	assert_int_equal(redo_open(f->s, 0, &r), 0);
	help_accept_record(other, inputs, &other_rec, other_blobs, &other_text);
	other_blobs[0].data = NULL;
	append(r, &other_rec);
	append_text(r, REDO_FORGET, other->id, "");
	assert_int_equal(recover(f, &r), 2);
	assert_int_equal(spool_open_job(f->s, other->id), -ENOENT);
}

static void
test_replay_refuses_records_that_contradict_themselves(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', owner, inputs);
	scoped(free_ptr) char *text = NULL;
	struct redo_blob blobs[INPUTS_MAX];
	struct redo_record rec, bad;

	help_accept_record(job, inputs, &rec, blobs, &text);
	bad = rec;
	bad.id[0] = 'b';
	assert_int_equal(accept_replay(f->s, &bad), -EBADMSG);
	bad = rec;
	bad.n_blobs = 1;
	assert_int_equal(accept_replay(f->s, &bad), -EBADMSG);
	blobs[0].data = "other text";
	assert_int_equal(accept_replay(f->s, &rec), -EBADMSG);
	blobs[0].data = inputs[1];
	blobs[0].len--;
	assert_int_equal(accept_replay(f->s, &rec), -EBADMSG);
	assert_nowhere(f, job->id);
}

static void
test_replay_skips_jobs_that_are_not_there(void **state)
{
	const struct fixture *f = *state;
	static const enum redo_type types[] = { REDO_START, REDO_KILL, REDO_META, REDO_FORGET };

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct redo_record rec = { .type = types[i], .id = "cccccccccccccccccccccccccccccccc", .text = "{\"v\":1}", .text_len = 7 };

		assert_int_equal(accept_replay(f->s, &rec), 0);
		assert_nowhere(f, rec.id);
	}
}

int
main(void)
{
#define IN_SPOOL(test) cmocka_unit_test_setup_teardown(test, spool_setup, spool_teardown)
	const struct CMUnitTest tests[] = {
		IN_SPOOL(test_incoming_becomes_a_job),
		IN_SPOOL(test_incoming_begin_never_touches_another),
		IN_SPOOL(test_incoming_input_is_checked_and_leaves_nothing),
		IN_SPOOL(test_incoming_input_of_many_chunks),
		IN_SPOOL(test_accept_publish_makes_a_missing_folder),
		IN_SPOOL(test_accept_publish_leaves_a_finished_job_finished),
		IN_SPOOL(test_accept_forget_takes_everything),
		IN_SPOOL(test_accept_forget_of_a_damaged_job),
		IN_SPOOL(test_trash_empty_takes_the_state_first),
		IN_SPOOL(test_accept_drop_work_moves_it_away),
		IN_SPOOL(test_incoming_sweep_and_trash_empty_all),
		IN_SPOOL(test_replay_makes_a_job_from_the_record_alone),
		IN_SPOOL(test_replay_mends_whatever_was_torn),
		IN_SPOOL(test_replay_never_takes_a_state_back),
		IN_SPOOL(test_replay_of_large_inputs),
		IN_SPOOL(test_replay_refuses_records_that_contradict_themselves),
		IN_SPOOL(test_replay_skips_jobs_that_are_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
