/* run_case.h - plays the helper for one attempt: a job's folder, its plan, its lock, its control socket, and the supervisor
 * spoolgate-run of the build folder, in which tests run. */
#ifndef SPOOLGATE_RUN_CASE_H
#define SPOOLGATE_RUN_CASE_H

#include <stdbool.h>
#include <sys/resource.h>

#include "proto/plan.h"
#include "spool/record.h"

enum { RUN_CASE_MSEC = 30 * 1000 };	/* deadline of every wait */

struct run_case {
	char path[512];	/* the job's folder */
	int job_fd;
	int control_fd;	/* our end */
	int lock_fd;
	int watch_fd;	/* inotify on the folder */
	pid_t pid;
	int pidfd;
	struct plan *plan;
	bool as_nobody;	/* started by root: the supervisor is to run as uid 65534, which owns the folder then */
	char programs[64];	/* where such an account finds them: the build folder may lie out of its reach; "": there */
	struct rusage usage;	/* of the supervisor and what it reaped */
};

/* A job whose tool is /bin/sh -c script; nothing is started yet, and plan may be changed until run_case_start(). */
void run_case_init(struct run_case *c, enum jail_kind jail, const char *script);
void run_case_done(struct run_case *c);
/* Where root calls, whom the kernel exempts from much: run the supervisor as another account, from copies of the programs. */
void run_case_become_nobody(struct run_case *c);
/* Adds an input to in/ and to the plan. */
void run_case_input(struct run_case *c, const char *name, const char *text);
void run_case_argv(struct run_case *c, const char *const argv[]);
void run_case_start(struct run_case *c);
void run_case_go(struct run_case *c);
/* state.json says by whom, then SIGTERM. */
void run_case_kill(struct run_case *c, const char *by);
/* Waits for the supervisor's end; its wait status. */
int run_case_wait(struct run_case *c);
/* Starts, lets it go, waits; the verdict must be durable. */
void run_case_run(struct run_case *c, struct job_result *ret);
/* Waits until the file of the job's folder holds text. */
void run_case_wait_text(struct run_case *c, const char *name, const char *text);
/* The whole text of a file below the job's folder; "" if there is none. The caller frees. */
char *run_case_text(const struct run_case *c, const char *path);
bool run_case_has(const struct run_case *c, const char *path);

#endif
