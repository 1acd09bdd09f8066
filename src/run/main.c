/* spoolgate-run - supervises one attempt of one job. Started by spoolgated with the descriptors of proto/plan.h; lives and ends
 * without it. */
#include "config.h"

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "proto/plan.h"
#include "run/supervise.h"

enum { EXIT_USAGE = 64 };

static int
usage(void)
{
	(void)fputs("usage: spoolgate-run [--version]\n"
	    "It is started by spoolgated, with a job's folder, lock and plan as descriptors 3 to 6.\n", stderr);
	return EXIT_USAGE;
}

/* None of them is meant for the jail, nor is what a careless starter left open besides. */
static int
check_descriptors(void)
{
	for (int fd = PLAN_JOB_FD; fd <= PLAN_PLAN_FD; fd++) {
		int r = set_cloexec(fd, true);

		if (r < 0)
			return r;
	}
	return close_range(PLAN_PLAN_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

int
main(int argc, char **argv)
{
	scoped(free_plan) struct plan *plan = NULL;
	sigset_t set;
	int r = 0;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)puts("spoolgate-run " PACKAGE_VERSION);
		return 0;
	}
	if (argc != 1)
		return usage();
	log_init("spoolgate-run", LOG_INFO);
	if (check_descriptors() < 0)
		return usage();
	/* SIGTERM is a kill of the job and waits until the loop reads it; a terminal or a logger that goes away is nothing; a limit
	 * on the size of files is an error of the write that meets it. */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGPIPE);
	(void)sigaddset(&set, SIGXFSZ);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)umask(0027);
	r = plan_receive(PLAN_PLAN_FD, &plan);
	(void)close(PLAN_PLAN_FD);
	if (r < 0) {
		log_error("the plan cannot be read: %s", strerror(-r));
		return PLAN_EXIT_FAILED;
	}
	return supervise(plan);
}
