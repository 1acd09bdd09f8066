#include "config.h"

#include "spool_help.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "spool/accept.h"
#include "spool/check.h"
#include "spool/index.h"
#include "spool/manifest.h"
#include "spool/meta.h"
#include "spool/record.h"

static const char *const inputs[] = { "problem.txt", "some text\n", NULL };
static const char owner[] = "v1:token:lab";
static const char queued_id[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char running_id[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
static const char finished_id[] = "cccccccccccccccccccccccccccccccc";
static const char no_id[] = "dddddddddddddddddddddddddddddddd";

/* One job of each state, as a helper at work has them. */
struct scene {
	struct fixture *f;
	int running_lock;
	struct job_result result;
	struct check_report rep;
	char said[16384];
};

static void
keep_output(int work_fd, struct strbuf *manifest, const char *name, const char *text, struct job_result *res)
{
	struct manifest_entry e = { .size = strlen(text), .mode = 0640, .path = strdup(name) };

	help_write(work_fd, name, text);
	assert_int_equal(fchmodat(work_fd, name, 0640, 0), 0);
	sha256_hex(text, strlen(text), e.sha256);
	assert_int_equal(manifest_add(manifest, &e), 0);
	free(e.path);
	res->output_files++;
	res->output_bytes += strlen(text);
}

static void
finish(const struct scene *sc, const char *id, struct job_result *res)
{
	scoped(close_fd) int job_fd = spool_open_job(sc->f->s, id), work_fd = -EBADF, sub = -EBADF;
	scoped(strbuf_done) struct strbuf manifest = STRBUF_INIT(4096);
	struct job_want want = { .want = WANT_START, .attempt = 1 };
	struct job_run run = { .attempt = 1, .pid = 1, .boot = "none" };
	struct manifest_entry folder = { .mode = 02750, .path = (char []){ "d" } };

	*res = (struct job_result){ .attempt = 1, .verdict = VERDICT_PASSED, .log_bytes = 4 };
	assert_int_equal(want_store(job_fd, sc->f->s->groups, &want), 0);
	assert_int_equal(run_store(job_fd, sc->f->s->groups, &run), 0);
	work_fd = make_dir_at(job_fd, "work", 02750, (gid_t)-1);
	keep_output(work_fd, &manifest, "out.txt", "result\n", res);
	sub = make_dir_at(work_fd, "d", 02750, (gid_t)-1);
	assert_int_equal(manifest_add(&manifest, &folder), 0);
	keep_output(work_fd, &manifest, "d/a b", "", res);
	help_write(job_fd, "manifest", strbuf_str(&manifest));
	help_write(job_fd, "log", "log\n");
	assert_int_equal(ended_store(job_fd, sc->f->s->groups, res), 0);
	assert_int_equal(result_store_durable(job_fd, sc->f->s->groups, res), 0);
	assert_int_equal(spool_clear_active(sc->f->s, id), 0);
}

static int
setup(void **state)
{
	struct scene *sc = calloc(1, sizeof *sc);
	scoped(free_job) struct job *queued = NULL, *running = NULL, *finished = NULL;
	scoped(close_fd) int job_fd = -EBADF;
	struct job_want want = { .want = WANT_START, .attempt = 1 };
	struct job_run run = { .attempt = 1, .pid = 1 };
	void *fixture = NULL;

	assert_non_null(sc);
	(void)umask(022);
	assert_int_equal(spool_setup(&fixture), 0);
	sc->f = fixture;
	queued = help_job('a', owner, inputs);
	running = help_job('b', owner, inputs);
	finished = help_job('c', "stamina:ip:192.0.2.7", inputs);
	queued->key = strdup("name");
	sha256_hex("once", 4, queued->once);
	sha256_hex("what", 4, queued->once_sha256);
	help_accept(sc->f, queued, inputs);
	help_accept(sc->f, running, inputs);
	help_accept(sc->f, finished, inputs);
	job_fd = spool_open_job(sc->f->s, running_id);
	assert_int_equal(boot_id(want.boot), 0);
	memcpy(run.boot, want.boot, sizeof run.boot);
	assert_int_equal(want_store(job_fd, sc->f->s->groups, &want), 0);
	assert_int_equal(run_store(job_fd, sc->f->s->groups, &run), 0);
	assert_int_equal(result_reserve(job_fd, sc->f->s->groups), 0);
	sc->running_lock = job_lock(job_fd);
	assert_true(sc->running_lock >= 0);
	finish(sc, finished_id, &sc->result);
	*state = sc;
	return 0;
}

static int
teardown(void **state)
{
	struct scene *sc = *state;
	void *fixture = sc->f;

	close_fd(&sc->running_lock);
	free(sc);
	return spool_teardown(&fixture);
}

static void
hear(enum check_level level, const char *text, void *ctx)
{
	struct scene *sc = ctx;
	size_t len = strlen(sc->said);

	(void)snprintf(sc->said + len, sizeof sc->said - len, "%s: %s\n", level == CHECK_BROKEN ? "broken" : "stale", text);
}

static int
check(struct scene *sc, bool running, bool repair)
{
	sc->said[0] = '\0';
	return spool_check(sc->f->path, running, repair, hear, sc, &sc->rep);
}

static void
assert_clean(struct scene *sc)
{
	int r = check(sc, false, false);

	assert_string_equal(sc->said, "");
	assert_int_equal(r, 0);
	assert_int_equal(sc->rep.broken + sc->rep.stale + sc->rep.repaired, 0);
}

static void
test_check_finds_nothing_wrong_with_a_good_spool(void **state)
{
	struct scene *sc = *state;
	scoped(free_redo) struct redo *redo = NULL;

	assert_clean(sc);
	assert_int_equal(sc->rep.jobs, 3);
	assert_int_equal(sc->rep.finished, 1);
	assert_int_equal(sc->rep.active, 2);
	assert_int_equal(redo_open(sc->f->s, 0, &redo), 0);
	assert_clean(sc);
	assert_int_equal(check(sc, false, true), 0);
	assert_string_equal(sc->said, "");
	assert_int_equal(check(sc, true, false), 0);
	assert_string_equal(sc->said, "");
}

/* ---- one thing wrong at a time ---- */

static int
job_folder(const struct scene *sc, const char *id)
{
	int fd = spool_open_job(sc->f->s, id);

	assert_true(fd >= 0);
	return fd;
}

static void
write_in_job(const struct scene *sc, const char *id, const char *name, const char *text)
{
	scoped(close_fd) int fd = job_folder(sc, id);

	help_write(fd, name, text);
	assert_int_equal(fchmodat(fd, name, 0640, 0), 0);
}

static void
unlink_in_job(const struct scene *sc, const char *id, const char *name)
{
	scoped(close_fd) int fd = job_folder(sc, id);

	assert_int_equal(unlinkat(fd, name, 0), 0);
}

static void
chmod_in_job(const struct scene *sc, const char *id, const char *name, mode_t mode)
{
	scoped(close_fd) int fd = job_folder(sc, id);

	assert_int_equal(fchmodat(fd, name, mode, 0), 0);
}

static void torn_record(struct scene *sc) { write_in_job(sc, queued_id, "job.json", ""); }
static void torn_state(struct scene *sc) { write_in_job(sc, queued_id, "state.json", ""); }
static void torn_result(struct scene *sc) { write_in_job(sc, finished_id, "result.json", "{"); }
static void torn_run(struct scene *sc) { write_in_job(sc, finished_id, "run.json", ""); }
static void torn_manifest(struct scene *sc) { write_in_job(sc, finished_id, "manifest", "x"); }
static void torn_input(struct scene *sc) { write_in_job(sc, queued_id, "in/problem.txt", "some tex!\n"); }
static void short_input(struct scene *sc) { write_in_job(sc, finished_id, "in/problem.txt", ""); }
static void missing_input(struct scene *sc) { unlink_in_job(sc, queued_id, "in/problem.txt"); }
static void stray_input(struct scene *sc) { write_in_job(sc, queued_id, "in/other", ""); }
static void temporary_input(struct scene *sc) { write_in_job(sc, queued_id, "in/.problem.txt.0123", ""); }
static void temporary_file(struct scene *sc) { write_in_job(sc, finished_id, ".state.json.0123", ""); }
static void stray_file(struct scene *sc) { write_in_job(sc, finished_id, "core", ""); }
static void open_file(struct scene *sc) { chmod_in_job(sc, queued_id, "state.json", 0644); }
static void closed_folder(struct scene *sc) { chmod_in_job(sc, queued_id, ".", 0700); }
static void missing_lock(struct scene *sc) { unlink_in_job(sc, queued_id, "lock"); }
static void second_verdict(struct scene *sc) { write_in_job(sc, finished_id, "result.new", "{}"); }
static void changed_output(struct scene *sc) { write_in_job(sc, finished_id, "work/out.txt", "tluser\n"); }
static void short_output(struct scene *sc) { write_in_job(sc, finished_id, "work/out.txt", ""); }
static void missing_output(struct scene *sc) { unlink_in_job(sc, finished_id, "work/d/a b"); }
static void stray_output(struct scene *sc) { write_in_job(sc, finished_id, "work/d/more", ""); }
static void open_output(struct scene *sc) { chmod_in_job(sc, finished_id, "work/out.txt", 0666); }
static void open_work(struct scene *sc) { chmod_in_job(sc, finished_id, "work", 0777); }
static void short_log(struct scene *sc) { write_in_job(sc, finished_id, "log", ""); }
static void missing_manifest(struct scene *sc) { unlink_in_job(sc, finished_id, "manifest"); }
static void stray_active(struct scene *sc) { help_write(sc->f->s->active_fd, no_id, ""); }
static void wrong_active(struct scene *sc) { help_write(sc->f->s->active_fd, "readme", ""); }
static void stray_pending(struct scene *sc) { help_write(sc->f->s->pending_fd, no_id, ""); }
static void early_pending(struct scene *sc) { help_write(sc->f->s->pending_fd, queued_id, ""); }
static void finished_active(struct scene *sc) { assert_int_equal(spool_mark_active(sc->f->s, finished_id), 0); }
static void lost_active(struct scene *sc) { assert_int_equal(spool_clear_active(sc->f->s, running_id), 0); }
static void stray_root(struct scene *sc) { help_write(sc->f->s->root_fd, "notes", ""); }
static void temporary_root(struct scene *sc) { help_write(sc->f->s->root_fd, ".redo.new", ""); }
static void stray_xx(struct scene *sc) { assert_int_equal(mkdirat(sc->f->s->jobs_fd, "abc", 0700), 0); }
static void stray_job(struct scene *sc) { help_write(sc->f->s->jobs_fd, "aa/x", ""); }
static void stray_key(struct scene *sc) { assert_int_equal(index_key_set(sc->f->s, "v1", "k", no_id), 0); }
static void foreign_key(struct scene *sc) { assert_int_equal(index_key_set(sc->f->s, "mip", "1", queued_id), 0); }
static void others_key(struct scene *sc) { assert_int_equal(index_key_set(sc->f->s, "v1", "other", queued_id), 0); }
static void missing_key(struct scene *sc) { assert_int_equal(index_key_remove(sc->f->s, "v1", "name", queued_id), 0); }
static void taken_key(struct scene *sc) { assert_int_equal(index_key_set(sc->f->s, "v1", "name", running_id), 0); }
static void
say_pruned(struct scene *sc, const char *id)
{
	static const char text[] = "{\"v\":1,\"pruned_usec\":1770000000000000}";
	scoped(close_fd) int fd = job_folder(sc, id);

	assert_int_equal(meta_store(fd, sc->f->s->groups, text, sizeof text - 1), 0);
}

static void half_pruned(struct scene *sc) { say_pruned(sc, finished_id); }
static void live_pruned(struct scene *sc) { say_pruned(sc, running_id); assert_int_equal(prune_files(sc->f->s, running_id), 0); }
static void torn_meta(struct scene *sc) { write_in_job(sc, finished_id, "meta.json", "{\"v\":1,"); }
static void torn_journal(struct scene *sc) { help_write(sc->f->s->root_fd, "redo", "x"); }

static void
linked_output(struct scene *sc)
{
	scoped(close_fd) int fd = job_folder(sc, finished_id);

	assert_int_equal(unlinkat(fd, "work/out.txt", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", fd, "work/out.txt"), 0);
}

static void
folder_for_a_file(struct scene *sc)
{
	scoped(close_fd) int fd = job_folder(sc, queued_id);

	assert_int_equal(unlinkat(fd, "lock", 0), 0);
	assert_int_equal(mkdirat(fd, "lock", 0700), 0);
}

static void
in_two_places(struct scene *sc)
{
	assert_int_equal(mkdirat(sc->f->s->trash_fd, finished_id, 0700), 0);
}

static void
in_the_wrong_folder(struct scene *sc)
{
	assert_int_equal(mkdirat(sc->f->s->jobs_fd, "ab/dddddddddddddddddddddddddddddddd", 02710), 0);
}

static void
anothers_record(struct scene *sc)
{
	scoped(close_fd) int fd = job_folder(sc, queued_id), other = job_folder(sc, running_id);
	scoped(free_ptr) char *text = help_read(other, "job.json");

	help_write(fd, "job.json", text);
}

static void
missing_index(struct scene *sc)
{
	assert_int_equal(index_remove(sc->f->s, owner, 1770000000000000, queued_id), 0);
}

static void
stray_index(struct scene *sc)
{
	assert_int_equal(index_add(sc->f->s, owner, 5, no_id), 0);
}

static void
foreign_index(struct scene *sc)
{
	assert_int_equal(index_add(sc->f->s, "v1:token:thief", 1770000000000000, queued_id), 0);
}

static void
incoming_left(struct scene *sc)
{
	scoped(close_fd) int job_fd = -EBADF, in_fd = -EBADF;

	assert_int_equal(incoming_begin(sc->f->s, no_id, &job_fd, &in_fd), 0);
}

static void
trash_left(struct scene *sc)
{
	assert_int_equal(mkdirat(sc->f->s->trash_fd, no_id, 0700), 0);
}

static void
verdict_of_another_attempt(struct scene *sc)
{
	scoped(close_fd) int fd = job_folder(sc, finished_id);

	assert_int_equal(want_store(fd, sc->f->s->groups, &(struct job_want){ .want = WANT_START, .attempt = 2 }), 0);
}

static void
passed_without_an_attempt(struct scene *sc)
{
	scoped(close_fd) int fd = job_folder(sc, finished_id);

	sc->result.attempt = 0;
	assert_int_equal(result_store_durable(fd, sc->f->s->groups, &sc->result), 0);
}

static void
begun_without_being_wanted(struct scene *sc)
{
	scoped(close_fd) int fd = job_folder(sc, queued_id);

	assert_int_equal(run_store(fd, sc->f->s->groups, &(struct job_run){ .attempt = 1, .pid = 1 }), 0);
}

static void
miscounted_outputs(struct scene *sc)
{
	scoped(close_fd) int fd = job_folder(sc, finished_id);

	sc->result.output_bytes++;
	assert_int_equal(result_store_durable(fd, sc->f->s->groups, &sc->result), 0);
}

static void
jail_left(struct scene *sc)
{
	scoped(close_fd) int fd = job_folder(sc, finished_id);
	struct job_run run = { .attempt = 1, .pid = 1, .init_pid = getpid() };

	assert_int_equal(boot_id(run.boot), 0);
	assert_int_equal(process_start_time(getpid(), &run.init_ticks), 0);
	assert_int_equal(run_store(fd, sc->f->s->groups, &run), 0);
}

static void
lock_without_run(struct scene *sc)
{
	unlink_in_job(sc, running_id, "run.json");
}

static void
finished_and_locked(struct scene *sc)
{
	scoped(close_fd) int fd = job_folder(sc, running_id);
	struct job_result res = { .attempt = 1, .verdict = VERDICT_LOST };

	assert_int_equal(result_store_durable(fd, sc->f->s->groups, &res), 0);
	assert_int_equal(spool_clear_active(sc->f->s, running_id), 0);
}

struct fault {
	const char *name;
	void (*make)(struct scene *sc);
	unsigned broken, stale;	/* what is told; more where one thing breaks several rules */
	bool repairable;
};

#define FAULT(f, broken, stale, repairable) { #f, f, broken, stale, repairable }
static const struct fault faults[] = {
	FAULT(torn_record, 1, 0, false), FAULT(torn_state, 1, 0, false), FAULT(torn_result, 1, 0, false),
	FAULT(torn_run, 1, 0, false), FAULT(torn_manifest, 1, 0, false), FAULT(torn_input, 1, 0, false),
	FAULT(short_input, 1, 0, false), FAULT(missing_input, 1, 0, false), FAULT(stray_input, 1, 0, false),
	FAULT(temporary_input, 0, 1, true), FAULT(temporary_file, 0, 1, true), FAULT(stray_file, 1, 0, false),
	FAULT(open_file, 1, 0, false), FAULT(closed_folder, 1, 0, false), FAULT(missing_lock, 1, 0, true),
	FAULT(second_verdict, 0, 1, true), FAULT(changed_output, 1, 0, false), FAULT(short_output, 1, 0, false),
	FAULT(missing_output, 2, 0, false), FAULT(stray_output, 1, 0, false), FAULT(open_output, 1, 0, false),
	FAULT(open_work, 1, 0, false), FAULT(short_log, 1, 0, false), FAULT(missing_manifest, 1, 0, false),
	FAULT(stray_active, 0, 1, true), FAULT(wrong_active, 1, 0, false), FAULT(stray_pending, 0, 1, true),
	FAULT(early_pending, 1, 0, false), FAULT(finished_active, 0, 1, true), FAULT(lost_active, 1, 0, true),
	FAULT(stray_root, 0, 1, false), FAULT(temporary_root, 0, 1, true), FAULT(stray_xx, 1, 0, false),
	FAULT(stray_job, 1, 0, false), FAULT(stray_key, 0, 1, true), FAULT(foreign_key, 1, 0, false),
	FAULT(others_key, 0, 1, true), FAULT(missing_key, 1, 0, true), FAULT(taken_key, 1, 1, true),
	FAULT(half_pruned, 0, 3, true), FAULT(live_pruned, 1, 1, false), FAULT(torn_meta, 1, 0, false),
	FAULT(torn_journal, 1, 0, false), FAULT(linked_output, 1, 0, false), FAULT(folder_for_a_file, 1, 0, false),
	FAULT(in_two_places, 1, 1, false), FAULT(in_the_wrong_folder, 1, 0, false), FAULT(anothers_record, 1, 0, false),
	FAULT(missing_index, 1, 0, true), FAULT(stray_index, 0, 1, true), FAULT(foreign_index, 1, 0, true),
	FAULT(incoming_left, 0, 1, true), FAULT(trash_left, 0, 1, true), FAULT(verdict_of_another_attempt, 1, 0, false),
	FAULT(passed_without_an_attempt, 1, 0, false), FAULT(begun_without_being_wanted, 1, 0, false),
	FAULT(miscounted_outputs, 1, 0, false), FAULT(jail_left, 1, 0, false), FAULT(lock_without_run, 1, 0, false),
	FAULT(finished_and_locked, 1, 0, false),
};

/* valgrind 3.19 does not know pidfd_open(2). */
static bool
no_pidfd(void)
{
	scoped(close_fd) int fd = pidfd_open_pid(getpid());

	return fd == -ENOSYS;
}

static void
test_check_finds_each_fault(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		const struct fault *t = &faults[i];
		struct scene *sc = NULL;
		void *own = NULL;
		int r = 0;

		if (t->make == jail_left && no_pidfd())
			continue;
		assert_int_equal(setup(&own), 0);
		sc = own;
		t->make(sc);
		r = check(sc, false, false);
		if (sc->rep.broken != t->broken || sc->rep.stale != t->stale || r != (int)t->broken)
			fail_msg("%s: %llu broken, %llu stale, returned %d\n%s", t->name, (unsigned long long)sc->rep.broken,
			    (unsigned long long)sc->rep.stale, r, sc->said);
		r = check(sc, false, true);
		if (t->repairable) {
			if (r != 0 || sc->rep.repaired == 0)
				fail_msg("%s: not repaired: %d\n%s", t->name, r, sc->said);
			r = check(sc, false, false);
			if (r != 0 || sc->rep.stale != 0)
				fail_msg("%s: after the repair: %d\n%s", t->name, r, sc->said);
		} else if (t->broken > 0) {
			assert_true(r > 0);
		}
		assert_int_equal(teardown(&own), 0);
	}
}

static void
test_check_takes_what_the_contracts_allow(void **state)
{
	struct scene *sc = *state;
	scoped(close_fd) int fd = job_folder(sc, queued_id);
	struct job_result never = { .attempt = 0, .verdict = VERDICT_KILLED, .by = "client", .exit_code = -1 };

	/* Killed while queued: no work, no manifest, no attempt. */
	assert_int_equal(result_store_durable(fd, sc->f->s->groups, &never), 0);
	assert_int_equal(spool_clear_active(sc->f->s, queued_id), 0);
	assert_clean(sc);
	assert_int_equal(sc->rep.finished, 2);
	/* Its files taken away, its record kept. */
	say_pruned(sc, finished_id);
	assert_int_equal(prune_files(sc->f->s, finished_id), 0);
	assert_int_equal(prune_files(sc->f->s, finished_id), 0);
	assert_int_equal(trash_empty(sc->f->s, 0), 2);
	assert_clean(sc);
}

static void
test_check_counts_the_journal_as_what_the_next_start_does(void **state)
{
	struct scene *sc = *state;
	scoped(free_job) struct job *job = help_job('d', owner, inputs), *large = help_job('e', owner, inputs);
	scoped(free_redo) struct redo *redo = NULL;
	scoped(free_ptr) char *text = NULL, *large_text = NULL;
	struct redo_blob blobs[INPUTS_MAX], large_blobs[INPUTS_MAX];
	struct redo_record rec[2];
	void *data[2];
	size_t lens[2], done = 0;
	int half = -1;

	assert_int_equal(redo_open(sc->f->s, 0, &redo), 0);
	help_accept_record(job, inputs, &rec[0], blobs, &text);
	help_accept_record(large, inputs, &rec[1], large_blobs, &large_text);
	large_blobs[0].data = NULL;
	assert_int_equal(redo_encode(&rec[0], &data[0], &lens[0]), 0);
	assert_int_equal(redo_encode(&rec[1], &data[1], &lens[1]), 0);
	assert_int_equal(redo_append(redo, (const void *const *)data, lens, 2, &done, &half), 0);
	free(data[0]);
	free(data[1]);
	/* The one can be made from its record; the other's inputs are nowhere. */
	assert_int_equal(check(sc, false, false), 1);
	assert_int_equal(sc->rep.stale, 2);
	help_incoming(sc->f, large, inputs);
	assert_int_equal(check(sc, false, false), 0);
	assert_int_equal(sc->rep.stale, 2);
	assert_int_equal(check(sc, false, true), 0);
	assert_clean(sc);
	assert_int_equal(sc->rep.jobs, 5);
	/* What is torn of a job in the journal is not lost; without the helper only, who has done it long ago. */
	write_in_job(sc, job->id, "job.json", "");
	assert_int_equal(check(sc, false, false), 0);
	assert_int_equal(sc->rep.stale, 1);
	assert_int_equal(check(sc, false, true), 0);
	assert_clean(sc);
}

static void
test_check_needs_the_lock_unless_a_helper_runs(void **state)
{
	struct scene *sc = *state;
	scoped(close_fd) int lock = spool_lock(sc->f->s, NULL);

	assert_true(lock >= 0);
	assert_int_equal(check(sc, false, false), -EBUSY);
	assert_int_equal(check(sc, false, true), -EBUSY);
	assert_int_equal(check(sc, true, false), 0);
	assert_int_equal(check(sc, true, true), -EINVAL);
	assert_int_equal(spool_check("/nonexistent", false, false, NULL, NULL, NULL), -ENOENT);
}

/* While a helper is at work what is wrong for a moment is none; what stays is. */
static void *
mend_soon(void *arg)
{
	struct scene *sc = arg;
	const struct timespec pause = { 0, 300000000 };

	(void)nanosleep(&pause, NULL);
	(void)spool_mark_active(sc->f->s, running_id);
	(void)index_remove(sc->f->s, owner, 5, no_id);
	return NULL;
}

static void
test_check_of_a_running_spool_looks_twice(void **state)
{
	struct scene *sc = *state;
	pthread_t thread;

	lost_active(sc);
	stray_index(sc);
	assert_int_equal(pthread_create(&thread, NULL, mend_soon, sc), 0);
	assert_int_equal(check(sc, true, false), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_string_equal(sc->said, "");
	lost_active(sc);
	torn_journal(sc);	/* nobody's business while the helper writes it */
	assert_int_equal(check(sc, true, false), 1);
	assert_non_null(strstr(sc->said, "not marked active"));
}

static void
test_check_of_a_running_spool_wants_somebody_at_a_started_job(void **state)
{
	struct scene *sc = *state;

	close_fd(&sc->running_lock);
	assert_int_equal(check(sc, false, false), 0);	/* what recovery is for */
	assert_int_equal(check(sc, true, false), 1);
	assert_non_null(strstr(sc->said, "nobody is at it"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_check_finds_nothing_wrong_with_a_good_spool, setup, teardown),
		cmocka_unit_test(test_check_finds_each_fault),
		cmocka_unit_test_setup_teardown(test_check_takes_what_the_contracts_allow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check_counts_the_journal_as_what_the_next_start_does, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check_needs_the_lock_unless_a_helper_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check_of_a_running_spool_looks_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check_of_a_running_spool_wants_somebody_at_a_started_job, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
