/* output.h - results as JSON, for machines and people, and as text.
 * The JSON is written as it goes and never held as a whole, for there may be millions of configurations. */
#ifndef SPOOLGATE_TBN_OUTPUT_H
#define SPOOLGATE_TBN_OUTPUT_H

#include "basic/strbuf.h"
#include "tbn/search.h"

enum output_form {
	OUTPUT_TEXT,
	OUTPUT_JSON,	/* one configuration a line */
	OUTPUT_COMPACT,	/* as Python's json.dumps(..., separators=(",", ":"), sort_keys=True), and a newline */
};

/* Appends a JSON string, non-ASCII as \uXXXX in lower case. text must be UTF-8. */
void json_add_string(struct strbuf *s, struct slice text);
/* As above without the quotes. */
void json_add_escaped(struct strbuf *s, struct slice text);

/* Writes what the search found to fd. status is the word of the member `status`; OUTPUT_TEXT shows note (NULL: none) instead.
 * 0 or a negative errno. */
int output_result(int fd, struct search *s, enum output_form form, const char *status, const char *note);
/* Writes {"message":...,"status":...} and a newline. */
int output_message(int fd, const char *message, const char *status);

#endif
