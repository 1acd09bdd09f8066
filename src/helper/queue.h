/* queue.h - which job is next: within an owner the one accepted first, and owners in turn.
 *
 * Turns are rounds. An owner that has had a start in a round has its next one in the following round; one that begins to wait
 * joins the round under way. So whoever has nothing running or waiting comes before everybody who was served in this round,
 * however many jobs those have, and nobody can pass the others twice by leaving and coming back: an owner is remembered until
 * the round of its last start is over. A round that has had 64 starts takes no newcomers any more, so that a stream of
 * them keeps nobody waiting. In a round the owner whose oldest job was accepted first comes first. After a restart
 * everybody is in one round. Owners of a service that has enough running are passed over. Nothing here takes time in proportion to
 * the number of jobs or owners. */
#ifndef SPOOLGATE_QUEUE_H
#define SPOOLGATE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a pairing heap: lies in what is ordered, so that entering never fails. */
struct queue_node {
	struct queue_node *child, *next, *previous;	/* previous: the parent, for a first child */
};

struct queue;
struct queue_owner;
/* How many jobs of a service run at once at the most; 0: no cap. */
typedef size_t queue_limit_fn(const char *service, const void *ctx);

struct queue_job {
	struct queue_node node;
	struct queue_owner *owner;
	const char *id;
	uint64_t accepted_usec;
	bool waiting;	/* in the queue */
};

int queue_new(struct queue **ret);
struct queue *queue_free(struct queue *q);	/* its jobs are no longer looked at */

/* The owner of that name, held until queue_put; its service is what stands before the first ':'. NULL: no memory. */
struct queue_owner *queue_hold(struct queue *q, const char *name);
struct queue_owner *queue_put(struct queue *q, struct queue_owner *o);	/* accepts NULL, always returns NULL */

const char *queue_owner_name(const struct queue_owner *o);	/* as long as it is held */
/* Its jobs that wait, and those that were announced and not accepted yet, by queue_coming; taken back by queue_came. */
size_t queue_owned(const struct queue_owner *o);
size_t queue_service_owned(const struct queue_owner *o);	/* likewise, of all owners of its service */
void queue_coming(struct queue_owner *o);
void queue_came(struct queue_owner *o);
/* One of its jobs has a slot, or has it no more. */
void queue_running(struct queue *q, struct queue_owner *o);
void queue_ran(struct queue *q, struct queue_owner *o);
/* So many jobs of one owner run at once at the most; 0: no cap. Looks at every owner where this is new. */
void queue_set_running_max(struct queue *q, size_t most);
/* Asked for each service now, and for one that comes later when it comes. */
void queue_set_service_limit(struct queue *q, queue_limit_fn *limit, const void *ctx);

/* id, owner and accepted_usec are set; the owner is held by the caller as long as the job waits. */
void queue_add(struct queue *q, struct queue_job *job);
void queue_remove(struct queue *q, struct queue_job *job);
/* Takes the next job out of the queue: its owner has had its turn. NULL: none waits. */
struct queue_job *queue_next(struct queue *q);
/* Its place among all that wait, 1: it is next; 0: it does not wait. What it would be if nothing came or went from now on and no cap
 * was met. Takes time in proportion to the owners and the jobs of its own. */
size_t queue_position(const struct queue *q, const struct queue_job *job);

#endif
