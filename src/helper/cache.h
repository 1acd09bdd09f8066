/* cache.h - the folders of tools that publish: their caches (run/publish.h) and where they work.
 * Caches are bounded by age and bytes ([stan] cache_keep, cache_max): who was read longest ago goes first, by the access time of the
 * entry's files, which most file systems note once a day. An entry whose name begins with PUBLISH_KEPT (proto/plan.h) goes by age alone,
 * and a folder without the tool's first file is none. What jobs left that have ended goes too. */
#ifndef SPOOLGATE_HELPER_CACHE_H
#define SPOOLGATE_HELPER_CACHE_H

#include "helper/helper.h"

struct faults;

/* Makes the folders of all tools that publish and tries whether they can be written; faults tell. Also for a check of the
 * configuration, where the spool is this account's. read_gid (gid_t)-1: as inherited. */
void cache_folders(const struct tools *tools, const char *spool_path, unsigned read_gid, struct faults *f);

int cache_new(struct helper *h, struct caches **ret);	/* and looks through them at once */
struct caches *cache_free(struct caches *c);	/* accepts NULL, always returns NULL */
/* A job of this tool has ended: what it may have left is looked for soon. */
void cache_job_ended(struct helper *h, const char *tool);
/* Bytes and entries of all caches, as last looked at. */
void cache_sizes(const struct helper *h, uint64_t *ret_bytes, uint64_t *ret_entries);

#endif
