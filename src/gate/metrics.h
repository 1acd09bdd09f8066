/* metrics.h - what all processes of the gate count together: requests by route and status, how long they took, workers that were
 * replaced. The counters lie in one memory file, which the keeper makes; every worker inherits it and so does the keeper that
 * takes this one's place, so that counts go on. They are atomics that nobody locks: a worker that is killed anywhere leaves at
 * worst one request that stands in one counter and not in the next.
 * Label values are bounded: a route is its pattern in the service's table, and "other" is whatever none matched. */
#ifndef SPOOLGATE_GATE_METRICS_H
#define SPOOLGATE_GATE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "basic/histogram.h"
#include "gate/service.h"

struct metrics;

enum { METRICS_STATUS_MIN = 100, METRICS_STATUSES = 500 };	/* statuses 100 to 599 */

/* fd: the memory file that another process of ours has made, taken over in any case; -EBADF: a new one. all: the services, kept.
 * -ESTALE: it is none, or of a binary with other routes. */
int metrics_open(const struct service *const *all, size_t n_all, int fd, struct metrics **ret);
struct metrics *metrics_close(struct metrics *m);	/* accepts NULL, always returns NULL */
static inline void close_metrics(struct metrics **m) { *m = metrics_close(*m); }
/* Its memory file, close-on-exec, for a child. */
int metrics_fd(const struct metrics *m);
/* For a process that has no children: the memory stays, the descriptor goes. */
void metrics_close_fd(struct metrics *m);

/* For the keeper, before it executes the binary anew: the memory file goes along. And back, where that failed. */
void metrics_hand_over(const struct metrics *m);
void metrics_keep(const struct metrics *m);
/* For the keeper, at its start: what its former self handed over; where it counted other routes, or there was none, a new one. */
int metrics_take_over(const struct service *const *all, size_t n_all, struct metrics **ret);

/* Any thread may count. m NULL: nobody counts. route NULL: none matched; service: one of the table, or another for requests that
 * belong to none. */
void metrics_request(struct metrics *m, const struct service *service, const struct route *route, int status, uint64_t usec);
void metrics_worker_replaced(struct metrics *m);
/* A request for a compile: its model lay in the cache, or its job was there already, or it made that. */
enum metrics_compile { COMPILE_HIT, COMPILE_JOINED, COMPILE_MISS, METRICS_COMPILES };
extern const char *const metrics_compile_names[METRICS_COMPILES];	/* also what the client reads in X-Spool-Cache */
void metrics_compile(struct metrics *m, enum metrics_compile how);
uint64_t metrics_compiles(const struct metrics *m, enum metrics_compile how);

/* Reading, while others count. */
struct metrics_route {
	const char *service;	/* "other": of no service */
	const char *route;
	uint64_t statuses[METRICS_STATUSES];
	struct histogram took;
};
size_t metrics_routes(const struct metrics *m);
void metrics_read_route(const struct metrics *m, size_t i, struct metrics_route *ret);
uint64_t metrics_workers_replaced(const struct metrics *m);

#endif
