#include "config.h"

#include "basic/histogram.h"

const uint64_t histogram_bounds_usec[HISTOGRAM_BOUNDS] = {
	500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000,
	60000000, 300000000, 1800000000, 3600000000,
};

size_t
histogram_bucket(uint64_t usec)
{
	size_t i = 0;

	while (i < HISTOGRAM_BOUNDS && usec > histogram_bounds_usec[i])
		i++;
	return i;
}

void
histogram_add(struct histogram *h, uint64_t usec)
{
	h->buckets[histogram_bucket(usec)]++;
	h->sum_usec += usec;
}
