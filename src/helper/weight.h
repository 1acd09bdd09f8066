/* weight.h - how many bytes the finished jobs have, and which go where that is more than [spool] results_max: the one that ended first
 * goes first, never one that waits or runs. A start learns the jobs' names at once and their bytes afterwards, in a thread, so that it
 * takes no longer for many of them; until all are known none of the unknown is taken for old. */
#ifndef SPOOLGATE_WEIGHT_H
#define SPOOLGATE_WEIGHT_H

#include <stdint.h>

#include "helper/helper.h"

int weights_new(struct helper *h, struct weights **ret);
struct weights *weights_free(struct weights *w);	/* accepts NULL, always returns NULL */
/* results_max may be another. */
void weights_reload(struct helper *h);
/* A job has finished, with so many bytes. */
void weights_add(struct helper *h, const char *id, uint64_t ended_usec, uint64_t bytes);
/* A job, or its files, went away, and so many bytes with it. */
void weights_freed(struct helper *h, const char *id, uint64_t bytes);
/* For kill.c: one that was to go for want of room has gone, or cannot. */
void weights_shed_one(struct helper *h);
uint64_t weights_bytes(const struct helper *h);	/* as far as they are known */

#endif
