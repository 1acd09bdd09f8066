/* index.h - names by which jobs are found without reading them: index/<door>/<owner>/<usec>-<id> and
 * index/key/<service>/<key>. An owner is split at its first ':' into door and the rest; both parts are encoded by
 * name_encode(). A name whose job does not exist is skipped, free to be taken, and swept by the check. */
#ifndef SPOOLGATE_INDEX_H
#define SPOOLGATE_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "basic/id.h"
#include "spool/job.h"
#include "spool/layout.h"

struct index_entry {
	uint64_t accepted_usec;
	char id[ID_SIZE];
};

/* -EINVAL: the owner has no ':', an empty part, or the door "key"; -ENAMETOOLONG: a part over 255 bytes when encoded. */
int index_owner_check(const char *owner);	/* 0, or what index_add would say of it */
int index_add(const struct spool *s, const char *owner, uint64_t accepted_usec, const char *id);	/* 0 if it is there */
int index_remove(const struct spool *s, const char *owner, uint64_t accepted_usec, const char *id);	/* 0 if it is not */

/* An owner's jobs, newest first, older than before (UINT64_MAX, "": from the newest) and at most n: one page. Reads one folder's
 * names and no job (that each job on the page exists costs one system call). Returns the number of entries put into ret. -ENOENT is 0. */
int index_page(const struct spool *s, const char *owner, struct index_entry before, struct index_entry *ret, size_t n);
/* How many jobs of an owner exist and are not pruned, counted up to most; owner without ':': of all owners of that door. */
int index_count(const struct spool *s, const char *owner, size_t most);
/* Every name of every owner, in no order; key/ is left out. For start-up and the check. Stops at f's first negative result. */
int index_each(const struct spool *s,
    int (*f)(const char *owner, uint64_t accepted_usec, const char *id, void *ctx), void *ctx);

/* A service's own name for a job (a symbolic link whose text is the id). index_key_set takes it over from whichever job had it;
 * index_key_remove leaves it where it is another's; index_key_get: -ENOENT: nobody's, or of a job that is gone. */
int index_key_set(const struct spool *s, const char *service, const char *key, const char *id);
int index_key_remove(const struct spool *s, const char *service, const char *key, const char *id);
int index_key_get(const struct spool *s, const char *service, const char *key, char ret_id[ID_SIZE]);	/* -ENOENT */

#endif
