/* share.h - the end of one job as that of another whose work is equal. */
#ifndef SPOOLGATE_SHARE_H
#define SPOOLGATE_SHARE_H

#include "spool/layout.h"
#include "spool/record.h"

/* Copies what the finished job `from` left (work/ by its manifest, log, stdout) into the job `to`, which has never run and gets no
 * supervisor, writes its receipt and its verdict and takes its mark away. result: the verdict of `from`; it becomes that of `to`: attempt
 * 0, shared, with its own words. Everything is flushed before the verdict, as a supervisor does it: returns as result_store_durable().
 * On failure `to` has no verdict, and what was copied is dropped by whoever starts it (its work/) or is written anew by its run.
 * -EBUSY: `to` is locked; -ENOSPC, -ENOMEM, ... In a thread. */
int share_end(const struct spool *s, const char *from, const char *to, struct job_result *result);

#endif
