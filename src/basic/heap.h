/* heap.h - which comes first: a binary heap of small structs of one size, which begin with a uint64_t, the least of which is on top. */
#ifndef SPOOLGATE_HEAP_H
#define SPOOLGATE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap {
	void *all;
	size_t n, room;
	size_t size;	/* of one */
};
#define HEAP_INIT(type) { .size = sizeof(type) }

int heap_push(struct heap *h, const void *one);	/* a copy of it; -ENOMEM */
void heap_pop(struct heap *h, void *ret);	/* n > 0 */
uint64_t heap_first(const struct heap *h);	/* the least number; UINT64_MAX: it is empty */
void heap_empty(struct heap *h);	/* keeps its room */
void heap_done(struct heap *h);

#endif
