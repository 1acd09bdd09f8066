/* init_message.h - what a supervisor and the init of its jail say to each other: one fixed struct, one SOCK_SEQPACKET packet
 * each. Both ends come from one build, so the version only guards against a half-replaced installation. The tool has no
 * descriptor of this socket; all that init says is checked for size, version and order all the same.
 *
 *   supervisor          init
 *   SETUP        ->                 limits, before bubblewrap is even started
 *                <-     READY       the jail stands; the kernel adds init's pid as SCM_CREDENTIALS
 *   START        ->                 the start is flushed
 *                <-     BEGAN       the tool's exec succeeded       (or FAILED, and init ends)
 *   TERM         ->                 SIGTERM to the tool's process group; any number of times
 *                <-     ENDED       the tool's first process ended
 *   EMPTY        ->                 SIGKILL to everything else; also instead of START
 *                <-     EMPTIED     nothing is left, and init ends
 *
 * The end of the socket means EMPTY to init. */
#ifndef SPOOLGATE_INIT_MESSAGE_H
#define SPOOLGATE_INIT_MESSAGE_H

#include <stdint.h>

/* Where init finds its descriptors. */
enum { INIT_CONTROL_FD = 3, INIT_LOG_FD = 4, INIT_STDOUT_FD = 5 };

#define INIT_PROGRAM_NO_JAIL "--no-jail"	/* first argument where init is no pid 1 */

enum { INIT_VERSION = 1 };

enum init_type {
	INIT_SETUP = 1, INIT_READY, INIT_START, INIT_BEGAN, INIT_FAILED, INIT_TERM, INIT_ENDED, INIT_EMPTY, INIT_EMPTIED
};

/* Of everything that init has reaped so far. */
struct init_usage {
	uint64_t cpu_usec;
	uint64_t max_rss_bytes;	/* of the largest single process */
};

/* Zero: no limit. Times in microseconds, sizes in bytes. */
struct init_setup {
	uint64_t cpu_usec;
	uint64_t address_space_bytes;
	uint64_t file_bytes;
	uint64_t open_files;
	uint64_t processes;
	uint64_t stdout_apart;	/* 0 or 1: whether INIT_STDOUT_FD is there */
};

struct init_message {
	uint32_t version;
	uint32_t type;	/* enum init_type */
	union {
		struct init_setup setup;
		struct {
			uint64_t dev, ino;	/* of the working directory: is /job the work/ of this job? */
		} ready;
		struct {
			uint64_t at_usec;	/* CLOCK_BOOTTIME */
		} began;
		struct {
			int32_t err;	/* a positive errno */
			char step[28];	/* what failed: "exec", ...; NUL-terminated */
		} failed;
		struct {
			uint64_t at_usec;
			int32_t status;	/* as from waitpid(2) */
		} ended;
		struct init_usage emptied;
	} u;
};

#endif
