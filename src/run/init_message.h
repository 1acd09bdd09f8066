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
 *                <-     OVER        the tree was over a limit; init kills it without being told
 *                <-     ENDED       the tool's first process ended
 *   EMPTY        ->                 SIGKILL to everything else; also instead of START
 *                <-     EMPTIED     nothing is left, and init ends
 *
 * The end of the socket means EMPTY to init. */
#ifndef SPOOLGATE_INIT_MESSAGE_H
#define SPOOLGATE_INIT_MESSAGE_H

#include <stdint.h>

/* Where init finds its descriptors. */
enum { INIT_CONTROL_FD = 3, INIT_LOG_FD = 4, INIT_STDOUT_FD = 5, INIT_FILTER_FD = 6 };

#define INIT_PROGRAM_NO_JAIL "--no-jail"	/* first argument where init is no pid 1 */
#define INIT_PROGRAM_READ "--read"	/* then any number of times, each before a path that Landlock lets the tool read */
enum { INIT_READ_MAX = 640 };

enum { INIT_VERSION = 2, INIT_FILTER_MAX = 32 * 1024 };

enum init_type {
	INIT_SETUP = 1, INIT_READY, INIT_START, INIT_BEGAN, INIT_FAILED, INIT_TERM, INIT_ENDED, INIT_EMPTY, INIT_EMPTIED,
	INIT_OVER
};

enum init_over { INIT_OVER_MEMORY = 1, INIT_OVER_CPU, INIT_OVER_PROCESSES, INIT_OVER_OUTPUT };

struct init_usage {
	uint64_t cpu_usec;	/* of everything that init has reaped */
	uint64_t peak_memory_bytes;	/* of the tree at any look, or of the largest single process */
};

/* Zero: no limit. Times in microseconds, sizes in bytes. */
struct init_setup {
	uint64_t cpu_usec;
	uint64_t address_space_bytes;
	uint64_t file_bytes;
	uint64_t open_files;
	uint64_t processes;
	uint64_t memory_bytes;	/* of the tree, as init sees it; 0 too where a cgroup counts it */
	uint64_t output_bytes;	/* of files that have no name any more and are open still; what has a name the supervisor sees */
	uint64_t stdout_apart;	/* 0 or 1: whether INIT_STDOUT_FD is there */
	uint64_t network;	/* 0 or 1: whether the network namespace is the host's */
	uint64_t filter;	/* 0 or 1: whether a seccomp(2) program is to be read from INIT_FILTER_FD */
	uint64_t landlock;	/* 0 or 1: whether the tool is bound by Landlock, where the kernel has it */
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
		struct {
			uint32_t what;	/* enum init_over */
		} over;
		struct init_usage emptied;
	} u;
};

#endif
