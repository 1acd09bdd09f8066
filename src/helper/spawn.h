/* spawn.h - supervisors, as any process of the helper starts them: for a job (start.h), and to try what this host can do (probe.h). */
#ifndef SPOOLGATE_SPAWN_H
#define SPOOLGATE_SPAWN_H

#include <sys/types.h>

#include "config/config.h"
#include "proto/plan.h"

/* What every plan has of the configuration and the host: programs, filter (NULL: none) and cgroup (NULL: none). -ENOMEM. */
int spawn_plan(struct plan *p, const struct config *config, const char *filter, const char *cgroup);
/* Starts spoolgate-run as proto/plan.h says. fds: the job's folder, its lock, the control socket, the plan; they stay the caller's.
 * As posix_spawn(3). */
int spawn_supervisor(const char *program, const int fds[4], pid_t *ret_pid);

#endif
