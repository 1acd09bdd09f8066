#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "cli/show.h"

enum { PROGRESS_USEC = 100000, TEXT_MAX = 1 << 20 };

/* The UTF-8 character at p, of *ret_len bytes; -1 where there is none. */
static int32_t
read_character(const char *p, size_t left, size_t *ret_len)
{
	unsigned char c = (unsigned char)*p;
	size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	int32_t value = len == 1 ? c : c & (0xff >> (len + 1));

	if (len > left || utf8_valid(p, len) == 0)
		return -1;
	for (size_t i = 1; i < len; i++)
		value = value << 6 | (p[i] & 0x3f);
	*ret_len = len;
	return value;
}

/* Controls of C1, and what moves or hides the text around it: bidirectional marks, invisible blanks, line separators, tags. */
static bool
is_treacherous(int32_t c)
{
	return (c >= 0x80 && c < 0xa0) || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

/* One character or byte of text, and the columns that it takes. */
static size_t
show_one(struct strbuf *s, const char *text, size_t left, size_t *ret_columns)
{
	size_t len = 1;
	int32_t c = read_character(text, left, &len);
	size_t before = s->len;
	int width;

	if (c < 0x20 || c == 0x7f) {
		strbuf_addf(s, "\\x%02x", (unsigned char)*text);
		*ret_columns = 4;
		return 1;
	}
	if (is_treacherous(c)) {
		strbuf_addf(s, c > 0xffff ? "\\U%08" PRIx32 : "\\u%04" PRIx32, (uint32_t)c);
		*ret_columns = s->len - before;
		return len;
	}
	strbuf_add(s, text, len);
	width = c < 0x80 ? 1 : wcwidth((wchar_t)c);
	*ret_columns = width < 0 ? 1 : (size_t)width;	/* a locale without it */
	return len;
}

void
show_text(struct strbuf *s, const char *text, size_t len)
{
	size_t columns;

	for (size_t i = 0; i < len;)
		i += show_one(s, text + i, len - i, &columns);
}

void
show_cut(struct strbuf *s, const char *text, size_t columns)
{
	size_t len = strlen(text), used = 0, room = columns < 3 ? 0 : columns - 3;
	size_t cut_at = s->len;	/* where "..." goes if it must */

	for (size_t i = 0, width; i < len && !strbuf_err(s);) {
		i += show_one(s, text + i, len - i, &width);
		used += width;
		if (used <= room)
			cut_at = s->len;
		if (used > columns) {
			s->len = cut_at;
			s->buf[s->len] = '\0';
			strbuf_addstr(s, "...");
			return;
		}
	}
}

void
show_bytes(struct strbuf *s, uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		strbuf_addf(s, "%" PRIu64 " B", bytes);
		return;
	}
	for (; value >= 1023.5; unit++)
		value /= 1024;
	strbuf_addf(s, value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void
show_duration(struct strbuf *s, uint64_t usec)
{
	uint64_t sec = usec / USEC_PER_SEC;

	if (sec < 10)
		strbuf_addf(s, "%" PRIu64 ".%" PRIu64 " s", sec, usec % USEC_PER_SEC / 100000);
	else if (sec < 3600)
		strbuf_addf(s, "%" PRIu64 ":%02" PRIu64, sec / 60, sec % 60);
	else if (sec < 86400)
		strbuf_addf(s, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, sec / 3600, sec / 60 % 60, sec % 60);
	else
		strbuf_addf(s, "%" PRIu64 "d %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64, sec / 86400, sec / 3600 % 24, sec / 60 % 60,
		    sec % 60);
}

void
show_time(struct strbuf *s, uint64_t wall_usec)
{
	time_t sec = (time_t)(wall_usec / USEC_PER_SEC);
	struct tm tm = { 0 };
	char text[32] = "";

	if (localtime_r(&sec, &tm))
		(void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	strbuf_addstr(s, text);
}

void
table_add(struct table *t, const char *cell)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(TEXT_MAX);
	char **cells;
	char *text;
	int r;

	if (t->err < 0)
		return;
	if (!cell || cell[0] == '\0')
		cell = "-";
	show_text(&s, cell, strlen(cell));
	cells = reallocarray(t->cells, t->n + 1, sizeof *cells);
	if (cells)
		t->cells = cells;
	r = cells ? strbuf_take(&s, &text, NULL) : -ENOMEM;
	if (r < 0)
		t->err = r;
	else
		t->cells[t->n++] = text;
}

/* Columns of a text that show_text() made. */
static size_t
width_of(const char *text)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(TEXT_MAX * 2);
	size_t total = 0, len = strlen(text), columns;

	for (size_t i = 0; i < len; total += columns)
		i += show_one(&s, text + i, len - i, &columns);
	return total;
}

int
table_print(struct table *t, FILE *to)
{
	scoped(free_ptr) size_t *widths = calloc(t->columns, sizeof *widths);

	if (!widths)
		return -ENOMEM;
	for (size_t i = 0; i < t->n; i++) {
		size_t width = width_of(t->cells[i]);

		if (width > widths[i % t->columns])
			widths[i % t->columns] = width;
	}
	for (size_t i = 0; i < t->n; i++) {
		bool last = i % t->columns == t->columns - 1;
		size_t pad = last ? 0 : widths[i % t->columns] + 2 - width_of(t->cells[i]);

		(void)fprintf(to, "%s%*s%s", t->cells[i], (int)pad, "", last ? "\n" : "");
	}
	return t->err;
}

void
table_done(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->n = 0;
}

void
progress_init(struct progress *p, bool quiet)
{
	const char *term = getenv("TERM");

	*p = (struct progress){ .on = !quiet && isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0) };
}

bool
progress_due(const struct progress *p)
{
	return p->on && (!p->shown || clock_mono() - p->shown_usec >= PROGRESS_USEC);
}

void
progress_show(struct progress *p, const char *text)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(TEXT_MAX);
	struct winsize size = { 0 };
	size_t columns = 80;

	if (!p->on)
		return;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		columns = size.ws_col;
	show_cut(&s, text, columns - 1);
	(void)fprintf(stderr, "\r%s\033[K", strbuf_str(&s));
	(void)fflush(stderr);
	p->shown = true;
	p->shown_usec = clock_mono();
}

void
progress_clear(struct progress *p)
{
	if (!p->shown)
		return;
	(void)fputs("\r\033[K", stderr);
	(void)fflush(stderr);
	p->shown = false;
}

void
progress_bytes(struct progress *p, const char *name, uint64_t done, uint64_t total, uint64_t since_usec, uint64_t from)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(TEXT_MAX);
	uint64_t passed = clock_mono() - since_usec;

	if (!progress_due(p))
		return;
	strbuf_addf(&s, "%s  ", name);
	show_bytes(&s, done);
	if (total > 0) {
		strbuf_addstr(&s, " of ");
		show_bytes(&s, total);
		strbuf_addf(&s, "  %.0f%%", 100.0 * (double)done / (double)total);
	}
	if (passed > USEC_PER_SEC) {
		strbuf_addstr(&s, "  ");
		show_bytes(&s, (uint64_t)((double)(done - from) / (double)passed * 1e6));
		strbuf_addstr(&s, "/s");
	}
	progress_show(p, strbuf_str(&s));
}
