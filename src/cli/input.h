/* input.h - files of the command line that go to the server. */
#ifndef SPOOLGATE_INPUT_H
#define SPOOLGATE_INPUT_H

#include <stdint.h>

#include "basic/json.h"
#include "cli/session.h"

/* What a job's inputs together may have inside the request; everything larger goes as an upload before it. */
enum { INPUT_INLINE_MAX = 2 * 1024 * 1024 };

/* Opens a file of the command line for reading, "-" for standard input. What has no size of its own (a pipe) is copied into an
 * unlinked temporary file first, so that it can be sent again. Returns the descriptor, or a negative errno, said. */
int input_open(struct session *s, const char *path, uint64_t *ret_bytes);

/* The member of a submission's "inputs" for a file: its bytes, or the upload that this makes, piece by piece, going on where it
 * was cut. *left is what may still go inside the request. An exit status. */
int input_send(struct session *s, const char *name, int fd, uint64_t bytes, uint64_t *left, json_object **ret);
/* Takes back the uploads among a submission's inputs, which came to nothing; quietly. */
void input_forget(struct session *s, json_object *inputs);

#endif
