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

/* Checks the spool at path. running: a helper is at work on it, so what is in the middle of a change is no fault (only
 * what is wrong for longer than a moment; each suspect is looked at twice). repair (never with running): mends what can be
 * mended without losing anything: missing active marks and index names, stale names, remains. say gets a line of text for each
 * finding, without newline. Returns the number of CHECK_BROKEN findings not repaired, or a negative errno where the spool could
 * not be read. */
int spool_check(const char *path, bool running, bool repair,
    void (*say)(enum check_level level, const char *text, void *ctx), void *ctx, struct check_report *ret);

#endif
