#include "config.h"

#include <string.h>

#include "tbn/text.h"

bool
slice_equal(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
slice_is(struct slice a, const char *text)
{
	return slice_equal(a, (struct slice){ text, strlen(text) });
}

size_t
utf8_decode(const char *p, const char *end, uint32_t *ret_code)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char lead = (unsigned char)*p;
	uint32_t code;
	size_t len;

	if (lead < 0x80) {
		*ret_code = lead;
		return 1;
	}
	if (lead >= 0xc2 && lead <= 0xdf) {
		len = 2;
		code = lead & 0x1fu;
	} else if (lead >= 0xe0 && lead <= 0xef) {
		len = 3;
		code = lead & 0x0fu;
	} else if (lead >= 0xf0 && lead <= 0xf4) {
		len = 4;
		code = lead & 0x07u;
	} else {
		return 0;
	}
	if ((size_t)(end - p) < len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		unsigned char c = (unsigned char)p[i];

		if ((c & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (c & 0x3fu);
	}
	if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return len;
}

size_t
utf8_bad_line(struct slice text)
{
	const char *p = text.p, *end = text.p + text.n;
	size_t line = 1;

	while (p < end) {
		uint32_t code = 0;
		size_t len = utf8_decode(p, end, &code);

		if (len == 0)
			return line;
		if (code == '\n')
			line++;
		p += len;
	}
	return 0;
}

bool
next_line(struct slice *text, struct slice *ret_line)
{
	const char *newline;
	size_t len, taken;

	if (text->n == 0)
		return false;
	newline = memchr(text->p, '\n', text->n);
	len = newline ? (size_t)(newline - text->p) : text->n;
	taken = newline ? len + 1 : len;
	*ret_line = (struct slice){ text->p, len };
	text->p += taken;
	text->n -= taken;
	return true;
}

/* Exactly the characters at which str.split() separates; U+200B is none of them. */
static bool
is_space(uint32_t code)
{
	if (code < 0x80)
		return (code >= 0x09 && code <= 0x0d) || (code >= 0x1c && code <= 0x20);
	return code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
	    code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

/* The length of the character at p; a byte that is no UTF-8 counts as one odd letter, so that this always moves on. */
static size_t
step(const char *p, const char *end, bool *ret_space)
{
	uint32_t code = 0;
	size_t len = utf8_decode(p, end, &code);

	*ret_space = len > 0 && is_space(code);
	return len > 0 ? len : 1;
}

bool
next_word(struct slice *line, struct slice *ret_word)
{
	const char *p = line->p, *end = line->p + line->n, *start;
	bool space = false;
	size_t len;

	while (p < end) {
		len = step(p, end, &space);
		if (!space)
			break;
		p += len;
	}
	start = p;
	while (p < end) {
		len = step(p, end, &space);
		if (space)
			break;
		p += len;
	}
	*ret_word = (struct slice){ start, (size_t)(p - start) };
	*line = (struct slice){ p, (size_t)(end - p) };
	return p > start;
}
