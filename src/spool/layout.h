/* layout.h - the folders of the spool, their names, modes and version. doc/architecture.md, "The spool".
 * Only src/spool knows these names. All access is by descriptors below struct spool; no path string leaves this folder. */
#ifndef SPOOLGATE_LAYOUT_H
#define SPOOLGATE_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "basic/id.h"

enum {
	SPOOL_FORMAT = 1,	/* the layout, in the file `format` */
	RECORD_VERSION = 1,	/* member `v` of every JSON file; a release reads its own and the previous version */
	JOB_RECORD_MAX = 192 * 1024,	/* job.json */
	SMALL_RECORD_MAX = 16 * 1024,	/* state.json, run.json, ended.json, result.json, meta.json is JOB_RECORD_MAX */
	NOTE_MAX = 64 * 1024,	/* job.json's note, as text */
	INPUTS_MAX = 64,	/* files of one submission */
	REDO_INPUT_MAX = 256 * 1024,	/* inputs up to this sum lie in the journal; larger ones are flushed before */
};

/* Groups that may read; (gid_t)-1: none, everything belongs to the one user (an ordinary user's quickstart). */
struct spool_groups {
	gid_t read_gid;	/* spoolgate-read: nginx and the gate, for work/, log, stdout, packs/, cache/ */
	gid_t gate_gid;	/* spoolgate-gate: for job.json, state.json, meta.json, in/, index/ */
};

/* An open spool. Descriptors are directories (O_RDONLY for whoever may list them, else O_PATH); -EBADF where the opener has
 * no business (trash, incoming, active and pending for readers). */
struct spool {
	int root_fd;
	int jobs_fd;
	int index_fd;
	int active_fd;
	int pending_fd;
	int incoming_fd;
	int trash_fd;
	struct spool_groups groups;
};

/* Opens the spool for its one writer, making what is missing, with modes and groups set. -EPROTONOSUPPORT: a newer or
 * unknown format. The directory path itself is made if its parent is there. */
int spool_create(const char *path, struct spool_groups groups, struct spool **ret);
/* Opens it for reading. -ENOENT: not made yet. -EPROTONOSUPPORT as above. */
int spool_open(const char *path, struct spool **ret);
struct spool *spool_free(struct spool *s);
static inline void free_spool(struct spool **s) { *s = spool_free(*s); }

/* The helper's lock on the whole spool: flock(2) on the file `lock`, whose content is the holder's pid. Returns the locked
 * descriptor (close it to unlock; without close-on-exec it survives a re-execution). -EWOULDBLOCK: somebody has it, and
 * ret_pid tells who (0: unknown). */
int spool_lock(const struct spool *s, pid_t *ret_pid);

/* The process that the file `lock` names, which may be gone; 0: none, or it cannot be read. Takes no lock. */
pid_t spool_holder(const char *path);

/* The folder jobs/<xx>/<id>. -EINVAL: no id, -ENOENT: no such job. Of a spool opened for reading it is an O_PATH descriptor: the
 * gate may pass through the folder but not list it. */
int spool_open_job(const struct spool *s, const char *id);

/* What a job's folder holds besides the files that record.h, job.h and manifest.h read and write. */
#define JOB_IN "in"	/* the inputs as they came */
#define JOB_WORK "work"	/* made by the supervisor: 2750, read_gid */
#define JOB_LOG "log"	/* 0640, read_gid */
#define JOB_STDOUT "stdout"
#define JOB_MANIFEST "manifest"
#define JOB_RECEIPT "receipt.json"

/* A job's lock, on its file `lock`: an open file description lock (F_OFD_SETLK), which passes with the descriptor to whoever
 * inherits it and goes with its last copy. Unlike flock(2) it can be looked at without being taken, so that a look never
 * makes the helper believe that a job runs. job_lock returns the locked descriptor; -EWOULDBLOCK: somebody has it. job_locked:
 * 1 if somebody else has it, 0 if not. job_fd may be O_PATH. */
int job_lock(int job_fd);
int job_locked(int job_fd);
/* Calls f for each id in active/ (pending/); stops at its first negative result and returns it. */
int spool_each_active(const struct spool *s, int (*f)(const char *id, void *ctx), void *ctx);
int spool_each_pending(const struct spool *s, int (*f)(const char *id, void *ctx), void *ctx);
int spool_mark_active(const struct spool *s, const char *id);	/* 0 also when it was there */
int spool_clear_active(const struct spool *s, const char *id);	/* 0 also when it was not */
/* The same of pending/: jobs that name a callback, from their acceptance until that is delivered or given up. */
int spool_mark_pending(const struct spool *s, const char *id);
int spool_clear_pending(const struct spool *s, const char *id);
/* Whether it belongs to us, and nobody else may write there. */
bool spool_is_mine(const struct spool *s);
/* Bytes and inodes that an unprivileged writer still has on the spool's file system. */
int spool_room(const struct spool *s, uint64_t *ret_bytes, uint64_t *ret_inodes);
/* syncfs(2): everything renamed and written so far survives a power cut once this returned 0. For threads. */
int spool_sync(const struct spool *s);

#endif
