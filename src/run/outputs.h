/* outputs.h - how much a tool may leave in work/, and how much lies there while it runs. */
#ifndef SPOOLGATE_RUN_OUTPUTS_H
#define SPOOLGATE_RUN_OUTPUTS_H

#include <stddef.h>

#include "proto/plan.h"
#include "run/walk.h"

enum { OUTPUTS_DEPTH_MAX = 128 };	/* of folders in each other while the tool runs */

/* The plan's caps; what the tool was given does not count against what it may leave. */
int outputs_caps(const struct plan *plan, int job_fd, struct walk_caps *ret);
/* Looks at what is in work/ now: no more entries are read than the caps permit. A hole takes no bytes, and a file with several
 * names counts once in all. A folder that is shut is opened, as its owner could. What goes or moves meanwhile is left
 * out; the next look may find it. Returns NULL, or which cap is passed, for people. */
const char *outputs_over(int work_fd, const struct plan *plan, const struct walk_caps *caps);

#endif
