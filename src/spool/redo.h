/* redo.h - the acceptance journal: one file, written once with zeros, so that a record costs one overwrite and one
 * fdatasync(2) that commits no metadata.
 *
 * The file is a head (magic, version, size) and two halves of equal size. Records fill one half, then the other; each half
 * begins with its epoch, a number that grows by one with every turn, and a record counts only where its epoch is its half's,
 * its sequence number is the expected one and its checksum (CRC-32C) is right: what an older turn left behind the end is never
 * taken for a record. A half may be overwritten once everything that its records ask for has been done in the spool and
 * syncfs(2) came back (a checkpoint). So the valid records are always a gap-free end of the history, and doing them again,
 * in order, on a spool that has seen some of their effects must give the right spool: the caller's duty.
 *
 * One thread at a time calls redo_append and redo_flush; redo_release may come from another. */
#ifndef SPOOLGATE_REDO_H
#define SPOOLGATE_REDO_H

#include <stddef.h>
#include <stdint.h>

#include "basic/id.h"

struct spool;
struct redo;

enum redo_type {
	REDO_ACCEPT = 1,	/* text: job.json; blobs: its inputs in order, or absent where they lie flushed in incoming/<id>/in */
	REDO_START,	/* text: state.json with want start */
	REDO_KILL,	/* text: state.json with want kill */
	REDO_META,	/* text: meta.json */
	REDO_FORGET,	/* text: "" */
};

struct redo_blob {
	const void *data;	/* NULL: not in the journal */
	uint64_t len;
};

struct redo_record {
	enum redo_type type;
	char id[ID_SIZE];
	const char *text;
	size_t text_len;
	const struct redo_blob *blobs;
	size_t n_blobs;
};

enum { REDO_RECORD_MAX = 1024 * 1024, REDO_BYTES_MIN = 4 * 1024 * 1024 };

/* One record as the bytes that redo_append takes; epoch, sequence number and checksum are filled in there. The caller frees.
 * -E2BIG: over REDO_RECORD_MAX; -EINVAL: no id, or more blobs than INPUTS_MAX. */
int redo_encode(const struct redo_record *r, void **ret_data, size_t *ret_len);

/* Opens the file `redo` of the spool, or makes it (bytes long, at least REDO_BYTES_MIN, zeros really written and flushed).
 * An existing file keeps its size. -EBADMSG: not a journal, or one whose acknowledged records
 * were damaged where a power cut cannot do it (a torn record at its end is none of that); -EPROTONOSUPPORT. */
int redo_open(const struct spool *s, uint64_t bytes, struct redo **ret);
/* A new, empty journal in place of the old one, which whoever has it open still has: after a failed flush, once everything that
 * was acknowledged is in the spool and flushed. Errors as redo_open; the old one stays then. One whose name could not be flushed is
 * returned all the same, for the old one has no name any more: each append and flush of it fails with that errno. */
int redo_renew(const struct spool *s, uint64_t bytes, struct redo **ret);
struct redo *redo_free(struct redo *r);
static inline void free_redo(struct redo **r) { *r = redo_free(*r); }

/* Calls f for each valid record, oldest first; the record and what it points to live until f returns. Stops at f's first
 * negative result and returns it; else the number of records. Before the first append only. */
int64_t redo_replay(struct redo *r, int (*f)(const struct redo_record *record, void *ctx), void *ctx);
/* After the replay's effects are flushed: both halves are free again. Nothing is written. Until then a journal that had records
 * takes no new one (-EAGAIN). */
int redo_reset(struct redo *r);

/* Puts encoded records at the end, unflushed; each goes whole into one half. *ret_half (0 or 1) tells into which the last one
 * went. -EAGAIN: this half is full and the other not released yet; the records before it are in (ret_done counts them,
 * and redo_flush makes them durable). A call that changes halves flushes twice, once in every few megabytes.
 * A failed write is final: every later call returns the same errno. */
int redo_append(struct redo *r, const void *const *records, const size_t *lens, size_t n, size_t *ret_done, int *ret_half);
/* fdatasync(2). After a failure every later append and flush returns that errno: a failed flush is never repeated. */
int redo_flush(struct redo *r);
/* The half in which appends now go. When it changes, the half left behind wants a checkpoint. */
int redo_half(const struct redo *r);
/* That half's records are done and synced: it may be overwritten. From any thread. */
void redo_release(struct redo *r, int half);
/* Bytes free in the current half; for tests and figures. */
uint64_t redo_room(const struct redo *r);

#endif
