/* follow.h - waiting for jobs and following their logs, for `wait`, `log` and `submit`. All return an exit status. */
#ifndef SPOOLGATE_FOLLOW_H
#define SPOOLGATE_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/session.h"

/* Waits until the job is finished; *ret_job is how it stands in the end, also with EXIT_TIMEOUT (until_mono passed; 0: never).
 * A progress line on a terminal. SIGINT says how to come back and ends the process. */
int follow_wait(struct session *s, const char *id, uint64_t until_mono, json_object **ret_job);

/* Writes the log from offset on to standard output, to its present end or, with follow, to the end of the job: each byte once,
 * whatever becomes of connection and server meanwhile. */
int follow_log(struct session *s, const char *id, uint64_t offset, bool follow);

/* Tells how waiting for a job ended, on standard output, and its exit status: EXIT_NOT_PASSED where it has not passed. */
int follow_tell_end(struct session *s, json_object *job);

#endif
