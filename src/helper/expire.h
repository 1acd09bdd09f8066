/* expire.h - finished jobs are forgotten when their time is over; trash is emptied.
 * Nothing expires in a pass where wall time ran more than an hour ahead of boot time since the last pass (a host that boots in
 * 2038 must not throw everything away), until an administrator says `resume` or the host has been up for a day. */
#ifndef SPOOLGATE_EXPIRE_H
#define SPOOLGATE_EXPIRE_H

#include <stdbool.h>

#include "helper/helper.h"

/* Learns all finished jobs from the index names. */
int expiry_new(struct helper *h, struct expiry **ret);
struct expiry *expiry_free(struct expiry *e);
/* A job has finished. */
void expire_add(struct helper *h, const char *id, uint64_t accepted_usec);
/* A transient one has: it is forgotten when its answer had time to be read. */
void expire_soon(struct helper *h, const char *id);
/* A job's time is over, but it could not be forgotten: tried again in a while. */
void expire_later(struct helper *h, const char *id);
/* An administrator wants it, or its files, to go: at the next passes, whatever the clock says. */
void expire_force(struct helper *h, const char *id, bool files);
/* A job was forgotten: trash wants to be emptied. */
void expire_sweep(struct helper *h);
/* An administrator has looked at the clock. */
void expire_confirm(struct helper *h);
/* Whether expiry waits for that. */
bool expire_held(const struct helper *h);
size_t expire_known(const struct helper *h);

#endif
