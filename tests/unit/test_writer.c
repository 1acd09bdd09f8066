/* test_writer.c - the thread that makes records durable, on a real journal: groups, deadlines, halves and checkpoints, failures.
 * What is asked of it above all: a record that was answered and whose effects are not known to be in the spool is in the
 * journal. */
#include "config.h"

#include "spool_help.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/scoped.h"
#include "helper/writer.h"
#include "spool/redo_internal.h"

enum { SECONDS = 20, ENTRIES_MAX = 600, BIG = 300 * 1024 };

struct entry {
	struct write write;
	unsigned number;
	bool ended;
	bool applied;
	size_t order;	/* of its done */
	int result;
};

static struct {
	struct spool *spool;
	sd_event *event;
	struct redo *redo;
	struct writer *writer;
	struct entry entries[ENTRIES_MAX];
	size_t n, n_ended;
	bool apply_at_once;
} t;

/* ---- a disk that does what it is told ---- */

static struct {
	sem_t begun, go, sync_begun, sync_go;
	atomic_bool waits;	/* each flush posts begun and waits for go */
	atomic_bool sync_waits;
	atomic_int error, sync_error;	/* 0 or a positive errno */
	atomic_uint flushes, syncs;
} disk;

static int
flush(int fd)
{
	(void)fd;
	atomic_fetch_add(&disk.flushes, 1);
	if (atomic_load(&disk.waits)) {
		(void)sem_post(&disk.begun);
		(void)sem_wait(&disk.go);
	}
	errno = atomic_load(&disk.error);
	return errno == 0 ? 0 : -1;
}

/* In the C library's place for the whole program. */
int
syncfs(int fd)
{
	atomic_fetch_add(&disk.syncs, 1);
	if (atomic_load(&disk.sync_waits)) {
		(void)sem_post(&disk.sync_begun);
		(void)sem_wait(&disk.sync_go);
	}
	errno = atomic_load(&disk.sync_error);
	return errno == 0 ? (int)syscall(SYS_syncfs, fd) : -1;
}

static void
wait_sem(sem_t *sem)
{
	struct timespec end;

	(void)clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += SECONDS;
	assert_int_equal(sem_timedwait(sem, &end), 0);
}

/* ---- the writer ---- */

static int
setup(void **state)
{
	struct fixture *f;

	assert_int_equal(sem_init(&disk.begun, 0, 0) | sem_init(&disk.go, 0, 0), 0);
	assert_int_equal(sem_init(&disk.sync_begun, 0, 0) | sem_init(&disk.sync_go, 0, 0), 0);
	atomic_store(&disk.waits, false);
	atomic_store(&disk.sync_waits, false);
	atomic_store(&disk.error, 0);
	atomic_store(&disk.sync_error, 0);
	redo_sync = flush;
	if (spool_setup(state) < 0)
		return -1;
	f = *state;
	memset(&t, 0, sizeof t);
	t.spool = f->s;
	assert_int_equal(redo_open(f->s, REDO_BYTES_MIN, &t.redo), 0);
	assert_int_equal(redo_reset(t.redo), 0);
	assert_true(sd_event_new(&t.event) >= 0);
	assert_int_equal(writer_new(t.event, f->s, t.redo, &t.writer), 0);
	atomic_store(&disk.flushes, 0);
	atomic_store(&disk.syncs, 0);
	return 0;
}

static void
close_writer(void)
{
	t.writer = writer_free(t.writer);
	t.redo = redo_free(t.redo);
}

static int
teardown(void **state)
{
	close_writer();
	t.event = sd_event_unref(t.event);
	for (size_t i = 0; i < t.n; i++)
		if (!t.entries[i].ended)
			free(t.entries[i].write.data);
	return spool_teardown(state);
}

static void
apply(struct entry *e)
{
	assert_true(e->ended && e->result == 0 && !e->applied);
	e->applied = true;
	writer_applied(t.writer, e->write.half);
}

static void
done(struct write *write, int result)
{
	struct entry *e = (struct entry *)(void *)((char *)write - offsetof(struct entry, write));

	assert_false(e->ended);
	assert_null(write->data);
	e->ended = true;
	e->result = result;
	e->order = t.n_ended++;
	if (result == 0 && t.apply_at_once)
		apply(e);
}

/* A record whose text is its number and this many bytes long. */
static struct entry *
prepare(size_t len)
{
	struct entry *e = &t.entries[t.n];
	struct redo_record record = { .type = REDO_META, .text_len = len };
	scoped(free_ptr) char *text = malloc(len + 1);

	assert_true(t.n < ENTRIES_MAX);
	assert_non_null(text);
	memset(text, 'x', len);
	(void)snprintf(record.id, sizeof record.id, "%032zx", t.n);
	record.text = text;
	*e = (struct entry){ .number = (unsigned)t.n, .write = { .deadline_mono_usec = USEC_INFINITY, .done = done } };
	assert_int_equal(redo_encode(&record, &e->write.data, &e->write.len), 0);
	t.n++;
	return e;
}

static struct entry *
hand_in(size_t len)
{
	struct entry *e = prepare(len);

	writer_add(t.writer, &e->write);
	return e;
}

static void
run_until(size_t n_ended)
{
	while (t.n_ended < n_ended)
		assert_true(sd_event_run(t.event, SECONDS * 1000000ULL) > 0);
}

/* ---- the journal afterwards ---- */

static bool replayed[ENTRIES_MAX];
static size_t n_replayed;
static unsigned last_replayed;

static int
note(const struct redo_record *r, void *ctx)
{
	unsigned number = (unsigned)strtoul(r->id, NULL, 16);

	(void)ctx;
	assert_true(number < ENTRIES_MAX && !replayed[number]);
	assert_true(n_replayed == 0 || number > last_replayed);	/* in the order in which they were handed in */
	replayed[number] = true;
	last_replayed = number;
	n_replayed++;
	return 0;
}

/* What a start-up would find. The writer is closed. */
static void
replay(void)
{
	struct redo *redo = NULL;
	int64_t n;

	assert_null(t.writer);
	memset(replayed, 0, sizeof replayed);
	n_replayed = 0;
	assert_int_equal(redo_open(t.spool, REDO_BYTES_MIN, &redo), 0);
	n = redo_replay(redo, note, NULL);
	assert_int_equal(n, n_replayed);
	(void)redo_free(redo);
}

/* ---- tests ---- */

static void
test_a_record_is_durable_once_it_is_done(void **state)
{
	struct entry *e = hand_in(10);

	(void)state;
	assert_int_equal(writer_pending(t.writer), 1);
	run_until(1);
	assert_int_equal(e->result, 0);
	assert_int_equal(writer_pending(t.writer), 0);
	assert_int_equal(writer_backlog_bytes(t.writer), 0);
	assert_int_equal(writer_error(t.writer), 0);
	close_writer();
	replay();
	assert_true(n_replayed == 1 && replayed[0]);
}

static void
test_a_crowd_shares_one_flush(void **state)
{
	unsigned before;

	(void)state;
	hand_in(10);
	run_until(1);	/* the first one begins the half, with flushes of its own */
	atomic_store(&disk.waits, true);
	before = atomic_load(&disk.flushes);
	hand_in(10);
	wait_sem(&disk.begun);
	for (int i = 0; i < 400; i++)
		hand_in(100);
	assert_true(writer_backlog_bytes(t.writer) >= 400 * 100);
	atomic_store(&disk.waits, false);
	(void)sem_post(&disk.go);
	run_until(402);
	assert_int_equal(atomic_load(&disk.flushes) - before, 2);
	for (size_t i = 0; i < t.n; i++)
		assert_true(t.entries[i].result == 0 && t.entries[i].order == i);
	close_writer();
	replay();
	assert_int_equal(n_replayed, 402);
}

static void
test_more_than_a_group_is_several(void **state)
{
	unsigned before;

	(void)state;
	hand_in(10);
	run_until(1);
	atomic_store(&disk.waits, true);
	before = atomic_load(&disk.flushes);
	hand_in(10);
	wait_sem(&disk.begun);
	for (int i = 0; i < 513; i++)
		hand_in(10);
	atomic_store(&disk.waits, false);
	(void)sem_post(&disk.go);
	run_until(515);
	assert_int_equal(atomic_load(&disk.flushes) - before, 3);
}

static void
test_who_comes_too_late_is_not_written(void **state)
{
	struct entry *late, *in_time;

	(void)state;
	hand_in(10);
	run_until(1);
	atomic_store(&disk.waits, true);
	hand_in(10);
	wait_sem(&disk.begun);
	late = prepare(10);
	late->write.deadline_mono_usec = clock_mono() + 1000;
	writer_add(t.writer, &late->write);
	in_time = prepare(10);
	in_time->write.deadline_mono_usec = clock_mono() + 3600 * USEC_PER_SEC;
	writer_add(t.writer, &in_time->write);
	while (clock_mono() <= late->write.deadline_mono_usec)
		;
	atomic_store(&disk.waits, false);
	(void)sem_post(&disk.go);
	run_until(4);
	assert_int_equal(late->result, -ETIMEDOUT);
	assert_int_equal(in_time->result, 0);
	close_writer();
	replay();
	assert_true(n_replayed == 3 && !replayed[late->number]);
}

static void
test_who_is_called_off_is_not_written_but_never_taken_back(void **state)
{
	struct entry *early, *before;

	(void)state;
	hand_in(10);
	run_until(1);
	atomic_store(&disk.waits, true);
	early = hand_in(10);
	wait_sem(&disk.begun);
	atomic_store(&early->write.cancelled, true);	/* it is being flushed */
	before = hand_in(10);
	atomic_store(&before->write.cancelled, true);
	atomic_store(&disk.waits, false);
	(void)sem_post(&disk.go);
	run_until(3);
	assert_int_equal(early->result, 0);
	assert_int_equal(before->result, -ECANCELED);
	close_writer();
	replay();
	assert_true(n_replayed == 2 && replayed[early->number]);
}

/* Hands in 20 records, more than both halves hold; returns how many they do. */
static size_t
fill_journal(void)
{
	uint64_t half_bytes = redo_room(t.redo);
	size_t fit;

	for (int i = 0; i < 20; i++)
		hand_in(BIG);
	fit = 2 * (size_t)(half_bytes / t.entries[0].write.len);
	assert_true(fit >= 10 && fit < 20);
	run_until(fit);
	while (sd_event_run(t.event, 50000) > 0)	/* nothing more ends */
		;
	assert_int_equal(t.n_ended, fit);
	return fit;
}

/* Both halves full: what follows waits until everything of one is applied. */
static void
test_a_full_journal_waits_for_a_checkpoint_and_goes_on(void **state)
{
	size_t fit = fill_journal();

	(void)state;
	assert_int_equal(writer_pending(t.writer), 20 - fit);
	assert_int_equal(atomic_load(&disk.syncs), 0);
	/* All of the first half but one: nothing happens. */
	for (size_t i = 1; i < fit; i++)
		if (t.entries[i].write.half == t.entries[0].write.half)
			apply(&t.entries[i]);
	(void)sd_event_run(t.event, 50000);
	assert_int_equal(atomic_load(&disk.syncs), 0);
	apply(&t.entries[0]);
	run_until(fit + 1);
	assert_true(atomic_load(&disk.syncs) >= 1);	/* two where a group of records lay in both halves */
	for (size_t i = 0; i < fit; i++)
		if (!t.entries[i].applied)
			apply(&t.entries[i]);
	run_until(20);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(t.entries[i].result, 0);
	close_writer();
	replay();
	for (size_t i = 0; i < 20; i++)
		assert_true(t.entries[i].applied || replayed[i]);
}

/* Fills one half, with everything applied, until its checkpoint is under way. */
static void
begin_checkpoint(void)
{
	do {
		hand_in(BIG);
		run_until(t.n);
	} while (t.entries[t.n - 1].write.half == t.entries[0].write.half);
	wait_sem(&disk.sync_begun);
}

static void
test_a_checkpoint_under_way_holds_nobody_up(void **state)
{
	unsigned now;

	(void)state;
	t.apply_at_once = true;
	atomic_store(&disk.sync_waits, true);
	begin_checkpoint();
	now = (unsigned)t.n;
	hand_in(10);
	run_until(now + 1);
	assert_int_equal(t.entries[now].result, 0);
	atomic_store(&disk.sync_waits, false);
	(void)sem_post(&disk.sync_go);
}

static void
test_a_failed_flush_is_the_last(void **state)
{
	unsigned flushes;
	struct entry *first, *later;

	(void)state;
	hand_in(10);
	run_until(1);
	atomic_store(&disk.error, EIO);
	first = hand_in(10);
	run_until(2);
	assert_int_equal(first->result, -EIO);
	assert_int_equal(writer_error(t.writer), -EIO);
	atomic_store(&disk.error, 0);
	flushes = atomic_load(&disk.flushes);
	later = hand_in(10);
	run_until(3);
	assert_int_equal(later->result, -EIO);
	assert_int_equal(atomic_load(&disk.flushes), flushes);
	close_writer();
	replay();
	assert_true(replayed[0] && !replayed[2]);
}

static void
test_a_failed_checkpoint_ends_the_waiting(void **state)
{
	(void)state;
	atomic_store(&disk.sync_error, EIO);
	t.apply_at_once = true;
	for (int i = 0; i < 40; i++)
		hand_in(BIG);
	run_until(40);
	assert_int_equal(writer_error(t.writer), -EIO);
	assert_int_equal(t.entries[0].result, 0);
	assert_int_equal(t.entries[39].result, -EIO);
	assert_int_equal(atomic_load(&disk.syncs), 1);
	close_writer();
	replay();
	for (size_t i = 0; i < 40; i++)
		assert_true(replayed[i] == (t.entries[i].result == 0));
}

static void
test_freeing_flushes_what_was_handed_in(void **state)
{
	(void)state;
	hand_in(10);
	run_until(1);
	atomic_store(&disk.waits, true);
	hand_in(10);
	wait_sem(&disk.begun);
	for (int i = 0; i < 30; i++)
		hand_in(10);
	atomic_store(&disk.waits, false);
	(void)sem_post(&disk.go);
	close_writer();
	assert_int_equal(t.n_ended, 1);
	replay();
	assert_int_equal(n_replayed, 32);
}

static void
test_freeing_does_not_wait_for_a_full_journal(void **state)
{
	size_t fit = fill_journal();

	(void)state;
	close_writer();
	replay();
	assert_int_equal(n_replayed, fit);
}

static void
test_a_new_journal_needs_an_end_of_everything(void **state)
{
	struct redo *renewed = NULL;
	struct entry *e = hand_in(10);

	(void)state;
	assert_int_equal(writer_hold(t.writer), -EBUSY);	/* handed in */
	run_until(1);
	assert_int_equal(writer_hold(t.writer), -EBUSY);	/* not applied */
	apply(e);
	assert_int_equal(writer_hold(t.writer), 0);
	writer_settle(t.writer);
	/* Meanwhile: */
	hand_in(10);
	hand_in(10);
	(void)sd_event_run(t.event, 50000);
	assert_int_equal(t.n_ended, 1);
	assert_int_equal(redo_renew(t.spool, REDO_BYTES_MIN, &renewed), 0);
	(void)redo_free(writer_replace(t.writer, renewed));
	t.redo = renewed;
	run_until(3);
	assert_true(t.entries[1].result == 0 && t.entries[2].result == 0);
	close_writer();
	replay();
	assert_true(n_replayed == 2 && !replayed[0] && replayed[1] && replayed[2]);
}

static void
test_a_new_journal_forgets_the_failure(void **state)
{
	struct redo *renewed = NULL;

	(void)state;
	atomic_store(&disk.error, EIO);
	hand_in(10);
	run_until(1);
	assert_int_equal(writer_hold(t.writer), 0);
	writer_settle(t.writer);
	hand_in(10);
	/* It could not be made: all is as before. */
	assert_null(writer_replace(t.writer, NULL));
	run_until(2);
	assert_int_equal(t.entries[1].result, -EIO);
	assert_int_equal(writer_hold(t.writer), 0);
	writer_settle(t.writer);
	atomic_store(&disk.error, 0);
	assert_int_equal(redo_renew(t.spool, REDO_BYTES_MIN, &renewed), 0);
	assert_ptr_equal(writer_replace(t.writer, renewed), t.redo);
	(void)redo_free(t.redo);
	t.redo = renewed;
	assert_int_equal(writer_error(t.writer), 0);
	t.apply_at_once = true;
	for (int i = 0; i < 40; i++)	/* several turns */
		hand_in(BIG);
	run_until(42);
	for (size_t i = 2; i < 42; i++)
		assert_int_equal(t.entries[i].result, 0);
}

static void *
settle(void *arg)
{
	writer_settle(arg);
	return NULL;
}

static void
test_a_new_journal_waits_for_the_old_ones_checkpoint(void **state)
{
	pthread_t thread;
	struct timespec soon;
	struct redo *renewed = NULL;

	(void)state;
	t.apply_at_once = true;
	atomic_store(&disk.sync_waits, true);
	begin_checkpoint();
	assert_int_equal(writer_hold(t.writer), 0);
	assert_int_equal(pthread_create(&thread, NULL, settle, t.writer), 0);
	(void)clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += 50 * 1000000;
	if (soon.tv_nsec >= 1000000000) {
		soon.tv_sec++;
		soon.tv_nsec -= 1000000000;
	}
	assert_int_equal(pthread_timedjoin_np(thread, NULL, &soon), ETIMEDOUT);
	atomic_store(&disk.sync_waits, false);
	(void)sem_post(&disk.sync_go);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(redo_renew(t.spool, REDO_BYTES_MIN, &renewed), 0);
	(void)redo_free(writer_replace(t.writer, renewed));
	t.redo = renewed;
}

/* Many turns, with effects that come late and in any order: at the end everything that was answered and not applied is there. */
static void
test_nothing_is_lost_over_many_turns(void **state)
{
	unsigned seed = 12345, applied_from = 0;

	(void)state;
	while (t.n < ENTRIES_MAX - 1) {
		seed = seed * 1103515245 + 12345;
		(void)hand_in(seed % 7 == 0 ? BIG + (seed >> 8) % BIG : (seed >> 8) % 20000);
		if (t.n % 3 == 0)
			(void)sd_event_run(t.event, 0);
		/* Keeps about thirty of them unapplied, whatever their age. */
		for (size_t i = applied_from; i < t.n; i++) {
			struct entry *e = &t.entries[i];

			seed = seed * 1103515245 + 12345;
			if (e->ended && e->result == 0 && !e->applied && (t.n - i > 30 || (seed >> 10) % 8 == 0))
				apply(e);
		}
		while (applied_from < t.n && t.entries[applied_from].applied)
			applied_from++;
	}
	/* A checkpoint may wait for what is not applied: apply the oldest until all were answered. */
	while (t.n_ended < t.n) {
		if (sd_event_run(t.event, 20000) > 0)
			continue;
		while (applied_from < t.n && t.entries[applied_from].applied)
			applied_from++;
		if (applied_from < t.n && t.entries[applied_from].ended)
			apply(&t.entries[applied_from]);
	}
	assert_true(atomic_load(&disk.syncs) > 5);
	close_writer();
	replay();
	for (size_t i = 0; i < t.n; i++) {
		assert_int_equal(t.entries[i].result, 0);
		assert_int_equal(t.entries[i].order, i);
		assert_true(t.entries[i].applied || replayed[i]);
	}
}

#define WRITER_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WRITER_TEST(test_a_record_is_durable_once_it_is_done),
		WRITER_TEST(test_a_crowd_shares_one_flush),
		WRITER_TEST(test_more_than_a_group_is_several),
		WRITER_TEST(test_who_comes_too_late_is_not_written),
		WRITER_TEST(test_who_is_called_off_is_not_written_but_never_taken_back),
		WRITER_TEST(test_a_full_journal_waits_for_a_checkpoint_and_goes_on),
		WRITER_TEST(test_a_checkpoint_under_way_holds_nobody_up),
		WRITER_TEST(test_a_failed_flush_is_the_last),
		WRITER_TEST(test_a_failed_checkpoint_ends_the_waiting),
		WRITER_TEST(test_freeing_flushes_what_was_handed_in),
		WRITER_TEST(test_freeing_does_not_wait_for_a_full_journal),
		WRITER_TEST(test_a_new_journal_needs_an_end_of_everything),
		WRITER_TEST(test_a_new_journal_forgets_the_failure),
		WRITER_TEST(test_a_new_journal_waits_for_the_old_ones_checkpoint),
		WRITER_TEST(test_nothing_is_lost_over_many_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
