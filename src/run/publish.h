/* publish.h - what a tool that publishes leaves: some files of work/ in a folder of their own in the cache, whole or absent, and
 * nothing else.
 *
 * The work/ of such a tool lies outside of the job's folder, in the plan's scratch folder under the job's id, and goes with its
 * end. An entry of the cache is a folder <entry>/ with the plan's files and, where the tool left them, NAME.gz and NAME.br of each
 * (for a web server that sends those); mode 2750 and 0640, the group that reads. It is made beside its place, flushed and
 * renamed: a reader finds all of it or nothing. One that is there and whole stays; one that is not is replaced.
 *
 * In the cache and in scratch folders names that begin with a dot are ours: .new-<id> and .old-<id> (PUBLISH_NEW, PUBLISH_OLD) belong to the job <id>, and go
 * when that has ended (helper/cache.h). */
#ifndef SPOOLGATE_RUN_PUBLISH_H
#define SPOOLGATE_RUN_PUBLISH_H

#include "proto/plan.h"
#include "spool/record.h"

/* Where work/ lies: a descriptor to be closed, and its name there. */
int work_parent(const struct plan *plan, int job_fd, const char **ret_name);

/* Publishes, where the tool has passed and the plan names an entry, then removes work/. Durable once it returns 0. -ENOENT: a file
 * that should be there is none; -EFBIG: more than the limit of outputs; else the disk's errno: nothing was published. */
int publish(const struct plan *plan, int job_fd, const struct job_result *result);

#endif
