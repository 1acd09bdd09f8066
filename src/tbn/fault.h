/* fault.h - why a run ended without a result, in words for its user. */
#ifndef SPOOLGATE_TBN_FAULT_H
#define SPOOLGATE_TBN_FAULT_H

#include "tbn/text.h"

enum fault_class {
	FAULT_NONE,
	FAULT_TBN,	/* the input, a constraint or init_k: the network's author can mend it */
	FAULT_EXCEPTION,	/* anything else: arguments, sizes, files, memory */
};

enum fault_file { FAULT_NOWHERE, FAULT_PROBLEM, FAULT_CONSTRAINTS };

struct fault {
	enum fault_class class;
	char *message;	/* UTF-8, may hold anything the input held; NULL if memory ran out */
	enum fault_file file;	/* where it stands */
	size_t line;	/* from 1; 0: no line */
	struct slice token;	/* the word at fault, in the input's memory; n = 0: none */
};

void fault_done(struct fault *fault);

/* Fills fault in. In format %v takes a struct slice * and %d an int, nothing else is understood. Always returns -EINVAL, so
 * that a parser ends with `return fault_set(...)`. Messages are NUL-terminated; a NUL inside a slice becomes U+FFFD. */
int fault_set(struct fault *fault, enum fault_class class, const char *format, ...);
/* Adds the place to a fault just set; returns -EINVAL as well. */
int fault_at(struct fault *fault, enum fault_file file, size_t line, struct slice token);

#endif
