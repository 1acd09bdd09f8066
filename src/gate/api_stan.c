/* The Stan compile service: routes, who may ask, downloads, /restart. Sections are those of its contract. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "gate/api_stan.h"

enum { MESSAGE_MAX_BYTES = 4 * STAN_TEXT_MAX + 1024, MODEL_ID_LEN = SHA1_HEX_SIZE - 1 };

static const char cors_methods[] = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";
static const char own_headers[] = "X-Request-Id, X-Spool-Cache, X-Spool-Job, X-Spool-Queue-Ms, X-Spool-Compile-Ms, Retry-After";

/* ---- settings ---- */

static void
state_free(void *state)
{
	struct stan_state *s = state;

	if (!s)
		return;
	stan_done(&s->settings);
	free(s->cache);
	free(s);
}

/* The salt is in it too: with another one everything is compiled anew, so let it be seen at once whether that works. */
static int
name_test(struct stan_state *s)
{
	scoped(free_sha1) struct sha1 *hash = sha1_new();
	char name[SHA1_HEX_SIZE];
	int r = hash ? stan_fingerprint(&s->settings, name) : -ENOMEM;

	if (r < 0)
		return r;
	sha1_add(hash, s->settings.salt, strlen(s->settings.salt));
	sha1_add(hash, name, strlen(name));
	sha1_finish(hash, name);
	(void)snprintf(s->test_id, sizeof s->test_id, STAN_TEST "%s", name);
	return 0;
}

static int
settings_open(const struct config *config, void **ret_state)
{
	scoped(faults_done) struct faults f = { NULL, 0 };
	struct stan_state *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return -ENOMEM;
	r = stan_load(config, false, &f, &s->settings);
	for (size_t i = 0; i < f.n; i++)
		log_error("%s", f.texts[i]);
	if (r == 0 && f.n > 0)
		r = -EINVAL;
	if (r == 0 && asprintf(&s->cache, "%s/cache/" STAN_TOOL, config_string(config, "spool", "path")) < 0)
		r = -ENOMEM;
	if (r == 0 && s->settings.cache) {
		free(s->cache);
		s->cache = strdup(s->settings.cache);
		r = s->cache ? 0 : -ENOMEM;
	}
	if (r == 0 && s->settings.on) {
		s->failures_usec = config_number(config, "stan", "failures_kept");
		r = name_test(s);
		log_init("spoolgate.fcgi", s->settings.log_priority);
	}
	if (r < 0) {
		state_free(s);
		return r;
	}
	*ret_state = s;
	return 0;
}

static const char *
settings_off(const void *state)
{
	const struct stan_state *s = state;

	return s->settings.on ? NULL : "The Stan compile service is not configured here: set TINYSTAN and SWS_PASSCODE, or section [stan] of spoolgate.conf.";
}

/* ---- answers ---- */

static void
answer_word(struct exchange *x, int status, const char *key, const char *text)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	int r;

	jsonw_string(&w, key, text);
	r = jsonw_finish(&w, &obj);
	if (r < 0)
		x->res.err = r;
	else
		response_json(&x->res, status, obj, 0);
}

void
stan_message(struct exchange *x, int status, const char *format, ...)
{
	scoped(strbuf_done) struct strbuf text = STRBUF_INIT(MESSAGE_MAX_BYTES);
	va_list ap;

	va_start(ap, format);
	strbuf_vaddf(&text, format, ap);
	va_end(ap);
	response_reset(&x->res);
	if (strbuf_err(&text) < 0)
		x->res.err = strbuf_err(&text);
	else
		answer_word(x, status, "message", strbuf_str(&text));
}

/* What the framework said of old has "detail", everything else "message" (section 2.0). */
static void
fail(struct exchange *x, int status, const char *message)
{
	if (status == 404)
		answer_word(x, status, "detail", "Not Found");
	else if (status == 405)
		answer_word(x, status, "detail", "Method Not Allowed");
	else
		answer_word(x, status, "message", status == 500 ? "Internal server error" : message);
}

static bool
origin_allowed(const struct exchange *x)
{
	const struct stan_state *s = x->state;

	for (char **o = s->settings.origins; x->req.origin && o && *o; o++)
		if (strcmp(*o, x->req.origin) == 0)
			return true;
	return false;
}

/* Section 2.1, of every answer. */
static void
finish(struct exchange *x)
{
	bool allowed = origin_allowed(x);

	if (x->req.origin)
		response_header(&x->res, "Access-Control-Allow-Credentials", "true");
	if (allowed) {
		response_header(&x->res, "Access-Control-Allow-Origin", x->req.origin);
		response_header(&x->res, "Access-Control-Expose-Headers", own_headers);
	}
	response_header(&x->res, "Vary", "Origin");
	if (!x->res.redirected)
		response_header(&x->res, "Cache-Control", "no-store");
}

static bool
method_listed(const char *method)
{
	static const char *const listed[] = { "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT" };

	for (size_t i = 0; i < sizeof listed / sizeof *listed; i++)
		if (strcmp(listed[i], method) == 0)
			return true;
	return false;
}

/* Whether it was one; answered for any path, before everything else. */
static bool
preflight(struct exchange *x)
{
	const char *method = request_header(&x->req, "HTTP_ACCESS_CONTROL_REQUEST_METHOD");
	const char *headers = request_header(&x->req, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS");
	const char *private = request_header(&x->req, "HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK");
	scoped(strbuf_done) struct strbuf text = STRBUF_INIT(64);
	bool allowed = origin_allowed(x), listed, disallowed;
	char *body = NULL;
	size_t len = 0;

	if (x->req.method != METHOD_OPTIONS || !x->req.origin || !method || !*method)
		return false;
	listed = method_listed(method);
	private = private && strcmp(private, "true") == 0 ? private : NULL;
	disallowed = !allowed || !listed;
	strbuf_addstr(&text, disallowed ? "Disallowed CORS " : "OK");
	if (!allowed)
		strbuf_addstr(&text, "origin");
	if (!listed)
		strbuf_addstr(&text, allowed ? "method" : ", method");
	if (private && !allowed)
		strbuf_addstr(&text, ", private-network");
	(void)strbuf_take(&text, &body, &len);
	response_body(&x->res, disallowed ? 400 : 200, "text/plain; charset=utf-8", body, len);
	response_header(&x->res, "Access-Control-Allow-Methods", cors_methods);
	response_header(&x->res, "Access-Control-Max-Age", "600");
	if (headers && *headers)
		response_header(&x->res, "Access-Control-Allow-Headers", headers);
	if (private && allowed)
		response_header(&x->res, "Access-Control-Allow-Private-Network", "true");
	return true;
}

/* OPTIONS that is no preflight. */
static void
options(struct exchange *x, const struct route *route)
{
	fail(x, 405, NULL);
	response_header(&x->res, "Allow", route->allow);
}

bool
stan_authorized(struct exchange *x, const char *secret)
{
	static const char scheme[] = "Bearer ";
	const char *header = request_header(&x->req, "HTTP_AUTHORIZATION");
	scoped(free_ptr) char *token = NULL;

	if (!header || !*header) {
		stan_message(x, 401, "Passcode not provided");
		return false;
	}
	if (strncmp(header, scheme, sizeof scheme - 1) != 0) {
		stan_message(x, 401, "Invalid authorization header");
		return false;
	}
	header += sizeof scheme - 1;
	token = strndup(header, strcspn(header, " "));
	if (!token || !*token || !secret_equal(token, secret)) {
		stan_message(x, 401, "Invalid passcode");
		return false;
	}
	return true;
}

/* ---- the small routes ---- */

static int
get_probe(struct exchange *x)
{
	answer_word(x, 200, "status", "ok");
	return HANDLED;
}

/* {"ready", "accepting", "queued", "running", "slots", "disk_free"}: ours, for people and dashboards. */
static int
get_status(struct exchange *x)
{
	const struct stan_state *s = x->state;
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	struct queue_summary q = { .accepting = 0 };
	struct statvfs disk;
	int r = client_queue(x->helper, &q);

	jsonw_bool(&w, "ready", r == 0 && q.accepting && stan_in_cache(s, s->test_id));
	jsonw_bool(&w, "accepting", r == 0 && q.accepting);
	jsonw_add(&w, "queued", json_object_new_uint64(q.queued));
	jsonw_add(&w, "running", json_object_new_uint64(q.running));
	jsonw_add(&w, "slots", json_object_new_uint64(q.slots));
	if (statvfs(s->cache, &disk) == 0)
		jsonw_add(&w, "disk_free", json_object_new_uint64((uint64_t)disk.f_bavail * disk.f_frsize));
	r = jsonw_finish(&w, &obj);
	if (r < 0)
		return r;
	response_json(&x->res, 200, obj, 0);
	return HANDLED;
}

bool
stan_is_model_id(const char *text)
{
	return strlen(text) == MODEL_ID_LEN && strspn(text, "0123456789abcdef") == MODEL_ID_LEN;
}

/* nginx answers for what is there; this is for what is not, or was not a moment ago. */
static int
get_download(struct exchange *x)
{
	const struct stan_state *s = x->state;
	const char *id = x->args[0], *name = x->args[1];
	scoped(close_fd) int fd = -EBADF;
	bool js = strcmp(name, "main.js") == 0;
	char location[96];

	if (!js && strcmp(name, "main.wasm") != 0) {
		scoped(strbuf_done) struct strbuf shown = STRBUF_INIT(4 * REQUEST_URI_MAX);

		utf8_add(&shown, name, strlen(name));
		stan_message(x, 400, "Invalid file name %s", strbuf_str(&shown));
		return HANDLED;
	}
	fd = stan_is_model_id(id) ? stan_open_file(s, id, name) : -ENOENT;
	if (fd < 0) {
		scoped(strbuf_done) struct strbuf shown = STRBUF_INIT(4 * REQUEST_URI_MAX);

		utf8_add(&shown, id, strlen(id));
		stan_message(x, 404, "File not found: %s/%s", strbuf_str(&shown), name);
		return HANDLED;
	}
	(void)snprintf(location, sizeof location, "/-/stan/%s/%s", id, name);
	response_redirect(&x->res, js ? "text/javascript; charset=utf-8" : "application/wasm", location);
	return HANDLED;
}

/* ---- POST /restart ---- */

/* The answer is out: new workers in place of these, which finish what they have begun, and the helper executes itself anew. */
static void
restart(struct exchange *x)
{
	int r = client_command(x->helper, "restart", NULL);

	if (r < 0)
		log_error("the helper does not restart: %s", *client_reason(x->helper) ? client_reason(x->helper) : strerror(-r));
	log_notice("restart: asked for through the Stan service");
	(void)kill(getppid(), SIGHUP);
}

static int
post_restart(struct exchange *x)
{
	const struct stan_state *s = x->state;

	if (!s->settings.restart_token) {
		stan_message(x, 401, "Restart token not set at startup");
		return HANDLED;
	}
	if (!stan_authorized(x, s->settings.restart_token))
		return HANDLED;
	answer_word(x, 200, "status", "restarting");
	x->after = restart;
	return HANDLED;
}

static const struct route routes[] = {
	{ "/probe", "GET", { { METHOD_GET | METHOD_HEAD, get_probe } } },
	{ "/compile", "POST", { { METHOD_POST, stan_post_compile } } },
	{ "/restart", "POST", { { METHOD_POST, post_restart } } },
	{ "/status", "GET, HEAD", { { METHOD_GET | METHOD_HEAD, get_status } } },
	{ "/events/{}", "GET", { { METHOD_GET, stan_get_events } } },
	{ "/download/{}/{}", "GET, HEAD", { { METHOD_GET | METHOD_HEAD, get_download } } },
};

const struct service stan_service = {
	.name = "stan",
	.routes = routes,
	.n_routes = sizeof routes / sizeof routes[0],
	.merge_slashes = true,
	.slash_redirect = true,
	.open = settings_open,
	.close = state_free,
	.off = settings_off,
	.warm = stan_warm,
	.preflight = preflight,
	.fail = fail,
	.options = options,
	.finish = finish,
};
