/* pack.h - zips of what finished jobs left, in packs/: made when somebody wants one, kept while somebody may come again.
 * A zip's name is a hash over the job's id and its manifest, so that a repeated or resumed download meets the same file. */
#ifndef SPOOLGATE_PACK_H
#define SPOOLGATE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "basic/hash.h"
#include "spool/layout.h"

enum {
	PACK_NAME_SIZE = SHA256_HEX_SIZE,	/* the file is <name>.zip */
	MANIFEST_MAX = 32 * 1024 * 1024,	/* more than the walk ever writes */
};
#define PACK_KEEP_USEC (600 * USEC_PER_SEC)	/* after its last use */

/* The name for a finished job. -ENOENT: no such job, or not finished. May wait for a disk. */
int pack_name(const struct spool *s, const char *id, char ret_name[PACK_NAME_SIZE]);
/* 1: the zip is there, 0: it is not, -EIO: the last attempt to make it failed. */
int pack_state(const struct spool *s, const char *name);
/* The same, and for the helper: what is there was used just now; a failed attempt is forgotten. */
int pack_use(const struct spool *s, const char *name);
/* An attempt failed, and its packer has ended: leaves no half zip, and a mark for whoever waits. */
void pack_failed(const struct spool *s, const char *name);
/* Removes it, of a job whose files go. */
void pack_remove(const struct spool *s, const char *name);
/* Removes what was not used for PACK_KEEP_USEC, and then the least recently used until max_bytes hold the rest and what is no
 * zip (half ones, marks), which goes after an hour. */
int pack_sweep(const struct spool *s, uint64_t max_bytes);
/* The folder of the zips, for a packer. */
int pack_open_folder(const struct spool *s);

#endif
