/* names.h - a hash table from texts to small numbers. The texts stay where they are and must outlive the table. */
#ifndef SPOOLGATE_TBN_NAMES_H
#define SPOOLGATE_TBN_NAMES_H

#include "tbn/text.h"

struct names {
	struct names_entry *entries;
	size_t cap;	/* a power of two, or 0 */
	size_t len;
};

void names_done(struct names *names);
/* The number stored for text, or -1. */
int64_t names_find(const struct names *names, struct slice text);
/* Stores a text that is not there yet. 0 or -ENOMEM. */
int names_add(struct names *names, struct slice text, uint32_t number);

#endif
