/* resume.h - `resume`: accepting again, after a drain or after a failed flush. */
#ifndef SPOOLGATE_RESUME_H
#define SPOOLGATE_RESUME_H

#include "helper/helper.h"
#include "helper/server.h"

/* After a failed flush the spool is flushed as a whole and a new journal is made before the answer; -EBUSY while writes are
 * under way, or what the flush says: then it stays stopped. */
void resume_request(struct helper *h, struct message *m, struct reply_to to);

#endif
