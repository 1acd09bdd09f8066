/* search.h - the answer for a whole network: its components' pairings, combined in falling order of polymers. */
#ifndef SPOOLGATE_TBN_SEARCH_H
#define SPOOLGATE_TBN_SEARCH_H

#include "tbn/part.h"
#include "tbn/progress.h"

struct search {
	const struct network *net;
	struct progress *progress;
	struct part_options options;
	struct part *parts;	/* one for each component */
	const uint16_t **current;	/* by component: its pairing in the configuration at hand */
	size_t *active;	/* the components of which there may be more than one pairing */
	size_t nactive;
	int64_t kmin;	/* fewest polymers, at least 1 */
	int64_t want;	/* configurations */
	int64_t entropy;
	int64_t top;	/* polymers of the first configuration */
	int64_t found;
	size_t too_large;	/* after -EFBIG: the component */
};

/* net must be analysed and checked. gen and init_k as asked for, rounded up. 0 or -ENOMEM. */
int search_init(struct search *s, const struct network *net, struct progress *progress, const struct part_options *options,
    int64_t gen, int64_t init_k);
void search_done(struct search *s);

/* Finds the entropy. 0; -ERANGE: it is below kmin (entropy may then be unknown); -EFBIG: a component is too large; -ENOMEM; or
 * the reason to stop. */
int search_entropy(struct search *s);
/* Finds want configurations or as many as there are, setting found as it goes. 0 or as above; what was found before an error
 * remains. */
int search_configurations(struct search *s);

/* Calls visit for each configuration found, in order, with s->current set; ends early where visit returns a negative value,
 * and returns it. Repeatable; asks no solver. */
int search_each(struct search *s, int (*visit)(struct search *s, void *data), void *data);

#endif
