#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/heap.h"

enum { FIRST_ROOM = 64, ONE_MAX = 64 };

static char *
place(const struct heap *h, size_t i)
{
	return (char *)h->all + i * h->size;
}

static uint64_t
number(const void *one)
{
	uint64_t n;

	memcpy(&n, one, sizeof n);
	return n;
}

int
heap_push(struct heap *h, const void *one)
{
	size_t i = h->n;

	if (h->n == h->room) {
		size_t room = h->room ? h->room + h->room / 2 : FIRST_ROOM;
		void *grown = reallocarray(h->all, room, h->size);

		if (!grown)
			return -ENOMEM;
		h->all = grown;
		h->room = room;
	}
	h->n++;
	for (; i > 0 && number(place(h, (i - 1) / 2)) > number(one); i = (i - 1) / 2)
		memcpy(place(h, i), place(h, (i - 1) / 2), h->size);
	memcpy(place(h, i), one, h->size);
	return 0;
}

void
heap_pop(struct heap *h, void *ret)
{
	char last[ONE_MAX];
	size_t i = 0;

	assert(h->n > 0 && h->size <= sizeof last);
	memcpy(ret, place(h, 0), h->size);
	memcpy(last, place(h, --h->n), h->size);
	for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
		if (child + 1 < h->n && number(place(h, child + 1)) < number(place(h, child)))
			child++;
		if (number(place(h, child)) >= number(last))
			break;
		memcpy(place(h, i), place(h, child), h->size);
	}
	if (h->n > 0)
		memcpy(place(h, i), last, h->size);
}

uint64_t
heap_first(const struct heap *h)
{
	return h->n > 0 ? number(h->all) : UINT64_MAX;
}

void
heap_empty(struct heap *h)
{
	h->n = 0;
}

void
heap_done(struct heap *h)
{
	free(h->all);
	h->all = NULL;
	h->n = h->room = 0;
}
