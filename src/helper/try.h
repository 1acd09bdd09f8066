/* try.h - one run of spoolgate-probe as the tool of a jail: by the real supervisor, with a plan as a job has it, in a folder of its
 * own that is no job of the spool. */
#ifndef SPOOLGATE_TRY_H
#define SPOOLGATE_TRY_H

#include <limits.h>
#include <stdbool.h>

#include "config/config.h"
#include "spool/job.h"
#include "spool/record.h"

struct ground {
	const struct config *config;
	const char *filter;	/* filter.h */
	const char *cgroup;	/* the delegated one; NULL: none */
	char *program;	/* spoolgate-probe, which lies beside spoolgate-init */
	char path[PATH_MAX];	/* of the folder: in TMPDIR, or in memory where it can be */
	int fd;	/* the folder; -EBADF: not made */
};

/* -ENOENT: there is no spoolgate-probe; else as mkdtemp(3). */
int ground_open(struct ground *g, const struct config *config, const char *filter, const char *cgroup);
/* Removes the folder and all that is in it. */
void ground_done(struct ground *g);

struct trial {
	struct job_result result;	/* of a supervisor that wrote none: VERDICT_LOST, and why */
	char *output;	/* standard output, where it was apart; else the log. Never NULL on success; the caller frees */
};
void trial_done(struct trial *t);
/* args: of spoolgate-probe, NULL-terminated. The environment is TRY_ENVIRONMENT. 0, or what kept it from being tried. */
#define TRY_ENVIRONMENT "PATH=/usr/bin:/bin", "PROBE=as the plan says"
int try_run(const struct ground *g, const char *const *args, const struct limits *limits, bool filter, bool apart, struct trial *ret);

#endif
