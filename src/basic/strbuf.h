/* strbuf.h - a bounded, growing byte string whose first error sticks.
 * A strbuf is given its limit at birth; an append returns nothing; strbuf_err() or strbuf_take() at the end tell the
 * first error: -EFBIG (over the limit) or -ENOMEM. After an error appends do nothing. The text is always followed by
 * a NUL that len does not count, so s.buf is a C string where no NUL was appended. */
#ifndef SPOOLGATE_STRBUF_H
#define SPOOLGATE_STRBUF_H

#include <stdarg.h>
#include <stddef.h>

struct strbuf {
	char *buf;	/* NULL until the first append */
	size_t len;
	size_t cap;
	size_t limit;	/* largest len */
	int err;	/* 0 or the first negative errno */
};

#define STRBUF_INIT(limit_) { NULL, 0, 0, (limit_), 0 }

void strbuf_init(struct strbuf *s, size_t limit);
void strbuf_done(struct strbuf *s);	/* frees; usable with scoped(strbuf_done) */
void strbuf_reset(struct strbuf *s);	/* empty again, error forgotten, memory kept */

void strbuf_add(struct strbuf *s, const void *data, size_t len);
void strbuf_addstr(struct strbuf *s, const char *text);
void strbuf_addch(struct strbuf *s, char c);
void strbuf_addf(struct strbuf *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void strbuf_vaddf(struct strbuf *s, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));

int strbuf_err(const struct strbuf *s);	/* 0 or the first error */
const char *strbuf_str(const struct strbuf *s);	/* the text; "" when empty or after an error */
/* Hands the text over (free() it); the strbuf is empty afterwards. ret_len may be NULL. Errors as strbuf_err(). */
int strbuf_take(struct strbuf *s, char **ret_text, size_t *ret_len);

#endif
