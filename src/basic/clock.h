/* clock.h - the one clock. Microseconds everywhere.
 * Ages and times of day use clock_wall(); deadlines use clock_mono(), which is CLOCK_BOOTTIME: it never steps and counts
 * while the machine is suspended. Tests shift wall time through the environment variable SPOOLGATE_CLOCK_OFFSET
 * (signed seconds, read once at start) or clock_shift(). */
#ifndef SPOOLGATE_CLOCK_H
#define SPOOLGATE_CLOCK_H

#include <stdint.h>

#define USEC_PER_SEC ((uint64_t)1000000)
#define USEC_PER_MSEC ((uint64_t)1000)
#define USEC_INFINITY UINT64_MAX

uint64_t clock_wall(void);	/* since 1970, offset included */
uint64_t clock_mono(void);	/* since boot */
void clock_shift(int64_t usec);	/* adds to the offset of wall time */

/* RFC 3339 in UTC with microseconds: 2026-11-25T22:08:55.123456Z, 27 characters and a NUL. A moment beyond the year 9999 is
 * written as that year's last microsecond. */
enum { CLOCK_TEXT_SIZE = 28 };
void clock_format(uint64_t wall_usec, char ret_text[CLOCK_TEXT_SIZE]);
/* Reads a date and time of RFC 3339: with or without a fraction (what is beyond microseconds is cut), in any offset; one
 * before 1970 is 1970's beginning. -EINVAL: none, or a moment that no calendar has (the 30th of February). */
int clock_parse(const char *text, uint64_t *ret_wall_usec);

#endif
