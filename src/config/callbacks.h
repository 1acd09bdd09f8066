/* callbacks.h - section [callbacks]: with which key the calls at the end of a job are signed, and where they may go. */
#ifndef SPOOLGATE_CALLBACKS_H
#define SPOOLGATE_CALLBACKS_H

#include <stdbool.h>
#include <stddef.h>

#include "basic/address.h"
#include "config/config.h"

enum { CALLBACK_KEY_MIN = 24, CALLBACK_KEY_MAX = 64 };

struct callbacks {
	unsigned char key[CALLBACK_KEY_MAX];
	size_t key_len;	/* 0: none is configured, so no submission may name a callback */
	struct network *allowed;	/* besides public addresses */
	size_t n_allowed;
};

/* The file has one line as Standard Webhooks has it: "whsec_" and the base64 of 24 to 64 bytes; nobody but its owner and group may read
 * it. Every fault is collected; *ret is usable only where there is none, and freed with callbacks_done. -EINVAL; -ENOMEM. */
int callbacks_load(const struct config *config, struct faults *f, struct callbacks *ret);
void callbacks_done(struct callbacks *c);

/* Whether a call may go to this address. */
bool callbacks_permit(const struct callbacks *c, const struct in6_addr *address);

#endif
