/* progress.h - how far a run has come, who may see it, and when it has to stop. One clock check serves all of it. */
#ifndef SPOOLGATE_TBN_PROGRESS_H
#define SPOOLGATE_TBN_PROGRESS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

struct progress {
	int64_t count;	/* 0 until solving begins, 1 while the entropy is sought, then the configuration being computed */
	int64_t k;	/* the polymer count being tried */
	const char *live_path;	/* NULL: no file */
	char *live_temp;	/* the name beside it that is renamed */
	bool live_broken;	/* writing it failed once: it is not tried again */
	bool terminal;	/* show a line on standard error */
	bool terminal_dirty;	/* a line stands there */
	bool changed;	/* since the last showing */
	uint64_t start_usec, shown_usec, checked_usec;	/* CLOCK_MONOTONIC */
	uint64_t deadline_usec;	/* 0: none */
	uint64_t memory_bytes;	/* resident set at which to stop; 0: none */
	int stopped;	/* 0, or the reason */
	unsigned polls;	/* the clock is read at every 16th or so */
};

enum { PROGRESS_INTERVAL_USEC = 100000 };

/* live_path NULL: none. deadline in microseconds from now, 0: none. 0 or -ENOMEM. */
int progress_init(struct progress *p, const char *live_path, bool terminal, uint64_t limit_usec, uint64_t memory_bytes);
/* Clears the terminal's line and removes a temporary file that was left. */
void progress_done(struct progress *p);

void progress_set(struct progress *p, int64_t count, int64_t k);

/* Shows the state if it is time to. Returns 0, or why to stop, from then on always the same: -EINTR a signal, -ETIME the
 * time limit, -ENOSPC the memory limit. Cheap enough to be called every microsecond. */
int progress_poll(struct progress *p);

#endif
