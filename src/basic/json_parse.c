/* From a text that json_scan accepted to json-c's tree. json-c's own parser makes U+FFFD of the escapes of one character in
 * sixty-four beyond the BMP (0.16; those whose low surrogate it mistakes for a lone one), and the nearest 64 bits of a large
 * integer. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "basic/json.h"
#include "basic/json_scan.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"

/* The text is known to be valid, so nothing but memory can fail and no bound needs a look before the last bracket. */
struct builder {
	const unsigned char *text;
	size_t len;
	size_t pos;
	struct strbuf name;	/* of the member that is being read */
	struct strbuf scratch;	/* a string with escapes, or a number with a NUL behind it */
	json_object *open[JSON_DEPTH_MAX];	/* borrowed: each is a part of the one before */
	unsigned depth;
	json_object *root;
};

static void
builder_done(struct builder *b)
{
	strbuf_done(&b->name);
	strbuf_done(&b->scratch);
	put_json(&b->root);
}

/* Behind blanks, commas and colons: all that separates the tokens of a valid text. */
static int
next_token(struct builder *b)
{
	while (b->pos < b->len && strchr(" \t\r\n,:", b->text[b->pos]))
		b->pos++;
	return b->pos < b->len ? b->text[b->pos] : -1;
}

static void
add_utf8(struct strbuf *s, unsigned c)
{
	if (c < 0x80) {
		strbuf_addch(s, (char)c);
		return;
	}
	if (c < 0x800)
		strbuf_addch(s, (char)(0xc0 | c >> 6));
	else {
		if (c < 0x10000)
			strbuf_addch(s, (char)(0xe0 | c >> 12));
		else {
			strbuf_addch(s, (char)(0xf0 | c >> 18));
			strbuf_addch(s, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		strbuf_addch(s, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	strbuf_addch(s, (char)(0x80 | (c & 0x3f)));
}

/* Reads the string literal at the position into s. */
static int
read_string(struct builder *b, struct strbuf *s)
{
	const unsigned char *p = b->text;
	size_t i = b->pos + 1;

	strbuf_reset(s);
	while (p[i] != '"') {
		size_t from = i, n = 0;

		while (p[i] != '"' && p[i] != '\\')
			i++;
		strbuf_add(s, p + from, i - from);
		if (p[i] == '\\') {
			int c = json_read_escape(p + i, b->len - i, &n);

			assert(c >= 0);
			add_utf8(s, (unsigned)c);
			i += n;
		}
	}
	strbuf_add(s, "", 0);	/* for the NUL behind an empty one */
	b->pos = i + 1;
	return strbuf_err(s);
}

/* An integer of 64 bits as such, any other number as a double that remembers how it was written. */
static json_object *
new_number(const char *text)
{
	char *end = NULL;

	if (!strpbrk(text, ".eE")) {
		long long n = 0;
		unsigned long long u = 0;

		errno = 0;
		n = strtoll(text, &end, 10);
		if (errno == 0)
			return json_object_new_int64(n);
		errno = 0;
		u = strtoull(text, &end, 10);
		if (errno == 0 && *text != '-')
			return json_object_new_uint64(u);
	}
	return json_object_new_double_s(strtod(text, &end), text);	/* our programs never leave the C locale */
}

static int
read_number(struct builder *b, json_object **ret)
{
	size_t from = b->pos;

	while (b->pos < b->len && b->text[b->pos] && strchr("+-.0123456789Ee", b->text[b->pos]))
		b->pos++;
	strbuf_reset(&b->scratch);
	strbuf_add(&b->scratch, b->text + from, b->pos - from);
	if (strbuf_err(&b->scratch) < 0)
		return strbuf_err(&b->scratch);
	*ret = new_number(b->scratch.buf);
	return *ret ? 0 : -ENOMEM;
}

/* Reads a value, of an array or object its bracket alone. *ret is NULL for null. */
static int
read_value(struct builder *b, json_object **ret)
{
	int c = next_token(b), r = 0;

	switch (c) {
	case '{':
	case '[':
		b->pos++;
		*ret = c == '{' ? json_object_new_object() : json_object_new_array();
		break;
	case '"':
		r = read_string(b, &b->scratch);
		if (r < 0)
			return r;
		*ret = json_object_new_string_len(b->scratch.buf, (int)b->scratch.len);
		break;
	case 't':
	case 'f':
		b->pos += c == 't' ? strlen("true") : strlen("false");
		*ret = json_object_new_boolean(c == 't');
		break;
	case 'n':
		b->pos += strlen("null");
		*ret = NULL;
		return 0;
	default:
		return read_number(b, ret);
	}
	return *ret ? 0 : -ENOMEM;
}

/* Puts val, which it owns from here on, where it belongs. */
static int
attach(struct builder *b, json_object *val)
{
	json_object *in = b->depth > 0 ? b->open[b->depth - 1] : NULL;
	int r = 0;

	if (!in)
		b->root = val;
	else if (json_object_is_type(in, json_type_object))
		r = json_object_object_add(in, b->name.buf, val);
	else
		r = json_object_array_add(in, val);
	if (r < 0) {
		json_object_put(val);
		return -ENOMEM;
	}
	return 0;
}

static int
build(struct builder *b)
{
	do {
		json_object *val = NULL;
		int c = next_token(b), r = 0;

		if (c == ']' || c == '}') {
			b->pos++;
			b->depth--;
			continue;
		}
		if (b->depth > 0 && json_object_is_type(b->open[b->depth - 1], json_type_object)) {
			r = read_string(b, &b->name);
			if (r < 0)
				return r;
			if (strlen(b->name.buf) != b->name.len)
				return -EBADMSG;	/* json-c's names are C strings */
		}
		r = read_value(b, &val);
		if (r >= 0)
			r = attach(b, val);
		if (r < 0)
			return r;
		if (json_object_is_type(val, json_type_object) || json_object_is_type(val, json_type_array))
			b->open[b->depth++] = val;
	} while (b->depth > 0);
	return 0;
}

int
json_parse(const char *text, size_t len, json_object **ret)
{
	scoped(builder_done) struct builder b = {
		.text = (const unsigned char *)text, .len = len,
		.name = STRBUF_INIT(SIZE_MAX), .scratch = STRBUF_INIT(SIZE_MAX),
	};
	int r = json_scan(text, len, JSON_DEPTH_MAX, NULL);

	if (r < 0)
		return r;
	if (len > INT_MAX)	/* json-c's lengths are int */
		return -EBADMSG;
	r = build(&b);
	if (r < 0)
		return r;
	*ret = take_ptr(b.root);
	return 0;
}
