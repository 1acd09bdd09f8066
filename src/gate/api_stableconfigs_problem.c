#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "basic/json.h"
#include "gate/api_stableconfigs_problem.h"
#include "gate/number.h"

/* A place in a text that json_scan accepted: what follows needs to look for types, not for errors. */
struct cursor {
	const char *p, *end;
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
add_utf8(struct strbuf *s, uint32_t c)
{
	char b[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n; i-- > 1; c >>= 6)
		b[i] = (char)(0x80 | (c & 0x3f));
	b[0] = (char)(lead[n] | c);
	strbuf_add(s, b, n);
}

/* One escape, behind its backslash. A line feed is a blank to the language like any other, and would end the line. false: NUL. */
static bool
add_escape(struct strbuf *s, struct cursor *c)
{
	uint32_t code;

	switch (*c->p++) {
	case 'b':
		strbuf_addch(s, '\b');
		return true;
	case 'f':
		strbuf_addch(s, '\f');
		return true;
	case 'n':
		strbuf_addch(s, ' ');
		return true;
	case 'r':
		strbuf_addch(s, '\r');
		return true;
	case 't':
		strbuf_addch(s, '\t');
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
		add_utf8(s, code == '\n' ? ' ' : code);
		return true;
	default:	/* quotation mark, backslash, slash */
		strbuf_addch(s, c->p[-1]);
		return true;
	}
}

static bool
add_string(struct strbuf *s, struct cursor *c)
{
	c->p++;
	for (;;) {
		const char *begin = c->p;

		while (*c->p != '"' && *c->p != '\\')
			c->p++;
		strbuf_add(s, begin, (size_t)(c->p - begin));
		if (*c->p++ == '"')
			return true;
		if (!add_escape(s, c))
			return false;
	}
}

enum lines { LINES_OK, LINES_TYPE, LINES_NUL };

/* [["a","b"],["c"]] to "a b\nc\n". */
static enum lines
add_lines(struct strbuf *s, const char *text, size_t len, bool *ret_any)
{
	struct cursor c = { text, text + len };

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
				strbuf_addch(s, ' ');
			first = false;
			if (!add_string(s, &c))
				return LINES_NUL;
		}
		c.p++;
		strbuf_addch(s, '\n');
	}
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

int
problem_parse(const char *text, size_t len, struct problem *ret, const char **ret_why)
{
	struct cursor top = { text, text + len };
	const char *value = NULL;
	size_t n = 0;
	enum lines l;
	bool any = false;
	int r;

	*ret = (struct problem){ .monomers = STRBUF_INIT(len), .constraints = STRBUF_INIT(len), .gen = "1", .init_k = "1" };
	r = json_scan(text, len, JSON_DEPTH_MAX, NULL);
	if (r < 0)
		return refuse(ret_why, r == -E2BIG ? "The body is nested too deeply." : "The body is not valid JSON.");
	if (next_token(&top) != '{')
		return refuse(ret_why, "The body must be a JSON object.");
	if (json_member_text(text, len, "monomers", &value, &n) < 0)
		return refuse(ret_why, "The member monomers is missing.");
	l = add_lines(&ret->monomers, value, n, &any);
	if (l != LINES_OK)
		return refuse(ret_why, l == LINES_NUL ? "The member monomers holds a NUL." :
		    "The member monomers must be an array of arrays of strings.");
	if (json_member_text(text, len, "constraints", &value, &n) == 0) {
		l = add_lines(&ret->constraints, value, n, &ret->has_constraints);
		if (l != LINES_OK)
			return refuse(ret_why, l == LINES_NUL ? "The member constraints holds a NUL." :
			    "The member constraints must be an array of arrays of strings.");
	}
	if (json_member_text(text, len, "gen", &value, &n) == 0 && !take_number(value, n, ret->gen))
		return refuse(ret_why, "The member gen is too long.");
	if (json_member_text(text, len, "init_k", &value, &n) == 0 && !take_number(value, n, ret->init_k))
		return refuse(ret_why, "The member init_k is too long.");
	r = strbuf_err(&ret->monomers);
	return r < 0 ? r : strbuf_err(&ret->constraints);
}

void
problem_done(struct problem *p)
{
	strbuf_done(&p->monomers);
	strbuf_done(&p->constraints);
}
