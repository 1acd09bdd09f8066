/* exchange.h - one request with its answer, from accept to the log line.
 * It belongs to the handler thread that accepted it, or, after exchange_wait(), to the waiting thread. */
#ifndef SPOOLGATE_GATE_EXCHANGE_H
#define SPOOLGATE_GATE_EXCHANGE_H

#include <fcgiapp.h>
#include <stdint.h>

#include "basic/strbuf.h"
#include "gate/gate.h"
#include "gate/request.h"
#include "gate/response.h"
#include "gate/service.h"
#include "proto/client.h"

struct stream;
struct wait;

struct exchange {
	FCGX_Request fcgx;	/* its address stays the same: libfcgi's streams point back to it */
	struct gate *gate;
	struct client *helper;	/* the thread's connection; NULL in the waiting thread */
	struct request req;
	struct response res;
	const struct service *service;	/* never NULL in a handler */
	const void *state;	/* the service's */
	const struct route *route;	/* NULL: none matched */
	const char *args[ROUTE_ARGS_MAX];	/* what {} of the route matched */
	size_t n_args;
	uint64_t began_usec;	/* clock_mono */
	struct wait *wait;	/* set by exchange_wait() */
	struct stream *stream;	/* the answer goes out as it comes; NULL: whole, at the end */
	void (*after)(struct exchange *x);	/* called once the answer is out; NULL: nothing. Not of one that waited */
	bool parked;	/* the waiting thread's */
};

struct exchange *exchange_new(struct gate *gate, struct client *helper);	/* NULL: no memory */
struct exchange *exchange_free(struct exchange *x);	/* closes its connection; accepts NULL, always returns NULL */

/* Takes an accepted connection and reads the request's parameters. -EPROTO: it was none, and is closed. fd is taken over in any
 * case. */
int exchange_begin(struct exchange *x, int fd);
/* Routes and handles. HANDLED: call exchange_end; HANDLED_WAITING: x is the waiting thread's. */
int exchange_serve(struct exchange *x);
/* For waiting.c alone: the answer becomes a stream, whose head is what x->res has been given. -ENOMEM. */
int exchange_begin_stream(struct exchange *x, const char *content_type);
/* Sends the answer, logs the line, closes the connection; x can begin anew. */
void exchange_end(struct exchange *x);
/* Logs that the client hung up before it was answered; to be followed by exchange_free(). */
void exchange_gone(struct exchange *x);

/* Lets services that want it prepare themselves (service.h, warm); x serves nothing yet. */
void exchange_warm(struct exchange *x);

/* An answer in the service's error shape; whatever was set before is forgotten. */
void exchange_fail(struct exchange *x, int status, const char *message);
/* The same, with Retry-After in seconds. */
void exchange_fail_retry(struct exchange *x, int status, unsigned retry_sec, const char *message);

/* Reads the body, at most max bytes; the caller frees *ret_text, which has a NUL behind it. 0, or the HTTP status that was set
 * by exchange_fail: 413 over max, 400 where fewer or more bytes came than declared, 500. */
int exchange_read_body(struct exchange *x, size_t max, char **ret_text, size_t *ret_len);

#endif
