#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/strbuf.h"
#include "tbn/fault.h"

/* A message quotes at most a few whole lines of the input, whose size is bounded itself. */
enum { MESSAGE_MAX = 256 * 1024 * 1024 };

void
fault_done(struct fault *fault)
{
	free(fault->message);
	*fault = (struct fault){ FAULT_NONE, NULL, FAULT_NOWHERE, 0, { NULL, 0 } };
}

static void
add_slice(struct strbuf *s, const struct slice *slice)
{
	size_t done = 0;

	while (done < slice->n) {
		const char *nul = memchr(slice->p + done, '\0', slice->n - done);
		size_t len = nul ? (size_t)(nul - slice->p) - done : slice->n - done;

		strbuf_add(s, slice->p + done, len);
		done += len;
		if (nul) {
			strbuf_addstr(s, "\xef\xbf\xbd");
			done++;
		}
	}
}

int
fault_set(struct fault *fault, enum fault_class class, const char *format, ...)
{
	struct strbuf s = STRBUF_INIT(MESSAGE_MAX);
	const char *p = format;
	va_list ap;

	va_start(ap, format);
	while (*p) {
		size_t plain = strcspn(p, "%");

		strbuf_add(&s, p, plain);
		p += plain;
		if (p[0] == '%' && p[1] == 'v') {
			add_slice(&s, va_arg(ap, const struct slice *));
			p += 2;
		} else if (p[0] == '%' && p[1] == 'd') {
			strbuf_addf(&s, "%d", va_arg(ap, int));
			p += 2;
		} else if (p[0] == '%') {
			strbuf_addch(&s, '%');
			p++;
		}
	}
	va_end(ap);
	fault_done(fault);
	fault->class = class;
	if (strbuf_take(&s, &fault->message, NULL) < 0)
		fault->message = NULL;
	strbuf_done(&s);
	return -EINVAL;
}

int
fault_at(struct fault *fault, enum fault_file file, size_t line, struct slice token)
{
	fault->file = file;
	fault->line = line;
	fault->token = token;
	return -EINVAL;
}
