/* tbn_help.h - what the unit tests of src/tbn share: a network from a text, in one call. */
#ifndef SPOOLGATE_TBN_HELP_H
#define SPOOLGATE_TBN_HELP_H

#include <string.h>

#include "tbn/bound.h"
#include "tbn/parse.h"
#include "unit.h"

static inline struct slice
slice_of(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

/* Reads both texts as the command does; fault has the message where it fails. */
static inline int
read_network(struct network *net, const char *problem, const char *constraints, struct fault *fault)
{
	int r = parse_problem(net, slice_of(problem), fault);

	if (r == 0)
		r = parse_constraints(net, slice_of(constraints), fault);
	if (r == 0)
		r = network_analyse(net);
	if (r == 0)
		r = check_constraints(net, fault);
	return r == 0 ? bound_network(net) : r;
}

#endif
