#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "tbn/names.h"

struct names_entry {
	struct slice text;	/* p is NULL where the place is free */
	uint32_t number;
};

void
names_done(struct names *names)
{
	free(names->entries);
	*names = (struct names){ NULL, 0, 0 };
}

/* FNV-1a. An input of colliding names costs its sender quadratic time over at most a few megabytes, under the job's limit. */
static uint64_t
hash(struct slice text)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < text.n; i++)
		h = (h ^ (unsigned char)text.p[i]) * 0x100000001b3u;
	return h ^ h >> 29;
}

static struct names_entry *
place(struct names_entry *entries, size_t cap, struct slice text)
{
	size_t i = (size_t)hash(text) & (cap - 1);

	while (entries[i].text.p && !slice_equal(entries[i].text, text))
		i = (i + 1) & (cap - 1);
	return &entries[i];
}

int64_t
names_find(const struct names *names, struct slice text)
{
	struct names_entry *entry;

	if (names->len == 0)
		return -1;
	entry = place(names->entries, names->cap, text);
	return entry->text.p ? (int64_t)entry->number : -1;
}

static int
grow(struct names *names)
{
	size_t cap = names->cap ? names->cap * 2 : 64;
	struct names_entry *entries = calloc(cap, sizeof *entries);

	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < names->cap; i++)
		if (names->entries[i].text.p)
			*place(entries, cap, names->entries[i].text) = names->entries[i];
	free(names->entries);
	names->entries = entries;
	names->cap = cap;
	return 0;
}

int
names_add(struct names *names, struct slice text, uint32_t number)
{
	if (names->len >= names->cap / 2) {
		int r = grow(names);

		if (r < 0)
			return r;
	}
	*place(names->entries, names->cap, text) = (struct names_entry){ text, number };
	names->len++;
	return 0;
}
