#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "basic/json.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "gate/exchange.h"
#include "gate/problem.h"
#include "gate/service.h"
#include "proto/client.h"

enum { TEXT_MAX = 4096 };

static const char *const place_names[] = {
	[PLACE_POINTER] = "pointer",
	[PLACE_PARAMETER] = "parameter",
	[PLACE_PART] = "part",
	[PLACE_HEADER] = "header",
};

static json_object *
format_errors(enum problem_place place, const char *name, const char *detail)
{
	scoped(strbuf_done) struct strbuf text = STRBUF_INIT(4 * TEXT_MAX);
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *list = json_object_new_array();
	json_object *one = NULL;

	utf8_add(&text, name ? name : "", name ? strnlen(name, TEXT_MAX) : 0);	/* it may come from a client */
	jsonw_string(&w, place_names[place], strbuf_str(&text));
	jsonw_string(&w, "detail", detail);
	if (!list || jsonw_finish(&w, &one) < 0)
		return NULL;
	if (json_object_array_add(list, one) < 0) {
		json_object_put(one);
		return NULL;
	}
	return take_ptr(list);
}

static void
answer(struct exchange *x, int status, enum problem_place place, const char *name, const char *format, va_list ap)
    __attribute__((format(printf, 5, 0)));

static void
answer(struct exchange *x, int status, enum problem_place place, const char *name, const char *format, va_list ap)
{
	scoped(strbuf_done) struct strbuf raw = STRBUF_INIT(8 * TEXT_MAX);
	scoped(strbuf_done) struct strbuf detail = STRBUF_INIT(8 * TEXT_MAX);
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	int r;

	strbuf_vaddf(&raw, format, ap);
	utf8_add(&detail, strbuf_str(&raw), strnlen(strbuf_str(&raw), TEXT_MAX));
	jsonw_string(&w, "type", "about:blank");
	jsonw_string(&w, "title", status_reason(status));
	jsonw_int(&w, "status", status);
	jsonw_string(&w, "detail", strbuf_str(&detail));
	jsonw_string(&w, "request_id", x->req.id);
	if (place != PLACE_NONE)
		jsonw_add(&w, "errors", format_errors(place, name, strbuf_str(&detail)));
	r = jsonw_finish(&w, &obj);
	if (r < 0) {
		x->res.err = r;
		return;
	}
	response_json(&x->res, status, obj, JSON_STYLE_NEWLINE);
	x->res.content_type = "application/problem+json";
}

int
native_problem(struct exchange *x, int status, enum problem_place place, const char *name, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	answer(x, status, place, name, format, ap);
	va_end(ap);
	return HANDLED;
}

int
native_problem_retry(struct exchange *x, int status, unsigned retry_sec, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	answer(x, status, PLACE_NONE, NULL, format, ap);
	va_end(ap);
	if (retry_sec)
		response_headerf(&x->res, "Retry-After", "%u", retry_sec);
	return HANDLED;
}

/* What the helper's refusals are to a client. */
static const struct {
	int err;
	int status;
	unsigned retry_sec;	/* where the helper says none */
	const char *detail;
} refusals[] = {
	{ -EAGAIN, 503, 5, "The queue is full, please try again later." },
	{ -EDQUOT, 429, 5, "Too many jobs of yours are waiting or running, please try again later." },
	{ -ESHUTDOWN, 503, 30, "No jobs are accepted at the moment, please try again later." },
	{ -ENOSPC, 507, 60, "There is no room for another job, please try again later." },
	{ -EFBIG, 413, 0, "An input is too large." },
	{ -ENOENT, 503, 5, "The service is starting, please try again later." },
	{ -ECONNREFUSED, 503, 5, "The service is starting, please try again later." },
	{ -ECONNRESET, 503, 5, "The connection to the queue was lost, please try again later." },
	{ -EPIPE, 503, 5, "The connection to the queue was lost, please try again later." },
	{ -ETIMEDOUT, 503, 5, "The queue did not answer in time, please try again later." },
};

int
native_refusal(struct exchange *x, int err)
{
	const char *reason = client_reason(x->helper);
	unsigned retry = client_retry_after(x->helper);

	const char *member = client_member(x->helper);

	if (err == -EINVAL && *reason)
		return native_problem(x, 422, *member ? PLACE_POINTER : PLACE_NONE, member, "%s", reason);
	if (err == -ENOTUNIQ)
		return native_problem(x, 422, PLACE_HEADER, "Idempotency-Key", "This key stands for another submission of yours.");
	if (err == -EFBIG && *member)
		return native_problem(x, 413, PLACE_POINTER, member, "%s", reason);
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
		if (refusals[i].err == err)
			return native_problem_retry(x, refusals[i].status, refusals[i].retry_sec && retry ? retry :
			    refusals[i].retry_sec, "%s", refusals[i].detail);
	if (*reason)
		log_error("%s: the helper refuses: %s", x->req.id, reason);
	return err;
}
