/* jail.h - the jail of one attempt: bubblewrap with its init, or, where the plan says so, the init alone.
 *
 * What is visible inside: /usr and the links into it, ld.so's cache and the alternatives of /etc, a passwd and a group file of
 * our own, the plan's folders and what its links point to, all read-only; private /proc, /dev, /dev/shm and /tmp; the job's work/
 * as /job, the working directory and the one lasting writable place. No network (unless the plan gives it the host's, with the
 * files that resolve names), no capability, no further user namespace. */
#ifndef SPOOLGATE_RUN_JAIL_H
#define SPOOLGATE_RUN_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/plan.h"
#include "run/init_message.h"

enum { JAIL_ERRORS_MAX = 2048 };

struct jail {
	enum jail_kind kind;
	pid_t pid;	/* our child: bubblewrap, or init itself; 0: not started, or reaped */
	int pidfd;
	int init_fd;	/* the socket to init; non-blocking */
	pid_t init_pid;	/* 0: has not said READY */
	uint64_t init_ticks;
	int init_pidfd;
	int log_fd;	/* read ends, non-blocking; -EBADF: at its end */
	int stdout_fd;
	int errors_fd;	/* stderr of bubblewrap and init */
	char errors[JAIL_ERRORS_MAX];	/* its beginning */
	size_t errors_len;
	uint64_t work_dev, work_ino;	/* what must be init's working directory */
};

#define JAIL_INIT { .pidfd = -EBADF, .init_fd = -EBADF, .init_pidfd = -EBADF, .log_fd = -EBADF, .stdout_fd = -EBADF, \
	.errors_fd = -EBADF }

/* Starts it on work_fd; watch_memory: no cgroup counts it, so init is to. -EINVAL: a folder of the plan cannot be bound (relative, or /); else what pipe(2), posix_spawn(3)...
 * say. What bubblewrap finds wrong shows later: its end before READY, and errors. */
int jail_start(struct jail *j, const struct plan *plan, int work_fd, bool watch_memory);
/* 1: a message; 0: none yet; -EPIPE: init is gone (everybody who had the socket is); -EBADMSG: not init's. READY is checked and
 * kept: -EXDEV where the jail's working directory is not work/. */
int jail_hear(struct jail *j, struct init_message *ret);
int jail_say(struct jail *j, enum init_type type);
/* Reads what bubblewrap has to say. */
void jail_read_errors(struct jail *j);
/* The first line of it, for people; "" if there is none. size is 256 or so. */
void jail_error_text(const struct jail *j, char *ret, size_t size);
/* Whether a jail that is over was killed by a SIGKILL that is not ours; for one that has not been ready. */
bool jail_was_killed(const struct jail *j);
/* SIGKILL to all of it; idempotent. */
void jail_kill(struct jail *j);
/* Kills what is left and waits until nothing is: until init's end (with it a pid namespace is empty), of bubblewrap, and of the
 * last holder of init's socket. */
void jail_end(struct jail *j);
void jail_done(struct jail *j);	/* closes */

#endif
