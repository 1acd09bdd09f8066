/* redo_internal.h - the journal's format, for its two halves of code, its check and its tests.
 *
 * All numbers are in the machine's own order (another order fails at the magic number). Blocks are REDO_BLOCK bytes: the
 * file's head, then two halves of equal size, each with a head of one block of its own and then records. */
#ifndef SPOOLGATE_REDO_INTERNAL_H
#define SPOOLGATE_REDO_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "basic/id.h"
#include "spool/redo.h"

enum {
	/* Records that one call appends begin on a block of their own and are padded with zeros to its end. So no write ever
	 * touches a block that holds an acknowledged record: not a page (a torn write of one, or a sector that the power cut
	 * left unreadable, takes only what nobody was promised), and no page has to be read before it is written. A page is
	 * what the kernel writes anyway, so the only price is room. */
	REDO_BLOCK = 4096,
	REDO_ALIGN = 8,	/* of records inside a group */
	REDO_VERSION = 1,
};

#define REDO_FILE_MAGIC UINT64_C(0x4f44455241475053)	/* "SPGAREDO" */
#define REDO_HALF_MAGIC UINT32_C(0x464c4148)	/* "HALF" */
#define REDO_RECORD_MAGIC UINT32_C(0x44524352)	/* "RCRD" */

struct redo_file_head {
	uint64_t magic;
	uint32_t version;
	uint32_t crc;	/* of this struct, with crc 0 */
	uint64_t half_bytes;	/* its head included */
};

struct redo_half_head {
	uint32_t magic;
	uint32_t crc;	/* as above */
	uint64_t epoch;	/* of this turn; 1 is the first */
	uint64_t first_seq;	/* of its first record */
	uint64_t since_seq;	/* records from here on were not known to be done when this turn began: first_seq, or the other half's */
	uint32_t salt;	/* random: where the checksums of this turn's records begin */
	uint32_t zero;
};

struct redo_record_head {
	uint32_t magic;
	uint32_t crc;	/* of the whole record, with crc 0, begun from the half's salt */
	uint64_t epoch;
	uint64_t seq;
	uint32_t len;	/* of the whole record, a multiple of REDO_ALIGN */
	uint32_t type;
	uint32_t text_len;
	uint32_t n_blobs;
	char id[ID_LEN];
	/* Then the text, padded to REDO_ALIGN, and for each blob a struct redo_blob_head and its padded data. */
};

struct redo_blob_head {
	uint64_t len;
	uint64_t present;	/* 1: data follow; 0: not in the journal */
};

static inline uint64_t
redo_padded(uint64_t len, uint64_t align)
{
	return (len + align - 1) / align * align;
}

/* An encoded record (len bytes, of which its head's len says the same) as struct redo_record; its pointers point into data.
 * -EBADMSG: not what redo_encode makes; -EPROTONOSUPPORT: a type of a newer release. */
int redo_decode(const void *data, size_t len, struct redo_record *ret, struct redo_blob *ret_blobs, size_t max_blobs);

/* For looking only: never makes the file, and appends fail with -EBADF. -ENOENT. */
int redo_open_read(const struct spool *s, struct redo **ret);

/* A journal's file, already open; fd is taken over, on failure too. */
int redo_open_fd(int fd, struct redo **ret);

/* fdatasync(2) but in tests; set before any thread. */
extern int (*redo_sync)(int fd);

#endif
