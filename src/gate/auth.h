/* auth.h - who asks the native API, and what he may do.
 * A caller is a token (`Authorization: Bearer ...`, owner "v1:token:<name>") or, without that header, an address (owner
 * "v1:ip:<address>") with the scopes that section [v1] gives to anybody. */
#ifndef SPOOLGATE_GATE_AUTH_H
#define SPOOLGATE_GATE_AUTH_H

#include <stdbool.h>

#include "gate/request.h"

struct exchange;

enum scope { SCOPE_SUBMIT = 1 << 0, SCOPE_READ = 1 << 1, SCOPE_KILL = 1 << 2, SCOPE_ADMIN = 1 << 3, SCOPE_ANY = 0xf };

enum { CALLER_NAME_MAX = 64, CALLER_OWNER_SIZE = sizeof "v1:token:" + CALLER_NAME_MAX + ADDRESS_NAME_SIZE };

struct caller {
	char owner[CALLER_OWNER_SIZE];
	unsigned scopes;	/* enum scope, or-ed; SCOPE_ADMIN implies all */
	char *tools;	/* names, each between newlines ("\na\nb\n"); NULL: all */
	bool anonymous;
};
void caller_done(struct caller *c);	/* usable with scoped(caller_done) */

/* Comma-separated or one a line: "submit", "read", "kill", "admin". -EINVAL: another word. "" is 0. */
int scopes_parse(const char *text, unsigned *ret);

/* Finds out who asks. 0: *ret is filled in; HANDLED_WAITING is never returned; 1: the answer (401) is set; else a negative errno. */
int auth_caller(struct exchange *x, struct caller *ret);
/* auth_caller(), and the scope: 0, 1: the answer (401 or 403) is set, or a negative errno. */
int auth_require(struct exchange *x, enum scope scope, struct caller *ret);
bool caller_may(const struct caller *c, enum scope scope);
bool caller_may_use(const struct caller *c, const char *tool);

#endif
