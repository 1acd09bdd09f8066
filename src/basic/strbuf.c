#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/strbuf.h"

enum { FIRST_CAP = 64 };

void
strbuf_init(struct strbuf *s, size_t limit)
{
	*s = (struct strbuf)STRBUF_INIT(limit);
}

void
strbuf_done(struct strbuf *s)
{
	free(s->buf);
	strbuf_init(s, s->limit);
}

void
strbuf_reset(struct strbuf *s)
{
	s->len = 0;
	s->err = 0;
	if (s->buf)
		s->buf[0] = '\0';
}

/* Makes room for extra bytes and the NUL behind them; false once an error sticks. */
static bool
make_room(struct strbuf *s, size_t extra)
{
	size_t need = 0, cap = 0;
	char *buf = NULL;

	if (s->err < 0)
		return false;
	if (extra > s->limit - s->len) {
		s->err = -EFBIG;
		return false;
	}
	if (s->len + extra == SIZE_MAX) {
		s->err = -ENOMEM;
		return false;
	}
	need = s->len + extra + 1;
	if (need <= s->cap)
		return true;
	cap = s->cap > SIZE_MAX / 2 ? need : s->cap * 2;
	if (cap < FIRST_CAP)
		cap = FIRST_CAP;
	if (s->limit < SIZE_MAX && cap > s->limit + 1)
		cap = s->limit + 1;
	if (cap < need)
		cap = need;
	buf = realloc(s->buf, cap);
	if (!buf) {
		s->err = -ENOMEM;
		return false;
	}
	s->buf = buf;
	s->cap = cap;
	return true;
}

void
strbuf_add(struct strbuf *s, const void *data, size_t len)
{
	if (!make_room(s, len))
		return;
	if (len > 0)
		memcpy(s->buf + s->len, data, len);
	s->len += len;
	s->buf[s->len] = '\0';
}

void
strbuf_addstr(struct strbuf *s, const char *text)
{
	strbuf_add(s, text, strlen(text));
}

void
strbuf_addch(struct strbuf *s, char c)
{
	strbuf_add(s, &c, 1);
}

void
strbuf_vaddf(struct strbuf *s, const char *format, va_list ap)
{
	va_list again;
	int n = 0;

	if (s->err < 0)
		return;
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, format, ap);
	if (n < 0)
		s->err = -ENOMEM;	/* what vsnprintf lacks, other than memory, our formats never ask for */
	else if (make_room(s, (size_t)n)) {
		(void)vsnprintf(s->buf + s->len, (size_t)n + 1, format, again);
		s->len += (size_t)n;
	}
	va_end(again);
}

void
strbuf_addf(struct strbuf *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	strbuf_vaddf(s, format, ap);
	va_end(ap);
}

int
strbuf_err(const struct strbuf *s)
{
	return s->err;
}

const char *
strbuf_str(const struct strbuf *s)
{
	return s->err < 0 || !s->buf ? "" : s->buf;
}

int
strbuf_take(struct strbuf *s, char **ret_text, size_t *ret_len)
{
	strbuf_add(s, "", 0);	/* so that an empty text has memory too */
	if (s->err < 0)
		return s->err;
	*ret_text = s->buf;
	if (ret_len)
		*ret_len = s->len;
	strbuf_init(s, s->limit);
	return 0;
}
