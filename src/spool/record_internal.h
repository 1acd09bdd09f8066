/* record_internal.h - what the tests of src/spool reach into. */
#ifndef SPOOLGATE_RECORD_INTERNAL_H
#define SPOOLGATE_RECORD_INTERNAL_H

#include <stddef.h>

#include "spool/record.h"

/* Flushes a verdict's file or its folder; fsync(2) but in tests. One for the whole process, set before any thread. */
extern int (*result_flush)(int fd);

/* The text of ended.json and result.json. What an array holds after an end in the middle of a character becomes '?': a
 * verdict is never lost over its message. */
int result_format(const struct job_result *r, char **ret_text, size_t *ret_len);
int result_parse(const char *text, size_t len, struct job_result *ret);
int run_parse(const char *text, size_t len, struct job_run *ret);

/* One small record in three system calls. name may be a path below dir_fd. buf has SMALL_RECORD_MAX + 1 bytes. -EBADMSG: more
 * than SMALL_RECORD_MAX. Returns its length. */
int small_read(int dir_fd, const char *name, char *buf);

#endif
