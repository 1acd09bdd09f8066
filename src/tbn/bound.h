/* bound.h - how many polymers a component can have, without solving anything.
 * A polymer of a saturated pairing feeds itself: of every type it holds at least as many other sites as limiting ones (as
 * many, where the whole network does). Where no part of a set of blocks but the empty one feeds itself, every polymer has a
 * block outside of the set, a head, so there are at most as many polymers as heads. doc/tbn.md, "Bounds". */
#ifndef SPOOLGATE_TBN_BOUND_H
#define SPOOLGATE_TBN_BOUND_H

#include "tbn/network.h"

/* Finds few heads for every component, gives them the lowest block numbers (each group in the order it had), and sets nheads,
 * lower and upper. 0 or -ENOMEM. After network_analyse(), once. */
int bound_network(struct network *net);

#endif
