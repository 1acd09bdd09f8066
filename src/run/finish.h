/* finish.h - from the end of the tool to the durable verdict. */
#ifndef SPOOLGATE_RUN_FINISH_H
#define SPOOLGATE_RUN_FINISH_H

#include "proto/plan.h"
#include "spool/record.h"

/* What happens when nothing of the job runs any more, in this order: ended.json (unless it is there, PLAN_FINISH), the walk of
 * work/ with the manifest, receipt.json, flushing, result.json. *result holds the raw end and becomes the verdict.
 *
 *   what fails                        then
 *   ended.json                        goes on: it only spares a second run after a crash of the supervisor
 *   walk, manifest (I/O, disk full)   outputs are removed, empty manifest, verdict lost (killed and refused stay)
 *   receipt.json                      the same
 *   a flush                           the verdict stays and its message says so; returned as 1
 *   result.json                       as result_store_durable(): to a new file, returned as 1, or no verdict
 *
 * 0: the verdict is durable. 1: it is written, but the disk is suspect. Negative: there is no verdict. */
int finish(const struct plan *plan, int job_fd, struct job_result *result);

#endif
