/* metrics_helper.h - what the helper counts, as metrics. Its answer is read like anybody's: a member that is missing or not what it
 * should be has no sample. */
#ifndef SPOOLGATE_GATE_METRICS_HELPER_H
#define SPOOLGATE_GATE_METRICS_HELPER_H

#include <json-c/json.h>

#include "basic/strbuf.h"
#include "gate/service.h"

/* stats: what client_stats() has brought. Its services that are none of ours count together as "other". */
void metrics_add_helper(struct strbuf *s, json_object *stats, const struct service *const *all, size_t n_all);

#endif
