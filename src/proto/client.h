/* client.h - the asking side: what the gate and the command say to the helper.
 * One struct client is one connection, used by one thread at a time; it connects (and says hello) at the first call and again
 * after a failure. A call is one request and its answer.
 *
 * Errors, besides those that a call names: -ECONNREFUSED, -ENOENT: no helper there; -ECONNRESET, -EPIPE: it went away in the
 * middle, and nobody knows whether it did what was asked; -ETIMEDOUT: no answer in time, likewise; -EPROTO: it said something
 * that is no answer; -EPROTONOSUPPORT: it speaks no version of ours; -EPERM: this peer may not ask that. */
#ifndef SPOOLGATE_CLIENT_H
#define SPOOLGATE_CLIENT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "basic/hash.h"
#include "basic/id.h"

struct client;
int client_new(const char *socket_path, const char *program, struct client **ret);
struct client *client_free(struct client *c);
static inline void free_client(struct client **c) { *c = client_free(*c); }
/* Whole seconds after which a refusal with -EAGAIN, -ENOSPC, -ESHUTDOWN or -EDQUOT may be tried again; 0: not said. And the
 * helper's own words for the last refusal; "" if none. Valid until the next call. */
unsigned client_retry_after(const struct client *c);
const char *client_reason(const struct client *c);
/* Which member of a submission was at fault at the last refusal with -EINVAL, -EFBIG or -EDQUOT: a JSON pointer ("/tool", "/parameters/gen",
 * "/inputs/problem.txt"); "": none. Valid until the next call. */
const char *client_member(const struct client *c);

/* Whether a body of this many bytes would be taken now. Held for 60 s under the ticket, which the submission hands in, but not
 * beyond this connection's next client_may or its end.
 * -EAGAIN: queue full; -EDQUOT: over a cap of this owner; -ENOSPC: disk reserve; -ESHUTDOWN: draining, or not accepting after a
 * failed flush; -EFBIG: more than the helper ever takes. */
int client_may(struct client *c, const char *service, const char *owner, uint64_t bytes, char ret_ticket[ID_SIZE]);

struct submit_input {
	const char *name;
	int fd;	/* a sealed memory file, or an unlinked regular file where it is over 1 MiB; stays the caller's */
	uint64_t size;
};
struct submission {
	const char *service;
	const char *tool;
	const char *owner;
	const char *ticket;	/* "" or NULL: none */
	const char *once;	/* Idempotency-Key; NULL: none */
	const char *callback;	/* the https URL to be called at the end; NULL: none */
	/* Conditions of its acceptance (helper/condition.h) and its serial group; NULL, 0: none. */
	const char *key;
	bool key_replaces;	/* the key may be taken over from a job that has finished */
	const char *serial;
	uint64_t kept_owner, kept_service;
	json_object *params;	/* name -> string or number; borrowed; NULL: none */
	json_object *note;	/* borrowed; NULL: none */
	const struct submit_input *inputs;
	size_t n_inputs;
	uint64_t deadline_mono_usec;	/* dropped unless its record was appended by then; 0: 10 s from now */
};
/* 0: accepted, which means durable; 1: it had been, under the same Idempotency-Key. -ENOTUNIQ: that key stands for another submission;
 * -EEXIST: the name `key` is another job's; -EDQUOT with the member "/kept_owner" or "/kept_service": too many are kept. -EINVAL: unknown tool, parameter, input, a value out of range, a descriptor that is not as
 * described; -EFBIG: an input over its limit; -EAGAIN, -EDQUOT, -ENOSPC, -ESHUTDOWN as client_may; -ETIMEDOUT. */
int client_submit(struct client *c, const struct submission *s, char ret_id[ID_SIZE]);

/* Asks for the end of a job; `by` is for the record. Returns 1: it had finished already (its result stays); 0: it is being
 * killed, or ended before it began. -ENOENT: no such job. */
int client_kill(struct client *c, const char *id, const char *by);
/* Forgets a finished job with all it has. -ENOENT; -EBUSY: not finished. */
int client_forget(struct client *c, const char *id);

/* Removes a finished job's files; its records stay. -ENOENT; -EBUSY: not finished. */
int client_prune(struct client *c, const char *id);
/* Replaces the service's note in meta.json, an object. -ENOENT; -E2BIG; -EINVAL. */
int client_amend(struct client *c, const char *id, json_object *note);

/* What may be known of the tools, in order of their names, after that one ("": from the first): an array of Tool objects of the
 * native API in *ret, the caller's; *ret_more: there are others behind the last. */
int client_tools(struct client *c, const char *after, json_object **ret, bool *ret_more);

/* Asks for the zip of a finished job: its name in packs/, without ".zip". Returns 1: it is there, for some minutes; 0: it is being
 * made, and `changed` for the job tells that it is there or failed. -ENOENT: no such job, or not finished; -EAGAIN, -ENOSPC. */
int client_pack(struct client *c, const char *id, char ret_name[SHA256_HEX_SIZE]);

/* The places of these jobs in the queue, at most CLIENT_POSITIONS_MAX: 1: it is next; 0: it does not wait, or is none.
 * Waits a second for the answer at most: nobody needs it. */
enum { CLIENT_POSITIONS_MAX = 256 };
int client_positions(struct client *c, const char *const *ids, size_t n, uint64_t *ret);

struct queue_summary {
	uint64_t queued, running, slots, queue_max;
	int accepting;	/* 0: draining, or stopped after a failed flush */
};
int client_queue(struct client *c, struct queue_summary *ret);

/* Any request, {"op": ...}; the answer's object is *ret_reply, the caller's. */
int client_request(struct client *c, json_object *request, json_object **ret_reply);

/* What the helper has counted since its start, an object as helper/stats.h describes it, the caller's. Waits a second at most. */
int client_stats(struct client *c, json_object **ret);

/* Requests without arguments: "drain", "resume", "reload", "restart". The answer's object is *ret_reply where not NULL. */
int client_command(struct client *c, const char *op, json_object **ret_reply);

/* Subscriptions, for a client of their own: after client_watch the connection carries events. Nothing of this ever blocks, whatever
 * the helper does: client_watch and client_unwatch only send (at most CLIENT_WATCH_MAX ids on one connection), -EAGAIN where
 * the helper does not read. client_fd is what to poll; client_event takes one event: 1: *ret_id changed ("" : resync, look at all of
 * them again), 0: nothing there; a negative errno: the connection is lost, or a subscription was refused: watch anew. */
enum { CLIENT_WATCH_MAX = 4096 };
int client_watch(struct client *c, const char *const *ids, size_t n);
int client_unwatch(struct client *c, const char *const *ids, size_t n);
int client_fd(const struct client *c);
int client_event(struct client *c, char ret_id[ID_SIZE]);

#endif
