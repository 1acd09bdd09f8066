/* FastCGI parameters, each ended by a NUL: a request is refused with a status, or its parts keep what they promise. */
#include "config.h"

#include <string.h>

#include "basic/scoped.h"
#include "fuzz.h"
#include "gate/request.h"
#include "gate/router.h"

enum { PARAMS = 300 };

static const struct route routes[] = { { .path = "/" }, { .path = "/task" }, { .path = "/status/{}" }, { .path = "/{}/{}/{}" } };
static const struct service strict = { .routes = routes, .n_routes = 4 };
static const struct service lenient = { .routes = routes, .n_routes = 4, .slash_too = true };

static void
check_request(const struct request *r)
{
	static const char *const names[] = { "HTTP_X", "HTTP_ORIGIN", "CONTENT_TYPE", "" };
	const char *args[ROUTE_ARGS_MAX];
	char address[ADDRESS_NAME_SIZE];
	size_t n = 0;

	MUST(r->n_segments <= REQUEST_SEGMENTS_MAX);
	for (size_t i = 0; i < r->n_segments; i++)
		MUST(r->segments[i].text && r->segments[i].has_slash == (strchr(r->segments[i].text, '/') != NULL));
	if (router_match(&strict, r, args, &n)) {
		MUST(router_match(&lenient, r, args, &n));
		for (size_t i = 0; i < n; i++)
			MUST(*args[i] && !strchr(args[i], '/'));
	}
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		scoped(free_ptr) char *text = NULL;
		const char *value = request_header(r, names[i]);

		MUST(!value || (strlen(value) <= REQUEST_VALUE_MAX && !strpbrk(value, "\r\n")));
		(void)request_query(r, names[i], &text);
	}
	(void)media_type_is_json(r->content_type);
	address_name(r->remote_addr, address);
	MUST(strlen(address) < sizeof address && *address);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(free_ptr) char *text = malloc(size + 1);
	const char *envp[PARAMS + 1] = { NULL };
	struct request r;
	size_t n = 0;
	int status = 0;

	MUST(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	for (size_t at = 0; at < size && n < PARAMS; at += strlen(text + at) + 1)
		envp[n++] = text + at;
	status = request_parse(envp, &r);
	MUST(status == 0 || status == 400 || status == 414 || status == 431);
	MUST(strlen(r.id) == REQUEST_ID_SIZE - 1 && strspn(r.id, "0123456789abcdef") == REQUEST_ID_SIZE - 1);
	MUST(r.method_text && r.uri && r.query && r.service && r.content_type && r.remote_addr);
	MUST(!r.origin || !strpbrk(r.origin, "\r\n"));
	if (status == 0)
		check_request(&r);
	request_done(&r);
	return 0;
}
