#include <config.h>	/* in angle brackets: config/config.h is another */

#include <stdio.h>

#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "config/config.h"

enum { FAULTS_MAX = 1000 };

void
faults_add(struct faults *f, const char *file, unsigned line, const char *format, ...)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(4096);
	char **texts;
	char *text;
	va_list ap;

	if (f->n >= FAULTS_MAX)
		return;
	if (file)
		strbuf_addstr(&s, file);
	if (file && line > 0)
		strbuf_addf(&s, ":%u", line);
	if (file)
		strbuf_addstr(&s, ": ");
	va_start(ap, format);
	strbuf_vaddf(&s, format, ap);
	va_end(ap);
	texts = reallocarray(f->texts, f->n + 1, sizeof *texts);
	if (!texts)
		return;
	f->texts = texts;
	/* A fault that cannot be put in words must still count. */
	if (strbuf_take(&s, &text, NULL) < 0)
		text = NULL;
	f->texts[f->n++] = text;
}

void
faults_done(struct faults *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->texts[i]);
	free(f->texts);
	f->texts = NULL;
	f->n = 0;
}
