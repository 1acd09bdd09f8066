/* uploads.h - inputs that arrive in pieces, so that a cut costs one piece and not all: files in uploads/ of the gate's state folder.
 * An upload belongs to who began it. What its name does not say (owner, size) is nowhere: a look at the folder is all there is to
 * know, from any process. Those that got no byte for a day go when the next one begins. */
#ifndef SPOOLGATE_GATE_UPLOADS_H
#define SPOOLGATE_GATE_UPLOADS_H

#include <stddef.h>
#include <stdint.h>

#include "basic/clock.h"
#include "basic/id.h"
#include "gate/input_file.h"

struct gate;

enum { UPLOADS_OWNER_MAX = 64 };	/* at once, of one owner */
#define UPLOAD_KEEP_USEC (86400 * USEC_PER_SEC)	/* after its last byte */

struct upload {
	char id[ID_SIZE];
	uint64_t bytes;	/* as announced */
	uint64_t offset;	/* as many are there */
	uint64_t expires_usec;	/* wall time */
};

/* Begins one. all_max: bytes that all uploads may announce together. -EDQUOT: over UPLOADS_OWNER_MAX; -ENOSPC: over all_max, or the
 * disk has no room for it. */
int upload_begin(const struct gate *g, const char *owner, uint64_t bytes, uint64_t all_max, struct upload *ret);
/* -ENOENT: there is none of this owner. */
int upload_find(const struct gate *g, const char *owner, const char *id, struct upload *ret);
int upload_forget(const struct gate *g, const char *owner, const char *id);	/* -ENOENT */

/* Opens one for a piece that begins at the offset; the caller closes *ret_fd, before which nobody else appends. -ENOENT; -ESTALE: its
 * offset is another (*ret has it), or somebody appends just now. */
int upload_append(const struct gate *g, const char *owner, const char *id, uint64_t offset, struct upload *ret, int *ret_fd);

/* Takes a whole one out, as the helper wants an input. -ENOENT; -EAGAIN: bytes are missing yet, or somebody appends; -ENOSPC. */
int upload_take(const struct gate *g, const char *owner, const char *id, struct input_file *ret);
/* Puts one back that was taken for a submission that came to nothing. -ENOSPC, ...: it is lost. */
int upload_put_back(const struct gate *g, const char *owner, const char *id, const struct input_file *f);

#endif
