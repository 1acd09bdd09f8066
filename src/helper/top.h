/* top.h - the request `top`: the jobs that have a slot, for an administrator who looks at the host. */
#ifndef SPOOLGATE_HELPER_TOP_H
#define SPOOLGATE_HELPER_TOP_H

#include "helper/helper.h"
#include "helper/server.h"
#include "proto/message.h"

enum { TOP_MAX = 256 };	/* jobs of one answer; "more" tells how many others there are */

/* {"now_mono_usec", "helper_pid", "jobs": [{"id", "tool", "owner", "pid" (its supervisor's; 0: none yet), "since_mono_usec" (when it took
 * its slot; 0: an earlier helper gave it), "killing"}], "more"} */
void top_request(struct helper *h, struct message *m, struct reply_to to);

#endif
