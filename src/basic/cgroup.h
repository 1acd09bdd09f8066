/* cgroup.h - the files of a cgroup's folder, cgroup v2 (cgroups(7), Documentation/admin-guide/cgroup-v2.rst of Linux). */
#ifndef SPOOLGATE_CGROUP_H
#define SPOOLGATE_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

/* Writes one word. As open(2) and write(2). */
int cgroup_write(int dir_fd, const char *file, const char *text);
/* A number: that of the line "KEY NUMBER", or, where key is NULL, the whole file, of which "max" is UINT64_MAX. -ENOENT: there is no such
 * file or line; -EBADMSG. */
int cgroup_number(int dir_fd, const char *file, const char *key, uint64_t *ret);
/* The folder of the calling process; the caller frees. -ENOENT: no cgroup v2 is mounted here. */
int cgroup_own(char **ret_path);
int cgroup_of(pid_t pid, char **ret_path);	/* of another one */
/* Whether the folder's children have this controller. */
int cgroup_has(int dir_fd, const char *controller);
/* Kills whatever is in a folder without folders of its own, waits a moment for its end, and removes it. 0 also where there is none;
 * -EBUSY: something is in it still. */
int cgroup_remove(const char *path);

#endif
