/* writer.h - the thread that makes records durable. Records handed in while it flushes share the next flush, so a crowd of
 * submissions costs one fdatasync(2). A second thread does the checkpoints (syncfs) that make room in the journal. */
#ifndef SPOOLGATE_WRITER_H
#define SPOOLGATE_WRITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct redo;
struct spool;
struct writer;

/* One record under way. Before done has run it is the writer's; data is freed by it. */
struct write {
	void *data;	/* from redo_encode, owned */
	size_t len;
	uint64_t deadline_mono_usec;	/* not appended after it; USEC_INFINITY: no deadline */
	atomic_bool cancelled;	/* set by the loop: not appended any more */
	/* In the loop. 0: durable; -ETIMEDOUT, -ECANCELED: not appended; else the journal failed and nobody knows whether it is
	 * there. After 0 the caller does what the record asks for and then calls writer_applied(w, half). */
	void (*done)(struct write *write, int result);
	int half;
	int result;
	struct write *next;
};

int writer_new(sd_event *event, const struct spool *spool, struct redo *redo, struct writer **ret);
/* Ends after what was handed in is flushed; dones are not called any more. Accepts NULL, returns NULL. */
struct writer *writer_free(struct writer *w);
void writer_add(struct writer *w, struct write *write);
/* The record's effects are in the spool: once that holds for all of a half, a checkpoint may release it. In the loop. */
void writer_applied(struct writer *w, int half);
/* The errno with which the journal or a checkpoint failed; 0: it works. Nothing is written any more. */
int writer_error(const struct writer *w);
size_t writer_backlog_bytes(const struct writer *w);
size_t writer_pending(const struct writer *w);	/* handed in, done not run yet */

/* A new journal, after a failure: writer_hold, then in any thread writer_settle, a flush of the spool and a new journal, then
 * writer_replace.
 * In the loop: from here on nothing is appended, what is handed in waits. -EBUSY: something handed in has not ended, or what a
 * record asks for has not been done; nothing is held then. */
int writer_hold(struct writer *w);
/* Waits for a checkpoint under way; none begins while the writer is held. */
void writer_settle(struct writer *w);
/* In the loop: goes on with this journal, failures forgotten; the old one is the caller's again. NULL: with the old one, as
 * before; returns NULL. */
struct redo *writer_replace(struct writer *w, struct redo *redo);

#endif
