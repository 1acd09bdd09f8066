/* service.h - what a service is to the gate: a route table, handlers, and how it says no.
 * A service is one module api_<service>.c; services.c lists them. Everything else is shared. */
#ifndef SPOOLGATE_GATE_SERVICE_H
#define SPOOLGATE_GATE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "gate/request.h"

struct exchange;

enum { ROUTE_ARGS_MAX = 8 };

/* Handlers set x->res and return HANDLED; or they call exchange_wait() and return HANDLED_WAITING, after which x belongs to the
 * waiting thread; or they return a negative errno, which is logged and answered with 500 in the service's error shape. */
enum { HANDLED = 0, HANDLED_WAITING = 1 };
typedef int handle_fn(struct exchange *x);

struct endpoint {
	unsigned methods;	/* enum method, or-ed; a GET that is asked with HEAD needs both */
	handle_fn *handle;
};
struct route {
	/* "/status/{}": {} is one segment that is not empty and holds no slash, an argument. At the end {*} is the rest of the path, one
	 * such segment or more, which request_rest() joins. */
	const char *path;
	const char *allow;	/* the header, for 405 and OPTIONS */
	struct endpoint endpoints[6];
};

struct service {
	const char *name;	/* SPOOLGATE_SERVICE, the door of its owners, the section of its settings */
	const struct route *routes;
	size_t n_routes;
	bool slash_too;	/* "/task/" is "/task" */
	bool slash_redirect;	/* "/probe/" is answered with 307 to "/probe" */
	bool merge_slashes;	/* "//probe" is "/probe" */

	/* Reads the settings; *ret_state is the module's own, shared by all threads, never changed. */
	int (*open)(const struct config *config, void **ret_state);
	void (*close)(void *state);
	/* NULL: it is on. Else a sentence that says how to configure it, for the 503. */
	const char *(*off)(const void *state);
	/* Called once when a worker begins, before it serves; x has no request. May be NULL. */
	void (*warm)(struct exchange *x);
	/* Answers a preflight request, on any path and before anything else; false: it is none. NULL: those of routes go to options. */
	bool (*preflight)(struct exchange *x);
	/* Sets an error answer in the API's own shape; message is for people. */
	void (*fail)(struct exchange *x, int status, const char *message);
	/* Answers OPTIONS on a route. */
	void (*options)(struct exchange *x, const struct route *route);
	/* Adds what every answer carries (CORS), errors included; may be NULL. */
	void (*finish)(struct exchange *x);
};

extern const struct service *const services[];
extern const size_t n_services;

extern const struct service stableconfigs_service;
extern const struct service stan_service;
extern const struct service native_service;
extern const struct service metrics_service;

#endif
