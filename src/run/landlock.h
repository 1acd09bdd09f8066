/* landlock.h - Landlock (landlock(7)): what a tool may do with files, whatever mounts and modes permit. Its third wall, set by
 * spoolgate-init right before the tool's first instruction; under it bubblewrap itself would fail. */
#ifndef SPOOLGATE_RUN_LANDLOCK_H
#define SPOOLGATE_RUN_LANDLOCK_H

/* Makes a ruleset of what this kernel's ABI knows (1 on; Debian 12 has 2): everything below a path of read_only may be read and
 * executed, below a path of writable also written, made and removed, but for devices; devices below /dev may be used. From ABI 6 on
 * signals and abstract sockets reach nobody outside. Paths that are not there are left out. The descriptor; -ENOSYS, -EOPNOTSUPP: this
 * kernel has none, or it is switched off; else as landlock_create_ruleset(2). */
int landlock_make(const char *const *read_only, const char *const *writable);
/* Binds the calling thread and what it executes. It must have no_new_privs. */
int landlock_bind(int ruleset_fd);
/* The ABI's version; 0: none. */
int landlock_abi(void);

#endif
