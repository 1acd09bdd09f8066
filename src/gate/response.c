#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "gate/number.h"
#include "gate/response.h"

static const struct {
	int status;
	const char *reason;
} reasons[] = {	/* the IANA registry of HTTP status codes */
	{ 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 203, "Non-Authoritative Information" }, { 204, "No Content" },
	{ 206, "Partial Content" }, { 301, "Moved Permanently" }, { 302, "Found" }, { 303, "See Other" }, { 304, "Not Modified" },
	{ 307, "Temporary Redirect" }, { 308, "Permanent Redirect" }, { 400, "Bad Request" }, { 401, "Unauthorized" },
	{ 402, "Payment Required" }, { 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" }, { 408, "Request Timeout" }, { 409, "Conflict" }, { 410, "Gone" }, { 411, "Length Required" },
	{ 412, "Precondition Failed" }, { 413, "Content Too Large" }, { 414, "URI Too Long" }, { 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" }, { 422, "Unprocessable Content" }, { 425, "Too Early" }, { 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" }, { 501, "Not Implemented" },
	{ 502, "Bad Gateway" }, { 503, "Service Unavailable" }, { 504, "Gateway Timeout" }, { 507, "Insufficient Storage" },
};

const char *
status_reason(int status)
{
	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

void
response_init(struct response *res)
{
	*res = (struct response){ .headers = STRBUF_INIT(RESPONSE_HEADERS_MAX) };
}

void
response_done(struct response *res)
{
	strbuf_done(&res->headers);
	free(res->body);
	res->body = NULL;
}

void
response_reset(struct response *res)
{
	struct strbuf headers = res->headers;

	free(res->body);
	strbuf_reset(&headers);
	*res = (struct response){ .headers = headers };
}

void
response_header(struct response *res, const char *name, const char *value)
{
	for (const char *c = value; *c; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f) {
			res->err = res->err ? res->err : -EINVAL;
			return;
		}
	strbuf_addstr(&res->headers, name);
	strbuf_add(&res->headers, ": ", 2);
	strbuf_addstr(&res->headers, value);
	strbuf_add(&res->headers, "\r\n", 2);
	if (res->err == 0)
		res->err = strbuf_err(&res->headers);
}

void
response_headerf(struct response *res, const char *name, const char *format, ...)
{
	scoped(strbuf_done) struct strbuf value = STRBUF_INIT(RESPONSE_HEADERS_MAX);
	va_list ap;

	va_start(ap, format);
	strbuf_vaddf(&value, format, ap);
	va_end(ap);
	if (strbuf_err(&value) < 0)
		res->err = res->err ? res->err : strbuf_err(&value);
	else
		response_header(res, name, strbuf_str(&value));
}

static void
drop_body(struct response *res)
{
	free(res->body);
	res->body = NULL;
	res->body_len = 0;
	res->content_type = NULL;
	res->redirected = false;
}

void
response_body(struct response *res, int status, const char *content_type, char *text, size_t len)
{
	drop_body(res);
	res->status = status;
	res->content_type = content_type;
	res->body = text;
	res->body_len = text ? len : 0;
	if (!text && res->err == 0)
		res->err = -ENOMEM;
}

void
response_empty(struct response *res, int status)
{
	drop_body(res);
	res->status = status;
}

void
response_redirect(struct response *res, const char *content_type, const char *location)
{
	drop_body(res);
	res->status = 200;
	res->content_type = content_type;
	res->redirected = true;
	response_header(res, "X-Accel-Redirect", location);
}

/* The members of an object in the order of the style. */
struct member {
	const char *name;
	json_object *value;
};

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static void format_value(struct strbuf *s, json_object *obj, unsigned style, unsigned depth);

static void
fail_strbuf(struct strbuf *s, int err)
{
	if (s->err == 0)
		s->err = err;
}

static void
format_object(struct strbuf *s, json_object *obj, unsigned style, unsigned depth)
{
	size_t n = (size_t)json_object_object_length(obj);
	scoped(free_ptr) struct member *members = calloc(n ? n : 1, sizeof *members);
	size_t i = 0;

	if (!members) {
		fail_strbuf(s, -ENOMEM);
		return;
	}
	json_object_object_foreach(obj, key, val) {
		members[i++] = (struct member){ key, val };
	}
	if (style & JSON_STYLE_SORTED)
		qsort(members, n, sizeof *members, by_name);
	strbuf_addch(s, '{');
	for (i = 0; i < n; i++) {
		if (i)
			strbuf_addch(s, ',');
		json_quote(s, members[i].name, strlen(members[i].name), style & JSON_STYLE_ASCII);
		strbuf_addch(s, ':');
		format_value(s, members[i].value, style, depth + 1);
	}
	strbuf_addch(s, '}');
}

static void
format_value(struct strbuf *s, json_object *obj, unsigned style, unsigned depth)
{
	char repr[NUMBER_REPR_SIZE];
	size_t n;

	if (depth > JSON_DEPTH_MAX) {
		fail_strbuf(s, -E2BIG);
		return;
	}
	switch (json_object_get_type(obj)) {
	case json_type_object:
		format_object(s, obj, style, depth);
		break;
	case json_type_array:
		n = json_object_array_length(obj);
		strbuf_addch(s, '[');
		for (size_t i = 0; i < n; i++) {
			if (i)
				strbuf_addch(s, ',');
			format_value(s, json_object_array_get_idx(obj, i), style, depth + 1);
		}
		strbuf_addch(s, ']');
		break;
	case json_type_string:
		json_quote(s, json_object_get_string(obj), (size_t)json_object_get_string_len(obj), style & JSON_STYLE_ASCII);
		break;
	case json_type_double:
		number_repr(json_object_get_double(obj), repr);
		strbuf_addstr(s, repr);
		break;
	default:	/* null, true, false, integers: json-c's own text is right */
		strbuf_addstr(s, json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN));
	}
}

void
json_style_format(struct strbuf *s, json_object *obj, unsigned style)
{
	format_value(s, obj, style, 1);
	if (style & JSON_STYLE_NEWLINE)
		strbuf_addch(s, '\n');
}

void
response_json(struct response *res, int status, json_object *obj, unsigned style)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(RESPONSE_BODY_MAX);
	char *text = NULL;
	size_t len = 0;
	int r;

	json_style_format(&s, obj, style);
	r = strbuf_take(&s, &text, &len);
	if (r < 0) {
		res->err = res->err ? res->err : r;
		return;
	}
	response_body(res, status, "application/json", text, len);
}

void
response_head(const struct response *res, bool with_length, struct strbuf *s)
{
	strbuf_addf(s, "Status: %d %s\r\n", res->status, status_reason(res->status));
	if (res->content_type)
		strbuf_addf(s, "Content-Type: %s\r\n", res->content_type);
	if (with_length && !res->redirected && res->status != 204 && res->status != 304)
		strbuf_addf(s, "Content-Length: %zu\r\n", res->body_len);
	strbuf_add(s, strbuf_str(&res->headers), res->headers.len);
	strbuf_add(s, "\r\n", 2);
}

long
response_send(const struct response *res, bool head, FCGX_Stream *out)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(RESPONSE_HEADERS_MAX + 1024);
	size_t body = head || !res->body ? 0 : res->body_len;

	response_head(res, true, &s);
	if (strbuf_err(&s) < 0)
		return strbuf_err(&s);
	if (FCGX_PutStr(s.buf, (int)s.len, out) < 0 || (body && FCGX_PutStr(res->body, (int)body, out) < 0))
		return -EPIPE;
	return (long)body;
}
