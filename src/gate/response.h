/* response.h - an answer: status, headers, body. Built whole, then written once. */
#ifndef SPOOLGATE_GATE_RESPONSE_H
#define SPOOLGATE_GATE_RESPONSE_H

#include <fcgiapp.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "basic/strbuf.h"

enum {
	RESPONSE_HEADERS_MAX = 32 * 1024,
	RESPONSE_BODY_MAX = 1024 * 1024,	/* what is larger leaves through nginx */
};

struct response {
	int status;	/* 0: none yet */
	struct strbuf headers;	/* "Name: value\r\n" each */
	const char *content_type;	/* NULL: no such header */
	char *body;	/* owned; NULL: empty */
	size_t body_len;
	bool redirected;	/* nginx sends the body */
	int err;	/* first failure; it becomes a 500 */
};

void response_init(struct response *res);
void response_done(struct response *res);
/* Forgets everything, headers too. */
void response_reset(struct response *res);

/* Adds a header. A value with control bytes is an error that sticks: what comes from a client is checked before. */
void response_header(struct response *res, const char *name, const char *value);
void response_headerf(struct response *res, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Sets the body; text becomes the response's (malloc'd), NULL is a failed constructor. content_type is not copied. */
void response_body(struct response *res, int status, const char *content_type, char *text, size_t len);
/* No body: Content-Length 0, no Content-Type. */
void response_empty(struct response *res, int status);
/* The body is the file that nginx serves at this internal location (percent-encoded already); nginx says 200 and keeps the
 * Content-Type. */
void response_redirect(struct response *res, const char *content_type, const char *location);

/* How a service writes JSON. */
enum json_style {
	JSON_STYLE_SORTED = 1 << 0,	/* members by name, as Python's sort_keys */
	JSON_STYLE_ASCII = 1 << 1,	/* everything beyond ASCII as \uXXXX */
	JSON_STYLE_NEWLINE = 1 << 2,	/* one at the end */
};
/* Appends obj; integers, strings, true, false, null, arrays, objects and doubles as the shortest text that reads back the
 * same. -EBADMSG sticks in s for text that is no UTF-8, -E2BIG for a nesting over JSON_DEPTH_MAX. */
void json_style_format(struct strbuf *s, json_object *obj, unsigned style);
void response_json(struct response *res, int status, json_object *obj, unsigned style);

const char *status_reason(int status);

/* Appends the status line, as CGI has it, and the headers. with_length: with Content-Length where there is a body of ours. */
void response_head(const struct response *res, bool with_length, struct strbuf *s);
/* Writes the answer to a stream: no body for HEAD. Returns the bytes of body sent, or -EPIPE where the peer has gone. */
long response_send(const struct response *res, bool head, FCGX_Stream *out);

#endif
