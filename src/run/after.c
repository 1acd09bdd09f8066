#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "run/after.h"
#include "run/descendants.h"

/* 0: it ended with 0. */
static int
try(const struct plan *plan)
{
	scoped(close_fd) int pidfd = -EBADF;
	siginfo_t info = { 0 };
	pid_t pid = 0;
	int r = process_spawn(plan->after, plan->env, 2, 2, 1, &pid);

	if (r < 0)
		return r;
	pidfd = r = pidfd_open_pid(pid);	/* our child, not reaped */
	if (r >= 0)
		r = pidfd_wait(pidfd, AFTER_SEC * 1000);
	if (r > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0 && info.si_code == CLD_EXITED)
		r = info.si_status;
	else
		r = r == 0 ? -ETIMEDOUT : r < 0 ? r : -EINTR;
	kill_and_reap_all();
	return r;
}

void
after_run(const struct plan *plan)
{
	int pause_sec = 1, r = 0;

	if (!plan->after || !plan->after[0])
		return;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	(void)!chdir("/");
	while ((r = try(plan)) != 0) {
		log_error("job %s: %s %s%d; again in %d s", plan->id, plan->after[0], r > 0 ? "ended with " : "failed: ", r, pause_sec);
		(void)poll(NULL, 0, pause_sec * 1000);
		pause_sec = pause_sec * 2 < AFTER_PAUSE_MAX_SEC ? pause_sec * 2 : AFTER_PAUSE_MAX_SEC;
	}
}
