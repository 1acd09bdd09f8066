/* cgroup.h - the delegated cgroup beneath which supervisors make one for each job (run/cgroup.h), where this host has one. */
#ifndef SPOOLGATE_HELPER_CGROUP_H
#define SPOOLGATE_HELPER_CGROUP_H

#include "helper/helper.h"

/* Looks for it as [helper] cgroup says, moves this process into its leaf `spoolgated` (for a cgroup that hands controllers on must
 * have no process of its own) and switches the controllers on. Sets h->cgroup, or leaves it NULL and logs why. Removes what jobs of a
 * former helper left that run no more. */
void cgroups_open(struct helper *h);
/* Enters the delegated cgroup that this running helper uses, or, where helper is 0, makes what cgroups_open() would; removes nothing.
 * 0 with *ret_base NULL: there is none. For a process that starts supervisors beside the helper; only root may come from elsewhere. */
int cgroups_join(const struct config *config, pid_t helper, char **ret_base);
/* Removes the cgroup of a job whose supervisor could not. In any thread. -EBUSY: something lives in it still. */
int cgroups_remove(const struct helper *h, const char *id);

#endif
