/* no_jail.h - how spoolgate-init is started where there is no jail: for a tool with jail = none, which gets neither Landlock nor the
 * filter, since it starts containers; or for a trusted tool on a host where no jail can be built (the plan has a filter). */
#ifndef SPOOLGATE_RUN_NO_JAIL_H
#define SPOOLGATE_RUN_NO_JAIL_H

#include <stddef.h>

#include "proto/plan.h"
#include "run/init_message.h"

enum { NO_JAIL_ARGUMENTS_MAX = 1 + 2 * INIT_READ_MAX };

/* Init's first arguments: with a filter, what Landlock lets the tool read, which is what a jail would show. Writes at most
 * NO_JAIL_ARGUMENTS_MAX, which point into the plan, and returns how many. */
size_t no_jail_arguments(const struct plan *plan, char **argv);
/* The plan's environment, with the working folder's own path as PWD and where HOME says /job, and as TMPDIR where Landlock shuts /tmp.
 * NULL-terminated; freed by free_environment(). */
int no_jail_environment(const struct plan *plan, int work_fd, char ***ret);
void free_environment(char ***env);

#endif
