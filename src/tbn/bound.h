/* bound.h - how many polymers a component can have at most, without solving anything.
 * A polymer of a saturated pairing feeds itself: of every type it holds at least as many other sites as limiting ones (as
 * many, where the whole network does). Where no part of a set of blocks but the empty one feeds itself, every polymer has a
 * block outside of the set, so there are at most as many polymers as blocks outside. doc/tbn.md, "Bounds". */
#ifndef SPOOLGATE_TBN_BOUND_H
#define SPOOLGATE_TBN_BOUND_H

#include "tbn/network.h"

/* Every pairing makes at least *ret_lower polymers and none makes more than *ret_upper (without constraints);
 * 1 <= lower <= upper <= blocks. 0 or -ENOMEM. */
int bound_polymers(const struct network *net, const struct component *comp, int64_t *ret_lower, int64_t *ret_upper);

#endif
