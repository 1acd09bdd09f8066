/* download.h - one thing of a job, whole or not at all: gone on with where it was cut, also by an earlier run, and compared with
 * what the server announced before it gets its name. */
#ifndef SPOOLGATE_DOWNLOAD_H
#define SPOOLGATE_DOWNLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "basic/hash.h"
#include "cli/session.h"

struct download {
	const char *url;	/* a path below the server */
	const char *shown;	/* for messages and progress */
	const char *sha256;	/* that it has to have; NULL: not known */
	uint64_t bytes;	/* that it has to have, with sha256 */
	int dir_fd;	/* where it goes, borrowed; with name */
	const char *name;	/* NULL: to standard output */
	bool force;	/* replaces what bears the name */
	uint64_t got_bytes;	/* set: its size and SHA-256 */
	char got_sha256[SHA256_HEX_SIZE];
	bool was_there;	/* set: a file with this very content was there already */
};

/* An exit status; EXIT_DAMAGED where the content is another than announced. */
int download(struct session *s, struct download *d);

#endif
