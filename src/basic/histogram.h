/* histogram.h - the classes into which durations are counted, the same in every program: from 0.5 ms to an hour. */
#ifndef SPOOLGATE_HISTOGRAM_H
#define SPOOLGATE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 19, HISTOGRAM_BUCKETS = HISTOGRAM_BOUNDS + 1 };

/* The upper bounds, which belong to their class; the last class has none. */
extern const uint64_t histogram_bounds_usec[HISTOGRAM_BOUNDS];

/* The class of a duration. */
size_t histogram_bucket(uint64_t usec);

/* For one process with one thread; how many there are in all is the sum of the buckets. */
struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS];	/* each by itself, not with those below it */
	uint64_t sum_usec;
};
void histogram_add(struct histogram *h, uint64_t usec);

#endif
