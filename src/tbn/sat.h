/* sat.h - one CaDiCaL solver, with what is needed to stop it and to bound it.
 * Literals are non-zero ints, negative for "not". Nothing here fails for lack of memory by return value: CaDiCaL is C++ and
 * ends the process then, so its size is estimated by its callers before a formula is built and watched by the run's limits. */
#ifndef SPOOLGATE_TBN_SAT_H
#define SPOOLGATE_TBN_SAT_H

#include <ccadical.h>
#include <stdbool.h>
#include <stdint.h>

struct progress;

struct sat {
	CCaDiCaL *solver;	/* NULL: not open */
	struct progress *progress;	/* asked now and then whether to stop; told to show itself */
	int nvars;
	uint64_t nclauses;
	uint64_t nliterals;
};

void sat_open(struct sat *sat, struct progress *progress);
void sat_done(struct sat *sat);

int sat_new_var(struct sat *sat);
/* Reserves count variables side by side and returns the first. */
int sat_new_vars(struct sat *sat, int count);

void sat_add(struct sat *sat, int literal);	/* 0 ends the clause */
void sat_clause1(struct sat *sat, int a);
void sat_clause2(struct sat *sat, int a, int b);
void sat_clause3(struct sat *sat, int a, int b, int c);
/* At most one of these. literals may be changed in nothing but its contents' meaning: it is only read. */
void sat_at_most_one(struct sat *sat, const int *literals, int count);

/* Solves under one assumption (0: none), giving up after so many conflicts (0: never). 1 satisfiable, 0 not, -EAGAIN given
 * up, or the reason to stop as progress_poll() says it. */
int sat_solve(struct sat *sat, int assumption, int conflicts);
/* After 1: the value of a variable. */
static inline bool
sat_true(struct sat *sat, int var)
{
	return ccadical_val(sat->solver, var) > 0;
}
/* After 0: whether the assumption had a part in it; if not, the formula alone has no model. */
bool sat_assumption_failed(struct sat *sat, int assumption);

#endif
