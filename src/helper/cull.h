/* cull.h - `spoolgate prune`: an administrator wants finished jobs, or their files, to go. */
#ifndef SPOOLGATE_CULL_H
#define SPOOLGATE_CULL_H

#include "helper/helper.h"
#include "helper/server.h"
#include "proto/message.h"

/* {"older_usec", "keep_bytes", "owner", "files", "dry_run"}, all optional but one of the first two: jobs that ended longer ago than
 * older_usec, and the oldest until those that are left have no more than keep_bytes; of one owner; files: their files alone. Answered with
 * {"jobs", "bytes"}, what goes, once that is known; it goes afterwards, in passes (expire_force). -EINVAL. */
void cull_request(struct helper *h, struct message *m, struct reply_to to);

#endif
