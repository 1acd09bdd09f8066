/* fingerprint.h - SHA-256 of programs, kept as long as the file is the same: device, inode, size, and times of its content and its
 * inode. For the threads, which may wait for a disk; any number of them at once. */
#ifndef SPOOLGATE_FINGERPRINT_H
#define SPOOLGATE_FINGERPRINT_H

#include "basic/hash.h"

struct fingerprints;
struct fingerprints *fingerprints_new(void);	/* NULL: no memory */
struct fingerprints *fingerprints_free(struct fingerprints *f);
/* Of the regular file at this absolute path. A file that may be executed but not read, or is not there any more, has none: "" (the
 * start of the job says what is wrong with it). -ENOMEM, -EMFILE, -ENFILE, -EIO: as it was, unknown now. */
int fingerprints_take(struct fingerprints *f, const char *path, char ret_sha256[SHA256_HEX_SIZE]);

#endif
