/* test_offload.c - threads for what may wait: works beside the loop, dones in it. */
#include "config.h"

#include "unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "helper/offload.h"

enum { SECONDS = 20 };	/* for what must happen */

struct fixture {
	sd_event *event;
	struct offload *offload;
};

static struct {
	sem_t begun, go;
	pthread_t loop;
	size_t done;
	unsigned ended[64];	/* numbers, in the order of the dones */
	atomic_uint works;
} shared;

struct errand {
	struct task task;
	unsigned number;
	bool waits;	/* for shared.go */
	pthread_t worker;
	sigset_t blocked;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	memset(&shared, 0, sizeof shared);
	assert_int_equal(sem_init(&shared.begun, 0, 0), 0);
	assert_int_equal(sem_init(&shared.go, 0, 0), 0);
	shared.loop = pthread_self();
	assert_true(sd_event_new(&f->event) >= 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	assert_null(offload_free(f->offload));
	(void)sd_event_unref(f->event);
	(void)sem_destroy(&shared.begun);
	(void)sem_destroy(&shared.go);
	free(f);
	return 0;
}

static void
wait_sem(sem_t *sem)
{
	struct timespec end;

	(void)clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += SECONDS;
	assert_int_equal(sem_timedwait(sem, &end), 0);
}

static void
work(struct task *task)
{
	struct errand *e = task_owner(task, struct errand, task);

	e->worker = pthread_self();
	(void)pthread_sigmask(SIG_BLOCK, NULL, &e->blocked);
	atomic_fetch_add(&shared.works, 1);
	(void)sem_post(&shared.begun);
	if (e->waits)
		(void)sem_wait(&shared.go);
}

static void
done(struct task *task)
{
	const struct errand *e = task_owner(task, struct errand, task);

	assert_true(pthread_equal(pthread_self(), shared.loop));
	assert_false(pthread_equal(e->worker, shared.loop));
	shared.ended[shared.done++] = e->number;
}

static void
hand_in(struct fixture *f, struct errand *e, unsigned number, bool waits)
{
	*e = (struct errand){ .task = { .work = work, .done = done }, .number = number, .waits = waits };
	offload_run(f->offload, &e->task);
}

static void
run_until(struct fixture *f, size_t n)
{
	while (shared.done < n)
		assert_true(sd_event_run(f->event, SECONDS * 1000000ULL) > 0);
}

static void
test_works_run_in_threads_and_dones_in_the_loop(void **state)
{
	struct fixture *f = *state;
	struct errand e[20];

	assert_int_equal(offload_new(f->event, 3, &f->offload), 0);
	assert_int_equal(offload_pending(f->offload), 0);
	for (unsigned i = 0; i < 20; i++)
		hand_in(f, &e[i], i, false);
	assert_int_equal(offload_pending(f->offload), 20);
	run_until(f, 20);
	assert_int_equal(offload_pending(f->offload), 0);
}

static void
test_dones_come_in_the_order_in_which_works_end(void **state)
{
	struct fixture *f = *state;
	struct errand slow, quick[10];

	assert_int_equal(offload_new(f->event, 2, &f->offload), 0);
	hand_in(f, &slow, 99, true);
	wait_sem(&shared.begun);
	for (unsigned i = 0; i < 10; i++)	/* by the one thread that is left */
		hand_in(f, &quick[i], i, false);
	run_until(f, 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(shared.ended[i], i);
	assert_int_equal(offload_pending(f->offload), 1);
	(void)sem_post(&shared.go);
	run_until(f, 11);
	assert_int_equal(shared.ended[10], 99);
}

static void
test_as_many_works_at_once_as_threads(void **state)
{
	struct fixture *f = *state;
	struct errand e[5];

	assert_int_equal(offload_new(f->event, 4, &f->offload), 0);
	for (unsigned i = 0; i < 5; i++)
		hand_in(f, &e[i], i, true);
	for (unsigned i = 0; i < 4; i++)
		wait_sem(&shared.begun);
	assert_int_equal(atomic_load(&shared.works), 4);	/* the fifth waits for a thread */
	for (unsigned i = 0; i < 5; i++)
		(void)sem_post(&shared.go);
	run_until(f, 5);
}

/* Two steps of one task: what a done hands in again. */
static struct fixture *again;

static void
done_again(struct task *task)
{
	task->done = done;
	shared.ended[shared.done++] = 0;
	offload_run(again->offload, task);
}

static void
test_a_done_may_hand_its_task_in_again(void **state)
{
	struct fixture *f = *state;
	struct errand e;

	again = f;
	assert_int_equal(offload_new(f->event, 1, &f->offload), 0);
	e = (struct errand){ .task = { .work = work, .done = done_again }, .number = 7 };
	offload_run(f->offload, &e.task);
	run_until(f, 2);
	assert_int_equal(shared.ended[1], 7);
	assert_int_equal(atomic_load(&shared.works), 2);
	assert_int_equal(offload_pending(f->offload), 0);
}

static void
test_signals_are_the_loops(void **state)
{
	struct fixture *f = *state;
	struct errand e;
	sigset_t before, after;

	(void)pthread_sigmask(SIG_BLOCK, NULL, &before);
	assert_int_equal(offload_new(f->event, 1, &f->offload), 0);
	(void)pthread_sigmask(SIG_BLOCK, NULL, &after);
	assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
	hand_in(f, &e, 1, false);
	run_until(f, 1);
	assert_int_equal(sigismember(&e.blocked, SIGTERM), 1);
	assert_int_equal(sigismember(&e.blocked, SIGCHLD), 1);
}

static void
test_freeing_does_what_waits_and_calls_nobody(void **state)
{
	struct fixture *f = *state;
	struct errand e[10];
	int before = next_fd();

	assert_int_equal(offload_new(f->event, 1, &f->offload), 0);
	hand_in(f, &e[0], 0, true);
	wait_sem(&shared.begun);
	for (unsigned i = 1; i < 10; i++)
		hand_in(f, &e[i], i, false);
	(void)sem_post(&shared.go);
	f->offload = offload_free(f->offload);
	assert_int_equal(atomic_load(&shared.works), 10);
	assert_int_equal(shared.done, 0);
	assert_int_equal(next_fd(), before);
	assert_int_equal(sd_event_run(f->event, 0), 0);	/* its source is gone */
}

#define OFFLOAD_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		OFFLOAD_TEST(test_works_run_in_threads_and_dones_in_the_loop),
		OFFLOAD_TEST(test_dones_come_in_the_order_in_which_works_end),
		OFFLOAD_TEST(test_as_many_works_at_once_as_threads),
		OFFLOAD_TEST(test_a_done_may_hand_its_task_in_again),
		OFFLOAD_TEST(test_signals_are_the_loops),
		OFFLOAD_TEST(test_freeing_does_what_waits_and_calls_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
