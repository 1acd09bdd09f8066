/* part.h - one component of the network: its largest number of polymers, and its pairings from there downwards.
 * Pairings that were found stay, two bytes for each bond (and for each block, where constraints speak of monomers). */
#ifndef SPOOLGATE_TBN_PART_H
#define SPOOLGATE_TBN_PART_H

#include "tbn/formula.h"

struct part_options {
	bool symmetry;	/* of use, and on unless somebody compares */
	bool walk;	/* go through the lowest level without a solver; likewise */
	uint64_t eager_max;
};

struct part {
	const struct network *net;
	const struct component *comp;
	struct progress *progress;
	const struct part_options *options;
	int64_t entropy;	/* most polymers without constraints; valid after part_entropy() */
	int64_t top;	/* most polymers with constraints, 0: none of kmin or more; valid after part_top() */
	int64_t kmin;	/* fewer polymers are of no interest */
	struct formula formula;	/* the generator, once open */
	bool open, exhausted;
	int64_t level;	/* polymers of the pairings being looked for */
	uint16_t *walk;	/* the last pairing looked at on the lowest level, where all are simply gone through; or NULL */
	size_t width;	/* uint16_t's of a pairing */
	uint16_t *store;
	size_t count, cap;	/* pairings */
	size_t *level_end;	/* by top - level: how many pairings are at that level or above; of levels left behind */
};

/* 0 or -ENOMEM. net, comp, progress and options must outlive it. */
int part_init(struct part *part, const struct network *net, const struct component *comp, struct progress *progress,
    const struct part_options *options);
void part_done(struct part *part);

/* Sets entropy. others is what the rest of the network contributes to the polymer count, for showing. 0, -ENOMEM, -EFBIG
 * (the component is too large) or the reason to stop. */
int part_entropy(struct part *part, int64_t others);
/* Sets top, given that fewer than kmin polymers are of no interest. As above; after part_entropy(). */
int part_top(struct part *part, int64_t kmin, int64_t others);

/* The index-th pairing of top - drop polymers. 1: *ret_pairing points to it until the next call; 0: there are no more; or as
 * above. part_top() must have found one. Pairings of more polymers are found on the way. */
int part_get(struct part *part, int64_t drop, size_t index, const uint16_t **ret_pairing);
/* The largest drop that may still have a pairing. */
int64_t part_most_drop(const struct part *part);

/* For each monomer of the component, in its order, the position of the earliest monomer of its polymer. 0 or -ENOMEM. */
int part_polymers(const struct part *part, const uint16_t *pairing, uint32_t *earliest);

#endif
