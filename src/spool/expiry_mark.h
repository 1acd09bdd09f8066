/* expiry_mark.h - when the last expiry pass was, by both clocks: the file expiry.json of the spool. The helper's alone. */
#ifndef SPOOLGATE_EXPIRY_MARK_H
#define SPOOLGATE_EXPIRY_MARK_H

#include <stdint.h>

#include "basic/proc.h"
#include "spool/layout.h"

struct expiry_mark {
	uint64_t wall_usec;
	uint64_t mono_usec;	/* clock_mono: since that boot */
	char boot[BOOT_ID_SIZE];
};

/* -ENOENT: there was none; -EBADMSG: damaged. */
int expiry_mark_load(const struct spool *s, struct expiry_mark *ret);
int expiry_mark_store(const struct spool *s, const struct expiry_mark *mark);	/* unflushed */

#endif
