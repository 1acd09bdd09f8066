/* verdict.h - from what happened to what is said about it: the one place that decides.
 *
 *   what happened, in this order                                  verdict
 *   a kill was asked before the tool began                        killed
 *   the tool did not begin                                        refused (never a word about the tool)
 *   whatever ended the tool first from outside:
 *     a kill, also where the tool exits by itself in its grace    killed
 *     the wall limit, also then                                   timeout
 *     the tree is over its memory limit                           out_of_memory
 *     over its CPU time                                           timeout
 *     over its number of processes (where the kernel cannot hold it)  signalled
 *     more on stdout than allowed, or in work/ while it runs      output_limit
 *   the kernel killed a process of the tree for its memory limit  out_of_memory
 *   init or jail vanished with the tool's status                  lost
 *   the tree used more CPU time than allowed, or SIGXCPU          timeout
 *   SIGXFSZ                                                       output_limit
 *   another signal                                                signalled
 *   an exit code other than 0                                     failed
 *   exit code 0, but more output than may be kept                 output_limit
 *   exit code 0                                                   passed
 *
 * A tool that has ended by itself before anybody asked has ended so: a kill that comes while its outputs are listed changes
 * nothing. A tool that failed and left too much output has failed; its message says the rest. */
#ifndef SPOOLGATE_RUN_VERDICT_H
#define SPOOLGATE_RUN_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "spool/record.h"

/* What made the supervisor end the tool; the first one counts. */
enum stop { STOP_NONE, STOP_KILL, STOP_WALL, STOP_STDOUT, STOP_MEMORY, STOP_CPU, STOP_PROCESSES, STOP_OUTPUT };

struct run_facts {
	bool began;
	bool has_status;
	int status;	/* as from waitpid(2) */
	enum stop stop;
	uint64_t cpu_limit_usec;	/* 0: none */
	uint64_t cpu_usec;	/* of the tree */
	bool oom_killed;	/* by its cgroup's limit */
	const char *cap;	/* STOP_OUTPUT: which; may be NULL */
	const char *by;	/* STOP_KILL */
	const char *refusal;	/* why it did not begin; may be "" */
};

/* Sets verdict, exit_code, signal, by and message of *result, before the outputs are looked at. */
void verdict_judge(const struct run_facts *f, struct job_result *result);
/* What the walk found: outputs over the caps were removed. */
void verdict_outputs_over(struct job_result *result, const char *what);
/* Adds to the message, verdict or no. */
void verdict_note(struct job_result *result, const char *text);
/* The outputs (files, or a standard output of its own) could not be proven or kept: err is the reason, negative. The verdict is
 * lost, unless it was refused or killed. */
void verdict_outputs_lost(struct job_result *result, const char *what, int err);

#endif
