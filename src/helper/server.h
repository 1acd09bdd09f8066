/* server.h - the two sockets: credentials, the table of permitted requests, answers, subscriptions. */
#ifndef SPOOLGATE_SERVER_H
#define SPOOLGATE_SERVER_H

#include <json-c/json.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "helper/helper.h"
#include "proto/message.h"

/* To whom an answer goes; the connection may be gone by then, which is no error. */
struct reply_to {
	uint64_t connection;	/* serial number; 0: nobody waits */
	int64_t number;	/* of the request */
};

int server_new(struct helper *h, int gate_fd, int admin_fd, struct server **ret);	/* takes the listening sockets */
struct server *server_free(struct server *s);
/* The listening sockets, still open, for a re-execution; the server gives them up. */
void server_take_sockets(struct server *s, int *ret_gate_fd, int *ret_admin_fd);

/* No new connection is accepted any more: it waits in the socket for whoever listens on it next. What was sent on the others is
 * still read and answered; what is sent from now on fails there with EPIPE, so that its sender knows that nobody has read it. */
void server_leave(struct server *s);
/* Everything that was sent has been read. */
bool server_has_left(const struct server *s);

/* Owns body; NULL: an answer without members. */
void server_reply(struct helper *h, struct reply_to to, json_object *body);
/* error is negative. reason: for people, may be NULL. retry_after: seconds, 0: not said. */
void server_refuse(struct helper *h, struct reply_to to, int error, const char *reason, unsigned retry_after);
/* The same, and which member of a submission is at fault (a JSON pointer; "": none). */
void server_refuse_member(struct helper *h, struct reply_to to, int error, const char *reason, const char *member);
/* Tells all who watch this job. */
void server_changed(struct helper *h, const char *id);
/* Registers a flag that is set when the connection closes; it must be taken off again before it goes. */
void server_cancel_on_close(struct helper *h, struct reply_to to, atomic_bool *flag);
void server_forget_cancel(struct helper *h, struct reply_to to, atomic_bool *flag);

#endif
