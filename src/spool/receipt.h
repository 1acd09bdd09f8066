/* receipt.h - receipt.json: what went in, what ran, what came out, in hashes; spoolgate-tool(5) tells its members. */
#ifndef SPOOLGATE_RECEIPT_H
#define SPOOLGATE_RECEIPT_H

#include <stdbool.h>

#include "spool/layout.h"
#include "spool/record.h"

/* Replaces receipt.json, unflushed. Written by whoever writes the verdict, before it: the supervisor of a run, or the helper for a job
 * that never ran or was lost, of which neither jail nor outputs can be attested (jail and manifest_sha256 NULL). Reads log and stdout,
 * which are closed by then, and the manifest, and hashes what they hold; inputs and what was asked come from job.json, whose hashes
 * the helper made when it accepted the job. */
int receipt_store(int job_fd, struct spool_groups groups, const char *jail, bool network, const struct job_result *result,
    const char *manifest_sha256);

#endif
