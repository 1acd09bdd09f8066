/* accept.h - how a job comes into the spool, and how it leaves: each step is idempotent, for the replay does it again. */
#ifndef SPOOLGATE_ACCEPT_H
#define SPOOLGATE_ACCEPT_H

#include <stddef.h>
#include <stdint.h>

#include "spool/job.h"
#include "spool/layout.h"
#include "spool/redo.h"

/* incoming/<id>: made before the record. Makes the folder with in/, lock, state.json (queued), not yet job.json; opens
 * in/. On failure nothing is left. */
int incoming_begin(const struct spool *s, const char *id, int *ret_job_fd, int *ret_in_fd);
/* Copies one input from fd (read by offset from 0) to in/<input->name>, hashing what is written, and fills in size and sha256.
 * flush: flushed before it returns. -EFBIG: over max; -ESTALE: not the size that was announced (input->size); -ENOSPC, ... */
int incoming_input(int in_fd, struct spool_groups groups, int fd, uint64_t max, int flush, struct job_input *input);
/* Writes job.json; flush: flushes it, in/ and the folders, so that the record alone remains. */
int incoming_finish(const struct spool *s, const char *id, int job_fd, int in_fd, const char *text, size_t len, int flush);
/* Removes it, at any stage. */
void incoming_abort(const struct spool *s, const char *id);

/* incoming/<id> -> jobs/<xx>/<id>, active/<id>, index names. After the record is flushed, before the answer. Done again it
 * changes nothing. job is what job.json says. */
int accept_publish(const struct spool *s, const struct job *job);

/* Replays one record. REDO_ACCEPT: a whole folder (job.json equal to the record, inputs of the right size and hash) is taken
 * from jobs/ or incoming/, else made again from the record; without result.json it is active. Records of jobs that are not
 * there (forgotten later in the history, or swept) are skipped. A record whose large inputs are neither here nor there is
 * -EBADMSG: it was not flushed as promised. */
int accept_replay(const struct spool *s, const struct redo_record *r);

/* The whole replay at a start-up: accept_replay for each record of redo, but records of a job that a later record forgets are not
 * done (its large inputs may be gone, rightly). Then spool_sync() and redo_reset() are the caller's. Returns the number of
 * records. */
int64_t accept_recover(const struct spool *s, struct redo *redo);
/* Moves what is left in incoming/ into trash/: after the replay, before the first incoming_begin. */
int incoming_sweep(const struct spool *s);

/* Moves a job's work/ into trash/: before attempt N+1, or where a job ends whose work/ was never walked. 0 also when it has none. */
int accept_drop_work(const struct spool *s, const char *id);
/* Takes a job out: index names, active and pending marks, then its folder into trash/. After the record is flushed; 0 also when
 * it is gone already. */
int accept_forget(const struct spool *s, const char *id);
/* Empties trash/. For a thread of its own. all = 1: incoming/ too, which is right only while nobody accepts (at a start-up use
 * incoming_sweep). Returns the number of folders removed, or the first error, having removed what it could. A reader that
 * still has a folder of trash/ open finds it finished or gone, never running again. */
int trash_empty(const struct spool *s, int all);

#endif
