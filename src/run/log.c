#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "run/log.h"

int
run_log_open_plain(struct run_log *l, int job_fd, const char *name, uint64_t cap, gid_t gid)
{
	int fd = make_file_at(job_fd, name, 0640, gid);

	if (fd < 0)
		return fd;
	*l = (struct run_log){ .fd = fd, .head_max = cap, .last = '\n' };
	return 0;
}

int
run_log_open(struct run_log *l, int job_fd, const char *name, uint64_t cap, gid_t gid)
{
	uint64_t ring = cap / 4 < RUN_LOG_RING_MAX ? cap / 4 : RUN_LOG_RING_MAX;
	int r = run_log_open_plain(l, job_fd, name, cap, gid);

	if (r < 0)
		return r;
	if (ring >= RUN_LOG_RING_MIN) {
		l->ring_size = (size_t)ring;
		l->head_max = cap - ring;
	}
	return 0;
}

/* A failed write is not tried again, but counts: part of it may be in the file. */
static void
put(struct run_log *l, const void *data, size_t len)
{
	int r = 0;

	if (l->err < 0 || len == 0)
		return;
	r = write_all(l->fd, data, len);
	if (r < 0) {
		struct stat st = { 0 };

		l->err = r;
		if (fstat(l->fd, &st) == 0)
			l->written = (uint64_t)st.st_size;
		return;
	}
	l->written += len;
}

void
run_log_add(struct run_log *l, const void *data, size_t len)
{
	const unsigned char *at = data;

	if (l->seen < l->head_max && len > 0) {
		size_t n = len < l->head_max - l->seen ? len : (size_t)(l->head_max - l->seen);

		put(l, at, n);
		l->last = (char)at[n - 1];
		l->seen += n;
		at += n;
		len -= n;
	}
	if (len == 0)
		return;
	if (l->ring_size > 0 && !l->ring) {
		l->ring = malloc(l->ring_size);
		if (!l->ring) {
			l->ring_size = 0;
			if (l->err == 0)
				l->err = -ENOMEM;
		}
	}
	if (l->ring_size == 0) {
		l->seen += len;
		return;
	}
	if (len > l->ring_size) {	/* only its end can stay */
		l->seen += len - l->ring_size;
		at += len - l->ring_size;
		len = l->ring_size;
	}
	while (len > 0) {
		size_t pos = (size_t)((l->seen - l->head_max) % l->ring_size);
		size_t n = len < l->ring_size - pos ? len : l->ring_size - pos;

		memcpy(l->ring + pos, at, n);
		l->seen += n;
		at += n;
		len -= n;
	}
}

/* The last len bytes that passed through the ring. */
static void
put_ring(struct run_log *l, size_t len)
{
	size_t end = (size_t)((l->seen - l->head_max) % l->ring_size);

	if (len > end) {
		put(l, l->ring + l->ring_size - (len - end), len - end);
		len = end;
	}
	put(l, l->ring + end - len, len);
}

int
run_log_finish(struct run_log *l)
{
	uint64_t tail = l->seen > l->head_max ? l->seen - l->head_max : 0;
	char marker[RUN_LOG_RING_MIN];
	size_t len = 0;

	if (tail == 0 || l->ring_size == 0)
		return l->err;
	if (tail <= l->ring_size) {
		put_ring(l, (size_t)tail);
		return l->err;
	}
	/* The longer the marker, the more is missing, which may make the number a digit longer. */
	for (size_t before = SIZE_MAX; len != before;) {
		int n = 0;

		before = len;
		n = snprintf(marker, sizeof marker, "%s[spoolgate: %" PRIu64 " bytes are left out here]\n",
		    l->last == '\n' ? "" : "\n", tail - (l->ring_size - len));
		len = (size_t)n > before ? (size_t)n : before;
	}
	put(l, marker, strlen(marker));
	put_ring(l, l->ring_size - strlen(marker));
	return l->err;
}

void
run_log_done(struct run_log *l)
{
	close_fd(&l->fd);
	free(l->ring);
	l->ring = NULL;
	l->ring_size = 0;
}
