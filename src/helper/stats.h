/* stats.h - what the helper counts from its own start on, for the gate's /metrics: jobs, refusals, waits. Everything here is the
 * loop's and costs an addition; nothing survives a restart, which is what a reader of counters expects. */
#ifndef SPOOLGATE_STATS_H
#define SPOOLGATE_STATS_H

#include <stdint.h>

#include "helper/helper.h"
#include "helper/live.h"
#include "helper/server.h"
#include "proto/message.h"
#include "spool/record.h"

/* What became of a job whose supervisor or helper was not there any more. */
enum recovery {
	RECOVERY_ADOPTED,	/* its supervisor went on, and a new helper follows it */
	RECOVERY_FINISHED,	/* the tool had ended; verdict or list of outputs were completed */
	RECOVERY_STARTED_AGAIN,	/* it had begun, and its tool may run twice */
	RECOVERY_LOST,
	N_RECOVERIES
};

struct stats;
int stats_new(struct stats **ret);
struct stats *stats_free(struct stats *s);	/* accepts NULL, always returns NULL */

/* service, or an owner ("<service>:..."). At most 16 services are told apart; others count as "other". */
void stats_accepted(struct helper *h, const char *service);
void stats_finished(struct helper *h, const char *service, const struct job_result *result);	/* service NULL: not known */
/* Finished jobs that lie in the spool: one that the start has found, and one that was forgotten. Those that finish count by
 * themselves. */
void stats_found(struct helper *h);
void stats_forgot(struct helper *h);
/* A submission, or `may`; reason: the text of the refusal, NULL: none. */
void stats_refused(struct helper *h, int error, const char *reason);
void stats_recovered(struct helper *h, enum recovery what);
/* A job leaves the queue for a slot: how long it had waited since its acceptance, or since it came back after an attempt. */
void stats_waited(const struct live *l);
void stats_started(struct helper *h, uint64_t usec);	/* from taking its slot until its tool began */

/* The request `stats`: an object with
 *   now: queued, running, slots, queue_max, kept (finished jobs in the spool), results (their bytes), rss (bytes), disk_room (bytes
 *        that an unprivileged writer still has there), accepting (1 or 0);
 *   accepted: {service: n}; finished: {service: {verdict: n}}; refused: {reason: n}; recovered: {what: n};
 *   queue_wait, start, run: {"buckets": [n for each class of basic/histogram.h], "sum": microseconds}. */
void stats_request(struct helper *h, struct message *m, struct reply_to to);

#endif
