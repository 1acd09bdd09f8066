#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "basic/json.h"
#include "gate/api_stableconfigs_problem.h"
#include "gate/number.h"

/* A place in a text that json_scan accepted, so that what follows looks for types, not for errors; and the place before it to
 * which the lines are written. Decoding never grows: brackets, quotation marks and commas are at least as many as blanks and
 * line feeds, and an escape is longer than its character. */
struct cursor {
	const char *p, *end;
	char *out;
};

static char
next_token(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
		c->p++;
	return c->p < c->end ? *c->p : '\0';
}

static uint32_t
hex4(const char *p)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++) {
		char c = p[i];

		v = v << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return v;
}

static void
add_char(struct cursor *c, char b)
{
	*c->out++ = b;
}

static void
add_utf8(struct cursor *c, uint32_t code)
{
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; code >>= 6)
		c->out[i] = (char)(0x80 | (code & 0x3f));
	c->out[0] = (char)(lead[n] | code);
	c->out += n;
}

/* One escape, behind its backslash. A line feed is a blank to the language like any other, and would end the line. false: NUL. */
static bool
add_escape(struct cursor *c)
{
	uint32_t code;

	switch (*c->p++) {
	case 'b':
		add_char(c, '\b');
		return true;
	case 'f':
		add_char(c, '\f');
		return true;
	case 'n':
		add_char(c, ' ');
		return true;
	case 'r':
		add_char(c, '\r');
		return true;
	case 't':
		add_char(c, '\t');
		return true;
	case 'u':
		code = hex4(c->p);
		c->p += 4;
		if (code >= 0xd800 && code < 0xdc00) {
			code = 0x10000 + ((code - 0xd800) << 10) + (hex4(c->p + 2) - 0xdc00);
			c->p += 6;
		}
		if (code == 0)
			return false;
		add_utf8(c, code == '\n' ? ' ' : code);
		return true;
	default:	/* quotation mark, backslash, slash */
		add_char(c, c->p[-1]);
		return true;
	}
}

static bool
add_string(struct cursor *c)
{
	c->p++;
	for (;;) {
		size_t n = 0;

		while (c->p[n] != '"' && c->p[n] != '\\')
			n++;
		memmove(c->out, c->p, n);
		c->out += n;
		c->p += n;
		if (*c->p++ == '"')
			return true;
		if (!add_escape(c))
			return false;
	}
}

enum outcome { LINES_OK, LINES_TYPE, LINES_NUL };

/* [["a","b"],["c"]] to "a b\nc\n". */
static enum outcome
take_lines(char *text, size_t len, struct lines *ret, bool *ret_any)
{
	struct cursor c = { text, text + len, text };

	if (next_token(&c) != '[')
		return LINES_TYPE;
	c.p++;
	for (char t; (t = next_token(&c)) != ']';) {
		bool first = true;

		if (t == ',') {
			c.p++;
			continue;
		}
		if (t != '[')
			return LINES_TYPE;
		c.p++;
		*ret_any = true;
		while ((t = next_token(&c)) != ']') {
			if (t == ',') {
				c.p++;
				continue;
			}
			if (t != '"')
				return LINES_TYPE;
			if (!first)
				add_char(&c, ' ');
			first = false;
			if (!add_string(&c))
				return LINES_NUL;
		}
		c.p++;
		add_char(&c, '\n');
	}
	*ret = (struct lines){ text, (size_t)(c.out - text) };
	return LINES_OK;
}

/* false: too long. */
static bool
take_number(const char *text, size_t len, char ret[PROBLEM_NUMBER_SIZE])
{
	static const struct {
		char first;
		const char *text;
	} others[] = {
		{ 't', "1" }, { 'f', "0" }, { 'n', "null" }, { '"', "string" }, { '[', "array" }, { '{', "object" },
	};

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (text[0] == others[i].first) {
			memcpy(ret, others[i].text, strlen(others[i].text) + 1);
			return true;
		}
	return number_from_json(text, len, ret, PROBLEM_NUMBER_SIZE) >= 0;
}

static int
refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EINVAL;
}

/* A member's place in the text, which is the caller's to change. */
static bool
find_member(char *text, size_t len, const char *name, char **ret, size_t *ret_len)
{
	const char *found = NULL;

	if (json_member_text(text, len, name, &found, ret_len) < 0)
		return false;
	*ret = text + (found - text);
	return true;
}

int
problem_parse(char *text, size_t len, struct problem *ret, const char **ret_why)
{
	struct cursor top = { text, text + len, text };
	char *monomers = NULL;
	char *constraints = NULL;
	char *number = NULL;
	size_t n_monomers = 0;
	size_t n_constraints = 0;
	size_t n = 0;
	enum outcome o;
	bool any = false;
	int r = json_scan(text, len, JSON_DEPTH_MAX, NULL);

	*ret = (struct problem){ .gen = "1", .init_k = "1" };
	if (r < 0)
		return refuse(ret_why, r == -E2BIG ? "The body is nested too deeply." : "The body is not valid JSON.");
	if (next_token(&top) != '{')
		return refuse(ret_why, "The body must be a JSON object.");
	/* All members are found before the first is turned into lines. */
	if (!find_member(text, len, "monomers", &monomers, &n_monomers))
		return refuse(ret_why, "The member monomers is missing.");
	(void)find_member(text, len, "constraints", &constraints, &n_constraints);
	if (find_member(text, len, "gen", &number, &n) && !take_number(number, n, ret->gen))
		return refuse(ret_why, "The member gen is too long.");
	if (find_member(text, len, "init_k", &number, &n) && !take_number(number, n, ret->init_k))
		return refuse(ret_why, "The member init_k is too long.");
	o = take_lines(monomers, n_monomers, &ret->monomers, &any);
	if (o != LINES_OK)
		return refuse(ret_why, o == LINES_NUL ? "The member monomers holds a NUL." :
		    "The member monomers must be an array of arrays of strings.");
	o = constraints ? take_lines(constraints, n_constraints, &ret->constraints, &ret->has_constraints) : LINES_OK;
	if (o != LINES_OK)
		return refuse(ret_why, o == LINES_NUL ? "The member constraints holds a NUL." :
		    "The member constraints must be an array of arrays of strings.");
	return 0;
}
