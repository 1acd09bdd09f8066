/* input_file.h - an input while it arrives: a memory file, and above GATE_MEMORY_MAX bytes an unlinked file of the gate's state
 * folder, as the helper takes it. */
#ifndef SPOOLGATE_GATE_INPUT_FILE_H
#define SPOOLGATE_GATE_INPUT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gate;

struct input_file {
	int fd;
	uint64_t size;
	bool on_disk;
};
#define INPUT_FILE_NONE { .fd = -EBADF }

int input_file_begin(struct input_file *f, const char *name);	/* name is for /proc only */
/* -ENOSPC: the disk is full, or there is no state folder; ... */
int input_file_add(struct input_file *f, const struct gate *g, const void *data, size_t len);
/* Seals a memory file. f->fd then stays the caller's, to be closed after the submission. */
int input_file_finish(struct input_file *f);
void input_file_done(struct input_file *f);	/* closes it */

#endif
