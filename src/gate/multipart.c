#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "gate/multipart.h"

enum { BUFFER = 16 * 1024 };	/* over MULTIPART_HEADERS_MAX and a delimiter */

struct multipart {
	multipart_source *source;
	void *ctx;
	char delimiter[4 + MULTIPART_BOUNDARY_MAX + 1];	/* "\r\n--" and the boundary */
	size_t delimiter_len;
	char buf[BUFFER];
	size_t start, end;	/* what is there of the body */
	bool at_end;	/* the source has no more */
	bool in_part;
};

/* The boundary of RFC 2046, of which browsers and curl use letters, digits and dashes. */
static bool
boundary_valid(const char *text, size_t len)
{
	if (len == 0 || len > MULTIPART_BOUNDARY_MAX || text[len - 1] == ' ')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= 'a' && text[i] <= 'z') ||
		    (text[i] && strchr("'()+_,-./:=? ", text[i]))))
			return false;
	return true;
}

/* Copies the value of a header's parameter, a token or a quoted string: 1, or 0 where there is none. -EINVAL: too long for the
 * place, or malformed. */
static int
header_parameter(const char *header, const char *name, char *ret, size_t size)
{
	const char *p = header + strcspn(header, ";");

	while (*p == ';') {
		size_t n = 0;
		size_t len;
		bool wanted;

		p += 1 + strspn(p + 1, " \t");
		len = strcspn(p, "=;");
		wanted = len == strlen(name) && strncasecmp(p, name, len) == 0;
		p += len;
		if (*p != '=')
			continue;
		p++;
		if (*p == '"') {
			for (p++; *p && *p != '"'; p++) {
				if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
					p++;
				if (wanted && n + 1 >= size)
					return -EINVAL;
				if (wanted)
					ret[n++] = *p;
			}
			if (*p != '"')
				return -EINVAL;
			p++;
			p += strcspn(p, ";");
		} else {
			for (; *p && *p != ';' && *p != ' ' && *p != '\t'; p++) {
				if (wanted && n + 1 >= size)
					return -EINVAL;
				if (wanted)
					ret[n++] = *p;
			}
			p += strcspn(p, ";");
		}
		if (wanted) {
			ret[n] = '\0';
			return 1;
		}
	}
	return 0;
}

int
multipart_new(const char *content_type, multipart_source *source, void *ctx, struct multipart **ret)
{
	static const char type[] = "multipart/form-data";
	char boundary[MULTIPART_BOUNDARY_MAX + 1];
	struct multipart *m = NULL;
	size_t len = 0;

	content_type += strspn(content_type, " \t");
	if (strncasecmp(content_type, type, sizeof type - 1) != 0 || !strchr("; \t", content_type[sizeof type - 1]) ||
	    header_parameter(content_type, "boundary", boundary, sizeof boundary) != 1)
		return -EINVAL;
	len = strlen(boundary);
	if (!boundary_valid(boundary, len))
		return -EINVAL;
	m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	m->source = source;
	m->ctx = ctx;
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary, len + 1);
	m->delimiter_len = 4 + len;
	/* The first delimiter may stand at the body's very beginning: as if a line had ended before it. */
	memcpy(m->buf, "\r\n", 2);
	m->end = 2;
	m->in_part = true;	/* the preamble, which is skipped like a part */
	*ret = m;
	return 0;
}

struct multipart *
multipart_free(struct multipart *m)
{
	free(m);
	return NULL;
}

/* Has at least n bytes at hand; fewer only where the body ends. n is at most BUFFER. */
static int
fill(struct multipart *m, size_t n)
{
	if (m->end - m->start >= n)
		return 0;
	memmove(m->buf, m->buf + m->start, m->end - m->start);
	m->end -= m->start;
	m->start = 0;
	while (m->end < n && !m->at_end) {
		ssize_t got = m->source(m->ctx, m->buf + m->end, sizeof m->buf - m->end);

		if (got < 0)
			return (int)got;
		m->at_end = got == 0;
		m->end += (size_t)got;
	}
	return 0;
}

ssize_t
multipart_read(struct multipart *m, char *buf, size_t len)
{
	const char *from, *found;
	size_t have, take;
	int r;

	if (!m->in_part || len == 0)
		return 0;
	r = fill(m, m->delimiter_len + 1);
	if (r < 0)
		return r;
	from = m->buf + m->start;
	have = m->end - m->start;
	found = memmem(from, have, m->delimiter, m->delimiter_len);
	if (found == from) {
		m->start += m->delimiter_len;
		m->in_part = false;
		return 0;
	}
	if (found)
		take = (size_t)(found - from);
	else if (m->at_end || have < m->delimiter_len)
		return -EBADMSG;
	else
		take = have - (m->delimiter_len - 1);	/* what may be a delimiter's beginning stays */
	if (take > len)
		take = len;
	memcpy(buf, from, take);
	m->start += take;
	return (ssize_t)take;
}

static bool
text_clean(const char *text)
{
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	return utf8_valid(text, strlen(text)) != 0;
}

/* One header line, NUL-terminated. */
static int
take_header(const char *line, struct part *part)
{
	static const char disposition[] = "content-disposition:";
	char file_name[MULTIPART_NAME_MAX + 1];
	int r;

	if (strncasecmp(line, disposition, sizeof disposition - 1) != 0)
		return 0;
	line += sizeof disposition - 1;
	line += strspn(line, " \t");
	if (strncasecmp(line, "form-data", 9) != 0 || !strchr("; \t", line[9]))
		return -EINVAL;
	r = header_parameter(line, "name", part->name, sizeof part->name);
	if (r != 1 || !*part->name || !text_clean(part->name))
		return -EINVAL;
	/* The file's own name is the sender's business and of no use here, however long. */
	part->has_file_name = header_parameter(line, "filename", file_name, sizeof file_name) != 0;
	return 0;
}

/* The headers of a part: lines up to an empty one. */
static int
read_headers(struct multipart *m, struct part *part)
{
	size_t used = 0;

	for (;;) {
		char *line, *stop;
		size_t len;
		int r = fill(m, 2);

		while (r == 0 && !memmem(m->buf + m->start, m->end - m->start, "\r\n", 2)) {
			size_t have = m->end - m->start;

			if (m->at_end)
				return -EBADMSG;
			if (used + have > MULTIPART_HEADERS_MAX)
				return -E2BIG;
			r = fill(m, have + 1);
		}
		if (r < 0)
			return r;
		line = m->buf + m->start;
		stop = memmem(line, m->end - m->start, "\r\n", 2);
		len = (size_t)(stop - line);
		used += len + 2;
		m->start += len + 2;
		if (used > MULTIPART_HEADERS_MAX)
			return -E2BIG;
		if (len == 0)
			return *part->name ? 0 : -EINVAL;
		*stop = '\0';
		if (strlen(line) != len)
			return -EBADMSG;	/* a NUL */
		r = take_header(line, part);
		if (r < 0)
			return r;
	}
}

int
multipart_next(struct multipart *m, struct part *ret)
{
	char skipped[512];
	ssize_t n;
	int r;

	while ((n = multipart_read(m, skipped, sizeof skipped)) > 0)
		;
	if (n < 0)
		return (int)n;
	r = fill(m, 2);
	if (r < 0)
		return r;
	if (m->end - m->start < 2)
		return -EBADMSG;
	if (memcmp(m->buf + m->start, "--", 2) == 0)
		return 0;	/* an epilogue is nobody's */
	for (;;) {	/* blanks may follow a boundary (RFC 2046: transport padding) */
		r = fill(m, 2);
		if (r < 0)
			return r;
		if (m->end - m->start < 2)
			return -EBADMSG;
		if (m->buf[m->start] != ' ' && m->buf[m->start] != '\t')
			break;
		m->start++;
	}
	if (memcmp(m->buf + m->start, "\r\n", 2) != 0)
		return -EBADMSG;
	m->start += 2;
	*ret = (struct part){ .name = "" };
	r = read_headers(m, ret);
	if (r < 0)
		return r;
	m->in_part = true;
	/* The delimiter of an empty part may begin with the line end of its empty header line. */
	r = fill(m, m->delimiter_len - 2);
	if (r < 0)
		return r;
	if (m->end - m->start >= m->delimiter_len - 2 &&
	    memcmp(m->buf + m->start, m->delimiter + 2, m->delimiter_len - 2) == 0) {
		m->start += m->delimiter_len - 2;
		m->in_part = false;
	}
	return 1;
}
