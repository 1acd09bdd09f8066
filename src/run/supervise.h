/* supervise.h - one attempt of one job, from its plan to its verdict. */
#ifndef SPOOLGATE_RUN_SUPERVISE_H
#define SPOOLGATE_RUN_SUPERVISE_H

#include "proto/plan.h"

/* With the descriptors of plan.h in place and SIGTERM blocked. Returns the exit status, plan.h. */
int supervise(const struct plan *plan);

#endif
