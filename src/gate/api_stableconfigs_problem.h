/* api_stableconfigs_problem.h - the body of POST /task: monomer lines, constraint lines and two numbers.
 * The body may be millions of tiny arrays, so it is never held as objects: scanned once, then turned into lines in its own place. */
#ifndef SPOOLGATE_GATE_API_STABLECONFIGS_PROBLEM_H
#define SPOOLGATE_GATE_API_STABLECONFIGS_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

enum { PROBLEM_NUMBER_SIZE = 401 };	/* a number of 400 digits, and a NUL */

struct lines {
	const char *text;	/* one line each, LF behind every one; not ended by a NUL */
	size_t len;
};
struct problem {
	struct lines monomers;
	struct lines constraints;
	bool has_constraints;	/* at least one line, be it empty */
	char gen[PROBLEM_NUMBER_SIZE];	/* as Python shows the number; "1" unless given; "string", "null" ... for other types */
	char init_k[PROBLEM_NUMBER_SIZE];
};

/* 0, and the lines lie in text, which is JSON no longer; or -EINVAL, and *ret_why is a sentence for the client. */
int problem_parse(char *text, size_t len, struct problem *ret, const char **ret_why);

#endif
