#include "config.h"

#include <stdlib.h>

#include "tbn/progress.h"
#include "tbn/sat.h"

/* Up to here every two literals get a clause of their own, which propagates best; beyond, a chain of helping variables. */
enum { PAIRWISE_MAX = 12, CLAUSES_PER_POLL = 4096 };

static int
on_terminate(void *data)
{
	return progress_poll(data) < 0;
}

void
sat_open(struct sat *sat, struct progress *progress)
{
	*sat = (struct sat){ .solver = ccadical_init(), .progress = progress };
	/* without it CaDiCaL 1.5 writes a line to standard output when a clause refutes the formula */
	ccadical_set_option(sat->solver, "quiet", 1);
	ccadical_set_terminate(sat->solver, progress, on_terminate);
}

void
sat_done(struct sat *sat)
{
	if (sat->solver)
		ccadical_release(sat->solver);
	*sat = (struct sat){ .solver = NULL };
}

int
sat_new_var(struct sat *sat)
{
	return ++sat->nvars;
}

int
sat_new_vars(struct sat *sat, int count)
{
	int first = sat->nvars + 1;

	sat->nvars += count;
	return first;
}

void
sat_add(struct sat *sat, int literal)
{
	ccadical_add(sat->solver, literal);
	if (literal != 0) {
		sat->nliterals++;
		return;
	}
	/* building a large formula takes a while too; whoever builds it asks for the answer before it solves */
	if (++sat->nclauses % CLAUSES_PER_POLL == 0)
		(void)progress_poll(sat->progress);
}

void
sat_clause1(struct sat *sat, int a)
{
	sat_add(sat, a);
	sat_add(sat, 0);
}

void
sat_clause2(struct sat *sat, int a, int b)
{
	sat_add(sat, a);
	sat_add(sat, b);
	sat_add(sat, 0);
}

void
sat_clause3(struct sat *sat, int a, int b, int c)
{
	sat_add(sat, a);
	sat_add(sat, b);
	sat_add(sat, c);
	sat_add(sat, 0);
}

void
sat_at_most_one(struct sat *sat, const int *literals, int count)
{
	int seen;

	if (count <= PAIRWISE_MAX) {
		for (int i = 0; i < count; i++)
			for (int j = i + 1; j < count; j++)
				sat_clause2(sat, -literals[i], -literals[j]);
		return;
	}
	/* seen + i: one of the first i + 1 literals is true */
	seen = sat_new_vars(sat, count - 1);
	for (int i = 0; i < count; i++) {
		if (i < count - 1)
			sat_clause2(sat, -literals[i], seen + i);
		if (i > 0)
			sat_clause2(sat, -(seen + i - 1), -literals[i]);
		if (i > 0 && i < count - 1)
			sat_clause2(sat, -(seen + i - 1), seen + i);
	}
}

int
sat_solve(struct sat *sat, int assumption, int conflicts)
{
	int r = progress_poll(sat->progress), answer;

	if (r < 0)
		return r;
	if (assumption != 0)
		ccadical_assume(sat->solver, assumption);
	if (conflicts > 0)
		ccadical_limit(sat->solver, "conflicts", conflicts);	/* for one call */
	answer = ccadical_solve(sat->solver);
	if (answer == 10)
		return 1;
	if (answer == 20)
		return 0;
	r = progress_poll(sat->progress);
	return r < 0 ? r : -EAGAIN;
}

bool
sat_assumption_failed(struct sat *sat, int assumption)
{
	return assumption != 0 && ccadical_failed(sat->solver, assumption) != 0;
}
