#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "gate/body.h"
#include "gate/exchange.h"
#include "gate/metrics.h"
#include "gate/router.h"
#include "gate/stream.h"
#include "gate/waiting.h"

/* nginx itself gives up after 60 s without a byte; a peer that is slower than that holds a thread for nothing. */
enum { PEER_TIMEOUT_SEC = 65, LOG_PATH_MAX = 200 };
enum { STATUS_GONE = 499 };	/* in the log alone, as nginx has it: the client hung up */
enum { ROLE_RESPONDER = 1 };	/* FCGI_RESPONDER, FastCGI specification section 8 */

/* For requests that no service can answer: nginx did not say which, or named one that is not built in. */
static void
nobody_fail(struct exchange *x, int status, const char *message)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;

	jsonw_string(&w, "error", message);
	if (jsonw_finish(&w, &obj) == 0)
		response_json(&x->res, status, obj, JSON_STYLE_NEWLINE);
}

static const struct service nobody = { .name = "", .fail = nobody_fail };

struct exchange *
exchange_new(struct gate *gate, struct client *helper)
{
	struct exchange *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	x->gate = gate;
	x->helper = helper;
	x->service = &nobody;
	response_init(&x->res);
	/* Without a listening socket: connections are accepted by us, close-on-exec and with time limits. */
	if (FCGX_InitRequest(&x->fcgx, -1, 0) != 0) {
		free(x);
		return NULL;
	}
	return x;
}

static void
disconnect(struct exchange *x)
{
	FCGX_Finish_r(&x->fcgx);
	if (x->fcgx.ipcFd >= 0)	/* nginx asked to keep the connection: a thread would starve others in read() on it */
		FCGX_Free(&x->fcgx, 1);
}

struct exchange *
exchange_free(struct exchange *x)
{
	if (!x)
		return NULL;
	disconnect(x);
	x->stream = stream_free(x->stream);
	request_done(&x->req);
	response_done(&x->res);
	free(x);
	return NULL;
}

int
exchange_begin(struct exchange *x, int fd)
{
	const struct timeval limit = { .tv_sec = PEER_TIMEOUT_SEC };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	/* An open connection in a request whose predecessor said "keep it": FCGX_Accept_r then reads instead of accepting. */
	x->fcgx.ipcFd = fd;
	x->fcgx.keepConnection = 1;
	if (FCGX_Accept_r(&x->fcgx) < 0)
		return -EPROTO;
	if (x->fcgx.role != ROLE_RESPONDER) {
		disconnect(x);
		return -EPROTO;
	}
	x->began_usec = clock_mono();
	return 0;
}

void
exchange_fail(struct exchange *x, int status, const char *message)
{
	response_reset(&x->res);
	x->service->fail(x, status, message);
}

void
exchange_fail_retry(struct exchange *x, int status, unsigned retry_sec, const char *message)
{
	exchange_fail(x, status, message);
	if (retry_sec)
		response_headerf(&x->res, "Retry-After", "%u", retry_sec);
}

int
exchange_read_body(struct exchange *x, size_t max, char **ret_text, size_t *ret_len)
{
	int r = body_read(x->fcgx.in, x->req.content_length, max, ret_text, ret_len);

	if (r >= 0)
		return 0;
	if (r == -EFBIG)
		exchange_fail(x, 413, "The body is too large.");
	else if (r == -ENOMEM)
		exchange_fail(x, 500, "Out of memory.");
	else
		exchange_fail(x, 400, "The body is not as long as declared.");
	return x->res.status;
}

/* To the same address without the slash at its end, where a route lies there. */
static bool
redirect_slash(struct exchange *x)
{
	size_t len = strcspn(x->req.uri, "?");
	const char *path = x->req.uri + strspn(x->req.uri, "/");
	size_t path_len = len - (size_t)(path - x->req.uri);

	if (!x->req.trailing_slash || x->req.n_segments == 0)
		return false;
	x->req.trailing_slash = false;
	x->route = router_match(x->service, &x->req, x->args, &x->n_args);
	x->req.trailing_slash = true;
	if (!x->route)
		return false;
	while (path_len > 0 && path[path_len - 1] == '/')
		path_len--;
	/* One slash at its beginning: two would name another host. */
	response_empty(&x->res, 307);
	response_headerf(&x->res, "Location", "/%.*s%s", (int)path_len, path, x->req.uri + len);
	return true;
}

static int
route_request(struct exchange *x, int parsed)
{
	const struct route *route;
	const char *why = NULL;
	handle_fn *handle = NULL;

	if (parsed != 0) {
		exchange_fail(x, parsed, status_reason(parsed));
		return HANDLED;
	}
	if (x->service->merge_slashes)
		request_merge_slashes(&x->req);
	if (x->service->preflight && x->service->preflight(x))
		return HANDLED;
	why = x->service->off(x->state);
	if (why) {
		exchange_fail(x, 503, why);
		return HANDLED;
	}
	x->route = route = router_match(x->service, &x->req, x->args, &x->n_args);
	if (!route && x->service->slash_redirect && redirect_slash(x))
		return HANDLED;
	if (!route) {
		exchange_fail(x, 404, "Not found.");
		return HANDLED;
	}
	handle = router_handler(route, x->req.method);
	if (handle)
		return handle(x);
	if (x->req.method == METHOD_OPTIONS) {
		x->service->options(x, route);
		return HANDLED;
	}
	exchange_fail(x, 405, "This method is not allowed here.");
	response_header(&x->res, "Allow", route->allow);
	return HANDLED;
}

int
exchange_serve(struct exchange *x)
{
	int parsed = request_parse((const char *const *)x->fcgx.envp, &x->req);
	int r = HANDLED;

	x->service = &nobody;
	x->route = NULL;
	x->n_args = 0;
	for (size_t i = 0; i < x->gate->n_services; i++)
		if (strcmp(x->gate->services[i]->name, x->req.service) == 0) {
			x->service = x->gate->services[i];
			x->state = x->gate->service_states[i];
		}
	if (x->service == &nobody) {
		log_error("%s: nginx names no service that is known here (SPOOLGATE_SERVICE)", x->req.id);
		exchange_fail(x, 500, "No service answers here.");
		return HANDLED;
	}
	r = route_request(x, parsed);
	if (r == HANDLED_WAITING) {
		waiting_take(x->gate->waiting, x);	/* x is another thread's from here on */
		return r;
	}
	if (r < 0) {
		log_error("%s: %s %.*s: %s", x->req.id, x->req.method_text, LOG_PATH_MAX, x->req.uri, strerror(-r));
		exchange_fail(x, 500, "Internal error.");
	}
	return HANDLED;
}

/* The connection need not linger where the whole request was read: nothing of it can be answered with a reset. libfcgi would
 * otherwise wait until nginx has closed its end. */
static void
close_quickly(struct exchange *x)
{
	bool no_body = x->req.content_length == 0 ||
	    (x->req.content_length < 0 && !(x->req.method & (METHOD_POST | METHOD_PUT | METHOD_PATCH)));

	if (no_body && !x->parked)
		(void)FCGX_GetChar(x->fcgx.in);
	if (x->parked || FCGX_HasSeenEOF(x->fcgx.in))
		(void)FCGX_Detach(&x->fcgx);
}

/* One line a request; the query is left out, for it may hold what is nobody's business. And the request is counted. */
static void
record_request(const struct exchange *x, int status, long sent)
{
	uint64_t usec = clock_mono() - x->began_usec;
	size_t path_len = strcspn(x->req.uri, "?");

	log_info("%s %s %.*s %d %ld %" PRIu64 ".%03ums %s", x->req.id, *x->req.method_text ? x->req.method_text : "-",
	    (int)(path_len < LOG_PATH_MAX ? path_len : LOG_PATH_MAX), x->req.uri, status, sent, usec / 1000,
	    (unsigned)(usec % 1000), *x->service->name ? x->service->name : "-");
	metrics_request(x->gate->metrics, x->service, x->route, status, usec);
}

int
exchange_begin_stream(struct exchange *x, const char *content_type)
{
	x->stream = stream_new(&x->fcgx);
	if (!x->stream)
		return -ENOMEM;
	if (x->service->finish)
		x->service->finish(x);
	response_header(&x->res, "X-Request-Id", x->req.id);
	response_header(&x->res, "X-Accel-Buffering", "no");
	response_empty(&x->res, 200);
	x->res.content_type = content_type;
	stream_head(x->stream, &x->res);
	return 0;
}

void
exchange_end(struct exchange *x)
{
	long sent;

	if (x->stream) {	/* all of it has been sent */
		record_request(x, x->res.status, (long)stream_sent(x->stream));
		close_quickly(x);
		disconnect(x);
		return;
	}
	if (x->res.status == 0 || x->res.err < 0) {
		log_error("%s: no answer was made: %s", x->req.id, strerror(x->res.err < 0 ? -x->res.err : EINVAL));
		exchange_fail(x, 500, "Internal error.");
		if (x->res.status == 0)	/* not even for that is there memory */
			response_empty(&x->res, 500);
	}
	if (x->service->finish)
		x->service->finish(x);
	response_header(&x->res, "X-Request-Id", x->req.id);
	sent = response_send(&x->res, x->req.method == METHOD_HEAD, x->fcgx.out);
	record_request(x, x->res.status, sent < 0 ? 0 : sent);	/* its texts are gone with the connection */
	close_quickly(x);
	disconnect(x);
	if (x->after)
		x->after(x);
	x->after = NULL;
	request_done(&x->req);
	response_reset(&x->res);
}

void
exchange_warm(struct exchange *x)
{
	for (size_t i = 0; i < x->gate->n_services; i++) {
		x->service = x->gate->services[i];
		x->state = x->gate->service_states[i];
		if (x->service->warm && !x->service->off(x->state))
			x->service->warm(x);
	}
	x->service = &nobody;
}

void
exchange_gone(struct exchange *x)
{
	(void)FCGX_Detach(&x->fcgx);
	record_request(x, STATUS_GONE, 0);
}
