/* /metrics: what all processes of the gate and the helper count, for Prometheus. Errors are one line of plain text. */
#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "gate/exchange.h"
#include "gate/metrics.h"
#include "gate/metrics_helper.h"
#include "gate/metrics_text.h"

#define TEXT "text/plain; charset=utf-8"
enum { TOKEN_MAX = 512, CHILDREN_MAX = 64 * 1024 };

struct settings {
	char *token;	/* NULL: none */
	bool open;	/* anybody may read */
};

/* ---- settings ---- */

/* One word of visible ASCII, as it comes after "Bearer ". */
static bool
token_valid(const char *token)
{
	size_t len = strlen(token);

	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)token[i]))
			return false;
	return len > 0 && len <= TOKEN_MAX;
}

/* The token of the environment, else of the file. */
static int
read_token(const struct config *config, char **ret)
{
	const char *text = getenv("METRICS_TOKEN"), *path = config_string(config, "metrics", "token_file");
	scoped(free_ptr) char *token = NULL;
	size_t len = 0;
	int r = 0;

	if (text && *text) {
		token = strdup(text);
		r = token ? 0 : -ENOMEM;
		path = "METRICS_TOKEN";
	} else if (path) {
		r = read_file_at(AT_FDCWD, path, TOKEN_MAX + 1, &token, &len);
		if (r >= 0 && len > 0 && token[len - 1] == '\n')
			token[--len] = '\0';
		if (r >= 0 && strlen(token) < len)
			token[0] = '\0';	/* a NUL within: no token */
	}
	if (r >= 0 && token && !token_valid(token)) {
		log_error("%s: a token is one word of 1 to %d visible ASCII characters", path, TOKEN_MAX);
		return -EINVAL;
	}
	if (r < 0) {
		log_error("[metrics] token_file: %s: %s", path, strerror(-r));
		return r;
	}
	*ret = take_ptr(token);
	return 0;
}

static void
settings_close(void *state)
{
	struct settings *s = state;

	if (!s)
		return;
	free(s->token);
	free(s);
}

static int
settings_open(const struct config *config, void **ret_state)
{
	struct settings *s = calloc(1, sizeof *s);
	int r = s ? read_token(config, &s->token) : -ENOMEM;

	if (r == 0) {
		s->open = config_bool(config, "metrics", "open");
		if (s->open && s->token) {
			log_error("[metrics] open = yes and a token exclude each other");
			r = -EINVAL;
		}
	}
	if (r < 0) {
		settings_close(s);
		return r;
	}
	*ret_state = s;
	return 0;
}

static const char *
settings_off(const void *state)
{
	(void)state;
	return NULL;
}

/* ---- errors ---- */

static void
fail(struct exchange *x, int status, const char *message)
{
	size_t len = strlen(message);
	char *text = malloc(len + 2);

	if (text) {
		memcpy(text, message, len);
		memcpy(text + len, "\n", 2);
	}
	response_body(&x->res, status, TEXT, text, len + 1);
}

static void
options(struct exchange *x, const struct route *route)
{
	response_empty(&x->res, 204);
	response_header(&x->res, "Allow", route->allow);
}

/* ---- who may ask ---- */

static bool
is_loopback(const char *address)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (strcmp(address, "unix:") == 0)	/* nginx's word for a client on a unix socket */
		return true;
	if (inet_pton(AF_INET, address, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, address, &v6) != 1)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

/* A proxy of somebody else's on this host is a loopback peer whoever asks it; most of them say so. */
static bool
came_by_proxy(const struct request *req)
{
	for (const char *const *p = req->envp; p && *p; p++)
		if (strncmp(*p, "HTTP_X_FORWARDED_FOR=", 21) == 0 || strncmp(*p, "HTTP_FORWARDED=", 15) == 0 ||
		    strncmp(*p, "HTTP_X_REAL_IP=", 15) == 0)
			return true;
	return false;
}

static bool
token_matches(const struct request *req, const char *token)
{
	const char *text = request_header(req, "HTTP_AUTHORIZATION");

	if (!text || strncasecmp(text, "Bearer ", 7) != 0)
		return false;
	text += 7;
	return secret_equal(token, text + strspn(text, " "));
}

/* false: the answer is set. */
static bool
permit(struct exchange *x)
{
	const struct settings *s = x->state;

	if (s->open)
		return true;
	if (s->token) {
		if (token_matches(&x->req, s->token))
			return true;
		exchange_fail(x, 401, "This needs the metrics token: send it as `Authorization: Bearer TOKEN`.");
		response_header(&x->res, "WWW-Authenticate", "Bearer realm=\"spoolgate metrics\"");
		return false;
	}
	if (is_loopback(x->req.remote_addr) && !came_by_proxy(&x->req))
		return true;
	exchange_fail(x, 403, "Without a token metrics are for this host alone: set token_file or open = yes in section [metrics] "
	    "of spoolgate.conf.");
	return false;
}

/* ---- the gate's own ---- */

static void
add_requests(struct strbuf *s, const struct metrics *m)
{
	static const char total[] = "spoolgate_http_requests_total", took[] = "spoolgate_http_request_duration_seconds";
	struct metrics_route route;

	metrics_family(s, total, "counter", "Requests that were answered, by route and status; 499: the client hung up.");
	for (size_t i = 0; i < metrics_routes(m); i++) {
		metrics_read_route(m, i, &route);
		for (unsigned k = 0; k < METRICS_STATUSES; k++) {
			char status[16];
			const char *labels[] = { "service", route.service, "route", route.route, "status", status, NULL };

			if (route.statuses[k] == 0)
				continue;
			(void)snprintf(status, sizeof status, "%u", METRICS_STATUS_MIN + k);
			metrics_sample(s, total, labels, route.statuses[k]);
		}
	}
	metrics_family(s, took, "histogram", "From the request's last header until the answer was handed to nginx, waits included.");
	for (size_t i = 0; i < metrics_routes(m); i++) {
		bool any = false;

		metrics_read_route(m, i, &route);
		for (size_t b = 0; b < HISTOGRAM_BUCKETS; b++)
			any = any || route.took.buckets[b] > 0;
		if (any)
			metrics_histogram(s, took, (const char *const[]){ "service", route.service, "route", route.route, NULL },
			    &route.took);
	}
}

static void
add_compiles(struct strbuf *s, const struct metrics *m)
{
	static const char compiles[] = "spoolgate_stan_compiles_total";

	metrics_family(s, compiles, "counter", "Requests for a compiled Stan model: out of the cache, from a job that was there, with a new one.");
	for (int i = 0; i < METRICS_COMPILES; i++)
		metrics_sample(s, compiles, (const char *const[]){ "cache", metrics_compile_names[i], NULL },
		    metrics_compiles(m, (enum metrics_compile)i));
}

/* The keeper is our parent, and its children are the workers, former ones that are finishing among them. */
static void
add_processes(struct strbuf *s, const struct metrics *m, uint64_t helper_bytes)
{
	static const char workers[] = "spoolgate_gate_workers", memory[] = "spoolgate_resident_memory_bytes";
	static const char replaced[] = "spoolgate_gate_workers_replaced_total";
	scoped(free_ptr) char *text = NULL;
	uint64_t n = 0, sum = 0, bytes = 0, keeper_bytes = 0;
	pid_t keeper = getppid();
	size_t len = 0;
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
	(void)read_file_at(AT_FDCWD, path, CHILDREN_MAX, &text, &len);
	for (char *p = text, *end = NULL; p; p = end) {
		long pid = strtol(p, &end, 10);

		if (end == p)
			break;
		if (process_memory((pid_t)pid, &bytes) < 0)
			continue;
		n++;
		sum += bytes;
	}
	(void)process_memory(keeper, &keeper_bytes);
	metrics_family(s, workers, "gauge", "Processes of the gate that serve requests.");
	metrics_sample(s, workers, NULL, n);
	metrics_family(s, replaced, "counter", "Processes of the gate that died, each of which the keeper replaced.");
	metrics_sample(s, replaced, NULL, metrics_workers_replaced(m));
	metrics_family(s, memory, "gauge", "Resident memory; pages that the gate's workers share count for each of them.");
	metrics_sample(s, memory, (const char *const[]){ "process", "keeper", NULL }, keeper_bytes);
	metrics_sample(s, memory, (const char *const[]){ "process", "workers", NULL }, sum);
	if (helper_bytes > 0)
		metrics_sample(s, memory, (const char *const[]){ "process", "helper", NULL }, helper_bytes);
}

/* ---- the answer ---- */

static int
get_metrics(struct exchange *x)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(RESPONSE_BODY_MAX);
	scoped(put_json) json_object *stats = NULL;
	uint64_t helper_bytes = 0;
	char *text = NULL;
	size_t len = 0;
	int r;

	if (!permit(x))
		return HANDLED;
	if (!x->gate->metrics)
		return -ENODATA;
	r = client_stats(x->helper, &stats);
	if (r < 0)
		log_warning("%s: the helper tells no metrics: %s", x->req.id, strerror(-r));
	else
		(void)json_get_uint(stats, "rss", &helper_bytes);
	metrics_family(&s, "spoolgate_build_info", "gauge", "The gate's release.");
	metrics_sample(&s, "spoolgate_build_info", (const char *const[]){ "version", PACKAGE_VERSION, NULL }, 1);
	metrics_family(&s, "spoolgate_helper_up", "gauge", "Whether the helper answered; without it there is nothing here of jobs.");
	metrics_sample(&s, "spoolgate_helper_up", NULL, r >= 0);
	add_requests(&s, x->gate->metrics);
	add_processes(&s, x->gate->metrics, helper_bytes);
	add_compiles(&s, x->gate->metrics);
	if (r >= 0)
		metrics_add_helper(&s, stats, x->gate->services, x->gate->n_services);
	r = strbuf_take(&s, &text, &len);
	if (r < 0)
		return r;
	response_header(&x->res, "Cache-Control", "no-store");
	response_body(&x->res, 200, METRICS_CONTENT_TYPE, text, len);
	return HANDLED;
}

static const struct route routes[] = {
	{ "/", "GET, HEAD, OPTIONS", { { METHOD_GET | METHOD_HEAD, get_metrics } } },
};

const struct service metrics_service = {
	.name = "metrics",
	.routes = routes,
	.n_routes = sizeof routes / sizeof routes[0],
	.open = settings_open,
	.close = settings_close,
	.off = settings_off,
	.fail = fail,
	.options = options,
};
