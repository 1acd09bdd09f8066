/* escape.h - names: percent-encoding for URLs and for file names of the spool. */
#ifndef SPOOLGATE_ESCAPE_H
#define SPOOLGATE_ESCAPE_H

#include <stddef.h>

struct strbuf;

/* Decodes %XX (RFC 3986 section 2.1) in place of the copy it makes; '+' is left alone. -EINVAL: a broken escape, or a decoded
 * NUL. The caller frees. */
int percent_decode(const char *text, size_t len, char **ret_text);
/* Appends text with every byte that is not unreserved (A-Z a-z 0-9 - . _ ~) as %XX, upper-case hex. */
void percent_encode(struct strbuf *s, const char *text);
/* A file name for any text: as percent_encode, with a leading '.' encoded too. -ENAMETOOLONG over 255 bytes, -EINVAL when
 * empty. */
int name_encode(const char *text, char ret_name[256]);
int name_decode(const char *name, char **ret_text);	/* -EINVAL: not what name_encode writes */

#endif
