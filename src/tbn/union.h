/* union.h - disjoint sets of small numbers; the name of a set is its least member. */
#ifndef SPOOLGATE_TBN_UNION_H
#define SPOOLGATE_TBN_UNION_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct unions {
	uint32_t *parent;
	size_t count;
};

static inline void
unions_reset(struct unions *u)
{
	for (size_t i = 0; i < u->count; i++)
		u->parent[i] = (uint32_t)i;
}

static inline int
unions_init(struct unions *u, size_t count)
{
	u->parent = calloc(count > 0 ? count : 1, sizeof *u->parent);
	if (!u->parent)
		return -ENOMEM;
	u->count = count;
	unions_reset(u);
	return 0;
}

static inline void
unions_done(struct unions *u)
{
	free(u->parent);
	*u = (struct unions){ NULL, 0 };
}

static inline uint32_t
union_find(struct unions *u, uint32_t i)
{
	while (u->parent[i] != i) {
		u->parent[i] = u->parent[u->parent[i]];
		i = u->parent[i];
	}
	return i;
}

/* True if two sets became one. */
static inline bool
union_join(struct unions *u, uint32_t a, uint32_t b)
{
	a = union_find(u, a);
	b = union_find(u, b);
	if (a == b)
		return false;
	if (a < b)
		u->parent[b] = a;
	else
		u->parent[a] = b;
	return true;
}

#endif
