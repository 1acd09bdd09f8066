#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "basic/scoped.h"
#include "helper/offload.h"

enum { STACK_BYTES = 256 * 1024 };

struct list {
	struct task *first;
	struct task **last;
};

struct offload {
	pthread_mutex_t lock;	/* todo, ended, stop */
	pthread_cond_t wake;
	struct list todo;
	struct list ended;
	bool stop;
	int event_fd;	/* readable while something ended */
	sd_event_source *source;
	size_t pending;	/* the loop's own count */
	unsigned n_threads;
	pthread_t threads[];
};

static void
list_add(struct list *l, struct task *task)
{
	task->next = NULL;
	*l->last = task;
	l->last = &task->next;
}

static struct task *
list_take(struct list *l)
{
	struct task *task = l->first;

	if (task) {
		l->first = task->next;
		if (!l->first)
			l->last = &l->first;
	}
	return task;
}

static void *
run_thread(void *arg)
{
	struct offload *o = arg;
	const uint64_t one = 1;

	(void)pthread_mutex_lock(&o->lock);
	for (;;) {
		struct task *task;

		while (!o->todo.first && !o->stop)
			(void)pthread_cond_wait(&o->wake, &o->lock);
		task = list_take(&o->todo);
		if (!task)
			break;
		(void)pthread_mutex_unlock(&o->lock);
		task->work(task);
		(void)pthread_mutex_lock(&o->lock);
		list_add(&o->ended, task);
		if (write(o->event_fd, &one, sizeof one) < 0)
			abort();	/* an eventfd counts to 2^64 */
	}
	(void)pthread_mutex_unlock(&o->lock);
	return NULL;
}

static int
on_ended(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	struct offload *o = ctx;
	struct task *task;
	uint64_t count;

	(void)source;
	(void)events;
	if (read(fd, &count, sizeof count) < 0)
		return 0;	/* nothing there after all */
	(void)pthread_mutex_lock(&o->lock);
	task = o->ended.first;
	o->ended.first = NULL;
	o->ended.last = &o->ended.first;
	(void)pthread_mutex_unlock(&o->lock);
	while (task) {
		struct task *next = task->next;

		o->pending--;
		task->done(task);
		task = next;
	}
	return 0;
}

/* Signals are the loop's: threads are born with all of them blocked. */
static int
start_threads(struct offload *o, unsigned threads)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r;

	r = -pthread_attr_init(&attr);
	if (r < 0)
		return r;
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	while (r == 0 && o->n_threads < threads) {
		r = -pthread_create(&o->threads[o->n_threads], &attr, run_thread, o);
		if (r == 0)
			o->n_threads++;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	return r;
}

int
offload_new(sd_event *event, unsigned threads, struct offload **ret)
{
	struct offload *o = calloc(1, sizeof *o + threads * sizeof *o->threads);
	int r;

	if (!o)
		return -ENOMEM;
	(void)pthread_mutex_init(&o->lock, NULL);
	(void)pthread_cond_init(&o->wake, NULL);
	o->todo.last = &o->todo.first;
	o->ended.last = &o->ended.first;
	o->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = o->event_fd < 0 ? -errno : sd_event_add_io(event, &o->source, o->event_fd, EPOLLIN, on_ended, o);
	if (r >= 0)
		r = start_threads(o, threads);
	if (r < 0) {
		(void)offload_free(o);
		return r;
	}
	*ret = o;
	return 0;
}

struct offload *
offload_free(struct offload *o)
{
	if (!o)
		return NULL;
	(void)pthread_mutex_lock(&o->lock);
	o->stop = true;
	(void)pthread_cond_broadcast(&o->wake);
	(void)pthread_mutex_unlock(&o->lock);
	for (unsigned i = 0; i < o->n_threads; i++)
		(void)pthread_join(o->threads[i], NULL);
	(void)sd_event_source_disable_unref(o->source);
	close_fd(&o->event_fd);
	(void)pthread_cond_destroy(&o->wake);
	(void)pthread_mutex_destroy(&o->lock);
	free(o);
	return NULL;
}

void
offload_run(struct offload *o, struct task *task)
{
	o->pending++;
	(void)pthread_mutex_lock(&o->lock);
	list_add(&o->todo, task);
	(void)pthread_cond_signal(&o->wake);
	(void)pthread_mutex_unlock(&o->lock);
}

size_t
offload_pending(const struct offload *o)
{
	return o->pending;
}
