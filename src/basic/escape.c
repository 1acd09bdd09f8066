#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "basic/escape.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"

static bool
is_unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	    c == '_' || c == '~';
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
percent_decode(const char *text, size_t len, char **ret_text)
{
	scoped(free_ptr) char *copy = malloc(len + 1);
	size_t n = 0;

	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '%') {
			int high = len - i > 2 ? hex_value(text[i + 1]) : -1;
			int low = len - i > 2 ? hex_value(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -EINVAL;
			c = (unsigned char)(high * 16 + low);
			i += 2;
		}
		if (c == '\0')
			return -EINVAL;
		copy[n++] = (char)c;
	}
	copy[n] = '\0';
	*ret_text = take_ptr(copy);
	return 0;
}

static void
add_escaped(struct strbuf *s, unsigned char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char escape[3] = { '%', digits[c >> 4], digits[c & 15] };

	strbuf_add(s, escape, sizeof escape);
}

void
percent_encode(struct strbuf *s, const char *text)
{
	while (*text) {
		size_t n = 0;

		while (is_unreserved((unsigned char)text[n]))
			n++;
		strbuf_add(s, text, n);
		text += n;
		if (*text)
			add_escaped(s, (unsigned char)*text++);
	}
}

int
name_encode(const char *text, char ret_name[256])
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(255);

	if (!*text)
		return -EINVAL;
	if (*text == '.')	/* neither "." nor ".." nor a hidden file */
		add_escaped(&s, (unsigned char)*text++);
	percent_encode(&s, text);
	if (strbuf_err(&s) < 0)
		return strbuf_err(&s) == -EFBIG ? -ENAMETOOLONG : strbuf_err(&s);
	memcpy(ret_name, s.buf, s.len + 1);
	return 0;
}

int
name_decode(const char *name, char **ret_text)
{
	scoped(free_ptr) char *text = NULL;
	char again[256] = { 0 };
	int r = percent_decode(name, strlen(name), &text);

	if (r < 0)
		return r;
	r = name_encode(text, again);
	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	if (strcmp(again, name) != 0)
		return -EINVAL;
	*ret_text = take_ptr(text);
	return 0;
}
