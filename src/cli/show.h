/* show.h - what people read: text of others made harmless, sizes, durations, times, tables, the progress line of a terminal. */
#ifndef SPOOLGATE_SHOW_H
#define SPOOLGATE_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "basic/strbuf.h"

/* Appends text so that it can do nothing to a terminal or to a table: control characters and bytes that are not UTF-8 as \xNN,
 * characters that change the direction of what follows or show nothing as \uNNNN, a backslash as it is. */
void show_text(struct strbuf *s, const char *text, size_t len);
/* The same, at most columns wide; what is longer ends in "...". */
void show_cut(struct strbuf *s, const char *text, size_t columns);

void show_bytes(struct strbuf *s, uint64_t bytes);	/* 999 B, 1.5 KiB, 17 MiB */
void show_duration(struct strbuf *s, uint64_t usec);	/* 0.3 s, 0:12, 1:02:03, 2d 01:02:03 */
void show_time(struct strbuf *s, uint64_t wall_usec);	/* 2026-11-26 16:50:00, local */

/* What --since and --until take: an RFC 3339 moment, a local "2026-11-26" or "2026-11-26 16:50[:00]", or an age before
 * now ("90s", "5m", "2h", "7d"). -EINVAL. */
int when_parse(const char *text, uint64_t now_usec, uint64_t *ret_wall_usec);

/* A table: cells are added row after row and printed aligned, the last column as it is, each cell made harmless. */
struct table {
	size_t columns, n;	/* n cells */
	char **cells;
	int err;	/* 0, or the first negative errno */
};
void table_add(struct table *t, const char *cell);	/* NULL or empty: "-" */
int table_print(struct table *t, FILE *to);	/* t->err, or 0 */
void table_done(struct table *t);	/* usable with scoped */

/* One line on stderr that is written over and over; nothing at all where stderr is no terminal. */
struct progress {
	bool on;	/* stderr is a terminal, and nobody asked for quiet */
	bool shown;
	uint64_t shown_usec;
};
void progress_init(struct progress *p, bool quiet);
bool progress_due(const struct progress *p);	/* on, and a tenth of a second has passed since the last time */
void progress_show(struct progress *p, const char *text);	/* made harmless and cut to the terminal's width */
void progress_clear(struct progress *p);
/* "name  1.5 of 17 MiB  9%  1.2 MiB/s". total 0: not known. */
void progress_bytes(struct progress *p, const char *name, uint64_t done, uint64_t total, uint64_t since_usec, uint64_t from);

#endif
