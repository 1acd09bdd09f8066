/* manifest.h - the file manifest of a finished job: what was kept, a line each, in the order of the walk:
 *   <sha256> <size> <mode, 4 octal digits> <path, percent-encoded but for '/'>\n
 * Folders have 64 dashes, size 0 and a path that ends with '/'. */
#ifndef SPOOLGATE_MANIFEST_H
#define SPOOLGATE_MANIFEST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "basic/hash.h"

struct strbuf;

struct manifest_entry {
	char sha256[SHA256_HEX_SIZE];	/* "" for a folder */
	uint64_t size;
	mode_t mode;
	char *path;	/* below work/; decoded, may hold any byte but NUL; without the '/' that ends a folder's line */
};

/* Appends a line. -EINVAL: the path is empty, has an empty component, "." or ".."; else the first error of s. */
int manifest_add(struct strbuf *s, const struct manifest_entry *e);
/* Reads the file of a job's folder, at most max bytes; f gets each entry (it may take e->path over by strdup only). Stops at f's
 * first negative result. -EBADMSG: damaged, or over max; -ENOENT. */
int manifest_each(int job_fd, size_t max, int (*f)(const struct manifest_entry *e, void *ctx), void *ctx);
/* The same for a text of len bytes with a NUL behind it, which is written to while it is read. */
int manifest_parse(char *text, size_t len, int (*f)(const struct manifest_entry *e, void *ctx), void *ctx);

#endif
