#include "config.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "basic/clock.h"
#include "basic/scoped.h"
#include "helper/writer.h"
#include "spool/layout.h"
#include "spool/redo.h"

enum { STACK_BYTES = 256 * 1024, GROUP_MAX = 512 };

struct list {
	struct write *first;
	struct write **last;
};

struct writer {
	const struct spool *spool;
	struct redo *redo;
	int event_fd;
	sd_event_source *source;
	pthread_t write_thread, sync_thread;
	unsigned n_threads;

	pthread_mutex_t lock;	/* what follows, up to the blank line */
	pthread_cond_t wake_write;	/* todo, room, stop */
	pthread_cond_t wake_sync;	/* sync_half, stop */
	pthread_cond_t settled;	/* sync_half, syncing */
	struct list todo;
	struct list ended;
	size_t backlog_bytes;
	int half;	/* in which the writer thread appends */
	int sync_half;	/* wants a checkpoint; -1: none */
	bool syncing;	/* a checkpoint is under way */
	bool hold;	/* nothing is taken from todo */
	bool room;	/* a half was released since the writer thread last looked */
	bool stop;
	int error;	/* first failure */

	/* The loop's own. A group that lies in both halves counts as one of the earlier: that one is released last. */
	size_t unapplied[2];
	int seen_half;
	bool left[2];	/* not appended to any more, not released yet */
	size_t pending;
};

static void
list_init(struct list *l)
{
	l->first = NULL;
	l->last = &l->first;
}

static void
list_add(struct list *l, struct write *write)
{
	write->next = NULL;
	*l->last = write;
	l->last = &write->next;
}

static struct write *
list_take(struct list *l)
{
	struct write *write = l->first;

	if (write) {
		l->first = write->next;
		if (!l->first)
			l->last = &l->first;
	}
	return write;
}

/* Moves what is still wanted of todo, up to a group, into group; what is not goes to ended with its reason. Locked. */
static size_t
take_group(struct writer *w, struct write *group[GROUP_MAX])
{
	uint64_t now = clock_mono();
	size_t n = 0;
	struct write *write;

	while (n < GROUP_MAX && (write = list_take(&w->todo)) != NULL) {
		w->backlog_bytes -= write->len;
		if (atomic_load(&write->cancelled))
			write->result = -ECANCELED;
		else if (now > write->deadline_mono_usec)
			write->result = -ETIMEDOUT;
		else
			write->result = w->error;
		if (write->result < 0)
			list_add(&w->ended, write);
		else
			group[n++] = write;
	}
	return n;
}

/* Appends and flushes; returns how many of the group are done with, each with its result. Not locked. */
static size_t
write_group(struct writer *w, struct write *const group[], size_t n, int *ret_error)
{
	const void *records[GROUP_MAX];
	size_t lens[GROUP_MAX], done = 0;
	int before = redo_half(w->redo), half = before, r;
	bool goes_on = group[0]->len <= redo_room(w->redo);	/* with that half */

	for (size_t i = 0; i < n; i++) {
		records[i] = group[i]->data;
		lens[i] = group[i]->len;
	}
	r = redo_append(w->redo, records, lens, n, &done, &half);
	if (r == -EAGAIN && done == 0)
		return 0;
	if (r == 0 || r == -EAGAIN)
		r = redo_flush(w->redo);
	else
		done = n;
	for (size_t i = 0; i < done; i++) {
		group[i]->half = goes_on ? before : half;
		group[i]->result = r;
	}
	if (r < 0)
		*ret_error = r;
	return done;
}

static void
tell_loop(struct writer *w)
{
	const uint64_t one = 1;

	if (write(w->event_fd, &one, sizeof one) < 0)
		abort();	/* an eventfd counts to 2^64 */
}

static void *
run_write_thread(void *arg)
{
	struct writer *w = arg;
	struct write *group[GROUP_MAX];

	(void)pthread_mutex_lock(&w->lock);
	for (;;) {
		size_t n, done = 0;
		int error = 0;

		while ((!w->todo.first || w->hold) && !w->stop)
			(void)pthread_cond_wait(&w->wake_write, &w->lock);
		if (!w->todo.first)
			break;
		n = take_group(w, group);
		w->room = false;
		(void)pthread_mutex_unlock(&w->lock);
		if (n > 0)
			done = write_group(w, group, n, &error);
		(void)pthread_mutex_lock(&w->lock);
		if (error < 0 && w->error == 0)
			w->error = error;
		w->half = redo_half(w->redo);
		for (size_t i = 0; i < done; i++)
			list_add(&w->ended, group[i]);
		/* The rest goes back to the front, in order, and waits for a checkpoint. */
		for (size_t i = n; i-- > done;) {
			group[i]->next = w->todo.first;
			w->todo.first = group[i];
			if (!group[i]->next)
				w->todo.last = &group[i]->next;
			w->backlog_bytes += group[i]->len;
		}
		tell_loop(w);
		while (done < n && !w->room && !w->stop && w->error == 0)
			(void)pthread_cond_wait(&w->wake_write, &w->lock);
		if (done < n && w->stop && !w->room)
			break;
	}
	(void)pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void *
run_sync_thread(void *arg)
{
	struct writer *w = arg;

	(void)pthread_mutex_lock(&w->lock);
	for (;;) {
		int half, r;

		while (w->sync_half < 0 && !w->stop)
			(void)pthread_cond_wait(&w->wake_sync, &w->lock);
		if (w->sync_half < 0)
			break;
		half = w->sync_half;
		w->sync_half = -1;
		w->syncing = true;
		(void)pthread_mutex_unlock(&w->lock);
		r = spool_sync(w->spool);
		if (r == 0)
			redo_release(w->redo, half);
		(void)pthread_mutex_lock(&w->lock);
		if (r < 0 && w->error == 0)
			w->error = r;
		w->room = true;
		w->syncing = false;
		(void)pthread_cond_signal(&w->wake_write);
		(void)pthread_cond_broadcast(&w->settled);
		tell_loop(w);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Asks for a checkpoint of a half that is left and done. In the loop. */
static void
consider_checkpoint(struct writer *w, int half)
{
	if (!w->left[half] || w->unapplied[half] > 0)
		return;
	w->left[half] = false;
	(void)pthread_mutex_lock(&w->lock);
	w->sync_half = half;
	(void)pthread_cond_signal(&w->wake_sync);
	(void)pthread_mutex_unlock(&w->lock);
}

static int
on_ended(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	struct writer *w = ctx;
	struct write *write;
	uint64_t count;
	int half;

	(void)source;
	(void)events;
	if (read(fd, &count, sizeof count) < 0)
		return 0;	/* nothing there after all */
	(void)pthread_mutex_lock(&w->lock);
	write = w->ended.first;
	list_init(&w->ended);
	half = w->half;
	(void)pthread_mutex_unlock(&w->lock);
	for (struct write *p = write; p; p = p->next)
		if (p->result == 0)
			w->unapplied[p->half]++;
	if (half != w->seen_half) {
		w->left[w->seen_half] = true;
		w->seen_half = half;
	}
	while (write) {
		struct write *next = write->next;

		w->pending--;
		free(take_ptr(write->data));
		write->done(write, write->result);
		write = next;
	}
	consider_checkpoint(w, !half);
	return 0;
}

static int
start_threads(struct writer *w)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r = -pthread_attr_init(&attr);

	if (r < 0)
		return r;
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&w->write_thread, &attr, run_write_thread, w);
	if (r == 0) {
		w->n_threads = 1;
		r = -pthread_create(&w->sync_thread, &attr, run_sync_thread, w);
		if (r == 0)
			w->n_threads = 2;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	return r;
}

int
writer_new(sd_event *event, const struct spool *spool, struct redo *redo, struct writer **ret)
{
	struct writer *w = calloc(1, sizeof *w);
	int r;

	if (!w)
		return -ENOMEM;
	w->spool = spool;
	w->redo = redo;
	w->half = w->seen_half = redo_half(redo);
	w->sync_half = -1;
	list_init(&w->todo);
	list_init(&w->ended);
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->wake_write, NULL);
	(void)pthread_cond_init(&w->wake_sync, NULL);
	(void)pthread_cond_init(&w->settled, NULL);
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = w->event_fd < 0 ? -errno : sd_event_add_io(event, &w->source, w->event_fd, EPOLLIN, on_ended, w);
	if (r >= 0)
		r = start_threads(w);
	if (r < 0) {
		(void)writer_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

struct writer *
writer_free(struct writer *w)
{
	if (!w)
		return NULL;
	(void)pthread_mutex_lock(&w->lock);
	w->stop = true;
	(void)pthread_cond_broadcast(&w->wake_write);
	(void)pthread_cond_broadcast(&w->wake_sync);
	(void)pthread_mutex_unlock(&w->lock);
	if (w->n_threads > 0)
		(void)pthread_join(w->write_thread, NULL);
	if (w->n_threads > 1)
		(void)pthread_join(w->sync_thread, NULL);
	(void)sd_event_source_disable_unref(w->source);
	close_fd(&w->event_fd);
	(void)pthread_cond_destroy(&w->wake_write);
	(void)pthread_cond_destroy(&w->wake_sync);
	(void)pthread_cond_destroy(&w->settled);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
	return NULL;
}

void
writer_add(struct writer *w, struct write *write)
{
	w->pending++;
	(void)pthread_mutex_lock(&w->lock);
	list_add(&w->todo, write);
	w->backlog_bytes += write->len;
	(void)pthread_cond_signal(&w->wake_write);
	(void)pthread_mutex_unlock(&w->lock);
}

void
writer_applied(struct writer *w, int half)
{
	assert(w->unapplied[half] > 0);
	w->unapplied[half]--;
	consider_checkpoint(w, half);
}

int
writer_error(const struct writer *w)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&w->lock;
	int error;

	(void)pthread_mutex_lock(lock);
	error = w->error;
	(void)pthread_mutex_unlock(lock);
	return error;
}

size_t
writer_backlog_bytes(const struct writer *w)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&w->lock;
	size_t bytes;

	(void)pthread_mutex_lock(lock);
	bytes = w->backlog_bytes;
	(void)pthread_mutex_unlock(lock);
	return bytes;
}

size_t
writer_pending(const struct writer *w)
{
	return w->pending;
}

int
writer_hold(struct writer *w)
{
	if (w->pending > 0 || w->unapplied[0] > 0 || w->unapplied[1] > 0)
		return -EBUSY;
	/* With nothing pending the writer thread waits for work: it has no group in its hands. */
	(void)pthread_mutex_lock(&w->lock);
	w->hold = true;
	(void)pthread_mutex_unlock(&w->lock);
	return 0;
}

void
writer_settle(struct writer *w)
{
	(void)pthread_mutex_lock(&w->lock);
	while (w->syncing || w->sync_half >= 0)
		(void)pthread_cond_wait(&w->settled, &w->lock);
	(void)pthread_mutex_unlock(&w->lock);
}

struct redo *
writer_replace(struct writer *w, struct redo *redo)
{
	struct redo *old = NULL;

	(void)pthread_mutex_lock(&w->lock);
	assert(w->hold && !w->syncing && w->sync_half < 0);
	w->hold = false;
	if (redo) {
		old = w->redo;
		w->redo = redo;
		w->error = 0;
		w->half = w->seen_half = redo_half(redo);
		w->left[0] = w->left[1] = false;
	}
	(void)pthread_cond_signal(&w->wake_write);
	(void)pthread_mutex_unlock(&w->lock);
	return old;
}
