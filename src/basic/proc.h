/* proc.h - processes, told apart by pid, start time and boot id. */
#ifndef SPOOLGATE_PROC_H
#define SPOOLGATE_PROC_H

#include <spawn.h>
#include <stdint.h>
#include <sys/types.h>

enum { BOOT_ID_SIZE = 37 };

/* /proc/sys/kernel/random/boot_id, read once. */
int boot_id(char ret_text[BOOT_ID_SIZE]);
/* Field 22 of /proc/<pid>/stat, in clock ticks since boot. -ESRCH: no such process. */
int process_start_time(pid_t pid, uint64_t *ret_ticks);
/* The memory of a process that is resident now, shared pages included. -ESRCH: no such process. */
int process_memory(pid_t pid, uint64_t *ret_bytes);
/* A pidfd of the process that has this pid and this start time; -ESRCH where that one is gone. */
int process_open(pid_t pid, uint64_t start_ticks);
int pidfd_open_pid(pid_t pid);	/* plain pidfd_open(2) */
int pidfd_signal(int pidfd, int sig);	/* pidfd_send_signal(2) */
int pidfd_pid(int pidfd, pid_t *ret_pid);	/* -ESRCH: it is gone, and reaped */
/* Waits until the process has ended, at most timeout_msec (-1: for ever). 1: it has, 0: not yet. */
int pidfd_wait(int pidfd, int timeout_msec);

/* Attributes for posix_spawn: no signal blocked, every ignored or handled one back to its default; setsid where session is
 * not 0. The caller destroys them (not on failure). */
int spawnattr_init_clean(posix_spawnattr_t *ret_attr, int session);
/* posix_spawn(3) of argv[0] with such attributes: descriptor 0 is /dev/null, 1 and 2 are copies of output_fd and errors_fd (one that is
 * the same number stays). */
int process_spawn(char *const argv[], char *const env[], int output_fd, int errors_fd, int session, pid_t *ret_pid);

#endif
