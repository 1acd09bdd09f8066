/* message.h - messages between the gate, the command and the helper: one JSON object a packet, SOCK_SEQPACKET, with files as
 * descriptors. Both ends bound everything. doc/architecture.md, "Asking the helper". */
#ifndef SPOOLGATE_MESSAGE_H
#define SPOOLGATE_MESSAGE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
	PROTO_VERSION = 1,
	MESSAGE_MAX = 192 * 1024,	/* bytes of one packet */
	MESSAGE_FDS_MAX = 64,	/* descriptors of one packet */
};

struct message {
	json_object *body;
	int fds[MESSAGE_FDS_MAX];
	size_t n_fds;
};
void message_done(struct message *m);	/* frees the body, closes the descriptors; for scoped() */
#define MESSAGE_INIT { NULL, { 0 }, 0 }

/* A listening socket at path (an old one there is replaced when nobody listens on it: -EADDRINUSE otherwise), mode and group
 * exact. -ENAMETOOLONG over 107 bytes; -ENOTSOCK: something else lies there, and stays. */
int message_listen(const char *path, mode_t mode, gid_t gid);
/* Connects; the descriptor blocks, but no send for longer than MESSAGE_SEND_SEC (-EAGAIN). With no_wait it is non-blocking, and
 * -EAGAIN where a listener that hangs has no room for another connection. */
enum { MESSAGE_SEND_SEC = 30 };
int message_connect(const char *path, bool no_wait);

/* Sends one packet. Descriptors stay the caller's. -EMSGSIZE: over MESSAGE_MAX; -EAGAIN: a non-blocking peer's buffer is full;
 * -EPIPE: it has gone (no signal). */
int message_send(int fd, json_object *body, const int *fds, size_t n_fds);
/* Receives one. 1: a message, which the caller owns; 0: the peer has closed; -EAGAIN; -EMSGSIZE: truncated, or too many
 * descriptors; -EBADMSG: not one JSON object. After the last two the connection is to be closed. Whatever came with a refused
 * packet is closed. timeout_msec: -1 for ever, 0 as the descriptor's flags; -ETIMEDOUT. */
int message_receive(int fd, struct message *ret, int timeout_msec);
/* The peer's uid, gid and pid at connect(2). */
int message_peer(int fd, uid_t *ret_uid, gid_t *ret_gid, pid_t *ret_pid);

#endif
