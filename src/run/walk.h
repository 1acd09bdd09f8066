/* walk.h - outputs are hostile until proven files.
 *
 * Walks work/ when nothing runs in it any more, beneath descriptors, and leaves only regular files and folders there: links,
 * devices, sockets and FIFOs go, and of several hard links to one file all but one. What is kept gets its mode (files 0640,
 * folders 2750) and group, and is hashed. A folder is given u+rwx before it is opened. At most 64 descriptors are held however
 * deep it is, and nothing recurses.
 *
 * What goes beyond a cap is removed as it is met: more entries than allowed (files and folders, at most WALK_ENTRIES_MAX), more
 * bytes, a path of WALK_PATH_MAX or more (nobody could open it), all paths together longer than WALK_PATHS_MAX. Within a folder
 * names are taken in byte order, so that the order of the manifest is the same every time. */
#ifndef SPOOLGATE_RUN_WALK_H
#define SPOOLGATE_RUN_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spool/manifest.h"

enum {
	WALK_ENTRIES_MAX = 10000,
	WALK_PATH_MAX = 4096,	/* with its NUL */
	WALK_PATHS_MAX = 4 * 1024 * 1024,
};

struct walk_caps {
	uint64_t entries;	/* 0: WALK_ENTRIES_MAX */
	uint64_t bytes;	/* UINT64_MAX: no cap */
	gid_t gid;	/* (gid_t)-1: leave the group alone */
};

struct walk_counts {
	uint64_t files, folders;	/* kept; work/ itself is not counted */
	uint64_t bytes;
	uint64_t odd;	/* removed because of what they were */
	uint64_t over;	/* removed because of a cap; a folder with all it held is one */
};

/* Calls keep for every entry kept, a folder before what is in it; stops at its first negative result and returns it. Any other
 * failure (I/O, no memory) is returned too: the folder is then not proven. */
int walk_outputs(int work_fd, const struct walk_caps *caps, int (*keep)(const struct manifest_entry *e, void *ctx), void *ctx,
    struct walk_counts *ret);

#endif
