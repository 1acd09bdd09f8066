#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/json.h"
#include "gate/api_stan.h"

int
stan_source_begin(struct stan_source *s, const char *salt)
{
	*s = (struct stan_source){ .hash = sha1_new() };
	if (!s->hash)
		return -ENOMEM;
	sha1_add(s->hash, salt, strlen(salt));
	return 0;
}

/* One byte of UTF-8 (RFC 3629 section 4), which may have come in another piece than the one before. */
static void
check_byte(struct stan_source *s, unsigned char c)
{
	if (s->more > 0) {
		s->bad |= c < s->low || c > s->high;
		s->more--;
		s->low = 0x80;
		s->high = 0xbf;
	} else if (c >= 0x80) {
		s->bad |= c < 0xc2 || c > 0xf4;
		s->more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
		s->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
		s->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	}
}

void
stan_source_add(struct stan_source *s, const void *data, size_t len)
{
	const unsigned char *p = data;
	size_t begin = 0;

	for (size_t i = 0; i < len; i++) {
		check_byte(s, p[i]);
		if (p[i] == '\r') {
			sha1_add(s->hash, p + begin, i - begin);
			sha1_add(s->hash, "\n", 1);
			begin = i + 1;
		} else if (p[i] == '\n' && (i > 0 ? p[i - 1] == '\r' : s->after_cr)) {
			begin = i + 1;
		}
	}
	sha1_add(s->hash, p + begin, len - begin);
	if (len > 0)
		s->after_cr = p[len - 1] == '\r';
}

int
stan_source_finish(struct stan_source *s, char ret_id[SHA1_HEX_SIZE])
{
	if (s->bad || s->more > 0)
		return -EINVAL;
	sha1_finish(s->hash, ret_id);
	return 0;
}

void
stan_source_done(struct stan_source *s)
{
	s->hash = sha1_free(s->hash);
}

/* ---- what a compiler says ---- */

static bool
begins(const char *line, size_t len, const char *with)
{
	return len >= strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

/* emmake repeats the command, and make says what failed: neither is about the program. */
static bool
is_noise(const char *line, size_t len)
{
	const char *blank = begins(line, len, "make: ") || begins(line, len, "make[") ? memchr(line, ' ', len) : NULL;
	size_t skip = blank ? (size_t)(blank - line) + 1 : len;

	return begins(line + skip, len - skip, "make ") || begins(line + skip, len - skip, "*** ") ||
	    begins(line + skip, len - skip, "Entering directory") || begins(line + skip, len - skip, "Leaving directory");
}

/* A line without "/job/", which leaves the names of the program's own files. */
static void
add_line(struct strbuf *s, const char *line, size_t len)
{
	static const char folder[] = "/job/";
	size_t n = sizeof folder - 1, begin = 0;

	for (size_t i = 0; i + n <= len; i++)
		if (memcmp(line + i, folder, n) == 0) {
			utf8_add(s, line + begin, i - begin);
			i += n - 1;
			begin = i + 1;
		}
	utf8_add(s, line + begin, len - begin);
}

/* Control bytes but tab and newline would do to a terminal what they like. */
static void
tame(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)text[i] < 0x20 && text[i] != '\t' && text[i] != '\n') || text[i] == 0x7f)
			text[i] = '?';
}

void
stan_clean_text(struct strbuf *ret, const char *text, size_t len)
{
	for (const char *p = text, *end = text + len; p < end;) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t n = newline ? (size_t)(newline - p) + 1 : (size_t)(end - p);

		if (!is_noise(p, n))
			add_line(ret, p, n);
		p += n;
	}
	if (strbuf_err(ret) == 0 && ret->len > 0)
		tame(ret->buf, ret->len);
}
