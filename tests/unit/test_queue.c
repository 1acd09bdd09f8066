#include "config.h"

#include <string.h>

#include "helper/queue.h"
#include "unit.h"

enum { JOBS = 400, OWNERS = 12 };

static void
set_job(struct queue *q, struct queue_job *job, char id[16], const char *owner, unsigned number, uint64_t accepted)
{
	(void)snprintf(id, 16, "%08u", number);
	*job = (struct queue_job){ .owner = queue_hold(q, owner), .id = id, .accepted_usec = accepted };
	assert_non_null(job->owner);
	queue_add(q, job);
}

/* One who has nothing there comes before a thousand jobs of somebody else. */
static void
test_queue_newcomer_is_next(void **state)
{
	struct queue_job hog[1000], other;
	char ids[1001][16];
	struct queue *q = NULL;

	(void)state;
	assert_int_equal(queue_new(&q), 0);
	for (unsigned i = 0; i < 1000; i++)
		set_job(q, &hog[i], ids[i], "t:ip:hog", i, i);
	assert_ptr_equal(queue_next(q), &hog[0]);
	assert_ptr_equal(queue_next(q), &hog[1]);
	set_job(q, &other, ids[1000], "t:ip:other", 1000, 5000);
	assert_ptr_equal(queue_next(q), &other);
	for (unsigned i = 2; i < 1000; i++)
		assert_ptr_equal(queue_next(q), &hog[i]);
	assert_null(queue_next(q));
	assert_null(queue_free(q));
}

/* Two who leave and come back by turns do not pass a third for ever; nor do ever new ones. */
static void
test_queue_nobody_waits_for_ever(void **state)
{
	struct queue_job waits, first, more;
	char ids[3][16], name[32];
	struct queue *q = NULL;
	unsigned starts = 0;

	(void)state;
	assert_int_equal(queue_new(&q), 0);
	set_job(q, &first, ids[0], "t:ip:hog", 0, 1);
	set_job(q, &waits, ids[1], "t:ip:hog", 1, 2);
	assert_ptr_equal(queue_next(q), &first);
	for (bool reached = false; !reached; starts++) {
		struct queue_job *job;

		(void)snprintf(name, sizeof name, "t:ip:%u", starts % 2);
		set_job(q, &more, ids[2], name, 10 + starts, 10 + starts);
		job = queue_next(q);
		reached = job == &waits;
		queue_remove(q, &more);
		(void)queue_put(q, more.owner);
		assert_true(starts < 4);
	}
	set_job(q, &first, ids[0], "t:ip:hog", 0, 1);
	for (bool reached = false; !reached; starts++) {
		(void)snprintf(name, sizeof name, "t:ip:n%u", starts);
		set_job(q, &more, ids[2], name, 10 + starts, 10 + starts);
		reached = queue_next(q) == &first;
		queue_remove(q, &more);
		(void)queue_put(q, more.owner);
		assert_true(starts < 80);
	}
	assert_null(queue_free(q));
}

static size_t
one_at_once(const char *service, const void *ctx)
{
	(void)ctx;
	return strcmp(service, "slow") == 0 ? 1 : 0;
}

/* A service at its cap is passed over, whoever its owners are; a cap that is new counts at once. */
static void
test_queue_caps_a_service(void **state)
{
	struct queue_job slow[3], quick;
	char ids[4][16];
	struct queue *q = NULL;

	(void)state;
	assert_int_equal(queue_new(&q), 0);
	set_job(q, &slow[0], ids[0], "slow:ip:1", 0, 1);
	set_job(q, &slow[1], ids[1], "slow:ip:2", 1, 2);
	set_job(q, &slow[2], ids[2], "slow:ip:3", 2, 3);
	set_job(q, &quick, ids[3], "quick:ip:1", 3, 4);
	assert_int_equal(queue_service_owned(slow[0].owner), 3);
	assert_int_equal(queue_service_owned(quick.owner), 1);
	queue_set_service_limit(q, one_at_once, NULL);
	assert_ptr_equal(queue_next(q), &slow[0]);
	queue_running(q, slow[0].owner);
	assert_ptr_equal(queue_next(q), &quick);
	assert_null(queue_next(q));
	queue_ran(q, slow[0].owner);
	assert_ptr_equal(queue_next(q), &slow[1]);
	queue_running(q, slow[1].owner);
	assert_null(queue_next(q));
	queue_ran(q, slow[1].owner);
	assert_ptr_equal(queue_next(q), &slow[2]);
	for (unsigned i = 0; i < 3; i++)
		(void)queue_put(q, slow[i].owner);
	(void)queue_put(q, quick.owner);
	assert_null(queue_free(q));
}

/* Positions say in which order they would start. */
static void
test_queue_position_is_the_order(void **state)
{
	struct queue_job hog[40], other[3], newcomer;
	struct queue_job *all[44], *next;
	char ids[44][16];
	size_t places[44], n = 0;
	struct queue *q = NULL;

	(void)state;
	assert_int_equal(queue_new(&q), 0);
	for (unsigned i = 0; i < 40; i++, n++)
		set_job(q, all[n] = &hog[i], ids[n], "t:ip:hog", (unsigned)n, n);
	assert_ptr_equal(queue_next(q), &hog[0]);
	assert_int_equal(queue_position(q, &hog[0]), 0);
	for (unsigned i = 0; i < 3; i++, n++)
		set_job(q, all[n] = &other[i], ids[n], "t:ip:other", (unsigned)n, n);
	set_job(q, all[n] = &newcomer, ids[n], "t:ip:new", (unsigned)n, n);
	n++;
	for (size_t i = 0; i < n; i++)
		places[i] = queue_position(q, all[i]);
	assert_int_equal(places[40], 1);
	assert_int_equal(places[43], 2);
	for (size_t turn = 1; (next = queue_next(q)); turn++)
		for (size_t i = 0; i < n; i++)
			if (all[i] == next)
				assert_int_equal(places[i], turn);
	for (size_t i = 0; i < n; i++)
		(void)queue_put(q, all[i]->owner);
	assert_null(queue_free(q));
}

static void
test_queue_caps_what_runs(void **state)
{
	struct queue_job jobs[3];
	char ids[3][16];
	struct queue *q = NULL;

	(void)state;
	assert_int_equal(queue_new(&q), 0);
	queue_set_running_max(q, 1);
	set_job(q, &jobs[0], ids[0], "t:ip:one", 0, 1);
	set_job(q, &jobs[1], ids[1], "t:ip:one", 1, 2);
	set_job(q, &jobs[2], ids[2], "t:ip:two", 2, 3);
	assert_int_equal(queue_owned(jobs[0].owner), 2);
	assert_ptr_equal(queue_next(q), &jobs[0]);
	queue_running(q, jobs[0].owner);
	assert_ptr_equal(queue_next(q), &jobs[2]);
	assert_null(queue_next(q));
	queue_ran(q, jobs[0].owner);
	assert_ptr_equal(queue_next(q), &jobs[1]);
	queue_running(q, jobs[1].owner);
	queue_add(q, &jobs[0]);
	assert_null(queue_next(q));
	queue_set_running_max(q, 2);
	assert_ptr_equal(queue_next(q), &jobs[0]);
	assert_null(queue_free(q));
}

/* The model: rounds kept in plain arrays, looked through at every step. */
static void
test_queue_against_a_model(void **state)
{
	static struct queue_job jobs[JOBS];
	static char ids[JOBS][16];
	uint64_t rounds[OWNERS] = { 0 }, round = 0;
	unsigned owner_of[JOBS], n = 0, starts = 0;
	struct queue *q = NULL;

	(void)state;
	srand(7);
	assert_int_equal(queue_new(&q), 0);
	for (unsigned step = 0; step < 6000; step++) {
		unsigned what = (unsigned)rand() % 8;

		if (what < 4 && n < JOBS) {
			unsigned o = (unsigned)rand() % OWNERS;
			bool any = false;
			uint64_t joins = starts < 64 ? round : round + 1;
			char name[16];

			o = rand() % 2 ? 0 : o;
			for (unsigned i = 0; i < n; i++)
				any = any || (owner_of[i] == o && jobs[i].waiting);
			if (!any && rounds[o] < joins)
				rounds[o] = joins;
			(void)snprintf(name, sizeof name, "t:ip:%u", o);
			owner_of[n] = o;
			set_job(q, &jobs[n], ids[n], name, n, (uint64_t)rand() % 100);
			n++;
		} else if (what < 5 && n > 0) {
			unsigned i = (unsigned)rand() % n;

			if (rand() % 3 == 0)
				queue_remove(q, &jobs[i]);
		} else {
			uint64_t oldest[OWNERS];
			int first[OWNERS], best = -1;

			for (unsigned o = 0; o < OWNERS; o++) {
				first[o] = -1;
				oldest[o] = 0;
				for (unsigned i = 0; i < n; i++)
					if (owner_of[i] == o && jobs[i].waiting && (first[o] < 0 || jobs[i].accepted_usec < oldest[o])) {
						first[o] = (int)i;	/* ids grow with i */
						oldest[o] = jobs[i].accepted_usec;
					}
				if (first[o] >= 0 && (best < 0 || rounds[o] < rounds[best] || (rounds[o] == rounds[best] &&
				    (oldest[o] < oldest[best] || (oldest[o] == oldest[best] && first[o] < first[best])))))
					best = (int)o;
			}
			if (best < 0) {
				assert_null(queue_next(q));
				n = 0;	/* owners stay held: the model never forgets one either */
				continue;
			}
			assert_ptr_equal(queue_next(q), &jobs[first[best]]);
			if (rounds[best] > round) {
				round = rounds[best];
				starts = 0;
			}
			starts++;
			rounds[best] = round + 1;
		}
	}
	assert_null(queue_free(q));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue_newcomer_is_next),
		cmocka_unit_test(test_queue_nobody_waits_for_ever),
		cmocka_unit_test(test_queue_caps_a_service),
		cmocka_unit_test(test_queue_position_is_the_order),
		cmocka_unit_test(test_queue_caps_what_runs),
		cmocka_unit_test(test_queue_against_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
