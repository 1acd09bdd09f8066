/* plan.h - what the helper tells a supervisor: the plan of one attempt, JSON in a sealed memory file, and the descriptors at
 * which a supervisor finds what it needs. */
#ifndef SPOOLGATE_PLAN_H
#define SPOOLGATE_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "basic/id.h"
#include "spool/job.h"
#include "spool/layout.h"

/* A supervisor is started as `spoolgate-run` (mode below) with these descriptors, and 0 to 2 on /dev/null and the helper's
 * stderr; with SIGTERM blocked, so that a kill which comes at once is not lost. */
enum {
	PLAN_JOB_FD = 3,	/* the job's folder */
	PLAN_LOCK_FD = 4,	/* its lock, locked: held until the supervisor ends */
	PLAN_CONTROL_FD = 5,	/* a SOCK_SEQPACKET pair with the helper */
	PLAN_PLAN_FD = 6,	/* this plan */
};

/* On the control socket the helper sends one packet, PLAN_GO, when `start N` is flushed (at once where nothing need be). The end
 * of the socket before it means that the helper went away: the supervisor then ends without having begun and writes nothing. After
 * it the helper may come and go; when the tool has begun the supervisor sends PLAN_BEGAN, a blank and the moment (clock_mono) to
 * whoever still listens, and closes. A kill is SIGTERM to the supervisor, at any time; state.json then says by whom. */
#define PLAN_GO "go"
#define PLAN_BEGAN "began"

/* Exit statuses of a supervisor. */
enum {
	PLAN_EXIT_DONE = 0,	/* the verdict is written and durable */
	PLAN_EXIT_FAILED = 1,	/* there is none: look at what is left */
	PLAN_EXIT_SUSPECT = 2,	/* it is written, but a flush failed: nothing more should be accepted on this disk */
};

enum plan_mode {
	PLAN_RUN,	/* build the jail, wait for PLAN_GO, run the tool, finish */
	PLAN_FINISH,	/* the supervisor of this attempt died after ended.json: walk, list, write the verdict */
};

/* What lies beside the entries of a cache for a moment begins so and ends with a job's id. */
#define PUBLISH_NEW ".new-"
#define PUBLISH_OLD ".old-"
/* An entry whose name begins so makes no room for others: it goes by its age alone. */
#define PUBLISH_KEPT "keep-"

enum jail_kind { JAIL_BWRAP, JAIL_NONE };

struct plan {
	char id[ID_SIZE];
	unsigned attempt;
	enum plan_mode mode;
	enum jail_kind jail;
	char **argv;	/* NULL-terminated; {job} is replaced already */
	char **env;	/* NULL-terminated NAME=VALUE; the whole environment of the tool */
	char **folders;	/* NULL-terminated absolute paths, bound read-only at their own place beside the system's */
	char **links;	/* NULL-terminated "NAME /absolute/path" each: a symbolic link in work/, its target bound read-only; NULL: none */
	char **after;	/* NULL-terminated: run at the end until it ends with 0, for a tool without a jail; NULL: none */
	bool network;	/* the host's network is the jail's */
	char *live;	/* name of the live file in work/; NULL: none */
	/* Of a tool that publishes (run/publish.h), NULL otherwise: where its work/ lies under the job's id, where the cache is, the entry's
	 * name, and the files, NULL-terminated. */
	char *scratch, *cache, *entry;
	char **publish;
	char **inputs;	/* NULL-terminated names in in/, copied into work/ before the start */
	bool stdout_apart;
	struct limits limits;
	uint64_t kill_grace_usec;
	struct spool_groups groups;
	char *filter;	/* a seccomp(2) program in hexadecimal digits, for the jail; NULL: none */
	char *cgroup;	/* absolute path of the delegated one, beneath which the job gets its own; NULL: limits are approximate */
	bool strict;	/* it does not begin where its cgroup cannot be made */
	char *bwrap;	/* absolute paths of the programs */
	char *init;
};

struct plan *plan_new(void);
struct plan *plan_free(struct plan *p);
static inline void free_plan(struct plan **p) { *p = plan_free(*p); }
int plan_format(const struct plan *p, char **ret_text, size_t *ret_len);
int plan_parse(const char *text, size_t len, struct plan **ret);	/* -EBADMSG, -EPROTONOSUPPORT */
/* Reads it from a descriptor (at most MESSAGE_MAX bytes). */
int plan_receive(int fd, struct plan **ret);

#endif
