/* stream.h - an answer that goes on: bytes are sent as there are any, and never wait for a slow reader.
 *
 * nginx does not buffer such an answer ("X-Accel-Buffering: no"), so it stops reading from us when its client does. libfcgi would
 * block there; therefore the records of FastCGI (specification, section 3.3) are written here, without blocking, and what does not
 * go out stays pending, at most STREAM_PENDING_MAX bytes. All of this belongs to the thread that owns the exchange. */
#ifndef SPOOLGATE_GATE_STREAM_H
#define SPOOLGATE_GATE_STREAM_H

#include <fcgiapp.h>
#include <stdbool.h>
#include <stddef.h>

#include "gate/response.h"

enum { STREAM_PENDING_MAX = 64 * 1024 };

struct stream;
/* Takes over the sending on an open FastCGI request: libfcgi writes nothing to it any more. NULL: no memory, and libfcgi goes on. */
struct stream *stream_new(FCGX_Request *fcgx);
struct stream *stream_free(struct stream *s);	/* accepts NULL, always returns NULL */

/* Status and headers of the response, whose body is not looked at. */
void stream_head(struct stream *s, const struct response *res);
/* More of the body; len 0 does nothing. What is too much for the bound breaks the stream: add only where stream_idle(). */
void stream_add(struct stream *s, const void *data, size_t len);
/* The end of the answer. */
void stream_end(struct stream *s);

bool stream_idle(const struct stream *s);	/* nothing is pending */
/* Sends what the peer takes now: 0: all is out; 1: something stays pending, until the descriptor is writable; -EPIPE, ...: the peer
 * has gone, or the bound was met (-ENOBUFS). */
int stream_flush(struct stream *s);
size_t stream_sent(const struct stream *s);	/* bytes of the body so far */

#endif
