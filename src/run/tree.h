/* tree.h - what the processes of a job use together, as their init reads it in /proc. For hosts where no cgroup counts it, and so
 * approximate: a process may come, use and go between two looks. Nothing is allocated. */
#ifndef SPOOLGATE_RUN_TREE_H
#define SPOOLGATE_RUN_TREE_H

#include <stdbool.h>
#include <stdint.h>

enum { TREE_PROCESSES_MAX = 4096 };	/* more are not looked at; who has so many is over any limit of them */

struct tree_use {
	uint64_t memory_bytes;	/* see tree_measure() */
	uint64_t cpu_usec;	/* of all that live and of what they have waited for; not of our own former children */
	uint64_t tasks;	/* processes and threads */
};

/* All but ourselves: of our pid namespace (jailed), or our descendants.
 *
 * Memory is what nobody can take back: anonymous and shared pages, swap and page tables of every process, and what lies in the jail's
 * own tmpfs, /tmp and /dev/shm, a KiB for each name there, and (count_sockets: the network namespace is the jail's own) the buffers of all
 * sockets from the 65th on, as full as they can be. First each page counts in each process that maps it, which is quick and never too little; only where
 * that is more than limit_bytes it is shared out (PSS), an address space that several processes have (between vfork and exec) counts
 * once, and a mapped file of a tmpfs not a second time. Pages of files on disk are not counted, for they can be dropped. A process that
 * hides its pages from us counts with all of them. */
void tree_measure(bool jailed, bool count_sockets, uint64_t limit_bytes, struct tree_use *ret);

/* Bytes on this device of files without a name that processes of the last tree_measure() have open, each file once. */
uint64_t tree_nameless_bytes(uint64_t dev);

#endif
