/* kill.h - `kill` and `forget`. */
#ifndef SPOOLGATE_KILL_H
#define SPOOLGATE_KILL_H

#include "helper/live.h"

void kill_request(struct helper *h, struct message *m, struct reply_to to);
/* state.json says kill, the supervisor gets SIGTERM, who asked gets an answer. For a running job whose kill is recorded. */
void kill_store(struct live *l);
/* The job has ended, one way or the other: answers who asked for a kill, and lets the journal go on. */
void kill_settle(struct live *l, bool finished);

void forget_request(struct helper *h, struct message *m, struct reply_to to);
/* For expiry: as forget, nobody waits. */
void forget_job(struct helper *h, const char *id, struct reply_to to);
/* For want of room, unless it has no files; weights_shed_one() is told of its end. */
void forget_shed(struct helper *h, const char *id);
/* For a job that has finished meanwhile: goes on with these. And for one that never will: gives them up. Both accept NULL. */
void forget_go_on(struct errand *list);
void forget_drop(struct errand *list);

#endif
