#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "gate/exchange.h"
#include "gate/waiting.h"
#include "gate/stream.h"
#include "proto/client.h"

enum {
	EVENTS = 64,	/* of one epoll_wait */
	STACK_BYTES = 256 * 1024,
	SEND_TIMEOUT_SEC = 5,	/* of one write of an answer: nginx buffers them, and all others wait for this thread meanwhile */
};
#define STALL_USEC (60 * USEC_PER_SEC)	/* a stream's reader who takes nothing this long has gone */
#define FOLLOW_USEC (50 * USEC_PER_MSEC)
#define RETRY_MIN_USEC (100 * USEC_PER_MSEC)	/* between attempts to reach the helper */
#define RETRY_MAX_USEC (2 * USEC_PER_SEC)

struct wait {
	struct wait *next, *prev;	/* of the list it is in */
	struct exchange *x;
	struct wait_for what;	/* owner and ctx are its own */
	int64_t size;	/* of the followed file, when last seen */
	bool drained;	/* was told */
	bool over;	/* answered or gone; freed at the end of the round */
	bool ending;	/* a stream whose last bytes are pending */
	uint64_t blocked_at;	/* since when a stream's reader takes nothing; 0: nothing is pending */
};

struct owner {
	char *name;
	unsigned n;
};

struct waiting {
	struct gate *gate;
	pthread_t thread;
	int wake_fd;	/* eventfd: something below changed */
	int epoll_fd;

	pthread_mutex_t lock;	/* of what follows */
	struct wait *incoming;	/* handed over, newest first */
	size_t n;	/* places taken */
	struct owner *owners;	/* who has taken them */
	size_t n_owners;
	bool draining, finishing;

	/* The thread's own. */
	struct wait *waits;
	size_t n_followed, n_watched;
	struct client *helper;
	int watched_fd;	/* the connection that epoll knows; -EBADF: none */
	uint64_t retry_at, retry_usec;	/* when to reach for the helper again; 0: connected or nobody watches */
	uint64_t connected_at;
	uint64_t follow_at;	/* next look at the followed files */
};

/* Places. */

static struct owner *
find_owner(struct waiting *w, const char *name)
{
	for (size_t i = 0; i < w->n_owners; i++)
		if (strcmp(w->owners[i].name, name) == 0)
			return &w->owners[i];
	return NULL;
}

static int
take_place(struct waiting *w, const char *owner)
{
	struct owner *o = find_owner(w, owner);
	struct owner *more = NULL;
	char *name = NULL;

	if (w->draining || w->n >= w->gate->waits_max)
		return -EAGAIN;
	if (o && o->n >= w->gate->waits_owner_max)
		return -EDQUOT;
	if (!o) {
		name = strdup(owner);
		more = name ? reallocarray(w->owners, w->n_owners + 1, sizeof *more) : NULL;
		if (!more) {
			free(name);
			return -ENOMEM;
		}
		w->owners = more;
		o = &w->owners[w->n_owners++];
		*o = (struct owner){ .name = name };
	}
	o->n++;
	w->n++;
	return 0;
}

static void
leave_place(struct waiting *w, const char *owner)
{
	struct owner *o = NULL;

	(void)pthread_mutex_lock(&w->lock);
	o = find_owner(w, owner);
	if (o && --o->n == 0) {
		free(o->name);
		*o = w->owners[--w->n_owners];
	}
	w->n--;
	(void)pthread_mutex_unlock(&w->lock);
}

/* Frees a wait, and its place where it has one (w not NULL): last, so that a place that is free holds nothing any more. */
static void
wait_free(struct waiting *w, struct wait *wait)
{
	char *owner = (char *)(uintptr_t)wait->what.owner;

	if (wait->what.free_ctx)
		wait->what.free_ctx(wait->what.ctx);
	close_fd(&wait->what.follow_fd);
	free(wait);
	if (w)
		leave_place(w, owner);
	free(owner);
}

int
exchange_wait(struct exchange *x, const struct wait_for *what)
{
	struct waiting *w = x->gate->waiting;
	struct wait *wait = calloc(1, sizeof *wait);
	char *owner = strdup(what->owner);
	int r;

	if (!wait || !owner) {
		int fd = what->follow_fd;

		free(owner);
		free(wait);
		close_fd(&fd);
		if (what->free_ctx)
			what->free_ctx(what->ctx);
		return -ENOMEM;
	}
	wait->x = x;
	wait->what = *what;
	wait->what.owner = owner;
	if (w) {
		(void)pthread_mutex_lock(&w->lock);
		r = take_place(w, owner);
		(void)pthread_mutex_unlock(&w->lock);
	} else {
		r = -EAGAIN;
	}
	if (r < 0) {
		wait_free(NULL, wait);
		return r;
	}
	x->wait = wait;
	return 0;
}

static void
wake(struct waiting *w)
{
	uint64_t one = 1;

	(void)!write(w->wake_fd, &one, sizeof one);
}

void
waiting_take(struct waiting *w, struct exchange *x)
{
	struct wait *wait = x->wait;

	x->helper = NULL;
	x->parked = true;
	(void)pthread_mutex_lock(&w->lock);
	wait->next = w->incoming;
	w->incoming = wait;
	(void)pthread_mutex_unlock(&w->lock);
	wake(w);
}

void
exchange_wait_until(struct exchange *x, uint64_t deadline_mono_usec)
{
	x->wait->what.deadline_mono_usec = deadline_mono_usec;
}

size_t
waiting_count(struct waiting *w)
{
	size_t n;

	(void)pthread_mutex_lock(&w->lock);
	n = w->n;
	(void)pthread_mutex_unlock(&w->lock);
	return n;
}

/* The end of one wait; the memory stays until the end of the round, for epoll may have named it again. */
static void
wait_over(struct wait *wait, bool answered)
{
	struct exchange *x = take_ptr(wait->x);

	wait->over = true;
	x->wait = NULL;
	if (answered)
		exchange_end(x);
	else
		exchange_gone(x);
	exchange_free(x);
}

bool
exchange_stream_idle(const struct exchange *x)
{
	return stream_idle(x->stream);
}

void
exchange_stream_add(struct exchange *x, const void *data, size_t len)
{
	stream_add(x->stream, data, len);
	if (stream_flush(x->stream) < 0)	/* met again, and acted on, in send_pending() */
		return;
}

/* Sends what a stream's reader takes, and has epoll tell when he takes more. */
static void
send_pending(struct waiting *w, struct wait *wait)
{
	int r = stream_flush(wait->x->stream);
	bool was_blocked = wait->blocked_at != 0;
	struct epoll_event e = { .events = EPOLLRDHUP, .data.ptr = wait };

	if (r < 0) {
		wait_over(wait, false);
		return;
	}
	if (r == 0 && wait->ending) {
		wait_over(wait, true);
		return;
	}
	if (r > 0)
		e.events |= EPOLLOUT;
	if (was_blocked != (r > 0) && epoll_ctl(w->epoll_fd, EPOLL_CTL_MOD, wait->x->fcgx.ipcFd, &e) < 0) {
		wait_over(wait, false);
		return;
	}
	if (r == 0)
		wait->blocked_at = 0;
	else if (!was_blocked)
		wait->blocked_at = clock_mono();
}

static void
fire(struct waiting *w, struct wait *wait, enum wait_event event)
{
	bool done;

	if (wait->over || wait->ending)
		return;
	done = wait->what.answer(wait->x, event, wait->what.ctx) == WAIT_DONE;
	if (done && !wait->x->stream) {
		wait_over(wait, true);
		return;
	}
	if (done) {
		stream_end(wait->x->stream);
		wait->ending = true;
	}
	if (wait->x->stream)
		send_pending(w, wait);
}

/* A stream's reader takes bytes again. */
static void
on_writable(struct waiting *w, struct wait *wait)
{
	wait->blocked_at = clock_mono();	/* he took some, or this would not be called */
	send_pending(w, wait);
	if (!wait->over && !wait->blocked_at)
		fire(w, wait, WAIT_WRITABLE);
}

/* The connection to the helper. */

static void
helper_lost(struct waiting *w, uint64_t now)
{
	w->watched_fd = -EBADF;	/* closed, so epoll has forgotten it */
	w->retry_usec = w->retry_usec ? w->retry_usec * 2 : RETRY_MIN_USEC;
	if (w->retry_usec > RETRY_MAX_USEC)
		w->retry_usec = RETRY_MAX_USEC;
	w->retry_at = now + w->retry_usec;
}

/* Subscribes; what is missing while the helper is away is made up for by watch_all(). */
static int
watch(struct waiting *w, const char *const *ids, size_t n, uint64_t now)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = w };
	int r;

	if (!w->helper) {
		r = client_new(w->gate->helper_path, "gate", &w->helper);
		if (r < 0)
			return r;
	}
	r = client_watch(w->helper, ids, n);
	if (r < 0)
		return r;
	if (w->watched_fd != client_fd(w->helper)) {
		w->watched_fd = client_fd(w->helper);
		w->connected_at = now;
		if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->watched_fd, &e) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* Whether another wait than this one (NULL: any) watches the job. */
static bool
is_watched(const struct waiting *w, const struct wait *except, const char *id)
{
	for (const struct wait *i = w->waits; i; i = i->next)
		if (i != except && !i->over && strcmp(i->what.id, id) == 0)
			return true;
	return false;
}

/* After the connection was lost: all ids again, in one message. Then everybody looks, for changes were missed. */
static void
watch_all(struct waiting *w, uint64_t now)
{
	scoped(free_ptr) const char **ids = calloc(w->n_watched + 1, sizeof *ids);
	size_t n = 0;

	for (const struct wait *i = w->waits; ids && i; i = i->next)
		if (i->what.id[0])
			ids[n++] = i->what.id;
	if (!ids || watch(w, ids, n, now) < 0)
		helper_lost(w, now);
	else
		w->retry_at = 0;
	for (struct wait *i = w->waits; i; i = i->next)
		if (i->what.id[0])
			fire(w, i, WAIT_LOOK);
}

static void
on_helper(struct waiting *w, uint64_t now)
{
	char id[ID_SIZE];
	int r;

	while ((r = client_event(w->helper, id)) > 0)
		for (struct wait *i = w->waits; i; i = i->next)
			if (i->what.id[0] && (!id[0] || strcmp(id, i->what.id) == 0))
				fire(w, i, WAIT_LOOK);
	if (r < 0) {
		/* One that served for a while is tried again at once, one that goes as soon as it comes with a growing pause. */
		if (now - w->connected_at > RETRY_MAX_USEC)
			w->retry_usec = 0;
		helper_lost(w, now);
		if (w->retry_usec == RETRY_MIN_USEC)
			w->retry_at = now;
	}
}

/* Coming and going. */

static void
begin_wait(struct waiting *w, struct wait *wait, uint64_t now)
{
	static const struct timeval limit = { .tv_sec = SEND_TIMEOUT_SEC };
	struct epoll_event e = { .events = EPOLLRDHUP, .data.ptr = wait };
	bool first = wait->what.id[0] && !is_watched(w, NULL, wait->what.id);
	const char *ids[] = { wait->what.id };
	struct stat st;

	wait->prev = NULL;
	wait->next = w->waits;
	if (w->waits)
		w->waits->prev = wait;
	w->waits = wait;
	if (wait->what.follow_fd >= 0) {
		if (w->n_followed++ == 0)
			w->follow_at = now + FOLLOW_USEC;
		wait->size = fstat(wait->what.follow_fd, &st) == 0 ? st.st_size : 0;
	}
	if (wait->what.id[0])
		w->n_watched++;
	(void)setsockopt(wait->x->fcgx.ipcFd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, wait->x->fcgx.ipcFd, &e) < 0) {
		log_error("%s: cannot wait: %s", wait->x->req.id, strerror(errno));
		exchange_fail(wait->x, 500, "Internal error.");
		wait_over(wait, true);
		return;
	}
	if (wait->what.stream && exchange_begin_stream(wait->x, wait->what.stream) < 0) {
		exchange_fail(wait->x, 500, "Internal error.");
		wait_over(wait, true);
		return;
	}
	if (wait->x->stream)	/* the head goes out now, or the waiter would find it pending and say nothing */
		send_pending(w, wait);
	if (first && w->retry_at == 0 && watch(w, ids, 1, now) < 0)
		helper_lost(w, now);
	fire(w, wait, WAIT_LOOK);
}

/* Frees the waits that are over. */
static void
sweep(struct waiting *w)
{
	struct wait *next = NULL;

	for (struct wait *i = w->waits; i; i = next) {
		next = i->next;
		if (!i->over)
			continue;
		if (i->prev)
			i->prev->next = i->next;
		else
			w->waits = i->next;
		if (i->next)
			i->next->prev = i->prev;
		if (i->what.follow_fd >= 0)
			w->n_followed--;
		if (i->what.id[0]) {
			const char *ids[] = { i->what.id };

			w->n_watched--;
			if (w->watched_fd >= 0 && !is_watched(w, i, i->what.id) && client_unwatch(w->helper, ids, 1) < 0)
				helper_lost(w, clock_mono());
		}
		wait_free(w, i);
	}
	if (w->n_watched == 0 && w->retry_at) {	/* nobody needs the helper now */
		w->retry_at = 0;
		w->retry_usec = 0;
	}
}

static void
look_at_files(struct waiting *w, uint64_t now)
{
	struct stat st;

	if (w->n_followed == 0 || now < w->follow_at)
		return;
	w->follow_at = now + FOLLOW_USEC;
	for (struct wait *i = w->waits; i; i = i->next)
		if (i->what.follow_fd >= 0 && !i->over && fstat(i->what.follow_fd, &st) == 0 && st.st_size != i->size) {
			i->size = st.st_size;
			fire(w, i, WAIT_GROWN);
		}
}

static void
look_at_clock(struct waiting *w, uint64_t now)
{
	for (struct wait *i = w->waits; i; i = i->next)
		if (!i->ending && i->what.deadline_mono_usec && i->what.deadline_mono_usec <= now) {
			i->what.deadline_mono_usec = 0;
			fire(w, i, WAIT_DEADLINE);
		} else if (i->blocked_at && !i->over && i->blocked_at + STALL_USEC <= now) {
			wait_over(i, false);
		}
	if (w->retry_at && w->retry_at <= now && w->n_watched)
		watch_all(w, now);
}

/* Milliseconds until something is due, -1: nothing is. */
static int
next_timeout(const struct waiting *w, uint64_t now)
{
	uint64_t at = USEC_INFINITY;

	for (const struct wait *i = w->waits; i; i = i->next) {
		if (!i->ending && i->what.deadline_mono_usec && i->what.deadline_mono_usec < at)
			at = i->what.deadline_mono_usec;
		if (i->blocked_at && i->blocked_at + STALL_USEC < at)
			at = i->blocked_at + STALL_USEC;
	}
	if (w->retry_at && w->n_watched && w->retry_at < at)
		at = w->retry_at;
	if (w->n_followed && w->follow_at < at)
		at = w->follow_at;
	if (at == USEC_INFINITY)
		return -1;
	if (at <= now)
		return 0;
	if (at - now > 3600 * USEC_PER_SEC)
		return 3600 * 1000;
	return (int)((at - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
}

/* Takes what other threads left; false: the thread may end. */
static bool
look_at_orders(struct waiting *w, uint64_t now)
{
	struct wait *incoming = NULL;
	struct wait *next = NULL;
	uint64_t count;
	bool draining, done;

	(void)!read(w->wake_fd, &count, sizeof count);
	(void)pthread_mutex_lock(&w->lock);
	incoming = take_ptr(w->incoming);
	draining = w->draining;
	done = w->finishing && w->n == 0;
	(void)pthread_mutex_unlock(&w->lock);
	for (struct wait *i = incoming; i; i = next) {
		next = i->next;
		begin_wait(w, i, now);
	}
	if (draining)
		for (struct wait *i = w->waits; i; i = i->next)
			if (!i->drained) {
				i->drained = true;
				fire(w, i, WAIT_DRAIN);
			}
	return !done;
}

static void *
waiting_main(void *arg)
{
	struct waiting *w = arg;
	struct epoll_event events[EVENTS];
	bool go_on = true;

	while (go_on) {
		int n = epoll_wait(w->epoll_fd, events, EVENTS, next_timeout(w, clock_mono()));
		uint64_t now = clock_mono();

		for (int i = 0; i < n; i++) {
			struct wait *wait = events[i].data.ptr;

			if (events[i].data.ptr == w)
				on_helper(w, now);
			else if (wait && !wait->over && (events[i].events & ~(uint32_t)EPOLLOUT))
				wait_over(wait, false);	/* the client has gone */
			else if (wait && !wait->over)
				on_writable(w, wait);
		}
		go_on = look_at_orders(w, now);
		look_at_files(w, now);
		look_at_clock(w, now);
		sweep(w);
		if (!w->waits) {	/* whoever finishes waits for the last place */
			(void)pthread_mutex_lock(&w->lock);
			go_on = !(w->finishing && w->n == 0);
			(void)pthread_mutex_unlock(&w->lock);
		}
	}
	return NULL;
}

static void
waiting_free(struct waiting *w)
{
	close_fd(&w->wake_fd);
	close_fd(&w->epoll_fd);
	client_free(w->helper);
	for (size_t i = 0; i < w->n_owners; i++)
		free(w->owners[i].name);
	free(w->owners);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}

int
waiting_new(struct gate *gate, struct waiting **ret)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };
	struct waiting *w = calloc(1, sizeof *w);
	pthread_attr_t attr;
	int r;

	if (!w)
		return -ENOMEM;
	w->gate = gate;
	w->watched_fd = -EBADF;
	(void)pthread_mutex_init(&w->lock, NULL);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->wake_fd < 0 || w->epoll_fd < 0 || epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &e) < 0) {
		r = -errno;
		waiting_free(w);
		return r;
	}
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	r = -pthread_create(&w->thread, &attr, waiting_main, w);
	(void)pthread_attr_destroy(&attr);
	if (r < 0) {
		waiting_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void
waiting_drain(struct waiting *w)
{
	(void)pthread_mutex_lock(&w->lock);
	w->draining = true;
	(void)pthread_mutex_unlock(&w->lock);
	wake(w);
}

struct waiting *
waiting_finish(struct waiting *w)
{
	if (!w)
		return NULL;
	(void)pthread_mutex_lock(&w->lock);
	w->finishing = true;
	(void)pthread_mutex_unlock(&w->lock);
	wake(w);
	(void)pthread_join(w->thread, NULL);
	waiting_free(w);
	return NULL;
}
