/* url.h - what the command has to know of an URL before it sends a token there. */
#ifndef SPOOLGATE_CLI_URL_H
#define SPOOLGATE_CLI_URL_H

#include <stdbool.h>

/* Whether two URLs are of http or https and have the same scheme, host and port. */
bool url_same_origin(const char *one, const char *other);
/* Whether its host is this machine, so that nobody else can hear. */
bool url_is_loopback(const char *url);
/* Why it cannot be the URL of a server: a sentence, or NULL where it can. */
const char *url_server_fault(const char *url);

#endif
