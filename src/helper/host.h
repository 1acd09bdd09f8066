/* host.h - what this host allows, and what its administrator can do where it allows too little. */
#ifndef SPOOLGATE_HOST_H
#define SPOOLGATE_HOST_H

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/types.h>

#include "basic/json.h"
#include "config/config.h"

/* The version of Landlock; 0: this kernel has none, or it is not switched on. */
int host_landlock_abi(void);
/* Whether this account may make a user namespace: 0, or the errno of unshare(2), negative. In a child. */
int host_user_namespaces(void);
/* Appends to an array of texts what may keep bubblewrap from building a jail here, and the setting that allows it; each setting that is
 * found to forbid it, or, where none is, what else it can be. -ENOMEM. */
int host_add_hints(const struct config *config, json_object *array);

/* The account of the spool's owner, where the caller is root: for good, with its groups. Without a spool:
 * the account spoolgate, where there is one. */
int host_become_owner(const struct config *config);
/* The process that has the spool now; 0: none is found. */
pid_t host_helper(const struct config *config);
/* Joins the delegated cgroup of that helper, so that what this process starts is limited as its jobs are; before root becomes anybody
 * else. Without a running helper, what cgroup.h finds for this process itself. *ret_base is NULL where there is none, and *ret_why says why
 * (a constant). */
void host_join_cgroup(const struct config *config, pid_t helper, char **ret_base, const char **ret_why);

#endif
