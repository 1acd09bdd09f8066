#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "basic/scoped.h"
#include "tbn/pairings.h"

static size_t
rows_of(const struct network *net, const struct component *comp, size_t type, size_t *ret_columns)
{
	const struct site_type *t = &net->types[comp->types[type]];

	*ret_columns = t->count[!t->limiting];
	return t->count[t->limiting];
}

void
pairings_first(const struct network *net, const struct component *comp, uint16_t *partner)
{
	for (size_t t = 0; t < comp->ntypes; t++) {
		size_t columns = 0, rows = rows_of(net, comp, t, &columns);

		for (size_t i = 0; i < rows; i++)
			*partner++ = (uint16_t)i;
	}
}

/* The next choice of distinct columns for the rows of one type; false after the last, where the first stands again. */
static bool
next_of_type(uint16_t *partner, size_t rows, size_t columns, bool *taken)
{
	size_t row = rows, column = 0;

	for (size_t j = 0; j < columns; j++)
		taken[j] = false;
	for (size_t i = 0; i < rows; i++)
		taken[partner[i]] = true;
	while (row > 0) {
		row--;
		taken[partner[row]] = false;
		for (column = (size_t)partner[row] + 1; column < columns && taken[column]; column++)
			;
		if (column < columns)
			break;
		column = columns;
	}
	if (column >= columns) {
		for (size_t i = 0; i < rows; i++)
			partner[i] = (uint16_t)i;
		return false;
	}
	partner[row] = (uint16_t)column;
	taken[column] = true;
	for (size_t j = 0; ++row < rows; j++) {
		while (taken[j])
			j++;
		partner[row] = (uint16_t)j;
	}
	return true;
}

int
pairings_next(const struct network *net, const struct component *comp, uint16_t *partner)
{
	size_t most = 0, slot = (size_t)comp->bonds;
	scoped(free_ptr) bool *taken = NULL;

	for (size_t t = 0; t < comp->ntypes; t++) {
		size_t columns = 0;

		(void)rows_of(net, comp, t, &columns);
		most = columns > most ? columns : most;
	}
	taken = calloc(most > 0 ? most : 1, sizeof *taken);
	if (!taken)
		return -ENOMEM;
	for (size_t t = comp->ntypes; t-- > 0;) {
		size_t columns = 0, rows = rows_of(net, comp, t, &columns);

		slot -= rows;
		if (next_of_type(partner + slot, rows, columns, taken))
			return 1;
	}
	return 0;
}
