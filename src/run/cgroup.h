/* cgroup.h - a job's own cgroup beneath the helper's delegated one: exact limits of memory, processes and CPU share for all that the
 * jail's init will ever start. Init is put in before the tool begins, bubblewrap and the supervisor stay outside. */
#ifndef SPOOLGATE_RUN_CGROUP_H
#define SPOOLGATE_RUN_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/plan.h"

struct cgroup {
	int fd;	/* its folder; -EBADF: there is none */
	int events_fd;	/* memory.events, which polls as POLLPRI when something happened */
	char *path;
};
#define CGROUP_INIT { .fd = -EBADF, .events_fd = -EBADF }

/* Makes plan->cgroup/job-<id> with the plan's limits of memory (no swap) and processes (and one for init). */
int cgroup_make(struct cgroup *c, const struct plan *plan);
int cgroup_enter(const struct cgroup *c, pid_t pid);
/* Whether the kernel has killed one of its processes for memory. Reading it re-arms the poll. */
bool cgroup_out_of_memory(const struct cgroup *c);
/* What all that was ever in it has used; what cannot be read stays as it is. */
void cgroup_usage(const struct cgroup *c, uint64_t *ret_cpu_usec, uint64_t *ret_peak_bytes);
/* Kills what may be left, removes it, frees. Fine on one that was not made. */
void cgroup_end(struct cgroup *c);

#endif
