/* vec.h - growing arrays, the one place that multiplies sizes. */
#ifndef SPOOLGATE_TBN_VEC_H
#define SPOOLGATE_TBN_VEC_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Makes room for need elements of elem bytes in *(T **)pp, doubling. 0 or -ENOMEM (the array is left as it was). */
static inline int
vec_reserve(void *pp, size_t *cap, size_t need, size_t elem)
{
	void **p = pp;
	size_t want = *cap ? *cap : 16;
	void *grown;

	if (need <= *cap)
		return 0;
	while (want < need) {
		if (want > SIZE_MAX / 2)
			return -ENOMEM;
		want *= 2;
	}
	grown = reallocarray(*p, want, elem);
	if (!grown)
		return -ENOMEM;
	*p = grown;
	*cap = want;
	return 0;
}

#endif
