/* parse.h - the input language: monomer lines, constraint lines, and the numbers of the command line.
 * Every error of the language has one message, which does not change between releases; the first error wins. */
#ifndef SPOOLGATE_TBN_PARSE_H
#define SPOOLGATE_TBN_PARSE_H

#include "tbn/fault.h"
#include "tbn/network.h"

/* Reads all monomer lines into an empty network. 0; -EINVAL: fault says what; -ENOMEM; -EFBIG. text must be UTF-8. */
int parse_problem(struct network *net, struct slice text, struct fault *fault);
/* Reads the constraint lines; blank ones and comments are no constraints. Errors as above. */
int parse_constraints(struct network *net, struct slice text, struct fault *fault);
/* What only the analysed network can tell: constraints that cannot apply. Marks the components that constraints touch. */
int check_constraints(struct network *net, struct fault *fault);

/* Reads a number as JSON or a programming language writes it (4, -3, 2.5, 1e308, inf, of any length; true and false are 1
 * and 0) and rounds it up to an integer, held within +-INT64_MAX. 0 or -EINVAL. */
int parse_count(const char *text, int64_t *ret_count);

/* The name of a kind as the language writes it. */
const char *constraint_kind_name(enum constraint_kind kind);

#endif
