/* condition.h - what must hold when a submission is accepted, checked in the same step, so that of two gate processes that ask at
 * once exactly the permitted number wins:
 *
 *	"key": text		the service's own name of the job is nobody else's
 *	"key_replaces": true	it may be that of a job that has finished, which loses it
 *	"once": text		an Idempotency-Key: what its owner submitted under it in the last day is the answer, where that was
 *				the same; it goes with its job, where that goes earlier
 *	"kept_owner": n		the owner has fewer than n jobs in the spool, finished ones included
 *	"kept_service": n	likewise, all owners of the service together
 *
 * Each condition claims a name. A submission that has claims waits until no earlier one that is under way has any of them in
 * common; then what is in the spool decides. Those without claims are not looked at here. */
#ifndef SPOOLGATE_CONDITION_H
#define SPOOLGATE_CONDITION_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/tool.h"
#include "spool/job.h"
#include "spool/layout.h"

enum { CLAIMS_MAX = 3, ONCE_MAX = 255 };

struct conditions {
	bool key_replaces;
	uint64_t kept_owner, kept_service;	/* 0: no cap */
	char *claims[CLAIMS_MAX];
	size_t n_claims;
	bool granted;
	void (*go)(struct conditions *c);	/* in the loop, once it is its turn */
	struct conditions *next;
};
/* Those under way, in order of arrival. */
struct conditions_list {
	struct conditions *first;
};

/* From a request's body; key and once go into job, whose service and owner are set. -EINVAL, with refusal filled in; -ENOMEM.
 * conditions_done is due in any case. */
int conditions_parse(struct conditions *c, json_object *body, struct job *job, struct tool_refusal *refusal);
void conditions_done(struct conditions *c);

/* Calls c->go, now or when those before it have left. */
void conditions_enter(struct conditions_list *l, struct conditions *c);
/* Does nothing where it has not entered. May call the go of others. */
void conditions_leave(struct conditions_list *l, struct conditions *c);

/* In a thread, after go: 0: they hold. 1: it is there already, as job ret_id. -EEXIST: the key is another job's. -ENOTUNIQ: once
 * stands for something else. -EDQUOT: too many jobs are kept; why and the member at fault are in refusal. Or the disk's errno.
 * job->once_sha256 is what is submitted. */
int conditions_check(const struct spool *s, const struct conditions *c, const struct job *job, struct tool_refusal *refusal,
    char ret_id[ID_SIZE]);

#endif
