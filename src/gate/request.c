#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "basic/escape.h"
#include "basic/id.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "gate/request.h"

static const struct {
	const char *name;
	enum method method;
} methods[] = {
	{ "GET", METHOD_GET },
	{ "HEAD", METHOD_HEAD },
	{ "POST", METHOD_POST },
	{ "PUT", METHOD_PUT },
	{ "PATCH", METHOD_PATCH },
	{ "DELETE", METHOD_DELETE },
	{ "OPTIONS", METHOD_OPTIONS },
};

/* The parameters that every request needs, found in one pass. */
enum param {
	PARAM_METHOD, PARAM_URI, PARAM_SERVICE, PARAM_PREFIX, PARAM_ID, PARAM_TYPE, PARAM_LENGTH, PARAM_ADDR, PARAM_ORIGIN, N_PARAMS
};
static const char *const param_names[N_PARAMS] = {
	[PARAM_METHOD] = "REQUEST_METHOD",
	[PARAM_URI] = "REQUEST_URI",
	[PARAM_SERVICE] = "SPOOLGATE_SERVICE",
	[PARAM_PREFIX] = "SPOOLGATE_PREFIX",
	[PARAM_ID] = "SPOOLGATE_REQUEST_ID",
	[PARAM_TYPE] = "CONTENT_TYPE",
	[PARAM_LENGTH] = "CONTENT_LENGTH",
	[PARAM_ADDR] = "REMOTE_ADDR",
	[PARAM_ORIGIN] = "HTTP_ORIGIN",
};

static enum method
method_parse(const char *text)
{
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (strcmp(methods[i].name, text) == 0)
			return methods[i].method;
	return METHOD_OTHER;
}

/* Bytes below the blank and DEL have no business in a header; a tab may stand in one (RFC 9110 section 5.5). */
static bool
has_control(const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

static int
find_params(const char *const *envp, const char *values[N_PARAMS])
{
	size_t n = 0;

	for (; envp && *envp; envp++) {
		const char *eq = strchr(*envp, '=');
		size_t len = 0;

		if (++n > REQUEST_PARAMS_MAX)
			return 431;
		if (!eq)
			continue;
		len = (size_t)(eq - *envp);
		for (size_t i = 0; i < N_PARAMS; i++)
			if (strncmp(param_names[i], *envp, len) == 0 && param_names[i][len] == '\0') {
				values[i] = eq + 1;
				break;
			}
	}
	return 0;
}

/* Decodes the segments of raw (from its first '/') into r. */
static int
split_path(struct request *r, const char *raw, size_t len)
{
	const char *end = raw + len;

	if (len == 0 || raw[0] != '/')
		return 400;
	r->trailing_slash = end[-1] == '/';
	for (const char *p = raw + 1; p < end;) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		size_t n = slash ? (size_t)(slash - p) : (size_t)(end - p);
		struct segment *s = &r->segments[r->n_segments];
		int e;

		if (r->n_segments == REQUEST_SEGMENTS_MAX)
			return 414;
		e = percent_decode(p, n, &s->text);
		if (e < 0)
			return e == -EINVAL ? 400 : 500;
		s->has_slash = strchr(s->text, '/') != NULL;
		r->n_segments++;
		p += n + 1;
	}
	return 0;
}

/* Takes the prefix's segments off the front. nginx matched the location on the decoded path, so the raw one may spell it in
 * another way; where it does not match at all, no route will. */
static void
strip_prefix(struct request *r, const char *prefix)
{
	size_t n = 0;

	for (const char *p = prefix; *p;) {
		size_t len;

		p += strspn(p, "/");
		len = strcspn(p, "/");
		if (len == 0)
			break;
		if (n == r->n_segments || r->segments[n].has_slash || strlen(r->segments[n].text) != len ||
		    memcmp(r->segments[n].text, p, len) != 0) {
			r->below_prefix = false;
			return;
		}
		n++;
		p += len;
	}
	for (size_t i = 0; i < n; i++)
		free(r->segments[i].text);
	memmove(r->segments, r->segments + n, (r->n_segments - n) * sizeof r->segments[0]);
	r->n_segments -= n;
	for (size_t i = r->n_segments; i < r->n_segments + n; i++)
		r->segments[i].text = NULL;
	r->below_prefix = true;
}

static int
parse_length(const char *text, int64_t *ret)
{
	int64_t n = 0;

	if (!text || !*text)
		return 0;	/* stays -1: not said */
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text) || n > (INT64_MAX - 9) / 10)
			return 400;
		n = n * 10 + (*text - '0');
	}
	*ret = n;
	return 0;
}

static bool
request_id_valid(const char *id)
{
	return id && strlen(id) == REQUEST_ID_SIZE - 1 && strspn(id, "0123456789abcdef") == REQUEST_ID_SIZE - 1;
}

int
request_parse(const char *const *envp, struct request *ret)
{
	const char *values[N_PARAMS] = { NULL };
	const char *path_end = NULL;
	const char *query = NULL;
	int status = 0;
	int r = 0;

	*ret = (struct request){ .method = METHOD_OTHER, .method_text = "", .uri = "", .query = "", .service = "",
		.content_type = "", .content_length = -1, .remote_addr = "", .envp = envp };
	status = find_params(envp, values);
	if (request_id_valid(values[PARAM_ID]))
		memcpy(ret->id, values[PARAM_ID], REQUEST_ID_SIZE);
	else
		id_new(ret->id);
	for (size_t i = 0; i < N_PARAMS; i++) {
		size_t max = i == PARAM_URI ? REQUEST_URI_MAX : REQUEST_VALUE_MAX;

		if (!values[i])
			continue;
		if (strlen(values[i]) > max) {
			status = status ? status : i == PARAM_URI ? 414 : 431;
			values[i] = NULL;
		} else if (has_control(values[i])) {
			status = status ? status : 400;
			values[i] = NULL;
		}
	}
	if (values[PARAM_METHOD]) {
		ret->method_text = values[PARAM_METHOD];
		ret->method = method_parse(ret->method_text);
	}
	if (values[PARAM_SERVICE])
		ret->service = values[PARAM_SERVICE];
	if (values[PARAM_TYPE])
		ret->content_type = values[PARAM_TYPE];
	if (values[PARAM_ADDR])
		ret->remote_addr = values[PARAM_ADDR];
	ret->origin = values[PARAM_ORIGIN] && *values[PARAM_ORIGIN] ? values[PARAM_ORIGIN] : NULL;
	r = parse_length(values[PARAM_LENGTH], &ret->content_length);
	status = status ? status : r;
	if (!values[PARAM_URI] || !*ret->method_text)
		return status ? status : 400;
	ret->uri = values[PARAM_URI];
	query = strchr(ret->uri, '?');
	path_end = query ? query : ret->uri + strlen(ret->uri);
	if (query)
		ret->query = query + 1;
	if (status)
		return status;
	status = split_path(ret, ret->uri, (size_t)(path_end - ret->uri));
	if (status)
		return status;
	strip_prefix(ret, values[PARAM_PREFIX] ? values[PARAM_PREFIX] : "");
	return 0;
}

void
request_done(struct request *r)
{
	for (size_t i = 0; i < r->n_segments; i++)
		free(r->segments[i].text);
	r->n_segments = 0;
}

const char *
request_header(const struct request *r, const char *name)
{
	size_t len = strlen(name);

	for (const char *const *e = r->envp; e && *e; e++) {
		const char *value = *e + len + 1;

		if (strncmp(*e, name, len) != 0 || (*e)[len] != '=')
			continue;
		return strlen(value) > REQUEST_VALUE_MAX || has_control(value) ? NULL : value;
	}
	return NULL;
}

int
request_idempotency_key(const struct request *r, char ret_key[IDEMPOTENCY_KEY_SIZE])
{
	static const char name[] = "HTTP_IDEMPOTENCY_KEY=";
	const char *value = NULL;
	size_t len;

	for (const char *const *e = r->envp; e && *e; e++)
		if (strncmp(*e, name, sizeof name - 1) == 0)
			value = *e + sizeof name - 1;
	if (!value)
		return 0;
	len = strlen(value);
	if (len > 2 && value[0] == '"' && value[len - 1] == '"') {
		value++;
		len -= 2;
	}
	if (len < 1 || len >= IDEMPOTENCY_KEY_SIZE)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (value[i] < 0x21 || value[i] > 0x7e)
			return -EINVAL;
	memcpy(ret_key, value, len);
	ret_key[len] = '\0';
	return 1;
}

int
request_query(const struct request *r, const char *name, char **ret)
{
	for (const char *p = r->query; *p;) {
		size_t len = strcspn(p, "&");
		size_t name_len = strcspn(p, "=&");
		scoped(free_ptr) char *found = NULL;
		scoped(free_ptr) char *text = NULL;
		const char *value = p + name_len + (name_len < len);
		int e = percent_decode(p, name_len, &found);

		if (e < 0 && e != -EINVAL)
			return e;
		if (e == 0 && strcmp(found, name) == 0) {
			text = strndup(value, (size_t)(p + len - value));
			if (!text)
				return -ENOMEM;
			for (char *c = text; *c; c++)
				if (*c == '+')
					*c = ' ';
			return percent_decode(text, strlen(text), ret);
		}
		p += len + (p[len] == '&');
	}
	return -ENOENT;
}

char *
request_rest(const struct request *r, size_t from)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(REQUEST_URI_MAX);
	char *text = NULL;

	for (size_t i = from; i < r->n_segments; i++) {
		if (i > from)
			strbuf_addch(&s, '/');
		strbuf_addstr(&s, r->segments[i].text);
	}
	strbuf_add(&s, "", 0);
	return strbuf_take(&s, &text, NULL) < 0 ? NULL : text;
}

bool
media_type_is_json(const char *content_type)
{
	static const char application[] = "application/";
	size_t len;

	content_type += strspn(content_type, " \t");
	len = strcspn(content_type, "; \t");
	if (len <= strlen(application) || strncasecmp(content_type, application, strlen(application)) != 0)
		return false;
	content_type += strlen(application);
	len -= strlen(application);
	if (len == 4)
		return strncasecmp(content_type, "json", 4) == 0;
	return len > 5 && strncasecmp(content_type + len - 5, "+json", 5) == 0;
}

void
address_name(const char *remote_addr, char ret_name[ADDRESS_NAME_SIZE])
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct in_addr v4;
	struct in6_addr v6;
	char text[INET6_ADDRSTRLEN];

	if (inet_pton(AF_INET, remote_addr, &v4) == 1) {
		(void)inet_ntop(AF_INET, &v4, ret_name, ADDRESS_NAME_SIZE);
	} else if (inet_pton(AF_INET6, remote_addr, &v6) == 1) {
		if (memcmp(v6.s6_addr, mapped, sizeof mapped) == 0) {
			(void)inet_ntop(AF_INET, v6.s6_addr + sizeof mapped, ret_name, ADDRESS_NAME_SIZE);
			return;
		}
		memset(v6.s6_addr + 8, 0, 8);
		(void)inet_ntop(AF_INET6, &v6, text, sizeof text);
		(void)snprintf(ret_name, ADDRESS_NAME_SIZE, "%s/64", text);
	} else {
		(void)snprintf(ret_name, ADDRESS_NAME_SIZE, "unknown");
	}
}

void
request_merge_slashes(struct request *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->n_segments; i++)
		if (*r->segments[i].text)
			r->segments[kept++] = r->segments[i];
		else
			free(r->segments[i].text);
	for (size_t i = kept; i < r->n_segments; i++)
		r->segments[i].text = NULL;
	r->n_segments = kept;
}
