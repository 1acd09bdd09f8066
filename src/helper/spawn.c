#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "helper/spawn.h"

enum { HIGH_FD = 10 };	/* above the numbers that a supervisor is given */

int
spawn_plan(struct plan *p, const struct config *config, const char *filter, const char *cgroup)
{
	p->filter = filter ? strdup(filter) : NULL;
	p->cgroup = cgroup ? strdup(cgroup) : NULL;
	p->bwrap = strdup(config_string(config, "helper", "bwrap"));
	p->init = strdup(config_string(config, "helper", "init_program"));
	return p->bwrap && p->init && (p->filter || !filter) && (p->cgroup || !cgroup) ? 0 : -ENOMEM;
}

/* posix_spawn's dup2 actions run one after the other: a source must not lie where an earlier one lands. */
static int
add_fd(posix_spawn_file_actions_t *actions, int fd, int as, int *ret_high)
{
	*ret_high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
	if (*ret_high < 0)
		return -errno;
	return -posix_spawn_file_actions_adddup2(actions, *ret_high, as);
}

/* fds: the job's folder, its lock, the control socket, the plan. */
static int
spawn(const char *program, const int fds[4], pid_t *ret_pid)
{
	static const int targets[4] = { PLAN_JOB_FD, PLAN_LOCK_FD, PLAN_CONTROL_FD, PLAN_PLAN_FD };
	char *argv[] = { (char *)(uintptr_t)program, NULL };
	char *env[] = { NULL, NULL };
	int high[4] = { -EBADF, -EBADF, -EBADF, -EBADF };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t term;
	int r;

	/* Sanitized builds want their options; nothing else of ours is for a supervisor. */
	if (getenv("ASAN_OPTIONS")) {
		static char options[512];

		(void)snprintf(options, sizeof options, "ASAN_OPTIONS=%s", getenv("ASAN_OPTIONS"));
		env[0] = options;
	}
	r = spawnattr_init_clean(&attr, 1);
	if (r < 0)
		return r;
	/* SIGTERM is a kill of the job, which may be asked before the supervisor could block it by itself. */
	(void)sigemptyset(&term);
	(void)sigaddset(&term, SIGTERM);
	r = -posix_spawnattr_setsigmask(&attr, &term);
	if (r < 0) {
		(void)posix_spawnattr_destroy(&attr);
		return r;
	}
	r = -posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		r = -posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
		if (r == 0)
			r = -posix_spawn_file_actions_adddup2(&actions, 0, 1);
		for (size_t i = 0; r == 0 && i < 4; i++)
			r = add_fd(&actions, fds[i], targets[i], &high[i]);
		if (r == 0)
			r = -posix_spawn(ret_pid, program, &actions, &attr, argv, env);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	(void)posix_spawnattr_destroy(&attr);
	for (size_t i = 0; i < 4; i++)
		close_fd(&high[i]);
	return r;
}

int
spawn_supervisor(const struct config *config, const struct plan *plan, int job_fd, int lock_fd, int *ret_control_fd, pid_t *ret_pid)
{
	scoped(free_ptr) char *text = NULL;
	scoped(close_fd) int plan_fd = -EBADF, ours = -EBADF, theirs = -EBADF;
	size_t len = 0;
	int pair[2], r = plan_format(plan, &text, &len);

	if (r < 0)
		return r;
	plan_fd = memory_file_sealed("plan", text, len);
	if (plan_fd < 0)
		return plan_fd;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	r = spawn(config_string(config, "helper", "run_program"), (int[]){ job_fd, lock_fd, theirs, plan_fd }, ret_pid);
	if (r == 0)
		*ret_control_fd = take_fd(ours);
	return r;
}
