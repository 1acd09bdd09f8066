/* group.h - live jobs of which one goes and the others wait outside of the queue, of two kinds:
 *
 * A serial group runs one job at a time, in order of acceptance.
 *
 * Equal work, of a tool with a cache key, is done once: an end that lies in the work (passed, failed, signalled, a limit of the tool's)
 * is everybody's, and each gets what it left as its own. After killed, lost or refused the next one does the work again: lost or
 * refused a second time, that is everybody's end, too. A kill is of one job alone. */
#ifndef SPOOLGATE_GROUP_H
#define SPOOLGATE_GROUP_H

#include <stdbool.h>

#include "helper/live.h"
#include "spool/job.h"
#include "spool/record.h"

void groups_free(struct helper *h);

/* Its group by its record, if that names one. goes: it has started, so it goes before whoever only waits. -ENOMEM. */
int group_join(struct live *l, const struct job *job, bool goes);
/* Whether nobody of its group goes before it. */
bool group_goes_first(const struct live *l);
/* The job that does l's work: l itself where there is no other. */
const struct live *group_does_its_work(const struct live *l);
/* l has ended so. true: others share its end and get it first, in a thread; live_finished(l, result) is then called again. */
bool group_share(struct live *l, const struct job_result *result);
/* It is over: the next one goes. result: NULL: it is not there any more. */
void group_leave(struct live *l, const struct job_result *result);

#endif
