/* spool_internal.h - names, modes and small helpers shared inside src/spool. */
#ifndef SPOOLGATE_SPOOL_INTERNAL_H
#define SPOOLGATE_SPOOL_INTERNAL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "basic/id.h"
#include "basic/json.h"
#include "spool/layout.h"

/* "Who reads what": set-group-id on every folder, so that what is made below belongs to the same readers. */
enum {
	MODE_PASS = 02710,	/* a folder that readers pass through by a name they know */
	MODE_LIST = 02750,	/* a folder that readers may list */
	MODE_OWN_DIR = 02700,
	MODE_RECORD = 0640,
	MODE_OWN_FILE = 0600,
};

#define FILE_FORMAT "format"
#define FILE_LOCK "lock"
#define FILE_REDO "redo"
#define FILE_REDO_NEW ".redo.new"
#define DIR_INCOMING "incoming"
#define DIR_JOBS "jobs"
#define DIR_ACTIVE "active"
#define DIR_PENDING "pending"
#define DIR_INDEX "index"
#define DIR_KEY "key"	/* in index/: no door */
#define DIR_CACHE "cache"
#define DIR_CACHE_STAN "cache/stan"
#define DIR_VOLUMES "volumes"
#define DIR_PACKS "packs"
#define DIR_TRASH "trash"

#define FILE_JOB "job.json"
#define FILE_STATE "state.json"
#define FILE_RUN "run.json"
#define FILE_META "meta.json"
#define FILE_ENDED "ended.json"
#define FILE_RESULT "result.json"
#define FILE_RESULT_NEW "result.new"

/* <xx>/<id>, and <xx>/<id>/<name> for names of at most 16 bytes: relative to jobs/, one lookup for the kernel. */
enum { JOB_PATH_SIZE = 2 + 1 + ID_LEN + 1 + 16 + 1 };
void job_path(const char *id, const char *name, char ret_path[JOB_PATH_SIZE]);

/* A new file with its content, mode and group; -EEXIST. Unflushed unless flush. Where it fails nothing is left. */
int create_file_at(int dir_fd, const char *name, const void *data, size_t len, mode_t mode, gid_t gid, bool flush);
/* 1 if the name is there (a link counts), 0 if not. */
int exists_at(int dir_fd, const char *name);
/* An empty file as a name. Who may read it does not matter: only the name says something. 0 also when it was there. */
int touch_at(int dir_fd, const char *name);
/* 0 also when it was not there. */
int unlink_at(int dir_fd, const char *name);
/* Calls f for each name of the folder but "." and ".."; stops at f's first negative result. */
int each_name(int dir_fd, int (*f)(int dir_fd, const char *name, void *ctx), void *ctx);

/* 1 if that name of index/ is there, 0 if not. */
int index_has(const struct spool *s, const char *owner, uint64_t accepted_usec, const char *id);

/* Member `v`: 0; -EBADMSG: none, or no number of ours; -EPROTONOSUPPORT: a newer release wrote it. */
int version_check(json_object *obj);
void jsonw_uint(struct jsonw *w, const char *key, uint64_t val);
int json_get_unsigned(json_object *obj, const char *name, unsigned *ret);
/* Text into a fixed array, its NUL included. -EBADMSG where it does not fit. */
int json_copy_string(json_object *obj, const char *name, char *ret, size_t size);
/* Formats and frees what w holds. */
int jsonw_text(struct jsonw *w, char **ret_text, size_t *ret_len);

#endif
