/* metrics_text.h - Prometheus' text format, version 0.0.4. Errors stick in the strbuf. Names and help texts are constants of ours;
 * label values may be any UTF-8 text and are escaped. */
#ifndef SPOOLGATE_GATE_METRICS_TEXT_H
#define SPOOLGATE_GATE_METRICS_TEXT_H

#include <stdint.h>

#include "basic/histogram.h"
#include "basic/strbuf.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* The lines HELP and TYPE ("counter", "gauge", "histogram"), which stand once, before the samples of that name. */
void metrics_family(struct strbuf *s, const char *name, const char *type, const char *help);
/* labels: name, value, ..., NULL; NULL: none. */
void metrics_sample(struct strbuf *s, const char *name, const char *const *labels, uint64_t value);
/* A duration, in seconds. */
void metrics_sample_usec(struct strbuf *s, const char *name, const char *const *labels, uint64_t usec);
/* All lines of one histogram of durations: its buckets, of which each has what is below it too, sum and count. */
void metrics_histogram(struct strbuf *s, const char *name, const char *const *labels, const struct histogram *h);

#endif
