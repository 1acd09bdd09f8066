#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "gate/gate.h"
#include "gate/input_file.h"

int
input_file_begin(struct input_file *f, const char *name)
{
	*f = (struct input_file)INPUT_FILE_NONE;
	f->fd = memory_file(name);
	return f->fd < 0 ? f->fd : 0;
}

/* It has become large: what is there moves to the disk. */
static int
spill(struct input_file *f, const struct gate *g)
{
	scoped(close_fd) int fd = -EBADF;
	int64_t n;

	if (!g->state_path)
		return -ENOSPC;
	fd = open(g->state_path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EDQUOT ? -ENOSPC : -errno;
	n = copy_bytes(f->fd, fd, -1);
	if (n < 0)
		return (int)n;
	close_fd(&f->fd);
	f->fd = take_fd(fd);
	f->on_disk = true;
	return 0;
}

int
input_file_add(struct input_file *f, const struct gate *g, const void *data, size_t len)
{
	int r = 0;

	if (!f->on_disk && f->size + len > GATE_MEMORY_MAX)
		r = spill(f, g);
	if (r == 0)
		r = write_all(f->fd, data, len);
	if (r < 0)
		return r == -EDQUOT ? -ENOSPC : r;
	f->size += len;
	return 0;
}

int
input_file_finish(struct input_file *f)
{
	return f->on_disk ? 0 : seal_memory_file(f->fd);
}

void
input_file_done(struct input_file *f)
{
	close_fd(&f->fd);
}
