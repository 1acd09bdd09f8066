/* token.h - the native API's tokens, in the database spoolgate.db of the gate's state folder (SQLite).
 * A token is 256 random bits, shown once as "sgt_" and 43 characters of base64url; the database has its SHA-256 alone. Several
 * processes may use the database at once; one struct tokens may be used by several threads. A revoked token is gone with the
 * next look-up, everywhere. */
#ifndef SPOOLGATE_STORE_TOKEN_H
#define SPOOLGATE_STORE_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

enum { TOKEN_NAME_MAX = 64, TOKEN_TEXT_SIZE = 4 + 43 + 1, TOKEN_TOOLS_MAX = 64 };

enum scope { SCOPE_SUBMIT = 1 << 0, SCOPE_READ = 1 << 1, SCOPE_KILL = 1 << 2, SCOPE_ADMIN = 1 << 3 };
/* Comma-separated, or with blanks or newlines between: "submit", "read", "kill", "admin". -EINVAL: another word. "" is 0. */
int scopes_parse(const char *text, unsigned *ret);
enum { SCOPES_TEXT_SIZE = 32 };
void scopes_format(unsigned scopes, char ret_text[SCOPES_TEXT_SIZE]);	/* "submit,read" */

struct token {
	char name[TOKEN_NAME_MAX + 1];
	unsigned scopes;	/* enum scope, or-ed */
	char *tools;	/* those it may use, each between newlines ("\na\nb\n"); NULL: all */
	uint64_t created_usec;	/* wall time */
	uint64_t expires_usec;	/* wall time; 0: never */
};
void token_done(struct token *t);	/* usable with scoped(token_done) */
bool token_name_valid(const char *name);	/* 1 to 64 of a-z 0-9 . _ -, not starting with '.' or '-' */

struct tokens;
/* Opens the database below the folder; with make it is made (0600) where it is missing. -ENOENT: no database (without make);
 * -EPROTONOSUPPORT: a newer version's; -EBADMSG: damaged or no database; -EACCES, -ENOSPC, -EBUSY (locked for 5 s), ... */
int tokens_open(const char *folder, bool make, struct tokens **ret);
struct tokens *tokens_close(struct tokens *t);	/* accepts NULL, always returns NULL */
static inline void close_tokens(struct tokens **t) { *t = tokens_close(*t); }

/* Adds t (its created_usec is set here) and tells its text, once. -EEXIST: the name is taken; -EINVAL: no name, no scope, or a
 * tool's name with a newline. */
int tokens_add(struct tokens *all, struct token *t, char ret_text[TOKEN_TEXT_SIZE]);
int tokens_revoke(struct tokens *all, const char *name);	/* -ENOENT */
/* Calls f for each, by name; stops at its first negative result, which is returned. */
int tokens_each(struct tokens *all, int (*f)(const struct token *t, void *ctx), void *ctx);
/* The token of this text; the caller frees with token_done. -ENOENT: there is none, or its time is over. */
int tokens_find(struct tokens *all, const char *text, struct token *ret);

#endif
