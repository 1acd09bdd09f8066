/* auth.h - who asks the native API, and what he may do.
 * A caller is a token (`Authorization: Bearer ...`, owner "v1:token:<name>") or, without that header, an address (owner
 * "v1:ip:<address>") with the scopes that section [v1] gives to anybody. */
#ifndef SPOOLGATE_GATE_AUTH_H
#define SPOOLGATE_GATE_AUTH_H

#include <stdbool.h>

#include "gate/request.h"
#include "store/token.h"

struct exchange;

enum { SCOPE_ANY = SCOPE_SUBMIT | SCOPE_READ | SCOPE_KILL | SCOPE_ADMIN };	/* for auth_require(): whichever */

enum { CALLER_OWNER_SIZE = sizeof "v1:token:" + TOKEN_NAME_MAX + ADDRESS_NAME_SIZE };

struct caller {
	char owner[CALLER_OWNER_SIZE];
	unsigned scopes;	/* enum scope, or-ed; SCOPE_ADMIN implies all */
	char *tools;	/* names, each between newlines ("\na\nb\n"); NULL: all */
	bool anonymous;
};
void caller_done(struct caller *c);	/* usable with scoped(caller_done) */

/* Finds out who asks. 0: *ret is filled in; 1: the answer (401) is set; else a negative errno. */
int auth_caller(struct exchange *x, struct caller *ret);
/* auth_caller(), and one of these scopes: 0, 1: the answer (401 or 403) is set, or a negative errno. */
int auth_require(struct exchange *x, unsigned scopes, struct caller *ret);
bool caller_may(const struct caller *c, unsigned scopes);	/* one of these */
bool caller_may_use(const struct caller *c, const char *tool);

#endif
