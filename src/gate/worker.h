/* worker.h - a process that serves requests: a few threads that accept, and the waiting thread. */
#ifndef SPOOLGATE_GATE_WORKER_H
#define SPOOLGATE_GATE_WORKER_H

#include "gate/gate.h"

enum {
	WORKER_READY_FD = 3,	/* where a worker finds the pipe to its keeper */
	WORKER_COUNTS_FD = 4,	/* and what all of them count in, metrics.h */
};

struct worker;

/* Starts the threads on a listening socket (made non-blocking; it stays the caller's). All signals are to be blocked before,
 * so that threads inherit that. */
int worker_start(struct gate *gate, int listen_fd, struct worker **ret);
/* No thread accepts any more; waits are told. Requests under way go on. */
void worker_drain(struct worker *w);
/* Waits until the last request is answered, and frees. Needs worker_drain() before. */
struct worker *worker_join(struct worker *w);

/* A worker's whole life: starts on fd 0, says so by one byte on WORKER_READY_FD, drains at SIGTERM (which also comes when the
 * keeper dies). Returns an exit status. */
int worker_main(struct gate *gate);

#endif
