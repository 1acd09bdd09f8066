#include "config.h"

#include <inttypes.h>
#include <stddef.h>

#include "basic/clock.h"
#include "gate/metrics_text.h"

void
metrics_family(struct strbuf *s, const char *name, const char *type, const char *help)
{
	strbuf_addf(s, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
add_escaped(struct strbuf *s, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			strbuf_addch(s, '\\');
		if (*text == '\n')
			strbuf_addstr(s, "\\n");
		else
			strbuf_addch(s, *text);
	}
}

/* Microseconds as seconds, exactly and without zeros at the end. */
static void
add_seconds(struct strbuf *s, uint64_t usec)
{
	unsigned fraction = (unsigned)(usec % USEC_PER_SEC);
	int digits = 6;

	strbuf_addf(s, "%" PRIu64, usec / USEC_PER_SEC);
	if (fraction == 0)
		return;
	for (; fraction % 10 == 0; digits--)
		fraction /= 10;
	strbuf_addf(s, ".%0*u", digits, fraction);
}

/* Everything before the value. le: the label of a bucket besides, in microseconds; NULL: none; UINT64_MAX: +Inf. */
static void
begin_sample(struct strbuf *s, const char *name, const char *suffix, const char *const *labels, const uint64_t *le)
{
	char between = '{';

	strbuf_addf(s, "%s%s", name, suffix);
	for (; labels && *labels; labels += 2) {
		strbuf_addf(s, "%c%s=\"", between, labels[0]);
		add_escaped(s, labels[1]);
		strbuf_addch(s, '"');
		between = ',';
	}
	if (le) {
		strbuf_addf(s, "%cle=\"", between);
		if (*le == UINT64_MAX)
			strbuf_addstr(s, "+Inf");
		else
			add_seconds(s, *le);
		strbuf_addch(s, '"');
		between = ',';
	}
	strbuf_addstr(s, between == '{' ? " " : "} ");
}

void
metrics_sample(struct strbuf *s, const char *name, const char *const *labels, uint64_t value)
{
	begin_sample(s, name, "", labels, NULL);
	strbuf_addf(s, "%" PRIu64 "\n", value);
}

void
metrics_sample_usec(struct strbuf *s, const char *name, const char *const *labels, uint64_t usec)
{
	begin_sample(s, name, "", labels, NULL);
	add_seconds(s, usec);
	strbuf_addch(s, '\n');
}

void
metrics_histogram(struct strbuf *s, const char *name, const char *const *labels, const struct histogram *h)
{
	const uint64_t infinite = UINT64_MAX;
	uint64_t count = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		count += h->buckets[i];
		begin_sample(s, name, "_bucket", labels, i < HISTOGRAM_BOUNDS ? &histogram_bounds_usec[i] : &infinite);
		strbuf_addf(s, "%" PRIu64 "\n", count);
	}
	begin_sample(s, name, "_sum", labels, NULL);
	add_seconds(s, h->sum_usec);
	strbuf_addch(s, '\n');
	begin_sample(s, name, "_count", labels, NULL);
	strbuf_addf(s, "%" PRIu64 "\n", count);
}
