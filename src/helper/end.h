/* end.h - verdicts that the helper itself must write, and the look at what a supervisor left behind. */
#ifndef SPOOLGATE_END_H
#define SPOOLGATE_END_H

#include "helper/live.h"

/* Writes a verdict for a job that has no supervisor: opens and locks it unless job_fd and lock_fd (taken over) are given. Tries
 * again for as long as the disk refuses. */
void end_job(struct live *l, int job_fd, int lock_fd, const struct job_result *result);
/* Gives up a verdict that waits to be tried again; accepts NULL. */
void end_drop(struct ending *e);
/* What became of a job without a supervisor that we watch: finishes, adopts, queues, or ends it. doc/architecture.md,
 * "Recovery". */
void look_at_job(struct live *l);
/* The same in a second: what cannot be done now may be possible then. */
void look_later(struct live *l);
/* As look_at_job for all of active/, at a start-up. */
int recover_all(struct helper *h);

#endif
