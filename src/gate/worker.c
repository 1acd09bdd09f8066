#include "config.h"

#include <errno.h>
#include <fcgiapp.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "gate/exchange.h"
#include "gate/metrics.h"
#include "gate/waiting.h"
#include "gate/worker.h"
#include "proto/client.h"

enum {
	STACK_BYTES = 256 * 1024,
	SHORTAGE_MSEC = 100,	/* pause where accept(2) fails for lack of descriptors or memory */
};

struct handler {
	struct worker *worker;
	pthread_t thread;
	bool started;
	struct client *helper;
	struct exchange *x;	/* the next one to begin */
	int epoll_fd;
};

struct worker {
	struct gate *gate;
	int listen_fd;
	int stop_fd;	/* eventfd, readable for ever once draining */
	atomic_bool draining;
	struct handler *handlers;
	size_t n;
};

/* Waits for something to accept or for the draining. Every thread of every worker waits for the same socket: EPOLLEXCLUSIVE
 * wakes one of them. In a shortage the socket stays readable, so there only the clock is waited for. */
static void
await_connection(const struct handler *h, int err)
{
	struct epoll_event event;
	struct pollfd stop = { .fd = h->worker->stop_fd, .events = POLLIN };

	if (err == -EAGAIN || err == -ECONNABORTED || err == -EINTR) {
		(void)epoll_wait(h->epoll_fd, &event, 1, -1);
	} else {
		log_error("cannot accept: %s", strerror(-err));
		(void)poll(&stop, 1, SHORTAGE_MSEC);
	}
}

static void *
handler_main(void *arg)
{
	struct handler *h = arg;
	struct worker *w = h->worker;

	if (h == w->handlers)
		exchange_warm(h->x);
	while (!atomic_load_explicit(&w->draining, memory_order_relaxed)) {
		int fd = -EBADF;

		if (!h->x)
			h->x = exchange_new(w->gate, h->helper);
		if (!h->x) {
			await_connection(h, -ENOMEM);
			continue;
		}
		fd = accept4(w->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) {
			await_connection(h, -errno);
			continue;
		}
		if (exchange_begin(h->x, fd) < 0)
			continue;
		if (exchange_serve(h->x) == HANDLED_WAITING)
			h->x = NULL;
		else
			exchange_end(h->x);
	}
	return NULL;
}

static int
handler_start(struct worker *w, struct handler *h)
{
	struct epoll_event on_listen = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	struct epoll_event on_stop = { .events = EPOLLIN };
	pthread_attr_t attr;
	int r;

	h->worker = w;
	r = client_new(w->gate->helper_path, "gate", &h->helper);
	if (r < 0)
		return r;
	h->x = exchange_new(w->gate, h->helper);
	if (!h->x)
		return -ENOMEM;
	h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (h->epoll_fd < 0 || epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, w->listen_fd, &on_listen) < 0 ||
	    epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, w->stop_fd, &on_stop) < 0)
		return -errno;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	r = -pthread_create(&h->thread, &attr, handler_main, h);
	(void)pthread_attr_destroy(&attr);
	h->started = r == 0;
	return r;
}

void
worker_drain(struct worker *w)
{
	uint64_t one = 1;

	atomic_store(&w->draining, true);
	(void)!write(w->stop_fd, &one, sizeof one);
	if (w->gate->waiting)
		waiting_drain(w->gate->waiting);
}

struct worker *
worker_join(struct worker *w)
{
	if (!w)
		return NULL;
	for (size_t i = 0; i < w->n; i++) {
		if (w->handlers[i].started)
			(void)pthread_join(w->handlers[i].thread, NULL);
		exchange_free(w->handlers[i].x);
		client_free(w->handlers[i].helper);
		close_fd(&w->handlers[i].epoll_fd);
	}
	w->gate->waiting = waiting_finish(w->gate->waiting);
	close_fd(&w->stop_fd);
	free(w->handlers);
	free(w);
	return NULL;
}

/* libfcgi sets its own handling of these in its initialisation: a SIGTERM would end one thread's accept and nothing else. */
static void
take_signals_back(void)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const struct sigaction standard = { .sa_handler = SIG_DFL };

	(void)sigaction(SIGPIPE, &ignore, NULL);
	(void)sigaction(SIGTERM, &standard, NULL);
	(void)sigaction(SIGUSR1, &standard, NULL);
}

int
worker_start(struct gate *gate, int listen_fd, struct worker **ret)
{
	struct worker *w = calloc(1, sizeof *w);
	int r = 0;

	if (!w)
		return -ENOMEM;
	w->gate = gate;
	w->listen_fd = listen_fd;
	w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->handlers = calloc(gate->threads, sizeof *w->handlers);
	if (w->stop_fd < 0)
		r = -errno;
	else if (!w->handlers)
		r = -ENOMEM;
	else if (FCGX_Init() != 0)
		r = -EIO;
	take_signals_back();
	if (r == 0)
		r = set_nonblock(listen_fd, true);
	if (r == 0)
		r = waiting_new(gate, &gate->waiting);
	for (; r == 0 && w->n < gate->threads; w->n++) {
		w->handlers[w->n] = (struct handler){ .epoll_fd = -EBADF };
		r = handler_start(w, &w->handlers[w->n]);
	}
	if (r < 0) {
		worker_drain(w);
		worker_join(w);
		return r;
	}
	*ret = w;
	return 0;
}

/* Waiting requests each hold a descriptor, followers of a log two. */
static void
allow_descriptors(const struct gate *gate)
{
	rlim_t want = (rlim_t)gate->waits_max * 2 + (rlim_t)gate->threads * 16 + 64;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= want)
		return;
	limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < want)
		log_warning("only %llu descriptors, fewer than waits_max needs", (unsigned long long)limit.rlim_cur);
}

int
worker_main(struct gate *gate)
{
	struct worker *w = NULL;
	sigset_t all, ends;
	int r;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGTERM);
	(void)sigaddset(&ends, SIGINT);
	/* A keeper that has died already is noticed by the pipe, below. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* Few arenas, and large bodies in mappings of their own that go back to the system at once. */
	(void)mallopt(M_ARENA_MAX, 2);
	(void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	(void)mallopt(M_TRIM_THRESHOLD, 256 * 1024);
	allow_descriptors(gate);
	r = metrics_open(gate->services, gate->n_services, WORKER_COUNTS_FD, &gate->metrics);
	if (r >= 0) {
		metrics_close_fd(gate->metrics);
		r = worker_start(gate, STDIN_FILENO, &w);
	}
	if (r < 0) {
		log_error("a worker cannot start: %s", strerror(-r));
		return EX_OSERR;
	}
	r = write_all(WORKER_READY_FD, "r", 1);
	(void)close(WORKER_READY_FD);
	if (r < 0)
		log_notice("the keeper has gone");
	else
		while (sigwaitinfo(&ends, NULL) < 0)	/* EINTR: stopped and continued, or traced */
			;
	worker_drain(w);
	worker_join(w);
	return 0;
}
