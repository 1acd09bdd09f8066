#include <config.h>	/* in angle brackets: config/config.h is another */

#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "basic/scoped.h"
#include "config/ini_file.h"

struct reader {
	FILE *file;
	const char *shown_path;
	struct faults *faults;
	char *line;
	size_t line_size;
	unsigned number;	/* of the line that libinih has now, from 1 */
	bool continues;	/* that line is indented */
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

/* libinih's fgets: one line, whole or (with a fault) as an empty one. */
static char *
read_line(char *buf, int size, void *stream)
{
	struct reader *r = stream;
	ssize_t n = getline(&r->line, &r->line_size, r->file);
	size_t len;

	if (n < 0)
		return NULL;
	len = (size_t)n;
	r->number++;
	if (len > 0 && r->line[len - 1] == '\n')
		len--;
	if (len > 0 && r->line[len - 1] == '\r')
		len--;
	if (memchr(r->line, '\0', len)) {
		faults_add(r->faults, r->shown_path, r->number, "the line has a NUL byte");
		len = 0;
	} else if (len + 2 > (size_t)size) {
		faults_add(r->faults, r->shown_path, r->number, "the line is longer than %d bytes", size - 2);
		len = 0;
	}
	memcpy(buf, r->line, len);
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
		faults_add(faults, shown_path, (unsigned)error_line,
		    "neither a [section], a \"key = value\" nor a comment");
	return error_line == -2 ? -ENOMEM : 0;
}
