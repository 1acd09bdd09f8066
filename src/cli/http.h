/* http.h - one user's way to one server, by libcurl: who is asked, what is sent to whom, what is asked again.
 *
 * The token goes to the server of the settings alone, and never over plain HTTP to another machine. A redirect is an answer like
 * any other and not followed. Certificates are always verified.
 *
 * Asked again, with a growing pause, while the retry time has not passed since the first failure: a request that may be
 * repeated (HTTP_REPEAT) after anything that can get better by itself, which is a connection refused or cut, 502, 503, 504, and
 * 429 with Retry-After; one that may not (HTTP_ONCE) where it surely was not taken, which is a failure before its first byte was
 * sent, and 503 or 429 with Retry-After. */
#ifndef SPOOLGATE_HTTP_H
#define SPOOLGATE_HTTP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "basic/strbuf.h"
#include "cli/settings.h"

struct http;

enum http_repeat { HTTP_REPEAT, HTTP_ONCE, HTTP_NEVER };	/* NEVER: the caller goes on where it was cut */

struct http_answer {
	int status;
	struct strbuf headers;	/* "name: value" lines of the last head, each with a NUL behind it */
	struct strbuf body;	/* what sink did not take */
};

struct http_request {
	const char *method;
	const char *url;	/* a path below the server's URL ("/v1/jobs"), or a whole http(s) URL */
	const char *const *headers;	/* "Name: value", NULL at the end; or NULL */
	const char *body;	/* sent with body_len; NULL: none, or body_fd */
	size_t body_len;
	int body_fd;	/* where body_fd_len > 0: a seekable file, of which so many bytes from body_offset are sent */
	off_t body_offset;
	uint64_t body_fd_len;
	enum http_repeat repeat;
	unsigned hold_sec;	/* how long the server may hold the request back on purpose */
	/* Takes the body of a 2xx answer as it comes, whose head is in a; what it returns that is negative ends the request with
	 * that. What it had bytes of is not asked for again. NULL: the body goes to a->body, which holds 64 MiB. */
	int (*sink)(const struct http_answer *a, const char *data, size_t len, void *ctx);
	void (*on_sent)(uint64_t bytes, void *ctx);	/* how much of the body has left; NULL: nobody cares */
	void *ctx;
};
#define HTTP_GET(url_) { .method = "GET", .url = (url_), .body_fd = -EBADF, .repeat = HTTP_REPEAT }

struct http_options {
	const char *program;	/* for User-Agent */
	uint64_t retry_usec;	/* 0: nothing is asked again */
	uint64_t limit_usec;	/* from http_new on everything together takes no longer; 0: no limit */
	void (*on_pause)(const char *why, void *ctx);	/* before each pause; NULL: nobody cares */
	void *ctx;
};

/* -EINVAL: the server's URL cannot be used; *ret_reason (static, or NULL) says why. Settings must outlive it. */
int http_new(const struct settings *settings, const struct http_options *options, struct http **ret, const char **ret_reason);
struct http *http_free(struct http *h);
static inline void free_http(struct http **h) { *h = http_free(*h); }

/* One answer, of whatever status; it is emptied first. Errors, with a sentence in http_reason(): -ECONNREFUSED (no connection:
 * refused, unknown host, an untrusted certificate), -ECONNRESET (cut, or nothing came for a minute), -ETIMEDOUT (the limit
 * passed), -EINTR (a signal of http_catch_signals()), -EINVAL (an URL that cannot be used), -EFBIG (the answer), -ENOMEM; and what
 * sink returned. */
int http_do(struct http *h, const struct http_request *q, struct http_answer *ret);
const char *http_reason(const struct http *h);
bool http_was_sent(const struct http *h);	/* whether the last request may have reached the server */
bool http_was_repeated(const struct http *h);	/* whether it may have been done before the answer that came */
/* Whether an URL is of the settings' server, that is whether it gets the token. */
bool http_is_own(const struct http *h, const char *url);
const char *http_server(const struct http *h);

void http_answer_init(struct http_answer *a);
void http_answer_done(struct http_answer *a);	/* usable with scoped */
const char *http_header(const struct http_answer *a, const char *name);	/* NULL: not there */
int http_header_number(const struct http_answer *a, const char *name, uint64_t *ret);	/* -ENOENT, -EBADMSG */

/* Waits so long, or until the limit (-ETIMEDOUT) or a signal (-EINTR). */
int http_sleep(struct http *h, uint64_t usec);

/* SIGINT, SIGTERM and SIGHUP end what goes on with -EINTR from here on, instead of the process. */
void http_catch_signals(void);
/* For main(), when everything is tidied up: ends the process by the signal that came, if one did, as if it had not been caught. */
void http_die_of_signal(void);

#endif
