/* pack.h - makes zips of finished jobs, by spoolgate-pack: few at once, one for each zip however many ask. */
#ifndef SPOOLGATE_HELPER_PACK_H
#define SPOOLGATE_HELPER_PACK_H

#include <signal.h>

#include "helper/server.h"

struct packs;
/* Sweeps packs/, and from then on every minute. */
int packs_new(struct helper *h, struct packs **ret);
struct packs *packs_free(struct packs *p);	/* accepts NULL, returns NULL; packers go on and end by themselves */
/* {"id":...}: answers {"name":..., "ready":bool} at once; where it is not ready, `changed` for the job tells that it is, or that it
 * failed. -ENOENT: no such job, or not finished; -EAGAIN: too many are being made; -ENOSPC: the disk reserve. */
void pack_request(struct helper *h, struct message *m, struct reply_to to);
/* A child has ended; others than packers are none of ours. */
void pack_reaped(struct helper *h, const siginfo_t *child);

#endif
