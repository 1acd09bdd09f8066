#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "basic/proc.h"
#include "run/after.h"
#include "run/descendants.h"

/* What a try comes to where the command did not end by itself; the numbers are timeout(1)'s and the shell's. */
enum { TRY_TIMEOUT = 124, TRY_NOT_STARTED = 126, TRY_SIGNAL = 128 };

static int
status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : TRY_SIGNAL + WTERMSIG(status);
}

/* Waits for the command's end, the time's, or a signal that says that the supervisor is no more. */
static int
wait_for(pid_t pid, const sigset_t *signals)
{
	uint64_t deadline = clock_mono() + AFTER_SEC * USEC_PER_SEC;
	int status = 0;

	for (;;) {
		uint64_t now = clock_mono(), left = deadline > now ? deadline - now : 0;
		const struct timespec wait = { .tv_sec = (time_t)(left / USEC_PER_SEC), .tv_nsec = (long)(left % USEC_PER_SEC) * 1000 };

		if (waitpid(pid, &status, WNOHANG) == pid)
			return status_of(status);
		if (left == 0)
			return TRY_TIMEOUT;
		if (sigtimedwait(signals, NULL, &wait) == SIGTERM)
			return TRY_SIGNAL + SIGTERM;
	}
}

/* A process of its own around the command: where the supervisor is shot, it ends what the command has started, and holds the job's
 * lock, which it has inherited, until then. */
static _Noreturn void
guard(const struct plan *plan, pid_t supervisor)
{
	sigset_t signals;
	pid_t pid = 0;
	int r = TRY_NOT_STARTED;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 && getppid() == supervisor && process_spawn(plan->after, plan->env, 2, 2, 1, &pid) == 0)
		r = wait_for(pid, &signals);
	kill_and_reap_all();
	_exit(r);
}

/* 0: it ended with 0. */
static int
try(const struct plan *plan)
{
	pid_t supervisor = getpid(), pid = fork();
	int status = 0, r = 0;

	if (pid == 0)
		guard(plan, supervisor);
	if (pid < 0)
		return TRY_NOT_STARTED;
	do
		r = waitpid(pid, &status, 0);
	while (r < 0 && errno == EINTR);
	kill_and_reap_all();	/* where the guard was shot */
	return r == pid ? status_of(status) : TRY_NOT_STARTED;
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
		log_error("job %s: %s ended with %d; again in %d s", plan->id, plan->after[0], r, pause_sec);
		(void)poll(NULL, 0, pause_sec * 1000);
		pause_sec = pause_sec * 2 < AFTER_PAUSE_MAX_SEC ? pause_sec * 2 : AFTER_PAUSE_MAX_SEC;
	}
}
