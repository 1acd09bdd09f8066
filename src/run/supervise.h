/* supervise.h - one attempt of one job, from its plan to its verdict. */
#ifndef SPOOLGATE_RUN_SUPERVISE_H
#define SPOOLGATE_RUN_SUPERVISE_H

#include "proto/plan.h"

enum {
	SUPERVISE_DONE = 0,	/* the verdict is durable */
	SUPERVISE_FAILED = 1,	/* there is none; one line on stderr says why */
	SUPERVISE_SUSPECT = 2,	/* the verdict is written, but something could not be flushed: the disk is suspect */
};

/* With the descriptors of plan.h in place and SIGTERM blocked. Returns the exit status. */
int supervise(const struct plan *plan);

#endif
