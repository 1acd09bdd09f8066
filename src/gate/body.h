/* body.h - the body of a request: bounded, and whole or refused. */
#ifndef SPOOLGATE_GATE_BODY_H
#define SPOOLGATE_GATE_BODY_H

#include <fcgiapp.h>
#include <stddef.h>
#include <stdint.h>

/* Reads the body (declared: its length, -1 where not said) of at most max bytes. The caller frees *ret_text, which has a NUL
 * behind it. -EFBIG: over max; where that was declared nothing is read. -EPROTO: fewer or more bytes than declared. -EPIPE: the
 * peer has gone, or sent nonsense. -ENOMEM. Memory grows with what really comes. */
int body_read(FCGX_Stream *in, int64_t declared, size_t max, char **ret_text, size_t *ret_len);

#endif
