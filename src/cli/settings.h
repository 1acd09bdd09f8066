/* settings.h - which server, with which token and which certificate authority: from options, else the environment, else the
 * user's file ($XDG_CONFIG_HOME or ~/.config)/spoolgate/config:
 *   [server]
 *   url = https://spoolgate.example.org
 *   ca = /etc/ssl/lab-ca.pem
 *   token-file = /home/ann/.config/spoolgate/token
 * or, in the place of token-file, `token = sgt_...`, if nobody but the owner can read the file. */
#ifndef SPOOLGATE_SETTINGS_H
#define SPOOLGATE_SETTINGS_H

#include <stdbool.h>

#include "config/config.h"

/* What the command line says; NULL: nothing. */
struct settings_options {
	const char *server, *ca, *token_file, *config;
};

struct settings {
	char *server;	/* as it was given: an URL */
	char *ca;	/* a PEM file; NULL: the system's */
	char *token;	/* NULL: none */
	char *token_server;	/* the server that was named beside the token, the only one it is for; NULL: none was */
	const char *token_from;	/* for messages: where the token is from; NULL without one */
};

/* Reads them. -EINVAL: there are faults, all of them in f, each a sentence, and *ret is left alone. No server at all is a
 * fault. A file that is named by an option or the environment and is not there is one; the user's own file need not exist. */
int settings_load(const struct settings_options *options, struct faults *f, struct settings *ret);
void settings_done(struct settings *s);	/* usable with scoped; wipes the token */

#endif
