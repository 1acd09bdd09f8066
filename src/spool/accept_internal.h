/* accept_internal.h - between accept.c and replay.c. */
#ifndef SPOOLGATE_ACCEPT_INTERNAL_H
#define SPOOLGATE_ACCEPT_INTERNAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "spool/layout.h"

/* state.json as a new job has it: created, or replacing what is there. */
int queued_store(int job_fd, gid_t gid, bool replace);
/* Moves a folder of a job into trash/; 0 also when it is not there. */
int drop_folder(const struct spool *s, const char *id, const char *name);

#endif
