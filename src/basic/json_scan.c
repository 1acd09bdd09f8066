/* The text of JSON: what is valid, where a member stands, how a string is written. json_parse.c and json.c have the trees. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "basic/json.h"
#include "basic/json_scan.h"
#include "basic/strbuf.h"

/* What a byte does inside a string. */
enum byte_class { PLAIN, QUOTE, ESCAPE, CONTROL, BEYOND_ASCII };

#define P4 PLAIN, PLAIN, PLAIN, PLAIN
#define P16 P4, P4, P4, P4
#define C4 CONTROL, CONTROL, CONTROL, CONTROL
#define C16 C4, C4, C4, C4
#define U4 BEYOND_ASCII, BEYOND_ASCII, BEYOND_ASCII, BEYOND_ASCII
#define U16 U4, U4, U4, U4
static const unsigned char byte_class[256] = {
	C16, C16,	/* 0x00 */
	PLAIN, PLAIN, QUOTE, PLAIN, P4, P4, P4, P16,	/* 0x20 */
	P16, P4, P4, P4, ESCAPE, PLAIN, PLAIN, PLAIN,	/* 0x40 */
	P16, P16,	/* 0x60 */
	U16, U16, U16, U16, U16, U16, U16, U16,	/* 0x80 */
};

/* The length of the UTF-8 sequence (two to four bytes) at p, 0 if it is none: RFC 3629 section 4. */
static size_t
utf8_sequence(const unsigned char *p, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n = 0;

	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	if (n == 0 || left < n)
		return 0;
	switch (p[0]) {
	case 0xe0: low = 0xa0; break;	/* below: overlong */
	case 0xed: high = 0x9f; break;	/* above: surrogates */
	case 0xf0: low = 0x90; break;	/* below: overlong */
	case 0xf4: high = 0x8f; break;	/* above: beyond U+10FFFF */
	default: break;
	}
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

int
utf8_valid(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0; i < len;) {
		size_t n = p[i] < 0x80 ? 1 : utf8_sequence(p + i, len - i);

		if (n == 0)
			return 0;
		i += n;
	}
	return 1;
}

struct scan {
	const unsigned char *text;
	size_t len;
	size_t pos;	/* after an error: of the byte that is wrong, or len */
};

static void
skip_blanks(struct scan *s)
{
	while (s->pos < s->len) {
		unsigned char c = s->text[s->pos];

		if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
			break;
		s->pos++;
	}
}

/* The byte at the position, or -1 at the end. */
static int
peek(const struct scan *s)
{
	return s->pos < s->len ? s->text[s->pos] : -1;
}

static bool
is_digit(int c)
{
	return c >= '0' && c <= '9';
}

/* Four hex digits at p, or -1. */
static int
hex4(const unsigned char *p, size_t left)
{
	int value = 0;

	if (left < 4)
		return -1;
	for (size_t i = 0; i < 4; i++) {
		int c = p[i] | 0x20;	/* lower case; digits have that bit already */

		if (is_digit(p[i]))
			value = value * 16 + (p[i] - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (c - 'a' + 10);
		else
			return -1;
	}
	return value;
}

int
json_read_escape(const unsigned char *p, size_t left, size_t *ret_len)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	int c = left > 1 ? p[1] : 0, low = 0;
	const char *at = NULL;

	if (c == 0)
		return -1;
	*ret_len = 2;
	at = strchr(names, c);
	if (at)
		return values[at - names];
	if (c != 'u')
		return -1;
	c = hex4(p + 2, left - 2);
	*ret_len = 6;
	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c > 0xdbff || left < 12 || p[6] != '\\' || p[7] != 'u')
		return -1;
	low = hex4(p + 8, 4);
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	*ret_len = 12;
	return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

static int
scan_string(struct scan *s)
{
	size_t i = s->pos + 1, n = 0;

	if (peek(s) != '"')
		return -EBADMSG;
	for (;;) {
		while (i < s->len && byte_class[s->text[i]] == PLAIN)
			i++;
		s->pos = i;
		if (i == s->len)
			return -EBADMSG;
		switch (byte_class[s->text[i]]) {
		case QUOTE:
			s->pos = i + 1;
			return 0;
		case ESCAPE:
			if (json_read_escape(s->text + i, s->len - i, &n) < 0)
				return -EBADMSG;
			i += n;
			break;
		case BEYOND_ASCII:
			n = utf8_sequence(s->text + i, s->len - i);
			if (n == 0)
				return -EBADMSG;
			i += n;
			break;
		default:
			return -EBADMSG;
		}
	}
}

static int
scan_digits(struct scan *s)
{
	if (!is_digit(peek(s)))
		return -EBADMSG;
	while (is_digit(peek(s)))
		s->pos++;
	return 0;
}

static int
scan_number(struct scan *s)
{
	int r = 0;

	if (peek(s) == '-')
		s->pos++;
	if (peek(s) == '0')
		s->pos++;
	else
		r = scan_digits(s);
	if (r == 0 && peek(s) == '.') {
		s->pos++;
		r = scan_digits(s);
	}
	if (r == 0 && (peek(s) == 'e' || peek(s) == 'E')) {
		s->pos++;
		if (peek(s) == '+' || peek(s) == '-')
			s->pos++;
		r = scan_digits(s);
	}
	return r;
}

static int
scan_word(struct scan *s, const char *word)
{
	for (; *word; word++, s->pos++)
		if (peek(s) != *word)
			return -EBADMSG;
	return 0;
}

/* A value that is no array and no object. */
static int
scan_scalar(struct scan *s)
{
	switch (peek(s)) {
	case '"': return scan_string(s);
	case 't': return scan_word(s, "true");
	case 'f': return scan_word(s, "false");
	case 'n': return scan_word(s, "null");
	default: return scan_number(s);
	}
}

/* A member's name and the colon behind it. */
static int
scan_name(struct scan *s)
{
	int r = scan_string(s);

	if (r < 0)
		return r;
	skip_blanks(s);
	if (peek(s) != ':')
		return -EBADMSG;
	s->pos++;
	return 0;
}

/* What is open around the position: one bit per level, set for an object. */
struct nesting {
	unsigned char object[JSON_SCAN_DEPTH_LIMIT / 8];
	unsigned depth;
};

static void
push(struct nesting *n, bool object)
{
	unsigned char bit = (unsigned char)(1U << n->depth % 8);

	if (object)
		n->object[n->depth / 8] |= bit;
	else
		n->object[n->depth / 8] &= (unsigned char)~bit;
	n->depth++;
}

static bool
in_object(const struct nesting *n)
{
	unsigned level = n->depth - 1;

	return (n->object[level / 8] >> level % 8 & 1) != 0;
}

/* The bracket that opens a value, if one does. 1: it was opened and is not empty, so a value follows; 0: a whole value has
 * been read. */
static int
scan_opening(struct scan *s, struct nesting *n, unsigned depth_max)
{
	int c = peek(s);

	if (c != '{' && c != '[')
		return scan_scalar(s);
	if (n->depth >= depth_max)
		return -E2BIG;
	s->pos++;
	skip_blanks(s);
	if (peek(s) == (c == '{' ? '}' : ']')) {
		s->pos++;
		return 0;
	}
	push(n, c == '{');
	if (c == '{') {
		int r = scan_name(s);

		if (r < 0)
			return r;
	}
	return 1;
}

/* Behind a value: closes what ends here. 1: a comma, so another value follows; 0: nothing is open any more. */
static int
scan_closing(struct scan *s, struct nesting *n)
{
	while (n->depth > 0) {
		bool object = in_object(n);
		int c = 0;

		skip_blanks(s);
		c = peek(s);
		if (c == ',') {
			s->pos++;
			if (!object)
				return 1;
			skip_blanks(s);
			c = scan_name(s);
			return c < 0 ? c : 1;
		}
		if (c != (object ? '}' : ']'))
			return -EBADMSG;
		s->pos++;
		n->depth--;
	}
	return 0;
}

/* One value, however deep, without recursion. */
static int
scan_value(struct scan *s, unsigned depth_max)
{
	struct nesting n = { .depth = 0 };
	int r = 0;

	if (depth_max > JSON_SCAN_DEPTH_LIMIT)
		depth_max = JSON_SCAN_DEPTH_LIMIT;
	do {
		skip_blanks(s);
		r = scan_opening(s, &n, depth_max);
		if (r == 0)
			r = scan_closing(s, &n);
	} while (r > 0);
	return r;
}

/* One value and nothing behind it. */
static int
scan_text(struct scan *s, unsigned depth_max)
{
	int r = scan_value(s, depth_max);

	if (r < 0)
		return r;
	skip_blanks(s);
	return s->pos < s->len ? -EBADMSG : 0;
}

int
json_scan(const char *text, size_t len, unsigned depth_max, size_t *ret_offset)
{
	struct scan s = { .text = (const unsigned char *)text, .len = len };
	int r = scan_text(&s, depth_max);

	if (r < 0 && ret_offset)
		*ret_offset = s.pos;
	return r;
}

/* Whether the string literal at p (len bytes with its quotes, and valid) is this ASCII name. */
static bool
literal_equals(const unsigned char *p, size_t len, const char *name)
{
	size_t i = 1, n = 1;

	for (; i < len - 1; i += n, name++) {
		int c = p[i];

		n = 1;
		if (c == '\\')
			c = json_read_escape(p + i, len - 1 - i, &n);
		if (*name == '\0' || c != (unsigned char)*name)
			return false;
	}
	return *name == '\0';
}

int
json_member_text(const char *text, size_t len, const char *name, const char **ret_value, size_t *ret_len)
{
	struct scan s = { .text = (const unsigned char *)text, .len = len };
	size_t found = 0, found_len = 0;

	skip_blanks(&s);
	if (peek(&s) != '{')
		return -ENOENT;
	for (;;) {
		size_t literal = 0, literal_len = 0, value = 0;

		s.pos++;	/* the brace, or a comma */
		skip_blanks(&s);
		if (peek(&s) == '}')
			break;
		literal = s.pos;
		if (scan_string(&s) < 0)
			return -ENOENT;
		literal_len = s.pos - literal;
		skip_blanks(&s);
		s.pos++;	/* the colon */
		skip_blanks(&s);
		value = s.pos;
		if (scan_value(&s, JSON_SCAN_DEPTH_LIMIT) < 0)
			return -ENOENT;
		if (literal_equals(s.text + literal, literal_len, name)) {
			found = value;
			found_len = s.pos - value;
		}
		skip_blanks(&s);
		if (peek(&s) != ',')
			break;
	}
	if (found_len == 0)
		return -ENOENT;
	*ret_value = text + found;
	*ret_len = found_len;
	return 0;
}

/* The character of a valid sequence of n bytes. */
static unsigned
decode(const unsigned char *p, size_t n)
{
	unsigned c = p[0] & (0xffU >> (n + 1));

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3fU);
	return c;
}

static void
add_unicode_escape(struct strbuf *s, unsigned c)
{
	if (c > 0xffff) {
		c -= 0x10000;
		strbuf_addf(s, "\\u%04x\\u%04x", 0xd800 + (c >> 10), 0xdc00 + (c & 0x3ff));
	} else
		strbuf_addf(s, "\\u%04x", c);
}

static void
add_ascii_escape(struct strbuf *s, unsigned char c)
{
	static const char values[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
	const char *at = c ? strchr(values, c) : NULL;

	if (at) {
		strbuf_addch(s, '\\');
		strbuf_addch(s, names[at - values]);
	} else
		add_unicode_escape(s, c);
}

void
json_quote(struct strbuf *s, const char *text, size_t len, bool ascii)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t i = 0;

	if (s->err == 0 && !utf8_valid(text, len))
		s->err = -EBADMSG;
	strbuf_addch(s, '"');
	while (i < len && s->err == 0) {
		size_t from = i, n = 0;

		while (i < len && (byte_class[p[i]] == PLAIN || (byte_class[p[i]] == BEYOND_ASCII && !ascii)) &&
		    !(ascii && p[i] == 0x7f))	/* json.dumps escapes DEL, but only then */
			i++;
		strbuf_add(s, text + from, i - from);
		if (i == len)
			break;
		if (p[i] < 0x80) {
			add_ascii_escape(s, p[i++]);
			continue;
		}
		n = utf8_sequence(p + i, len - i);
		add_unicode_escape(s, decode(p + i, n));
		i += n;
	}
	strbuf_addch(s, '"');
}

void
utf8_add(struct strbuf *s, const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = 1;

		while (n < 4 && i + n < len && !utf8_valid(text + i, n))
			n++;
		if (utf8_valid(text + i, n)) {
			strbuf_add(s, text + i, n);
			i += n;
		} else {
			strbuf_addstr(s, "\xef\xbf\xbd");
			i++;
		}
	}
}
