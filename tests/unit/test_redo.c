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
#include "spool/redo_internal.h"

static const char id_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static int fail_sync;

static int
sync_or_fail(int fd)
{
	if (fail_sync) {
		errno = EIO;
		return -1;
	}
	return fdatasync(fd);
}

/* A record of about size bytes that says its number. */
static void
make_record(uint64_t number, size_t size, void **ret_data, size_t *ret_len)
{
	scoped(free_ptr) char *text = malloc(size + 32);
	struct redo_record rec = { .type = REDO_META, .text = text };

	assert_non_null(text);
	rec.text_len = (size_t)snprintf(text, 32, "%020llu:", (unsigned long long)number);
	for (; rec.text_len < size; rec.text_len++)
		text[rec.text_len] = (char)('a' + (number + rec.text_len) % 23);
	memcpy(rec.id, id_a, ID_SIZE);
	assert_int_equal(redo_encode(&rec, ret_data, ret_len), 0);
}

static int
append_one(struct redo *r, uint64_t number, size_t size, int *ret_half)
{
	scoped(free_ptr) void *data = NULL;
	size_t len = 0, done = 0;
	int half = -1, n = 0;

	make_record(number, size, &data, &len);
	n = redo_append(r, (const void *const[]){ data }, &len, 1, &done, &half);
	assert_int_equal(done, n == 0 ? 1 : 0);
	if (ret_half)
		*ret_half = half;
	return n;
}

struct seen {
	uint64_t first, last;
	size_t n;
};

/* Each record whole, numbers without a gap. */
static int
see(const struct redo_record *rec, void *ctx)
{
	struct seen *s = ctx;
	uint64_t number = strtoull(rec->text, NULL, 10);

	assert_int_equal(rec->type, REDO_META);
	assert_string_equal(rec->id, id_a);
	for (size_t i = 21; i < rec->text_len; i++)
		assert_int_equal(rec->text[i], (char)('a' + (number + i) % 23));
	if (s->n++ == 0)
		s->first = number;
	else
		assert_int_equal(number, s->last + 1);
	s->last = number;
	return 0;
}

static struct seen
replay(struct redo *r)
{
	struct seen s = { 0 };

	int64_t n = redo_replay(r, see, &s);

	assert_int_equal(n, s.n);
	return s;
}

static struct redo *
open_journal(const struct fixture *f)
{
	struct redo *r = NULL;

	assert_int_equal(redo_open(f->s, 0, &r), 0);
	return r;
}

static int
keep_copy(const struct redo_record *rec, void *ctx)
{
	const struct redo_record *want = ctx;

	assert_int_equal(rec->type, want->type);
	assert_string_equal(rec->id, want->id);
	assert_int_equal(rec->text_len, want->text_len);
	assert_memory_equal(rec->text, want->text, want->text_len);
	assert_int_equal(rec->n_blobs, want->n_blobs);
	for (size_t i = 0; i < want->n_blobs; i++) {
		assert_int_equal(rec->blobs[i].len, want->blobs[i].len);
		assert_int_equal(rec->blobs[i].data != NULL, want->blobs[i].data != NULL);
		if (want->blobs[i].data && want->blobs[i].len > 0)
			assert_memory_equal(rec->blobs[i].data, want->blobs[i].data, want->blobs[i].len);
	}
	return 0;
}

static void
test_redo_gives_back_what_was_encoded(void **state)
{
	const struct fixture *f = *state;
	scoped(free_redo) struct redo *r = open_journal(f);
	scoped(free_ptr) void *data = NULL;
	/* Empty, odd, binary, absent. */
	const struct redo_blob blobs[] = { { "", 0 }, { "12345", 5 }, { "\0\xff\0", 3 }, { NULL, UINT64_C(1) << 40 } };
	struct redo_record rec = { REDO_ACCEPT, "", "{\"v\":1}", 7, blobs, 4 };
	size_t len = 0, done = 0;
	int half = -1;

	memcpy(rec.id, id_a, ID_SIZE);
	assert_int_equal(redo_encode(&rec, &data, &len), 0);
	assert_int_equal(redo_append(r, (const void *const[]){ data }, &len, 1, &done, &half), 0);
	assert_int_equal(redo_flush(r), 0);
	r = redo_free(r);
	r = open_journal(f);
	assert_int_equal(redo_replay(r, keep_copy, &rec), 1);
}

static void
test_redo_encode_refuses_what_is_too_large(void **state)
{
	static const char big[REDO_RECORD_MAX];
	struct redo_blob blobs[INPUTS_MAX + 1] = { { big, REDO_RECORD_MAX - 100 } };
	struct redo_record rec = { REDO_ACCEPT, "", "", 0, blobs, 1 };
	void *data = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(redo_encode(&rec, &data, &len), -EINVAL);	/* no id */
	memcpy(rec.id, id_a, ID_SIZE);
	assert_int_equal(redo_encode(&rec, &data, &len), 0);
	free(data);
	blobs[0].len = REDO_RECORD_MAX - 64;
	assert_int_equal(redo_encode(&rec, &data, &len), -E2BIG);
	rec.n_blobs = INPUTS_MAX + 1;
	assert_int_equal(redo_encode(&rec, &data, &len), -EINVAL);
}

static void
test_redo_decode_refuses_lengths_that_lie(void **state)
{
	struct redo_blob blobs[INPUTS_MAX];
	struct redo_record rec;
	scoped(free_ptr) void *data = NULL;
	const struct redo_blob one = { "1234567890", 10 };
	size_t len = 0;

	(void)state;
	rec = (struct redo_record){ REDO_ACCEPT, "", "text", 4, &one, 1 };
	memcpy(rec.id, id_a, ID_SIZE);
	assert_int_equal(redo_encode(&rec, &data, &len), 0);
	assert_int_equal(redo_decode(data, len, &rec, blobs, INPUTS_MAX), 0);
	/* Whatever number stands in whatever place: an error or something within the bounds (the sanitizers watch). */
	for (size_t at = 0; at + 4 <= len; at += 4) {
		const uint32_t values[] = { 0, 1, 7, 63, 64, 1000, INT32_MAX, UINT32_MAX };

		for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
			scoped(free_ptr) char *copy = malloc(len);
			uint64_t sum = 0;

			assert_non_null(copy);
			memcpy(copy, data, len);
			memcpy(copy + at, &values[v], 4);
			if (redo_decode(copy, len, &rec, blobs, INPUTS_MAX) < 0)
				continue;
			for (size_t i = 0; i < rec.text_len; i++)
				sum += (unsigned char)rec.text[i];
			for (size_t b = 0; b < rec.n_blobs; b++) {
				for (size_t i = 0; rec.blobs[b].data && i < rec.blobs[b].len; i++)
					sum += ((const unsigned char *)rec.blobs[b].data)[i];
			}
			assert_true(sum < UINT64_MAX);
		}
	}
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(redo_decode(data, cut, &rec, blobs, INPUTS_MAX), -EBADMSG);
}

static void
test_redo_is_written_out_once_and_keeps_its_size(void **state)
{
	const struct fixture *f = *state;
	scoped(free_redo) struct redo *r = open_journal(f);
	struct stat st;

	assert_int_equal(fstatat(f->s->root_fd, "redo", &st, 0), 0);
	assert_true(st.st_size <= REDO_BYTES_MIN && st.st_size > REDO_BYTES_MIN - 3 * REDO_BLOCK);
	assert_true((uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size);
	assert_int_equal(st.st_mode & 07777, 0600);
	r = redo_free(r);
	assert_int_equal(redo_open(f->s, 64 << 20, &r), 0);
	assert_true(redo_room(r) < REDO_BYTES_MIN / 2);
}

static void
test_redo_refuses_another_file_and_a_newer_version(void **state)
{
	const struct fixture *f = *state;
	struct redo_file_head head;
	struct redo *r = NULL;
	scoped(close_fd) int fd = -EBADF;

	help_write(f->s->root_fd, "redo", "hello");
	assert_int_equal(redo_open(f->s, 0, &r), -EBADMSG);
	assert_int_equal(unlinkat(f->s->root_fd, "redo", 0), 0);
	assert_int_equal(redo_open_read(f->s, &r), -ENOENT);
	r = open_journal(f);
	r = redo_free(r);
	fd = openat(f->s->root_fd, "redo", O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, &head, sizeof head, 0), sizeof head);
	head.version++;
	assert_int_equal(pwrite(fd, &head, sizeof head, 0), sizeof head);
	assert_int_equal(redo_open(f->s, 0, &r), -EPROTONOSUPPORT);
	head.version--;
	assert_int_equal(pwrite(fd, &head, sizeof head, 0), sizeof head);
	assert_int_equal(ftruncate(fd, REDO_BYTES_MIN / 2), 0);
	assert_int_equal(redo_open(f->s, 0, &r), -EBADMSG);
}

static void
test_redo_full_halves_wait_for_a_release(void **state)
{
	const struct fixture *f = *state;
	scoped(free_redo) struct redo *r = open_journal(f);
	uint64_t number = 1;
	int half = -1, first = redo_half(r);

	while (append_one(r, number, 500000, &half) == 0)
		number++;
	assert_int_equal(half, first ^ 1);
	assert_int_equal(redo_half(r), first ^ 1);
	assert_int_equal(append_one(r, number, 500000, &half), -EAGAIN);
	assert_int_equal(append_one(r, number, 10, &half), 0);	/* a small one still goes in */
	number++;
	redo_release(r, first);
	assert_int_equal(append_one(r, number, 500000, &half), 0);
	assert_int_equal(half, first);
	assert_int_equal(redo_flush(r), 0);
	r = redo_free(r);
	r = open_journal(f);
	assert_int_equal(replay(r).last, number);
}

static void
test_redo_append_tells_how_many_fitted(void **state)
{
	const struct fixture *f = *state;
	scoped(free_redo) struct redo *r = open_journal(f);
	enum { N = 200 };
	void *data[N];
	size_t lens[N], done = 0;
	int half = -1;

	for (size_t i = 0; i < N; i++)
		make_record(i + 1, 40000, &data[i], &lens[i]);
	assert_int_equal(redo_append(r, (const void *const *)data, lens, N, &done, &half), -EAGAIN);
	assert_true(done > 90 && done < 110);
	assert_int_equal(half, 1);
	assert_int_equal(redo_flush(r), 0);
	r = redo_free(r);
	r = open_journal(f);
	assert_int_equal(replay(r).first, 1);
	assert_int_equal(replay(r).last, done);
	for (size_t i = 0; i < N; i++)
		free(data[i]);
}

static void
test_redo_takes_nothing_new_before_the_replay_is_done(void **state)
{
	const struct fixture *f = *state;
	scoped(free_redo) struct redo *r = open_journal(f);

	assert_int_equal(append_one(r, 1, 100, NULL), 0);
	assert_int_equal(redo_flush(r), 0);
	r = redo_free(r);
	r = open_journal(f);
	assert_int_equal(append_one(r, 2, 100, NULL), -EAGAIN);
	assert_int_equal(replay(r).n, 1);
	assert_int_equal(redo_reset(r), 0);
	assert_int_equal(append_one(r, 2, 100, NULL), 0);
	r = redo_free(r);
	r = open_journal(f);
	/* What was done before the reset is not done again. */
	assert_int_equal(replay(r).first, 2);
}

static void
test_redo_failed_flush_is_final(void **state)
{
	const struct fixture *f = *state;
	scoped(free_redo) struct redo *r = open_journal(f);

	assert_int_equal(append_one(r, 1, 100, NULL), 0);
	fail_sync = 1;
	assert_int_equal(redo_flush(r), -EIO);
	fail_sync = 0;
	assert_int_equal(redo_flush(r), -EIO);
	assert_int_equal(append_one(r, 2, 100, NULL), -EIO);
}

static void
test_redo_opened_for_reading_takes_nothing(void **state)
{
	const struct fixture *f = *state;
	scoped(free_redo) struct redo *r = open_journal(f), *reader = NULL;

	assert_int_equal(append_one(r, 1, 100, NULL), 0);
	assert_int_equal(redo_open_read(f->s, &reader), 0);
	assert_int_equal(replay(reader).n, 1);
	assert_int_equal(append_one(reader, 2, 100, NULL), -EBADF);
}

static void
test_redo_renew_puts_an_empty_one_in_its_place(void **state)
{
	const struct fixture *f = *state;
	scoped(free_redo) struct redo *r = open_journal(f), *fresh = NULL, *again = NULL;

	assert_int_equal(append_one(r, 1, 100, NULL), 0);
	fail_sync = 1;
	assert_int_equal(redo_flush(r), -EIO);
	fail_sync = 0;
	assert_int_equal(redo_renew(f->s, 0, &fresh), 0);
	assert_int_equal(replay(fresh).n, 0);
	assert_int_equal(append_one(fresh, 1, 100, NULL), 0);
	assert_int_equal(redo_flush(fresh), 0);
	assert_int_equal(append_one(r, 2, 100, NULL), -EIO);
	again = open_journal(f);
	assert_int_equal(replay(again).n, 1);
	assert_false(help_exists(f->s->root_fd, ".redo.new"));
}

static void
test_redo_groups_never_share_a_block(void **state)
{
	const struct fixture *f = *state;
	scoped(free_redo) struct redo *r = open_journal(f);
	uint64_t room = redo_room(r);

	for (uint64_t i = 1; i < 50; i++) {
		assert_int_equal(append_one(r, i, (size_t)i * 397 % 9000, NULL), 0);
		assert_true(redo_room(r) < room);
		room = redo_room(r);
		assert_int_equal(room % REDO_BLOCK, 0);
	}
}

static void
test_redo_damage_among_acknowledged_records_is_told(void **state)
{
	const struct fixture *f = *state;
	scoped(free_redo) struct redo *r = open_journal(f);
	scoped(close_fd) int fd = -EBADF;
	int half = 0;

	for (uint64_t i = 1; half == 0; i++)
		assert_int_equal(append_one(r, i, 500000, &half), 0);
	assert_int_equal(redo_flush(r), 0);
	r = redo_free(r);
	fd = openat(f->s->root_fd, "redo", O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "damage", 6, 3 * REDO_BLOCK), 6);
	assert_int_equal(redo_open(f->s, 0, &r), -EBADMSG);
}

static int
stop_at_three(const struct redo_record *rec, void *ctx)
{
	int *n = ctx;

	(void)rec;
	return ++*n == 3 ? -ECANCELED : 0;
}

static void
test_redo_replay_stops_where_it_is_told(void **state)
{
	const struct fixture *f = *state;
	scoped(free_redo) struct redo *r = open_journal(f);
	int n = 0;

	for (uint64_t i = 1; i <= 5; i++)
		assert_int_equal(append_one(r, i, 100, NULL), 0);
	r = redo_free(r);
	r = open_journal(f);
	assert_int_equal(redo_replay(r, stop_at_three, &n), -ECANCELED);
	assert_int_equal(n, 3);
}

/* ---- random histories on a disk that loses power ---- */

static uint64_t seed = 88172645463325252;

static uint64_t
rnd(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static char *disk;	/* the file as the last flush left it */
static size_t disk_size;
static char *cache;	/* the file as the kernel shows it */

static bool may_crash, crashed;	/* in the middle of an append that flushes */

static int
sync_to_disk(int fd)
{
	if (may_crash && rnd(4) == 0) {
		crashed = true;
		errno = EIO;
		return -1;
	}
	assert_int_equal(pread_full(fd, disk, disk_size, 0), disk_size);
	return 0;
}

/* Each block that was written since the last flush is old, new, a mixture of sectors, or unreadable garbage. */
static void
lose_power(int fd)
{
	assert_int_equal(pread_full(fd, cache, disk_size, 0), disk_size);
	for (size_t at = 0; at < disk_size; at += REDO_BLOCK) {
		if (memcmp(disk + at, cache + at, REDO_BLOCK) == 0)
			continue;
		switch (rnd(4)) {
		case 0:
			memcpy(disk + at, cache + at, REDO_BLOCK);
			break;
		case 1:
			for (size_t sector = 0; sector < REDO_BLOCK; sector += 512) {
				if (rnd(2))
					memcpy(disk + at + sector, cache + at + sector, 512);
			}
			break;
		case 2:
			for (size_t i = 0; i < REDO_BLOCK; i++)
				disk[at + i] = (char)rnd(256);
			break;
		default:
			break;
		}
	}
	assert_int_equal(pwrite_all(fd, disk, disk_size, 0), 0);
}

struct model {
	uint64_t next;	/* number of the next record */
	uint64_t acked;	/* flushed up to here */
	uint64_t needed;	/* the first one whose half is not released */
	uint64_t turn_first;	/* the first one of the current half */
	int half;
	bool waiting;	/* the half left behind wants its release */
	unsigned turns;
};

static void
model_append(struct model *m, struct redo *r)
{
	enum { MAX = 80 };	/* more than one batch */
	void *data[MAX];
	size_t lens[MAX], done = 0, n = rnd(10) == 0 ? 1 + rnd(MAX) : 1 + rnd(4), scale = rnd(2) ? 600000 : 3000;
	int half = -1, err = 0;

	if (n > 4)
		scale = 3000;
	for (size_t i = 0; i < n; i++)
		make_record(m->next + i, rnd(scale), &data[i], &lens[i]);
	may_crash = true;
	err = redo_append(r, (const void *const *)data, lens, n, &done, &half);
	may_crash = false;
	if (crashed)	/* any of them may be there */
		m->next += n;
	else
		assert_true(err == 0 ? done == n : err == -EAGAIN && done < n);
	for (size_t i = 0; i < n; i++)
		free(data[i]);
	if (crashed)
		return;
	if (done > 0 && half != m->half) {
		m->turns++;
		m->waiting = true;
		m->half = half;
		/* Which of these was the first in the new half is not told; the last one is in it. */
		m->turn_first = m->next + done - 1;
	}
	m->next += done;
	if (err == -EAGAIN)
		assert_true(m->waiting);
}

/* What comes back is the history without a gap, from at most the first needed record to at least the last acknowledged one. */
static void
model_recover(struct model *m, struct redo *r)
{
	struct seen s = replay(r);

	if (s.n == 0) {
		assert_true(m->needed > m->acked);
		m->next = m->acked + 1;
	} else {
		if (m->needed <= m->acked)
			assert_true(s.first <= m->needed);
		assert_true(s.last >= m->acked);
		assert_true(s.last < m->next);
		m->next = s.last + 1;
	}
	/* Nobody was promised those behind; they are gone for good, and their numbers are used again with other contents. */
	m->acked = m->next - 1;
}

static void
test_redo_random_histories_with_power_cuts(void **state)
{
	const struct fixture *f = *state;
	scoped(free_redo) struct redo *r = open_journal(f);
	scoped(close_fd) int fd = openat(f->s->root_fd, "redo", O_RDWR | O_CLOEXEC);
	struct model m = { .next = 1, .needed = 1, .turn_first = 1 };
	const char *env = getenv("SPOOLGATE_TEST_SEED");
	struct stat st;
	unsigned cuts = 0;

	if (env)
		seed = strtoull(env, NULL, 10);
	assert_int_equal(fstat(fd, &st), 0);
	disk_size = (size_t)st.st_size;
	disk = malloc(disk_size);
	cache = malloc(disk_size);
	assert_non_null(disk);
	assert_non_null(cache);
	assert_int_equal(sync_to_disk(fd), 0);
	redo_sync = sync_to_disk;
	m.half = redo_half(r);
	for (unsigned step = 0; step < 1000; step++) {
		uint64_t what = rnd(36);

		if (what < 18) {
			model_append(&m, r);
		} else if (what < 27) {
			assert_int_equal(redo_flush(r), 0);
			m.acked = m.next - 1;
		} else if (what < 34) {
			if (m.waiting) {
				redo_release(r, m.half ^ 1);
				m.waiting = false;
				m.needed = m.turn_first;
			}
		}
		if (what >= 34 || crashed) {
			cuts++;
			r = redo_free(r);
			if (crashed || rnd(4) > 0)
				lose_power(fd);	/* else the process alone died */
			crashed = false;
			r = open_journal(f);
			model_recover(&m, r);
			if (rnd(3) == 0) {	/* and again, before anything was done */
				r = redo_free(r);
				r = open_journal(f);
				model_recover(&m, r);
			}
			assert_int_equal(fsync(fd), 0);
			assert_int_equal(sync_to_disk(fd), 0);	/* the caller's syncfs */
			assert_int_equal(redo_reset(r), 0);
			m.needed = m.turn_first = m.next;
			m.waiting = false;
			m.half = redo_half(r);
		}
	}
	redo_sync = sync_or_fail;
	free(disk);
	free(cache);
	assert_true(cuts > 30);
	assert_true(m.turns > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_redo_gives_back_what_was_encoded, spool_setup, spool_teardown),
		cmocka_unit_test(test_redo_encode_refuses_what_is_too_large),
		cmocka_unit_test(test_redo_decode_refuses_lengths_that_lie),
		cmocka_unit_test_setup_teardown(test_redo_is_written_out_once_and_keeps_its_size, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_redo_refuses_another_file_and_a_newer_version, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_redo_full_halves_wait_for_a_release, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_redo_append_tells_how_many_fitted, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_redo_takes_nothing_new_before_the_replay_is_done, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_redo_failed_flush_is_final, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_redo_opened_for_reading_takes_nothing, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_redo_renew_puts_an_empty_one_in_its_place, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_redo_groups_never_share_a_block, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_redo_damage_among_acknowledged_records_is_told, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_redo_replay_stops_where_it_is_told, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_redo_random_histories_with_power_cuts, spool_setup, spool_teardown),
	};

	redo_sync = sync_or_fail;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
