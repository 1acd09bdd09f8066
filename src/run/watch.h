/* watch.h - the loop between the jail's start and its end. */
#ifndef SPOOLGATE_RUN_WATCH_H
#define SPOOLGATE_RUN_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/plan.h"
#include "run/cgroup.h"
#include "run/jail.h"
#include "run/log.h"
#include "run/verdict.h"
#include "run/walk.h"
#include "spool/record.h"

/* For bubblewrap to build, and for exec to succeed; a loaded machine may need seconds. */
enum { WATCH_JAIL_USEC = 60 * 1000 * 1000 };

struct run {
	const struct plan *plan;
	int job_fd;
	int control_fd;	/* -EBADF once PLAN_GO has come */
	int signal_fd;	/* SIGTERM */
	int work_fd;
	struct jail jail;
	struct cgroup cgroup;
	struct run_log log, out;

	bool prepared;	/* inputs are in place, files are open, room for the verdict */
	bool ready;	/* init waits */
	bool go;	/* the start is flushed */
	bool started;	/* init was told */
	bool began;
	bool ended;	/* the tool's first process */
	bool emptying;
	bool over;	/* init is gone, or about to be */
	bool abandoned;	/* the helper went away before PLAN_GO, or the jail was killed before: nothing has happened */

	struct walk_caps caps;
	const char *cap;	/* which of them work/ had passed; NULL: none */
	bool oom_killed;	/* the kernel did, by the cgroup's limit */

	enum stop stop;
	char by[BY_MAX];
	char refusal[224];
	int status;
	uint64_t began_at, ended_at;	/* clock_mono() */
	struct init_usage usage;

	uint64_t jail_deadline;	/* for READY, then for BEGAN; clock_mono() or USEC_INFINITY, as the others */
	uint64_t wall_deadline;
	uint64_t outputs_deadline;	/* when work/ is to be looked at */
	uint64_t cpu_deadline;	/* when the cgroup's CPU time is to be read */
	uint64_t grace_deadline;
	uint64_t empty_deadline;
};

/* Begins the attempt when jail, inputs and helper are ready, keeps its limits, passes kills on, and returns when nothing of it
 * runs any more and its pipes are read to their end. Never fails: what goes wrong is in run. */
void watch(struct run *run);
/* Notes why the tool will not begin (the first reason counts) and ends the jail. */
void watch_refuse(struct run *run, const char *what, int err);

#endif
