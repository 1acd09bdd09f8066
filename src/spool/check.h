/* check.h - one function that checks every invariant of doc/architecture.md, "The spool", on a folder; the oracle of the crash,
 * power-cut, disk-full, restore and upgrade tests, and `spoolgate doctor --spool`. */
#ifndef SPOOLGATE_CHECK_H
#define SPOOLGATE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

enum check_level {
	CHECK_BROKEN,	/* an invariant does not hold: something was lost, or would be done twice */
	CHECK_STALE,	/* harmless remains that the helper sweeps at its next start or pass */
};

struct check_report {
	uint64_t jobs, finished, active, stale, broken, repaired;
};

/* Checks the spool at path. running: a helper is at work on it, so what is in the middle of a change is no fault: what looks wrong
 * is looked at again, for up to 5 s, and only what stays wrong is told. Otherwise the spool's lock is held meanwhile, and what the
 * journal's replay would do at the next start is STALE at most. Every kept file is read and hashed.
 *
 * repair (never with running, and only as the spool's own user): does the journal's replay, then mends what can be mended
 * without losing anything: missing active marks, locks and index names, stale names, remains. say (may be NULL) gets a line of
 * text for each finding, without newline and control characters. ret (may be NULL) counts findings, repaired ones among them.
 *
 * Returns the number of CHECK_BROKEN findings not repaired, or a negative errno where the spool could not be read. -EBUSY: not
 * running, yet somebody holds its lock; -EINVAL: running and repair; -EPERM: repair by another user; errors of spool_open. */
int spool_check(const char *path, bool running, bool repair,
    void (*say)(enum check_level level, const char *text, void *ctx), void *ctx, struct check_report *ret);

#endif
