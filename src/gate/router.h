/* router.h - from a path and a method to a handler. */
#ifndef SPOOLGATE_GATE_ROUTER_H
#define SPOOLGATE_GATE_ROUTER_H

#include <stddef.h>

#include "gate/request.h"
#include "gate/service.h"

/* The route whose pattern the request's segments match; the first in the table wins. ret_args gets the n_args texts that {}
 * matched, which are the request's. NULL: none. */
const struct route *router_match(const struct service *service, const struct request *req, const char *ret_args[ROUTE_ARGS_MAX],
    size_t *ret_n_args);
/* NULL: the route does not serve this method. */
handle_fn *router_handler(const struct route *route, enum method method);

#endif
