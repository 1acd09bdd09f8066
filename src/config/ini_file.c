#include <config.h>	/* in angle brackets: config/config.h is another */

#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "config/ini_file.h"

enum { SECTION_MAX = 49 };	/* libinih cuts a longer name without a word */

struct reader {
	FILE *file;
	const char *shown_path;
	struct faults *faults;
	char *line;
	size_t line_size;
	unsigned number;	/* of the line that libinih has now, from 1 */
	bool continues;	/* that line is indented */
	bool passed_over;	/* this section's header was a fault: its values belong nowhere */
	bool has_key;	/* a value of this section came before: an indented line goes on with it */
	char last[256];	/* section, a newline and key of the value before */
	void (*f)(const char *section, const char *key, const char *value, unsigned line, bool first, void *ctx);
	void *ctx;
};

static void
close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

/* "[name]" or "[name] ; comment". Tells the caller of the section, which libinih keeps to itself until a value comes. */
static const char *
check_section(struct reader *r, const char *start)
{
	char name[SECTION_MAX + 1] = "";
	size_t len = strcspn(start + 1, "]");

	r->passed_over = true;
	if (start[1 + len] != ']')
		return "a [section] without its ]";
	if (len > SECTION_MAX)
		return "the section's name is longer than 49 bytes";
	memcpy(name, start + 1, len);
	r->has_key = false;
	r->passed_over = false;
	r->f(name, NULL, "", r->number, true, r->ctx);
	return NULL;
}

/* What libinih would cut, join or pass over without a word, or report for the first such line only. NULL: nothing. */
static const char *
check_line(struct reader *r, const char *text, size_t len, size_t room)
{
	const char *start = text + strspn(text, " \t");

	if (memchr(text, '\0', len))
		return "the line has a NUL byte";
	if (len > room)
		return "the line is longer than 198 bytes";
	if (utf8_valid(text, len) == 0)
		return "the line is not UTF-8";
	if (*start == '\0' || *start == ';' || *start == '#')
		return NULL;
	if (start > text && r->has_key)
		return NULL;
	if (*start == '[')
		return check_section(r, start);
	if (start[strcspn(start, "=:")] == '\0')
		return "neither a [section], a \"key = value\" nor a comment";
	r->has_key = true;
	return NULL;
}

/* libinih's fgets: one line, whole or (with a fault) as an empty one. */
static char *
read_line(char *buf, int size, void *stream)
{
	struct reader *r = stream;
	ssize_t n = getline(&r->line, &r->line_size, r->file);
	const char *fault;
	char *text = r->line;
	size_t len;

	if (n < 0)
		return NULL;
	len = (size_t)n;
	r->number++;
	if (r->number == 1 && len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {	/* what some editors begin a file with */
		text += 3;
		len -= 3;
	}
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > 0 && text[len - 1] == '\r')
		len--;
	text[len] = '\0';
	fault = check_line(r, text, len, (size_t)size - 2);
	if (fault) {
		faults_add(r->faults, r->shown_path, r->number, "%s", fault);
		len = 0;
	}
	memcpy(buf, text, len);
	memcpy(buf + len, "\n", 2);
	r->continues = len > 0 && (buf[0] == ' ' || buf[0] == '\t');
	return buf;
}

static int
on_value(void *user, const char *section, const char *key, const char *value)
{
	struct reader *r = user;
	char now[sizeof r->last];
	bool first;

	/* An indented line goes on with the value before, unless it is the first of its section. */
	(void)snprintf(now, sizeof now, "%s\n%s", section, key);
	first = !r->continues || strcmp(now, r->last) != 0;
	memcpy(r->last, now, sizeof now);
	if (!r->passed_over)
		r->f(section, key, value ? value : "", r->number, first, r->ctx);
	return 1;
}

int
ini_file_read(int dir_fd, const char *name, const char *shown_path, struct faults *faults,
    void (*f)(const char *section, const char *key, const char *value, unsigned line, bool first, void *ctx), void *ctx)
{
	scoped(close_fd) int fd = -EBADF;
	scoped(close_file) FILE *file = NULL;
	scoped(free_ptr) char *line = NULL;
	struct reader r = { .shown_path = shown_path, .faults = faults, .f = f, .ctx = ctx };
	struct stat st;
	int error_line, err;

	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err = errno;
		faults_add(faults, shown_path, 0, "%s", strerror(err));
		return -err;
	}
	if (!S_ISREG(st.st_mode)) {
		faults_add(faults, shown_path, 0, "not a regular file");
		return -EINVAL;
	}
	file = fdopen(fd, "r");
	if (!file)
		return -errno;
	(void)take_fd(fd);
	r.file = file;
	error_line = ini_parse_stream(read_line, &r, on_value, &r);
	line = r.line;
	if (ferror(file)) {
		faults_add(faults, shown_path, r.number, "cannot be read on");
		return -EIO;
	}
	if (error_line > 0)
		faults_add(faults, shown_path, (unsigned)error_line, "libinih cannot read this line");
	return error_line == -2 ? -ENOMEM : 0;
}
