/* job.h - job.json: what was asked. Written once, at acceptance, by the helper; never changed. */
#ifndef SPOOLGATE_JOB_H
#define SPOOLGATE_JOB_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "basic/hash.h"
#include "basic/id.h"

/* What a job may use. 0: no limit, except where a comment says otherwise. Times in microseconds, sizes in bytes. */
struct limits {
	uint64_t wall_usec;	/* from the tool's first instruction; kept by the supervisor */
	uint64_t cpu_usec;	/* of the whole tree */
	uint64_t memory_bytes;	/* of the whole tree */
	uint64_t address_space_bytes;	/* RLIMIT_AS of each process; for tools that ask */
	uint64_t processes;
	uint64_t file_bytes;	/* RLIMIT_FSIZE */
	uint64_t open_files;	/* RLIMIT_NOFILE; 0: 256 */
	uint64_t log_bytes;	/* the file log; 0: nothing is kept */
	uint64_t stdout_bytes;	/* the file stdout, where it is apart; more is output_limit; 0: none allowed */
	uint64_t output_bytes;	/* files kept in work/, together */
	uint64_t output_files;	/* entries kept in work/; at most 10 000, also where it is 0 */
};

struct job_input {
	char *name;	/* in in/ and in work/: one path component, not starting with '.' */
	uint64_t size;
	char sha256[SHA256_HEX_SIZE];
};

struct job {
	char id[ID_SIZE];
	char *service;	/* the door it came through: "stableconfigs", "v1", ... */
	char *tool;
	char *owner;	/* "<door>:<kind>:<name>", compared whole */
	uint64_t accepted_usec;	/* wall time */
	char **argv;	/* NULL-terminated; argv[0] is an absolute path */
	char **env;	/* NULL-terminated NAME=VALUE: what parameters add to the tool's environment; NULL: nothing */
	char *tool_version;	/* as its tool file said at acceptance; NULL: it said nothing */
	char tool_sha256[SHA256_HEX_SIZE];	/* of the tool file; "": not known (a record of an earlier version) */
	char program_sha256[SHA256_HEX_SIZE];	/* of the file argv[0]; "": not known, or not readable */
	char *live;	/* a file in work/ that tells of progress while it runs; NULL: none */
	struct job_input *inputs;
	size_t n_inputs;
	struct limits limits;
	uint64_t kill_grace_usec;
	uint64_t keep_usec;	/* forgotten this long after its end; 0: never by age */
	uint64_t files_usec;	/* its files go this long after its end, its records stay; 0: not before those */
	bool secrets;	/* it has secret parameters, which are kept elsewhere */
	bool twice;	/* the tool may run twice */
	char *callback;	/* the https URL that is called when it has ended; NULL: none */
	char *key;	/* the service's own name for it, new when it was accepted; NULL: none */
	char *serial;	/* the group of which one job runs at a time; NULL: none */
	char once[SHA256_HEX_SIZE];	/* of its owner and Idempotency-Key; "": none */
	char once_sha256[SHA256_HEX_SIZE];	/* of what was submitted under it */
	char work[SHA256_HEX_SIZE];	/* jobs of which this is equal do the same; "": not said */
	json_object *note;	/* the service's own members; NULL: none */
};
enum { JOB_KEY_MAX = 80, JOB_SERIAL_MAX = 255 };	/* bytes of a key, as a name of index/key/ still when encoded; of a group */

struct job *job_new(void);	/* NULL: no memory */
struct job *job_free(struct job *job);	/* accepts NULL, always returns NULL */
static inline void free_job(struct job **j) { *j = job_free(*j); }

/* The text of job.json. -EINVAL: a member that job_parse would refuse; -E2BIG: over JOB_RECORD_MAX, or the note over NOTE_MAX or
 * too deep. The caller frees. */
int job_format(const struct job *job, char **ret_text, size_t *ret_len);
/* -EBADMSG: damaged; -EPROTONOSUPPORT: a newer version. */
int job_parse(const char *text, size_t len, struct job **ret);
/* From the job's folder. -ENOENT besides. */
int job_load(int job_fd, struct job **ret);

/* Whether name may be an input's or a live file's name: 1 to 100 bytes of A-Z a-z 0-9 . _ - , not starting with '.' or '-'. */
bool input_name_valid(const char *name);

/* What is kept of an Idempotency-Key: a hash of it and its owner, for whoever knows it gets the job. -ENOMEM. */
int once_hash(const char *owner, const char *key, char ret_once[SHA256_HEX_SIZE]);
/* The name below which index/key/<service>/ has the job of an Idempotency-Key; no service's own key looks like it. */
enum { ONCE_NAME_SIZE = 5 + SHA256_HEX_SIZE };
void once_name(const char once[SHA256_HEX_SIZE], char ret_name[ONCE_NAME_SIZE]);
bool key_is_once(const char *key);

/* limits as a JSON object, all members, names as in the struct; shared with the plan of a run. */
int limits_format(const struct limits *l, json_object **ret);
int job_inputs_format(const struct job *job, json_object **ret);	/* [{"name":...,"size":...,"sha256":...}] */
int limits_parse(json_object *obj, struct limits *ret);

#endif
