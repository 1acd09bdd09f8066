/* accept_internal.h - between accept.c and replay.c. */
#ifndef SPOOLGATE_ACCEPT_INTERNAL_H
#define SPOOLGATE_ACCEPT_INTERNAL_H

#include <stdbool.h>
#include <sys/types.h>

/* state.json as a new job has it: created, or replacing what is there. */
int queued_store(int job_fd, gid_t gid, bool replace);

#endif
