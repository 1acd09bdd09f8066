/* meta.h - meta.json: what changes after a job was accepted. The helper writes it, each time whole, after a record of the journal. */
#ifndef SPOOLGATE_META_H
#define SPOOLGATE_META_H

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>

#include "spool/layout.h"

enum callback_state { CALLBACK_PENDING, CALLBACK_DELIVERED, CALLBACK_FAILED };
enum { CALLBACK_LAST_MAX = 160 };
const char *callback_state_name(enum callback_state state);	/* "pending", "delivered", "failed" */

struct job_meta {
	json_object *note;	/* the service's own members that may change, as text at most NOTE_MAX; NULL: none */
	struct {
		enum callback_state state;
		unsigned attempts;
		uint64_t last_usec;	/* wall time of the last attempt; 0: none yet */
		char last[CALLBACK_LAST_MAX];	/* its end in words: "204", "no connection"; "" */
	} callback;	/* of a job that names one */
	uint64_t pruned_usec;	/* wall time at which its files were removed; 0: they were not */
};
static inline void meta_done(struct job_meta *m) { json_object_put(m->note); m->note = NULL; }

/* A job without the file has an empty one. -EBADMSG: damaged; -EPROTONOSUPPORT: newer. */
int meta_load(int job_fd, struct job_meta *ret);
int meta_parse(const char *text, size_t len, struct job_meta *ret);
/* -EINVAL: the note is no object; -E2BIG: too large or too deep. The caller frees. */
int meta_format(const struct job_meta *m, char **ret_text, size_t *ret_len);

/* Removes what a finished job was given and has left: in/, work/, log, stdout, its zip. Its records stay: job.json, state.json, meta.json,
 * the verdict, the manifest and the receipt, which say in hashes what there was. Done again it changes nothing. After meta.json says
 * so. */
int prune_files(const struct spool *s, const char *id);
/* 1 if its files were removed, 0 if not; -ENOENT: no such job. */
int job_is_pruned(const struct spool *s, const char *id);

/* Bytes that a finished job's inputs, log, answer and files have, by its records; a pruned one's are 0. When it ended, too. -ENOENT: not
 * finished, or gone. */
int job_weight(const struct spool *s, const char *id, uint64_t *ret_bytes, uint64_t *ret_ended_usec);

#endif
