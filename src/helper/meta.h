/* meta.h - what changes of a job after its acceptance: `amend` replaces the service's note in meta.json, `prune` removes a finished job's
 * files while its records stay. Both are records of the journal, answered once done; of one job they are done one after the other. */
#ifndef SPOOLGATE_HELPER_META_H
#define SPOOLGATE_HELPER_META_H

#include "helper/helper.h"
#include "helper/server.h"
#include "proto/message.h"
#include "spool/meta.h"

/* {"id", "note": {...}}. -ENOENT; -EINVAL: the note is none; -E2BIG. */
void amend_request(struct helper *h, struct message *m, struct reply_to to);
/* {"id"}. -ENOENT; -EBUSY: it has not finished. 0 also where it was done before. */
void prune_request(struct helper *h, struct message *m, struct reply_to to);
/* How an attempt of its callback went (outcome->callback); deliver_recorded() is told when it is written. */
void meta_tell_callback(struct helper *h, const char *id, const struct job_meta *outcome);
/* to.connection 0: nobody waits for the answer; where it fails expire_later() is told. */
void prune_job(struct helper *h, const char *id, struct reply_to to);

#endif
