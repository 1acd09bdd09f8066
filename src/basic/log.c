#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "basic/json.h"
#include "basic/log.h"

enum { LINE_MAX_BYTES = 2000 };	/* under PIPE_BUF, so that a line never mixes with another one's */

/* Set once by log_init, before there are threads. */
static const char *log_program;
static int log_max_priority = LOG_INFO;
static bool log_terminal;

void
log_init(const char *program, int max_priority)
{
	log_program = program;
	log_max_priority = max_priority;
	log_terminal = isatty(STDERR_FILENO) == 1;
}

/* A line cut in a character, or bytes that are no text, would make journald call the whole line a blob. */
static void
clean(char *text, size_t len)
{
	bool valid = utf8_valid(text, len) == 1;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !valid))
			text[i] = '?';
	}
}

void
log_line(int priority, const char *format, ...)
{
	char line[LINE_MAX_BYTES + 1];
	size_t len = 0;
	int saved = errno, n = 0;
	va_list ap;

	if (LOG_PRI(priority) > log_max_priority)
		return;
	if (!log_terminal)
		n = snprintf(line, sizeof line, "<%d>", LOG_PRI(priority));
	else if (log_program)
		n = snprintf(line, sizeof line, "%.64s: ", log_program);
	len = n > 0 ? (size_t)n : 0;
	va_start(ap, format);
	n = vsnprintf(line + len, sizeof line - len, format, ap);
	va_end(ap);
	if (n > 0)
		len += (size_t)n;
	if (len > LINE_MAX_BYTES - 1) {
		len = LINE_MAX_BYTES - 1;
		while (len > 0 && ((unsigned char)line[len] & 0xc0) == 0x80)	/* not within a character */
			len--;
	}
	clean(line, len);
	line[len++] = '\n';
	while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
		;
	errno = saved;
}
