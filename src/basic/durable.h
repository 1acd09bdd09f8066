/* durable.h - files that a reader sees old or new, never in between. */
#ifndef SPOOLGATE_DURABLE_H
#define SPOOLGATE_DURABLE_H

#include <stddef.h>
#include <sys/types.h>

/* Replaces name by a file with this content (temporary name ".<name>.<random>", mode exact whatever the umask, group gid
 * unless (gid_t)-1, then rename). Nothing is flushed: after a power cut the old or the new content, or (only where the
 * name was new) nothing or an empty file. On failure nothing is left behind. A name of more than 237 bytes is cut in the
 * temporary one. -EINVAL: name is not a single component. */
int replace_file_at(int dir_fd, const char *name, const void *data, size_t len, mode_t mode, gid_t gid);
/* The same, flushed: once it returned 0 a power cut keeps the new content. */
int replace_file_durable(int dir_fd, const char *name, const void *data, size_t len, mode_t mode, gid_t gid);

#endif
