/* spawn.h - supervisors, as any process of the helper starts them: for a job (start.h), and to try what this host can do (probe.h). */
#ifndef SPOOLGATE_SPAWN_H
#define SPOOLGATE_SPAWN_H

#include <sys/types.h>

#include "config/config.h"
#include "proto/plan.h"

/* What every plan has of the configuration and the host: programs, filter (NULL: none) and cgroup (NULL: none). -ENOMEM. */
int spawn_plan(struct plan *p, const struct config *config, const char *filter, const char *cgroup);
/* Starts spoolgate-run as proto/plan.h says, with a job's folder and lock, which stay the caller's, and hands it the plan. *ret_control_fd
 * is the caller's end of the control socket. As posix_spawn(3). */
int spawn_supervisor(const struct config *config, const struct plan *plan, int job_fd, int lock_fd, int *ret_control_fd, pid_t *ret_pid);

#endif
