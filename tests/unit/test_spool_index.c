#include "config.h"

#include "spool_help.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/scoped.h"
#include "spool/index.h"

static const struct index_entry newest = { UINT64_MAX, "" };

/* A job as far as the index cares: its folder. */
static void
make_job_folder(const struct fixture *f, const char *id)
{
	char path[64];

	(void)snprintf(path, sizeof path, "%.2s/%s", id, id);
	assert_int_equal(mkdirat(f->s->jobs_fd, path, 0700), 0);
}

static void
remove_job_folder(const struct fixture *f, const char *id)
{
	char path[64];

	(void)snprintf(path, sizeof path, "%.2s/%s", id, id);
	assert_int_equal(unlinkat(f->s->jobs_fd, path, AT_REMOVEDIR), 0);
}

static void
numbered(unsigned i, char ret_id[ID_SIZE])
{
	(void)snprintf(ret_id, ID_SIZE, "%032x", i);
}

static void
test_index_add_and_remove_are_idempotent(void **state)
{
	const struct fixture *f = *state;
	char id[ID_SIZE];

	numbered(1, id);
	for (int i = 0; i < 2; i++)
		assert_int_equal(index_add(f->s, "v1:token:lab", 5, id), 0);
	assert_true(help_exists(f->s->index_fd, "v1/token%3Alab/0000000000000005-00000000000000000000000000000001"));
	assert_int_equal(help_mode(f->s->index_fd, "v1"), 02750);
	assert_int_equal(help_mode(f->s->index_fd, "v1/token%3Alab"), 02750);
	for (int i = 0; i < 2; i++)
		assert_int_equal(index_remove(f->s, "v1:token:lab", 5, id), 0);
	/* An owner without jobs costs a start-up nothing. */
	assert_false(help_exists(f->s->index_fd, "v1/token%3Alab"));
	assert_int_equal(index_remove(f->s, "v1:token:never", 5, id), 0);
}

static void
test_index_refuses_owners_it_cannot_name(void **state)
{
	static const char *const bad[] = { "", "v1", ":x", "v1:", "key:x" };
	const struct fixture *f = *state;
	struct index_entry page[1];
	char id[ID_SIZE], long_owner[300];

	numbered(1, id);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(index_add(f->s, bad[i], 1, id), -EINVAL);
		assert_int_equal(index_page(f->s, bad[i], newest, page, 1), -EINVAL);
	}
	memset(long_owner, 'x', sizeof long_owner);
	long_owner[2] = ':';
	long_owner[sizeof long_owner - 1] = '\0';
	assert_int_equal(index_add(f->s, long_owner, 1, id), -ENAMETOOLONG);
	assert_int_equal(index_add(f->s, "v1:x", 1, "id"), -EINVAL);
}

static void
test_index_owners_never_mix(void **state)
{
	static const char *const owners[] = { "v1:a/b", "v1:a", "v1:a%2Fb", "v1:..", "v1:.", "v1:A", "v2:a", "v1:a:", "..:x" };
	enum { N = sizeof owners / sizeof *owners };
	const struct fixture *f = *state;
	char id[ID_SIZE];

	for (unsigned i = 0; i < N; i++) {
		numbered(i, id);
		make_job_folder(f, id);
		assert_int_equal(index_add(f->s, owners[i], 7, id), 0);
	}
	for (unsigned i = 0; i < N; i++) {
		struct index_entry page[N];

		numbered(i, id);
		assert_int_equal(index_page(f->s, owners[i], newest, page, N), 1);
		assert_string_equal(page[0].id, id);
	}
}

static void
test_index_pages_newest_first(void **state)
{
	enum { JOBS = 237, PAGE = 10 };
	const struct fixture *f = *state;
	struct index_entry before = newest, page[PAGE];
	unsigned seen = 0;
	char id[ID_SIZE];

	for (unsigned i = 0; i < JOBS; i++) {
		numbered(i, id);
		make_job_folder(f, id);
		/* Added in another order than their age; several of the same microsecond. */
		assert_int_equal(index_add(f->s, "v1:x", (i * 101) % JOBS / 3, id), 0);
	}
	for (;;) {
		int n = index_page(f->s, "v1:x", before, page, PAGE);

		assert_true(n >= 0);
		if (n == 0)
			break;
		for (int i = 0; i < n; i++) {
			assert_true(page[i].accepted_usec < before.accepted_usec ||
			    (page[i].accepted_usec == before.accepted_usec && strcmp(page[i].id, before.id) < 0));
			before = page[i];
		}
		seen += (unsigned)n;
	}
	assert_int_equal(seen, JOBS);
	assert_int_equal(index_page(f->s, "v1:nobody", newest, page, PAGE), 0);
	assert_int_equal(index_page(f->s, "v1:x", newest, page, 0), 0);
}

/* However many names have no job, a page is only short at the end. */
static void
test_index_page_skips_names_without_a_job(void **state)
{
	enum { JOBS = 60, PAGE = 8 };
	const struct fixture *f = *state;
	struct index_entry page[PAGE];
	char id[ID_SIZE];

	for (unsigned i = 0; i < JOBS; i++) {
		numbered(i, id);
		if (i % 6 == 0)
			make_job_folder(f, id);
		assert_int_equal(index_add(f->s, "v1:x", i, id), 0);
	}
	assert_int_equal(index_page(f->s, "v1:x", newest, page, PAGE), PAGE);
	for (unsigned i = 0; i < PAGE; i++)
		assert_int_equal(page[i].accepted_usec, JOBS - 6 - 6 * i);
	assert_int_equal(index_page(f->s, "v1:x", page[PAGE - 1], page, PAGE), 2);
}

struct tally {
	unsigned n, sum;
	int stop_at;
};

static int
tally(const char *owner, uint64_t accepted_usec, const char *id, void *ctx)
{
	struct tally *t = ctx;

	assert_true(strcmp(owner, "v1:token:a/b") == 0 || strcmp(owner, "mip:user:ann") == 0);
	assert_true(id_valid(id));
	t->n++;
	t->sum += (unsigned)accepted_usec;
	return (int)t->n == t->stop_at ? -ECANCELED : 0;
}

static void
test_index_each_gives_all_but_keys(void **state)
{
	const struct fixture *f = *state;
	struct tally t = { 0 };
	char id[ID_SIZE];

	for (unsigned i = 1; i <= 10; i++) {
		numbered(i, id);
		assert_int_equal(index_add(f->s, i % 2 ? "v1:token:a/b" : "mip:user:ann", i, id), 0);
	}
	assert_int_equal(index_key_set(f->s, "mip", "1", id), 0);
	help_write(f->s->index_fd, "stray", "");
	help_write(f->s->index_fd, "v1/stray", "");
	help_write(f->s->index_fd, "v1/token%3Aa%2Fb/stray", "");
	help_write(f->s->index_fd, "v1/token%3Aa%2Fb/5-00000000000000000000000000000001", "");
	help_write(f->s->index_fd, "v1/token%3Aa%2Fb/-000000000000005-00000000000000000000000000000001", "");
	assert_int_equal(index_each(f->s, tally, &t), 0);
	assert_int_equal(t.n, 10);
	assert_int_equal(t.sum, 55);
	t = (struct tally){ .stop_at = 4 };
	assert_int_equal(index_each(f->s, tally, &t), -ECANCELED);
	assert_int_equal(t.n, 4);
}

static void
test_index_key_belongs_to_one_job(void **state)
{
	const struct fixture *f = *state;
	char a[ID_SIZE], b[ID_SIZE], got[ID_SIZE];

	numbered(1, a);
	numbered(2, b);
	make_job_folder(f, a);
	make_job_folder(f, b);
	assert_int_equal(index_key_get(f->s, "mip", "run/1", got), -ENOENT);
	assert_int_equal(index_key_set(f->s, "mip", "run/1", a), 0);
	assert_int_equal(index_key_set(f->s, "mip", "run/1", a), 0);
	assert_int_equal(index_key_set(f->s, "stan", "run/1", b), 0);
	assert_int_equal(index_key_get(f->s, "mip", "run/1", got), 0);
	assert_string_equal(got, a);
	/* Another's removal leaves it, and a later job takes it over. */
	assert_int_equal(index_key_remove(f->s, "mip", "run/1", b), 0);
	assert_int_equal(index_key_get(f->s, "mip", "run/1", got), 0);
	assert_int_equal(index_key_set(f->s, "mip", "run/1", b), 0);
	assert_int_equal(index_key_remove(f->s, "mip", "run/1", a), 0);
	assert_int_equal(index_key_get(f->s, "mip", "run/1", got), 0);
	assert_string_equal(got, b);
	assert_int_equal(index_key_remove(f->s, "mip", "run/1", b), 0);
	assert_int_equal(index_key_remove(f->s, "mip", "run/1", b), 0);
	assert_int_equal(index_key_get(f->s, "mip", "run/1", got), -ENOENT);
}

static void
test_index_key_without_a_job_is_free(void **state)
{
	const struct fixture *f = *state;
	char a[ID_SIZE], b[ID_SIZE], got[ID_SIZE];

	numbered(1, a);
	numbered(2, b);
	make_job_folder(f, a);
	make_job_folder(f, b);
	assert_int_equal(index_key_set(f->s, "mip", "1", a), 0);
	remove_job_folder(f, a);
	assert_int_equal(index_key_get(f->s, "mip", "1", got), -ENOENT);
	assert_int_equal(index_key_set(f->s, "mip", "1", b), 0);
	assert_int_equal(index_key_get(f->s, "mip", "1", got), 0);
	assert_string_equal(got, b);
	/* What is no link of ours is nobody's either. */
	assert_int_equal(symlinkat("/etc/passwd", f->s->index_fd, "key/mip/2"), 0);
	assert_int_equal(index_key_get(f->s, "mip", "2", got), -ENOENT);
	assert_int_equal(index_key_set(f->s, "mip", "2", b), 0);
	assert_int_equal(index_key_get(f->s, "mip", "2", got), 0);
	assert_int_equal(index_key_set(f->s, "mip", "", b), -EINVAL);
}

static void
test_index_count_is_of_jobs_that_exist(void **state)
{
	const struct fixture *f = *state;
	char id[ID_SIZE];

	assert_int_equal(index_count(f->s, "stamina:ip:192.0.2.7", 5), 0);
	assert_int_equal(index_count(f->s, "stamina", 5), 0);
	for (unsigned i = 1; i <= 6; i++) {
		numbered(i, id);
		assert_int_equal(index_add(f->s, i <= 4 ? "stamina:ip:192.0.2.7" : "stamina:ip:192.0.2.8", i, id), 0);
		if (i > 1)
			make_job_folder(f, id);
	}
	assert_int_equal(index_count(f->s, "stamina:ip:192.0.2.7", 100), 3);
	assert_int_equal(index_count(f->s, "stamina:ip:192.0.2.7", 2), 2);
	assert_int_equal(index_count(f->s, "stamina:ip:192.0.2.7", 0), 0);
	assert_int_equal(index_count(f->s, "stamina:ip:192.0.2.9", 100), 0);
	assert_int_equal(index_count(f->s, "stamina", 100), 5);
	assert_int_equal(index_count(f->s, "stamina", 4), 4);
	assert_int_equal(index_count(f->s, "v1", 4), 0);
	assert_int_equal(index_count(f->s, "", 4), -EINVAL);
}

int
main(void)
{
#define IN_SPOOL(test) cmocka_unit_test_setup_teardown(test, spool_setup, spool_teardown)
	const struct CMUnitTest tests[] = {
		IN_SPOOL(test_index_add_and_remove_are_idempotent),
		IN_SPOOL(test_index_refuses_owners_it_cannot_name),
		IN_SPOOL(test_index_owners_never_mix),
		IN_SPOOL(test_index_pages_newest_first),
		IN_SPOOL(test_index_page_skips_names_without_a_job),
		IN_SPOOL(test_index_each_gives_all_but_keys),
		IN_SPOOL(test_index_key_belongs_to_one_job),
		IN_SPOOL(test_index_key_without_a_job_is_free),
		IN_SPOOL(test_index_count_is_of_jobs_that_exist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
