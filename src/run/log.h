/* log.h - what a tool prints, kept within a number of bytes: its beginning and its end.
 *
 * Up to the cap less a ring (a quarter of the cap, at most 256 KiB) it is written as it comes. What follows passes through the
 * ring in memory, which run_log_finish() appends: whole where nothing had to be left out, else after one marker line that says
 * how much is missing, which takes its room from the ring. So an offset that a follower holds stays true, and the file never is
 * larger than the cap; where something is missing it is exactly the cap. A cap under RUN_LOG_RING_MIN * 4 bytes has neither ring
 * nor marker: only the beginning is kept. */
#ifndef SPOOLGATE_RUN_LOG_H
#define SPOOLGATE_RUN_LOG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { RUN_LOG_RING_MAX = 256 * 1024, RUN_LOG_RING_MIN = 128 };

struct run_log {
	int fd;
	int err;	/* the first failure to write, negative; what comes later is dropped */
	uint64_t seen;	/* bytes printed */
	uint64_t written;	/* bytes in the file */
	uint64_t head_max;
	size_t ring_size;
	unsigned char *ring;	/* NULL until it is needed */
	char last;	/* of the beginning */
};

/* Makes the file name anew: mode 0640, group gid unless (gid_t)-1. */
int run_log_open(struct run_log *l, int job_fd, const char *name, uint64_t cap, gid_t gid);
/* A file that keeps its first cap bytes only. */
int run_log_open_plain(struct run_log *l, int job_fd, const char *name, uint64_t cap, gid_t gid);
/* Never fails: see err. */
void run_log_add(struct run_log *l, const void *data, size_t len);
/* Appends the ring. Once. Returns err. */
int run_log_finish(struct run_log *l);
void run_log_done(struct run_log *l);	/* closes and frees; fine on { .fd = -EBADF } */

#endif
