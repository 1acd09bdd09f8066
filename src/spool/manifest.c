#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "basic/escape.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "spool/layout.h"
#include "spool/manifest.h"

static const char folder_hash[] = "----------------------------------------------------------------";
enum { HASH_LEN = SHA256_HEX_SIZE - 1, MODE_DIGITS = 4 };

/* Below work/, and nothing that leads out of it or back to it. */
static bool
path_valid(const char *path)
{
	for (const char *part = path;;) {
		size_t len = strcspn(part, "/");

		if (len == 0 || (len == 1 && part[0] == '.') || (len == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		if (part[len] == '\0')
			return true;
		part += len + 1;
	}
}

static int
add_path(struct strbuf *s, const char *path)
{
	scoped(free_ptr) char *copy = strdup(path);
	char *rest = copy;

	if (!copy)
		return -ENOMEM;
	for (char *part = strsep(&rest, "/"); part; part = strsep(&rest, "/")) {
		percent_encode(s, part);
		if (rest)
			strbuf_addch(s, '/');
	}
	return 0;
}

int
manifest_add(struct strbuf *s, const struct manifest_entry *e)
{
	bool folder = e->sha256[0] == '\0';
	int r = 0;

	if (!path_valid(e->path))
		return -EINVAL;
	strbuf_addf(s, "%s %" PRIu64 " %04o ", folder ? folder_hash : e->sha256, folder ? 0 : e->size,
	    (unsigned)e->mode & 07777);
	r = add_path(s, e->path);
	if (r < 0)
		return r;
	strbuf_addstr(s, folder ? "/\n" : "\n");
	return strbuf_err(s);
}

/* A decimal number without sign or leading zeros up to the blank behind it. */
static bool
take_size(const char **p, uint64_t *ret)
{
	size_t digits = strspn(*p, "0123456789");
	char *end = NULL;

	if (digits == 0 || (digits > 1 && **p == '0') || (*p)[digits] != ' ')
		return false;
	errno = 0;
	*ret = strtoull(*p, &end, 10);
	*p = end + 1;
	return errno == 0;
}

/* One line without its newline, as a C string. */
static int
parse_line(const char *line, struct manifest_entry *ret)
{
	const char *p = line;
	bool folder = strncmp(line, folder_hash, HASH_LEN) == 0;
	size_t len = 0;
	int r = 0;

	if (!folder) {
		if (strspn(line, "0123456789abcdef") != HASH_LEN)
			return -EBADMSG;
		memcpy(ret->sha256, line, HASH_LEN);
	}
	if (p[HASH_LEN] != ' ')
		return -EBADMSG;
	p += HASH_LEN + 1;
	if (!take_size(&p, &ret->size) || (folder && ret->size != 0))
		return -EBADMSG;
	if (strspn(p, "01234567") != MODE_DIGITS || p[MODE_DIGITS] != ' ')
		return -EBADMSG;
	ret->mode = (mode_t)strtoul(p, NULL, 8);
	p += MODE_DIGITS + 1;
	len = strlen(p);
	if (folder) {
		if (len < 2 || p[len - 1] != '/')
			return -EBADMSG;
		len--;
	}
	r = percent_decode(p, len, &ret->path);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	return path_valid(ret->path) ? 0 : -EBADMSG;
}

int
manifest_parse(char *text, size_t len, int (*f)(const struct manifest_entry *e, void *ctx), void *ctx)
{
	char *end = text + len;

	for (char *line = text; line < end;) {
		char *newline = memchr(line, '\n', (size_t)(end - line));
		struct manifest_entry e = { 0 };
		int r = 0;

		if (!newline || memchr(line, '\0', (size_t)(newline - line)))
			return -EBADMSG;
		*newline = '\0';
		r = parse_line(line, &e);
		if (r >= 0)
			r = f(&e, ctx);
		free(e.path);
		if (r < 0)
			return r;
		line = newline + 1;
	}
	return 0;
}

int
manifest_each(int job_fd, size_t max, int (*f)(const struct manifest_entry *e, void *ctx), void *ctx)
{
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = read_file_at(job_fd, JOB_MANIFEST, max, &text, &len);

	if (r == -EFBIG)
		return -EBADMSG;
	return r < 0 ? r : manifest_parse(text, len, f, ctx);
}
