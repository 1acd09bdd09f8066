/* receipt.h - receipt.json: what went in, what ran, what came out, in hashes. */
#ifndef SPOOLGATE_RUN_RECEIPT_H
#define SPOOLGATE_RUN_RECEIPT_H

#include "basic/hash.h"
#include "proto/plan.h"
#include "spool/record.h"

/* Replaces receipt.json, unflushed; spoolgate-tool(5) tells its members. Reads log and stdout, which are closed by now, and the
 * manifest, and hashes what they hold. A job that ends without a supervisor has no receipt: nothing ran to an end that could be
 * attested. The inputs and what was asked come from job.json, whose hashes the helper made when it
 * accepted the job. */
int receipt_store(const struct plan *plan, int job_fd, const struct job_result *result,
    const char manifest_sha256[SHA256_HEX_SIZE]);

#endif
