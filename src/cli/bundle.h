/* bundle.h - a job as it was downloaded, a zip or the folder that one was unpacked to: its files, one after the other. What it holds
 * is hostile: nothing is opened by a name that it tells, no link is followed, and nobody reads more than he asks for. */
#ifndef SPOOLGATE_BUNDLE_H
#define SPOOLGATE_BUNDLE_H

#include <stddef.h>
#include <sys/types.h>

struct bundle_file;

/* Calls f for each file, with its path in the bundle (any bytes but NUL) and the file, which lasts until f returns. Folders are passed
 * over. Ends at f's first result that is not 0, which is its own. -ENOENT, ... of opening; -EBADMSG: it is neither a folder nor a
 * zip; -ENOMEM. */
int bundle_each(const char *path, int (*f)(const char *name, struct bundle_file *file, void *ctx), void *ctx);
/* Up to len bytes; 0 at the end. -EINVAL: no regular file (a link, a device); -EBADMSG: its part of the zip is damaged; -ENOTSUP:
 * encrypted, or packed in a way that is not known; else as open(2) and read(2). */
ssize_t bundle_read(struct bundle_file *file, void *data, size_t len);

#endif
