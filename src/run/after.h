/* after.h - the command that a tool without a jail may have for its end: it removes what the tool started elsewhere, containers above all,
 * and gives its files back. */
#ifndef SPOOLGATE_RUN_AFTER_H
#define SPOOLGATE_RUN_AFTER_H

#include "proto/plan.h"

/* Runs plan->after, if there is one, until it ends with 0, each time for AFTER_SEC at most, with pauses that grow to AFTER_PAUSE_MAX_SEC.
 * Its environment is the tool's, its working directory /, what it says goes to our standard error. Nothing that it starts outlives a try,
 * also where this supervisor is killed in the middle of one: its job's lock is held until that is so.
 * Returns when it has worked; so the job has no verdict before. */
enum { AFTER_SEC = 60, AFTER_PAUSE_MAX_SEC = 60 };
void after_run(const struct plan *plan);

#endif
