/* api_stableconfigs_problem.h - the body of POST /task: monomer lines, constraint lines and two numbers.
 * The body may be millions of tiny arrays, so it is never held as objects: scanned once, then turned into lines as it is read. */
#ifndef SPOOLGATE_GATE_API_STABLECONFIGS_PROBLEM_H
#define SPOOLGATE_GATE_API_STABLECONFIGS_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

#include "basic/strbuf.h"

enum { PROBLEM_NUMBER_SIZE = 401 };	/* a number of 400 digits, and a NUL */

struct problem {
	struct strbuf monomers;	/* one line each, LF behind every one */
	struct strbuf constraints;
	bool has_constraints;	/* at least one line, be it empty */
	char gen[PROBLEM_NUMBER_SIZE];	/* as Python shows the number; "1" unless given; "string", "null" ... for other types */
	char init_k[PROBLEM_NUMBER_SIZE];
};

/* 0; -EINVAL: *ret_why is a sentence for the client; -ENOMEM. problem_done frees in any case. */
int problem_parse(const char *text, size_t len, struct problem *ret, const char **ret_why);
void problem_done(struct problem *p);

#endif
