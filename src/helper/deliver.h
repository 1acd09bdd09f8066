/* deliver.h - callbacks: when a job that names one has ended, its URL is called by spoolgate-send, a process for each attempt, until the
 * receiver takes it (2xx), says that it is gone (410), or the attempts are used up.
 *
 * A job that owes a call has a name in pending/ from its acceptance on; how the attempts went is in meta.json, by records of the journal.
 * So a call survives whatever the helper and the host do; one that was under way meanwhile is made again, with the same webhook-id.
 * The pauses grow: `pause`, then three times the one before, at most six hours. At most DELIVER_RUNNING_MAX calls go on at once, one to a
 * host and port, so that one that hangs keeps nobody else waiting for long. */
#ifndef SPOOLGATE_DELIVER_H
#define SPOOLGATE_DELIVER_H

#include <signal.h>

#include "helper/helper.h"

enum { DELIVER_RUNNING_MAX = 4 };

/* Learns what is owed from pending/. After recover_all(). */
int deliveries_new(struct helper *h, struct deliveries **ret);
struct deliveries *deliveries_free(struct deliveries *d);	/* ends what is under way; accepts NULL, always returns NULL */
/* A job that names a callback has ended. */
void deliver(struct helper *h, const char *id);
/* What waitid(2) says of a child's end: perhaps a sender's. */
void deliver_reaped(struct helper *h, const siginfo_t *info);
/* For meta.c: how an attempt went is written (or cannot be). */
void deliver_recorded(struct helper *h, const char *id);

#endif
