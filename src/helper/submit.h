/* submit.h - `may` and `submit`: from a request to a durable job. doc/architecture.md, "Accepted means durable". */
#ifndef SPOOLGATE_SUBMIT_H
#define SPOOLGATE_SUBMIT_H

#include "helper/helper.h"
#include "helper/server.h"

int submits_new(struct helper *h, struct submits **ret);
struct submits *submits_free(struct submits *s);
void submit_may(struct helper *h, struct message *m, struct reply_to to);
void submit_request(struct helper *h, struct message *m, struct reply_to to);	/* takes descriptors out of m */
size_t submits_under_way(const struct submits *s);
void submits_disconnected(struct submits *s, uint64_t connection);	/* the room that `may` held for it is free again */

#endif
