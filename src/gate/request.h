/* request.h - what a client asked, from FastCGI parameters.
 * nginx sends, besides the usual ones of RFC 3875: SPOOLGATE_SERVICE (the service a location belongs to), SPOOLGATE_PREFIX (the
 * path below which it lies, "" at a root), SPOOLGATE_REQUEST_ID ($request_id). The path comes from REQUEST_URI, as the client
 * wrote it, and is decoded here, segment by segment, so that an escaped slash never becomes a separator. */
#ifndef SPOOLGATE_GATE_REQUEST_H
#define SPOOLGATE_GATE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum method {
	METHOD_GET = 1 << 0,
	METHOD_HEAD = 1 << 1,
	METHOD_POST = 1 << 2,
	METHOD_PUT = 1 << 3,
	METHOD_PATCH = 1 << 4,
	METHOD_DELETE = 1 << 5,
	METHOD_OPTIONS = 1 << 6,
	METHOD_OTHER = 1 << 7,	/* a well-formed method that no route serves */
};

enum {
	REQUEST_URI_MAX = 8192,
	REQUEST_VALUE_MAX = 8192,	/* bytes of any other parameter that is used */
	REQUEST_PARAMS_MAX = 256,	/* parameters of one request */
	REQUEST_SEGMENTS_MAX = 32,
	REQUEST_ID_SIZE = 33,
};

struct segment {
	char *text;	/* decoded; may hold any byte but NUL */
	bool has_slash;	/* it held an escaped slash */
};

struct request {
	enum method method;
	const char *method_text;
	const char *uri;	/* as the client wrote it; for the log */
	const char *query;	/* without '?', not decoded; "" */
	struct segment segments[REQUEST_SEGMENTS_MAX];	/* below the prefix */
	size_t n_segments;
	bool trailing_slash;	/* also for the bare "/" */
	bool below_prefix;	/* false: the path does not begin with the prefix */
	const char *service;	/* "" where nginx named none */
	const char *content_type;	/* "" */
	int64_t content_length;	/* -1: not said */
	const char *remote_addr;	/* "" */
	const char *origin;	/* NULL: none */
	char id[REQUEST_ID_SIZE];	/* nginx's, else one of our own */
	const char *const *envp;	/* borrowed, like every text above */
};

/* Reads the parameters (NULL-terminated NAME=VALUE, which must outlive the request). 0, or the HTTP status to answer: 400 (broken
 * escape, NUL or control byte, a bad length), 414 (REQUEST_URI_MAX), 431 (another bound), 500 (no memory). The members above are usable
 * in any case, segments where 0 was returned. request_done frees. */
int request_parse(const char *const *envp, struct request *ret);
void request_done(struct request *r);

/* Drops empty segments: "//probe" is "/probe". */
void request_merge_slashes(struct request *r);

/* A header by its CGI name ("HTTP_ACCEPT"). NULL: not sent, or over REQUEST_VALUE_MAX, or with control bytes. */
const char *request_header(const struct request *r, const char *name);

/* The Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): 1 to 255 visible ASCII characters, as a string of RFC 8941 with its
 * quotes, or bare as most clients send it. 1: it is there; 0: none was sent; -EINVAL. */
enum { IDEMPOTENCY_KEY_SIZE = 256 };
int request_idempotency_key(const struct request *r, char ret_key[IDEMPOTENCY_KEY_SIZE]);

/* The text after '?' by name, decoded ('+' is a blank); the caller frees *ret. -ENOENT; -EINVAL: a broken escape. */
int request_query(const struct request *r, const char *name, char **ret);

/* The path's segments from this one on, with "/" between; the caller frees. NULL: no memory. */
char *request_rest(const struct request *r, size_t from);

/* Whether a media type (Content-Type with its parameters) is application/json or application/<anything>+json, in any case. */
bool media_type_is_json(const char *content_type);

/* The address as an owner's name: IPv4 as it is, IPv6 as its /64 ("2001:db8:1:2::/64"), IPv4 within IPv6 as IPv4; "unknown" for
 * what is no address. */
enum { ADDRESS_NAME_SIZE = 64 };
void address_name(const char *remote_addr, char ret_name[ADDRESS_NAME_SIZE]);

#endif
