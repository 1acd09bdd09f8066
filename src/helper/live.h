/* live.h - the jobs that are not finished: a table by id, the queue, and the steps from one state to the next.
 *
 * At most one file task of a job is under way at a time (busy); when it ends, live_step decides what comes next. */
#ifndef SPOOLGATE_LIVE_H
#define SPOOLGATE_LIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "basic/id.h"
#include "helper/helper.h"
#include "helper/queue.h"
#include "helper/server.h"
#include "spool/job.h"
#include "spool/record.h"

enum live_state {
	LIVE_QUEUED,
	LIVE_STARTING,	/* files are prepared for a supervisor */
	LIVE_RUNNING,	/* it has a supervisor, of ours or adopted */
	LIVE_LOOKING,	/* the supervisor is gone: what did it leave? */
	LIVE_ENDING,	/* the helper itself writes the verdict */
};

struct errand;
struct ending;
struct group;

enum { LIVE_KILL_REPLIES = 8, FINISH_TRIES = 3, START_TRIES = 3, LIVE_TOOL_SIZE = 65 };

struct live {
	struct helper *helper;
	const struct spool *spool;	/* where it lies */
	char id[ID_SIZE];
	uint64_t accepted_usec;
	uint64_t queued_usec;	/* wall time at which it last came into the queue */
	uint64_t slot_mono_usec;	/* when it took its slot to be started */
	struct queue_owner *owner;	/* NULL until its record was read */
	enum live_state state;
	unsigned attempt;	/* of the last start */
	unsigned vain_starts;	/* supervisors that ended before the tool began, one after the other */
	unsigned finish_tries;	/* supervisors that died in the walk */
	bool busy;
	bool in_queue;
	bool has_slot;
	bool look_due;	/* its supervisor has ended: to be looked at once it is not busy */

	int pidfd;	/* LIVE_RUNNING */
	sd_event_source *source;
	int control_fd;	/* until PLAN_BEGAN */
	sd_event_source *control;	/* after PLAN_GO */

	bool kill_wanted;	/* asked for; its record may still be under way */
	bool kill_recorded;	/* durable */
	bool kill_stored;	/* in state.json, and the supervisor knows */
	int kill_half;	/* of the journal, to be told when it is done */
	char by[BY_MAX];
	struct reply_to kill_replies[LIVE_KILL_REPLIES];
	size_t n_kill_replies;
	struct errand *forgets;	/* who wait to forget it: its verdict is there, we do not know it yet */
	struct ending *ending;	/* a verdict that the disk refused, until it is tried again */

	struct queue_job queued;
	struct group *group;	/* NULL: it is in none */
	struct live *group_next;
	bool parked;	/* queued, and another of its group goes first */
	uint64_t input_bytes;
	char tool[LIVE_TOOL_SIZE];	/* "": not known */
	bool calls;	/* it names a callback */
	bool share_tried;	/* what an equal job left could not be copied */
};

int live_table_new(struct helper *h, struct live_table **ret);
struct live_table *live_table_free(struct live_table *t);

struct live *live_find(struct helper *h, const char *id);
/* A new entry, not queued yet. NULL: no memory. */
struct live *live_add(struct helper *h, const struct spool *spool, const char *id, uint64_t accepted_usec);
/* It needs no record and no flush. */
bool live_is_transient(const struct live *l);
/* Whose it is and its group, from its record; does nothing where that is known. goes: it has started. -ENOMEM. */
int live_learn(struct live *l, const struct job *job, bool goes);
/* Somebody wants it killed, or not after all (the record failed): it is not started meanwhile. */
void live_hold(struct live *l, bool hold);
/* Another of its group goes first: it waits outside of the queue; or not any more. */
void live_park(struct live *l, bool park);
/* Puts it where its time of acceptance belongs, and starts what may start. */
void live_enqueue(struct live *l);
void live_dequeue(struct live *l);
/* Its verdict is written: tells everybody, frees the slot and the entry. result: NULL where the job is not there any more. */
void live_finished(struct live *l, const struct job_result *result);
/* Does what is due now, unless it is busy. */
void live_step(struct live *l);
/* Somebody runs it, whether we started it or found it: it counts as running. */
void live_take_slot(struct live *l);
/* Starts queued jobs while there are slots. */
void live_schedule(struct helper *h);

/* The owner of that name, held until live_owner_put; NULL: no memory. */
struct queue_owner *live_owner(struct helper *h, const char *name);
void live_owner_put(struct helper *h, struct queue_owner *o);

/* Its place in the queue, 1: it is next; 0: it does not wait, or not for itself. That of the job which does its work, where there is
 * one. */
size_t live_position(const struct live *l);

void live_each(struct helper *h, void (*f)(const struct live *l, void *ctx), void *ctx);

size_t live_queued(const struct helper *h);
size_t live_running(const struct helper *h);	/* slots in use */
size_t live_slots(const struct helper *h);
size_t live_busy(const struct helper *h);	/* file tasks under way */
void live_set_busy(struct live *l, bool busy);

#endif
