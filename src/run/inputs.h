/* inputs.h - a fresh work/ the copies of the inputs in it, and its links. */
#ifndef SPOOLGATE_RUN_INPUTS_H
#define SPOOLGATE_RUN_INPUTS_H

#include <stdint.h>
#include <sys/types.h>

#include "proto/plan.h"

/* Removes the work/ of an earlier attempt, whatever its tool left there, and makes a new one: mode 2750, the group that reads.
 * Returns the descriptor. */
int work_make(const struct plan *plan, int job_fd);
/* Copies the inputs that the plan names from in/ to work/, mode 0640, the group that reads. *ret_bytes: their sum.
 * -EINVAL: a name that is none, or no regular file; -ENOENT; -ENOSPC, ... */
int inputs_copy(const struct plan *plan, int job_fd, int work_fd, uint64_t *ret_bytes);
/* Makes the plan's links in work/, beside the inputs. -EINVAL: one is not "NAME /absolute/path"; -EEXIST: an input has its name. */
int links_make(const struct plan *plan, int work_fd);
/* Takes those that are still links away before the outputs are walked, so that they count against no limit. */
void links_remove(const struct plan *plan, int work_fd);

#endif
