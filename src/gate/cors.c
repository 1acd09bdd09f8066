#include "config.h"

#include "gate/cors.h"
#include "gate/exchange.h"

void
cors_any_origin(struct exchange *x)
{
	if (x->req.origin) {
		response_header(&x->res, "Access-Control-Allow-Origin", x->req.origin);
		response_header(&x->res, "Vary", "Origin");
	} else {
		response_header(&x->res, "Access-Control-Allow-Origin", "*");
	}
}

void
cors_preflight(struct exchange *x, const char *methods)
{
	const char *method = request_header(&x->req, "HTTP_ACCESS_CONTROL_REQUEST_METHOD");
	const char *headers = request_header(&x->req, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS");

	if (!method || !*method)
		return;
	response_header(&x->res, "Access-Control-Allow-Methods", methods);
	if (headers && *headers)
		response_header(&x->res, "Access-Control-Allow-Headers", headers);
}
