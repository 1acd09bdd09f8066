/* The native API: the engine's operations in its own words. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "basic/escape.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "gate/api_native.h"
#include "gate/cors.h"
#include "gate/exchange.h"
#include "gate/problem.h"

static const char methods[] = "DELETE, GET, HEAD, OPTIONS, PATCH, POST";

static int
settings_open(const struct config *config, void **ret_state)
{
	const char *anonymous = config_string(config, "v1", "anonymous");
	struct native_settings *s = calloc(1, sizeof *s);
	int r = 0;

	if (!s)
		return -ENOMEM;
	s->enabled = config_bool(config, "v1", "enabled");
	s->body_max = (size_t)config_number(config, "v1", "body_max");
	s->uploads_max = config_number(config, "v1", "uploads_max");
	if (anonymous && strcmp(anonymous, "nothing") != 0)
		r = scopes_parse(anonymous, &s->anonymous);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret_state = s;
	return 0;
}

static const char *
settings_off(const void *state)
{
	const struct native_settings *s = state;

	return s->enabled ? NULL : "The native API is switched off here: set enabled = yes in section [v1] of spoolgate.conf.";
}

static void
fail(struct exchange *x, int status, const char *message)
{
	(void)native_problem(x, status, PLACE_NONE, NULL, "%s", message);
}

static void
options(struct exchange *x, const struct route *route)
{
	response_empty(&x->res, 204);
	response_header(&x->res, "Allow", route->allow);
	cors_preflight(x, methods);
}

static void
finish(struct exchange *x)
{
	cors_any_origin(x);
	response_header(&x->res, "Access-Control-Expose-Headers", "Content-Range, ETag, Location, Retry-After, Spoolgate-Log-Complete, "
	    "Spoolgate-Log-Next, Spoolgate-Log-Offset, Upload-Offset, X-Request-Id");
}

int
native_answer(struct exchange *x, int status, json_object *obj)
{
	scoped(put_json) json_object *own = obj;

	if (!own)
		return -ENOMEM;
	response_json(&x->res, status, own, JSON_STYLE_NEWLINE);
	return HANDLED;
}

int
native_query_check(struct exchange *x, const char *const *known)
{
	for (const char *p = x->req.query; *p; p += *p == '&') {
		size_t len = strcspn(p, "&");
		scoped(free_ptr) char *name = NULL;
		size_t i = 0;

		if (len == 0)
			continue;
		if (percent_decode(p, strcspn(p, "=&"), &name) < 0) {
			native_problem(x, 400, PLACE_NONE, NULL, "The query is malformed.");
			return 1;
		}
		while (known[i] && strcmp(known[i], name) != 0)
			i++;
		if (!known[i]) {
			native_problem(x, 400, PLACE_PARAMETER, name, "There is no such query parameter.");
			return 1;
		}
		for (const char *q = p + len; *q; q += strcspn(q, "&")) {
			scoped(free_ptr) char *other = NULL;

			q++;
			if (percent_decode(q, strcspn(q, "=&"), &other) == 0 && strcmp(other, name) == 0) {
				native_problem(x, 400, PLACE_PARAMETER, name, "This query parameter may be given once.");
				return 1;
			}
		}
		p += len;
	}
	return 0;
}

int
native_query_text(struct exchange *x, const char *name, char **ret)
{
	int r = request_query(&x->req, name, ret);

	if (r == -ENOENT || r >= 0)
		return 0;
	native_problem(x, r == -EINVAL ? 400 : 500, PLACE_PARAMETER, name, "The value is malformed.");
	return 1;
}

int
native_query_number(struct exchange *x, const char *name, uint64_t min, uint64_t max, uint64_t def, uint64_t *ret)
{
	scoped(free_ptr) char *text = NULL;
	uint64_t n = def;
	char *end = NULL;

	if (native_query_text(x, name, &text) != 0)
		return 1;
	if (text) {
		errno = 0;
		n = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
		if (!end || *end || errno || n < min || n > max) {
			native_problem(x, 400, PLACE_PARAMETER, name, "This must be a whole number from %" PRIu64 " to %" PRIu64 ".",
			    min, max);
			return 1;
		}
	}
	*ret = n;
	return 0;
}

static int
get_root(struct exchange *x)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *obj = NULL;
	int r;

	jsonw_string(&w, "service", "spoolgate");
	jsonw_string(&w, "version", PACKAGE_VERSION);
	jsonw_string(&w, "openapi", "/v1/openapi.json");
	jsonw_string(&w, "docs", "/v1/docs");
	r = jsonw_finish(&w, &obj);
	return r < 0 ? r : native_answer(x, 200, obj);
}

enum { GET = METHOD_GET | METHOD_HEAD };

static const struct route routes[] = {
	{ "/", "GET, HEAD, OPTIONS", { { GET, get_root } } },
	{ "/docs", "GET, HEAD, OPTIONS", { { GET, native_get_docs } } },
	{ "/openapi.json", "GET, HEAD, OPTIONS", { { GET, native_get_openapi } } },
	{ "/tools", "GET, HEAD, OPTIONS", { { GET, native_get_tools } } },
	{ "/tools/{}", "GET, HEAD, OPTIONS", { { GET, native_get_tool } } },
	{ "/uploads", "OPTIONS, POST", { { METHOD_POST, native_post_uploads } } },
	{ "/uploads/{}", "DELETE, GET, HEAD, OPTIONS, PATCH", { { GET, native_get_upload }, { METHOD_PATCH, native_patch_upload },
	    { METHOD_DELETE, native_delete_upload } } },
	{ "/jobs", "GET, HEAD, OPTIONS, POST", { { GET, native_get_jobs }, { METHOD_POST, native_post_jobs } } },
	{ "/jobs/{}", "DELETE, GET, HEAD, OPTIONS", { { GET, native_get_job }, { METHOD_DELETE, native_delete_job } } },
	{ "/jobs/{}/log", "GET, HEAD, OPTIONS", { { GET, native_get_log } } },
	{ "/jobs/{}/events", "GET, HEAD, OPTIONS", { { GET, native_get_events } } },
	{ "/jobs/{}/files", "DELETE, GET, HEAD, OPTIONS", { { GET, native_get_files }, { METHOD_DELETE, native_delete_files } } },
	{ "/jobs/{}/files/{*}", "GET, HEAD, OPTIONS", { { GET, native_get_file } } },
	{ "/jobs/{}/zip", "GET, HEAD, OPTIONS", { { GET, native_get_zip } } },
	{ "/jobs/{}/stdout", "GET, HEAD, OPTIONS", { { GET, native_get_stdout } } },
	{ "/jobs/{}/receipt", "GET, HEAD, OPTIONS", { { GET, native_get_receipt } } },
	{ "/jobs/{}/wait", "GET, HEAD, OPTIONS", { { GET, native_get_wait } } },
	{ "/jobs/{}/kill", "OPTIONS, POST", { { METHOD_POST, native_post_kill } } },
};

const struct service native_service = {
	.name = "v1",
	.routes = routes,
	.n_routes = sizeof routes / sizeof routes[0],
	.open = settings_open,
	.close = free,
	.off = settings_off,
	.fail = fail,
	.options = options,
	.finish = finish,
};
