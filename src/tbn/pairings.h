/* pairings.h - all saturated pairings of a component, one after the other, without a solver.
 * A pairing is written as everywhere: for each type of the component, for each limiting site, its partner's position among the
 * other sites. They come in lexicographic order. */
#ifndef SPOOLGATE_TBN_PAIRINGS_H
#define SPOOLGATE_TBN_PAIRINGS_H

#include "tbn/network.h"

/* The first one: of each type the i-th with the i-th. */
void pairings_first(const struct network *net, const struct component *comp, uint16_t *partner);
/* Replaces a pairing by the next one. 1, 0 after the last one (partner is then the first again), or -ENOMEM. */
int pairings_next(const struct network *net, const struct component *comp, uint16_t *partner);

#endif
