/* start.h - supervisors: started, adopted, followed by pidfd. */
#ifndef SPOOLGATE_START_H
#define SPOOLGATE_START_H

#include <signal.h>

#include "helper/live.h"
#include "proto/plan.h"

/* Prepares the files, spawns the supervisor, gives the word once the start is durable. The job has its slot. */
void start_job(struct live *l);
/* Follows a supervisor until it ends; takes the pidfd. */
void start_follow(struct live *l, int pidfd);
/* The helper's end of the control socket goes. */
void start_unhear(struct live *l);
/* What waitid(2) says of a supervisor's end, whoever waited: one that could not flush stops the helper. */
void start_reaped(struct helper *h, const siginfo_t *info);
/* Spawns a supervisor on an open, locked job, with this plan mode; secrets: for its environment, or NULL; takes job_fd and lock_fd on success. control_fd (where not
 * NULL) is the helper's end of the control socket. -ENOENT: the tool is in no tool file any more. */
int start_supervisor(struct live *l, const struct job *job, char *const *secrets, enum plan_mode mode, int *job_fd,
    int *lock_fd);

#endif
