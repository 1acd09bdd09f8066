/* waiting.h - requests that wait hold no thread.
 * A handler calls exchange_wait() and returns HANDLED_WAITING; from then on the process's one waiting thread owns the exchange,
 * and calls the waiter's function whenever there may be something to say. That thread polls the connection to the helper, the
 * FastCGI descriptors of all waiting requests (a client that hung up ends its wait at once), the deadlines, and the sizes of
 * followed files every 50 ms while there are any. */
#ifndef SPOOLGATE_GATE_WAITING_H
#define SPOOLGATE_GATE_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "basic/id.h"

struct exchange;
struct gate;

enum wait_event {
	WAIT_LOOK,	/* look at the job and the file: the wait has just begun, the job changed, or changes may have been missed */
	WAIT_GROWN,	/* the followed file has another size */
	WAIT_DEADLINE,	/* its time has come */
	WAIT_DRAIN,	/* this worker is ending: answer so that the client comes again, or keep on */
	WAIT_WRITABLE,	/* a stream's reader has taken all that was pending */
};
enum wait_verdict {
	WAIT_ON,	/* nothing to say yet: go on waiting */
	WAIT_DONE,	/* x->res is the answer */
};
/* Runs in the waiting thread: must not block. x->helper is NULL there. */
typedef enum wait_verdict wait_fn(struct exchange *x, enum wait_event event, void *ctx);

struct wait_for {
	wait_fn *answer;
	void *ctx;
	void (*free_ctx)(void *ctx);	/* called once, however the wait ends, also where exchange_wait() failed; may be NULL */
	const char *owner;	/* counts against this one's cap */
	char id[ID_SIZE];	/* the job that is watched; "" none */
	int follow_fd;	/* the followed file; taken over in any case; -EBADF: none */
	uint64_t deadline_mono_usec;	/* 0: none */
	/* The Content-Type of a streamed answer; NULL: none. The waiter then adds to it by exchange_stream_add() while
	 * exchange_stream_idle(); WAIT_DONE ends it. Its status is 200, x->res gives further headers. A reader who takes nothing of what is
	 * pending for 60 s is dropped. */
	const char *stream;
};

/* Reserves a place and keeps the request: the handler must then return HANDLED_WAITING. -EDQUOT: over the owner's cap, -EAGAIN:
 * over the process's, or it is ending; -ENOMEM. */
int exchange_wait(struct exchange *x, const struct wait_for *what);
/* Within a waiter: sets another deadline (0: none). A deadline that has come is not kept. */
void exchange_wait_until(struct exchange *x, uint64_t deadline_mono_usec);

/* Within a waiter of a streamed answer. */
bool exchange_stream_idle(const struct exchange *x);	/* nothing is pending */
void exchange_stream_add(struct exchange *x, const void *data, size_t len);	/* at most STREAM_PENDING_MAX bytes at once */

int waiting_new(struct gate *gate, struct waiting **ret);	/* starts the thread */
/* Begins draining: every waiter gets WAIT_DRAIN once; nobody new is taken. */
void waiting_drain(struct waiting *w);
/* Waits for the last waiter, ends the thread, frees. Needs waiting_drain() before. */
struct waiting *waiting_finish(struct waiting *w);
size_t waiting_count(struct waiting *w);

/* For exchange.c alone: hands x over, which has a place. */
void waiting_take(struct waiting *w, struct exchange *x);

#endif
