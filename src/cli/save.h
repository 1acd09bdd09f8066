/* save.h - files whose names a server sent, below a folder of the user's: nothing outside it is ever touched, no link is followed,
 * and nothing that is there is replaced unless that is wanted. */
#ifndef SPOOLGATE_SAVE_H
#define SPOOLGATE_SAVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Why a path from a server is not taken: a sentence, or NULL where it is good. Good is a relative path of components of at most
 * 255 bytes, 4095 in all, none of them "." or "..", without control characters. */
const char *save_name_fault(const char *path);

/* Opens the folder of the user's choice, made with its parents where it is not there (links in it are the user's own). Returns
 * the descriptor; errno as mkdir(2) and open(2). */
int save_open_folder(const char *path);

/* The folder below folder_fd that a good path lies in, made where it is not there; *ret_name points to its last component. No
 * component may be a link: -ELOOP or -ENOTDIR. Returns a descriptor. */
int save_open_parent(int folder_fd, const char *path, const char **ret_name);

/* Where a download that is under way lies: ".spoolgate-<key>-<etag>.part" in the folder of the file to be; key tells what it is,
 * 32 characters of [0-9a-f]. */
struct save_partial {
	int dir_fd;	/* borrowed */
	int fd;	/* -EBADF: none yet */
	char name[256];	/* "" : none yet */
	uint64_t bytes;	/* how much of it is there */
	char etag[160];	/* of the answer that it is from; "" : not known, so it cannot be gone on with later */
};
/* Looks for what an earlier download of this key has left. 0, also where there is none. */
int save_partial_find(int dir_fd, const char *key, struct save_partial *ret);
/* Begins anew, with this ETag ("" : none), in the place of what there was. */
int save_partial_begin(struct save_partial *p, const char *key, const char *etag);
/* Gives it its name. -EEXIST: there is something, and force is false. */
int save_partial_finish(struct save_partial *p, const char *name, bool force);
void save_partial_drop(struct save_partial *p);	/* away with it */
void save_partial_close(struct save_partial *p);	/* left for the next time, unless it is empty or has no ETag; usable with scoped */

#endif
