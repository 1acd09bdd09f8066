/* record.h - the small JSON files beside job.json: what is wanted, what is, and the verdict.
 * state.json is the helper's, run.json and ended.json are the supervisor's. result.json is written by whoever holds the
 * job's lock: the supervisor of a run, or the helper for a job that has none and gets none (killed while queued, lost,
 * refused by a tool that is gone). Its existence is the end of the job. */
#ifndef SPOOLGATE_RECORD_H
#define SPOOLGATE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "basic/id.h"
#include "basic/proc.h"
#include "spool/layout.h"

enum want { WANT_QUEUED, WANT_START, WANT_KILL };

enum { BY_MAX = 128 };	/* who asked for a kill: "client", "admin", "owner", ... with its NUL */

/* state.json */
struct job_want {
	enum want want;
	unsigned attempt;	/* of the last start asked for; 0: none yet */
	char boot[BOOT_ID_SIZE];	/* boot id at that start: after a power cut it may have begun, run.json or not */
	char by[BY_MAX];	/* WANT_KILL: who */
	uint64_t at_usec;	/* wall time of this change */
};

/* run.json: attempt N has a jail whose init waits or has begun. Written before the tool's first instruction. */
struct job_run {
	unsigned attempt;
	pid_t pid;	/* the supervisor's */
	uint64_t start_ticks;	/* its start time, proc.h */
	pid_t init_pid;	/* the jail's init as seen from outside; killing it empties the pid namespace */
	uint64_t init_ticks;
	char boot[BOOT_ID_SIZE];
	bool after;	/* a command is to be run at its end, whoever finds it */
	bool no_jail;	/* init has no pid namespace of its own */
	char cgroup[256];	/* "" where there is none */
	uint64_t started_usec;	/* wall time */
};

enum verdict {
	VERDICT_PASSED, VERDICT_FAILED, VERDICT_SIGNALLED, VERDICT_TIMEOUT, VERDICT_OUT_OF_MEMORY, VERDICT_OUTPUT_LIMIT,
	VERDICT_KILLED, VERDICT_LOST, VERDICT_REFUSED
};
const char *verdict_name(enum verdict v);	/* "passed", ... "out_of_memory", ... */
int verdict_parse(const char *name, enum verdict *ret);	/* -EINVAL */

/* ended.json (raw, before the walk) and result.json (with the walk's counts). */
struct job_result {
	unsigned attempt;	/* 0: it never started */
	enum verdict verdict;
	int exit_code;	/* -1: did not exit by itself */
	int signal;	/* 0: none */
	bool exact;	/* a cgroup kept the limits of memory and processes; else they are approximate */
	bool shared;	/* an equal job did the work; attempt is 0 */
	char by[BY_MAX];	/* VERDICT_KILLED: who; else "" */
	char message[256];	/* for people: why lost or refused; "" */
	uint64_t started_usec;	/* wall time; 0: never */
	uint64_t ended_usec;	/* wall time */
	uint64_t wall_usec;
	uint64_t cpu_usec;
	uint64_t peak_memory_bytes;
	uint64_t log_bytes;
	uint64_t stdout_bytes;
	uint64_t output_files;	/* regular files kept in work/ */
	uint64_t output_bytes;
};

/* Loading: -ENOENT: no such file; -EBADMSG: damaged; -EPROTONOSUPPORT: newer. Storing replaces the file, unflushed; modes and
 * groups as in doc/architecture.md ("Who reads what"). */
int want_load(int job_fd, struct job_want *ret);
/* The text of state.json, which the journal's records start and kill hold. The caller frees. */
int want_format(const struct job_want *w, char **ret_text, size_t *ret_len);
int want_parse(const char *text, size_t len, struct job_want *ret);
int want_store(int job_fd, struct spool_groups groups, const struct job_want *w);
/* meta.json, at most JOB_RECORD_MAX bytes of JSON; the caller puts `v` into it. */
int meta_store(int job_fd, struct spool_groups groups, const char *text, size_t len);
int run_load(int job_fd, struct job_run *ret);
int run_store(int job_fd, struct spool_groups groups, const struct job_run *r);
int ended_load(int job_fd, struct job_result *ret);
int ended_store(int job_fd, struct spool_groups groups, const struct job_result *r);
/* result.json; only this name is believed by readers. */
int result_load(int job_fd, struct job_result *ret);
/* As result_load, but for recovery: result.new counts too where it is whole. */
int result_recover(int job_fd, struct job_result *ret);
/* Makes result.new with 4 KiB behind it, so that a verdict fits on a full disk. -ENOSPC, ... */
int result_reserve(int job_fd, struct spool_groups groups);
/* Writes result.new in its reserved place, flushes it and the folder, renames it to result.json, flushes the folder. Once it
 * returned 0 the verdict survives a power cut. After a failed flush the same file is never tried again: the verdict then goes
 * to a new file, and the function returns 1 where that worked (the disk is suspect all the same), else the errno. 1 also where
 * the folder's flush failed: the verdict stands, but whether it survives a power cut nobody knows. */
int result_store_durable(int job_fd, struct spool_groups groups, const struct job_result *r);

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_KILLING, JOB_FINISHED };

/* A reader's view in one call: result.json if there is one, else state.json (and run.json's start time if it has begun). */
struct job_status {
	enum job_state state;
	unsigned attempt;
	uint64_t started_usec;	/* wall time at which this attempt began; 0: not yet, or never */
	struct job_want want;	/* all but JOB_FINISHED */
	struct job_result result;	/* JOB_FINISHED only */
};
/* -EBADMSG: damaged. -ENOENT: the job has been forgotten since its folder was opened. */
int status_load(int job_fd, struct job_status *ret);
/* The same without opening the folder: three system calls for a finished job. -EINVAL: no id; -ENOENT: no such job. */
int spool_status(const struct spool *s, const char *id, struct job_status *ret);

#endif
