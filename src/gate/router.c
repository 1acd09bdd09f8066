#include "config.h"

#include <string.h>

#include "gate/router.h"

static bool
matches(const char *pattern, const struct request *req, const char *ret_args[ROUTE_ARGS_MAX], size_t *ret_n_args)
{
	size_t n_args = 0;
	size_t i = 0;

	for (const char *p = pattern + 1; *p; i++) {
		size_t len = strcspn(p, "/");
		const struct segment *s = &req->segments[i];

		if (i == req->n_segments || s->has_slash)
			return false;
		if (len == 3 && memcmp(p, "{*}", 3) == 0) {
			for (; i < req->n_segments; i++)
				if (req->segments[i].has_slash || !*req->segments[i].text)
					return false;
			break;
		}
		if (len == 2 && memcmp(p, "{}", 2) == 0) {
			if (!*s->text || n_args == ROUTE_ARGS_MAX)
				return false;
			ret_args[n_args++] = s->text;
		} else if (strlen(s->text) != len || memcmp(s->text, p, len) != 0) {
			return false;
		}
		p += len;
		p += *p == '/';
	}
	*ret_n_args = n_args;
	return i == req->n_segments;
}

const struct route *
router_match(const struct service *service, const struct request *req, const char *ret_args[ROUTE_ARGS_MAX],
    size_t *ret_n_args)
{
	if (!req->below_prefix || (req->trailing_slash && req->n_segments > 0 && !service->slash_too))
		return NULL;
	for (size_t i = 0; i < service->n_routes; i++)
		if (matches(service->routes[i].path, req, ret_args, ret_n_args))
			return &service->routes[i];
	return NULL;
}

handle_fn *
router_handler(const struct route *route, enum method method)
{
	for (size_t i = 0; i < sizeof route->endpoints / sizeof route->endpoints[0]; i++)
		if (route->endpoints[i].methods & method)
			return route->endpoints[i].handle;
	return NULL;
}
