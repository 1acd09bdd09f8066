/* told.h - the files that a receipt tells. A receipt is what somebody found on his disk: nothing in it is believed to be well-formed. */
#ifndef SPOOLGATE_TOLD_H
#define SPOOLGATE_TOLD_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "basic/hash.h"

struct told {
	char *name;	/* in the zip: "log", "stdout", "files/..."; any bytes but NUL */
	uint64_t bytes;
	char sha256[SHA256_HEX_SIZE];	/* 64 characters, of which no more is known */
	bool seen;	/* the caller's */
};
struct told_list {
	json_object *receipt;	/* the whole of it */
	struct told *files;	/* by name, each once */
	size_t n, room;
};

/* -EBADMSG: it is no receipt; -EPROTONOSUPPORT: of a later version; -ENODATA: of one that did not list files; -ENOMEM. *ret is set on
 * success alone. */
int told_parse(const char *text, size_t len, struct told_list *ret);
void told_done(struct told_list *l);
struct told *told_find(const struct told_list *l, const char *name);	/* NULL: it is not told */

#endif
