/* probe.h - `spoolgated --probe`, which `spoolgate doctor` asks: every protection and every limit of a jail, tried on this host by a
 * program in a tool's place (src/probe), as the helper's account, with the configuration as it is. It needs no running helper and is
 * in the way of none: its jobs are in no spool. Prints one JSON object on standard output:
 *
 *   host         {"kernel","uid","gid","user_namespaces","landlock_abi","cgroup" (null: none),"cgroup_why","helper" (pid, null: none runs)}
 *   jail         {"held","how","hints"}: whether there is one at all; without it the next two are empty
 *   protections  [{"name","held","required","how","means"}]; one that is not required has others before it
 *   limits       [{"name","held","required","by","how","means"}]; by: cgroup, kernel, supervisor, or approximate
 *   tools        [{"name","trust","protected","note"}]: note: what is particular about it, for people
 *   protected    whether untrusted tools are: the jail, every required protection and every limit hold */
#ifndef SPOOLGATE_PROBE_H
#define SPOOLGATE_PROBE_H

#include "config/config.h"
#include "config/tool.h"

/* Returns an exit status. */
int probe(const struct config *config, const struct tools *tools);

#endif
