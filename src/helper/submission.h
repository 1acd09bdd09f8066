/* submission.h - what a submission says, checked against the tool's file, and what it hashes to. submit.h has its way into the
 * spool. */
#ifndef SPOOLGATE_SUBMISSION_H
#define SPOOLGATE_SUBMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "config/tool.h"
#include "helper/condition.h"
#include "helper/helper.h"
#include "helper/offload.h"
#include "helper/queue.h"
#include "helper/server.h"
#include "helper/writer.h"
#include "proto/message.h"
#include "spool/job.h"

/* Reasons of -EAGAIN, which stats.c tells apart. */
#define REASON_SERVICE_FULL "too many jobs of this service are waiting"
#define REASON_QUEUE_FULL "the queue is full"
#define REASON_TOO_MUCH "too much is coming in at once"

enum { TRANSIENT_KEEP_SECONDS = 60 };	/* after the end of a job that need not be durable */

/* Why not, and in how many seconds it may be tried again. */
struct refused {
	int error;	/* 0: it may come in */
	const char *reason;
	unsigned retry;
};

/* A submission on its way from the request to the answer. */
struct submission {
	struct task task;
	struct write write;
	struct helper *helper;
	struct queue_owner *owner;
	struct reply_to to;
	struct job *job;
	int fds[MESSAGE_FDS_MAX];
	uint64_t max_bytes[MESSAGE_FDS_MAX];
	uint64_t total_bytes;
	const struct spool *spool;	/* the tool's jobs lie there */
	bool flush;	/* the inputs are too large for the journal */
	bool shares;	/* equal work is done once */
	char **secrets;	/* NAME=VALUE; NULL: none */
	const char *reason;	/* a constant, or refusal.why; for a refusal */
	struct tool_refusal refusal;	/* its member is filled in where one is at fault */
	int result;

	struct conditions conditions;
	struct refused refused;	/* unless it is there already */
	struct sha256 *once_hash;	/* of what is submitted, the inputs still missing; NULL: nobody wants it, or done */
	bool failed_condition;
	bool repeated;	/* it is there already, as job same_id */
	char same_id[ID_SIZE];
};

/* Service and owner of a request, which live as long as its body. -EINVAL. */
int submission_owner(json_object *body, const char **ret_service, const char **ret_owner);

/* Takes the message's descriptors over and holds the owner. Also where it fails *ret is what it can say of the reason: its reason and
 * its refusal's member; NULL: no memory. -EINVAL: something is wrong with it; -EFBIG: an input is too large; -ENOMEM. */
int submission_new(struct helper *h, struct message *m, struct reply_to to, struct submission **ret);
struct submission *submission_free(struct submission *s);	/* accepts NULL, always returns NULL */
static inline void free_submission(struct submission **s) { *s = submission_free(*s); }

/* In a thread, once the hashes of the inputs are known: fills in the job's once_sha256; its work. -ENOMEM. */
void submission_hash_once(struct submission *s);
int submission_hash_work(struct job *job);

#endif
