#include "config.h"

#include <errno.h>
#include <fastcgi.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "gate/stream.h"

enum { RECORD_MAX = 16 * 1024 };	/* bytes of one record's content */

struct stream {
	FCGX_Request *fcgx;
	struct strbuf pending;	/* whole records */
	size_t gone;	/* of these, what has been sent */
	size_t body;
};

struct stream *
stream_new(FCGX_Request *fcgx)
{
	struct stream *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->fcgx = fcgx;
	strbuf_init(&s->pending, STREAM_PENDING_MAX);
	/* FCGX_Finish_r() then does not end the streams with records of its own. */
	fcgx->out->wasFCloseCalled = 1;
	fcgx->err->wasFCloseCalled = 1;
	return s;
}

struct stream *
stream_free(struct stream *s)
{
	if (!s)
		return NULL;
	strbuf_done(&s->pending);
	free(s);
	return NULL;
}

static void
add_record(struct stream *s, unsigned char type, const void *data, size_t len)
{
	FCGI_Header h = { .version = FCGI_VERSION_1, .type = type,
		.requestIdB1 = (unsigned char)(s->fcgx->requestId >> 8), .requestIdB0 = (unsigned char)(s->fcgx->requestId & 0xff),
		.contentLengthB1 = (unsigned char)(len >> 8), .contentLengthB0 = (unsigned char)(len & 0xff) };

	strbuf_add(&s->pending, &h, sizeof h);
	strbuf_add(&s->pending, data, len);
}

static void
add_output(struct stream *s, const char *data, size_t len)
{
	for (size_t at = 0; at < len; at += RECORD_MAX)
		add_record(s, FCGI_STDOUT, data + at, len - at < RECORD_MAX ? len - at : RECORD_MAX);
}

void
stream_head(struct stream *s, const struct response *res)
{
	scoped(strbuf_done) struct strbuf text = STRBUF_INIT(RESPONSE_HEADERS_MAX + 1024);

	response_head(res, false, &text);
	if (strbuf_err(&text) < 0)
		s->pending.err = strbuf_err(&text);
	else
		add_output(s, text.buf, text.len);
}

void
stream_add(struct stream *s, const void *data, size_t len)
{
	add_output(s, data, len);
	s->body += len;
}

void
stream_end(struct stream *s)
{
	const FCGI_EndRequestBody end = { .protocolStatus = FCGI_REQUEST_COMPLETE };

	add_record(s, FCGI_STDOUT, "", 0);
	add_record(s, FCGI_END_REQUEST, &end, sizeof end);
}

bool
stream_idle(const struct stream *s)
{
	return s->pending.len == 0;
}

int
stream_flush(struct stream *s)
{
	int r = strbuf_err(&s->pending);

	if (r < 0)
		return r == -EFBIG ? -ENOBUFS : r;
	while (s->gone < s->pending.len) {
		ssize_t n = send(s->fcgx->ipcFd, s->pending.buf + s->gone, s->pending.len - s->gone, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 1 : -errno;
		s->gone += (size_t)n;
	}
	/* A follower of a quiet log holds no memory for it. */
	strbuf_done(&s->pending);
	strbuf_init(&s->pending, STREAM_PENDING_MAX);
	s->gone = 0;
	return 0;
}

size_t
stream_sent(const struct stream *s)
{
	return s->body;
}
