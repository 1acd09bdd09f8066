#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "basic/scoped.h"
#include "tbn/progress.h"
#include "tbn/stop.h"

static uint64_t
now_usec(void)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

int
progress_init(struct progress *p, const char *live_path, bool terminal, uint64_t limit_usec, uint64_t memory_bytes)
{
	*p = (struct progress){ .live_path = live_path, .terminal = terminal, .memory_bytes = memory_bytes };
	p->start_usec = now_usec();
	p->shown_usec = p->start_usec;
	p->checked_usec = p->start_usec;
	p->changed = true;
	if (limit_usec > 0)
		p->deadline_usec = p->start_usec + limit_usec;
	if (live_path && asprintf(&p->live_temp, "%s.new", live_path) < 0) {
		p->live_temp = NULL;
		return -ENOMEM;
	}
	stop_set_state(0, 0, p->live_temp);
	return 0;
}

void
progress_done(struct progress *p)
{
	if (p->terminal_dirty)
		(void)!write(STDERR_FILENO, "\r\033[K", 4);
	p->terminal_dirty = false;
	stop_set_state(p->count, p->k, NULL);
	free(p->live_temp);
	p->live_temp = NULL;
}

void
progress_set(struct progress *p, int64_t count, int64_t k)
{
	if (p->count == count && p->k == k)
		return;
	p->count = count;
	p->k = k;
	p->changed = true;
	stop_set_state(count, k, p->live_temp);
}

/* Replaced by rename, so that a reader never sees half a line. A reader is all it serves: a failure ends the showing, not
 * the run. */
static void
write_live(struct progress *p)
{
	scoped(close_fd) int fd = -EBADF;
	char line[128];
	int len = snprintf(line, sizeof line, "{\"count\":%" PRId64 ",\"k\":%" PRId64 ",\"status\":\"Progress\"}\n", p->count, p->k);

	fd = open(p->live_temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0 || write(fd, line, (size_t)len) != len || rename(p->live_temp, p->live_path) < 0) {
		(void)unlink(p->live_temp);
		p->live_broken = true;
	}
}

static void
write_terminal(struct progress *p, uint64_t now)
{
	char line[160];
	double seconds = (double)(now - p->start_usec) / 1e6;
	int len;

	if (p->count == 0)
		len = snprintf(line, sizeof line, "\rreading and encoding, %.1f s\033[K", seconds);
	else
		len = snprintf(line, sizeof line, "\rconfiguration %" PRId64 ", trying %" PRId64 " polymers, %.1f s\033[K", p->count, p->k,
		    seconds);
	(void)!write(STDERR_FILENO, line, (size_t)len);
	p->terminal_dirty = true;
}

/* Resident bytes; 0 if nobody can tell. */
static uint64_t
resident_bytes(void)
{
	scoped(close_fd) int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	char text[128];
	char *end = NULL;
	ssize_t len;

	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof text - 1);
	if (len <= 0)
		return 0;
	text[len] = '\0';
	(void)strtoull(text, &end, 10);
	return strtoull(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

int
progress_poll(struct progress *p)
{
	uint64_t now;

	if (p->stopped < 0)
		return p->stopped;
	if (stop_requested()) {
		p->stopped = -EINTR;
		return p->stopped;
	}
	if (++p->polls % 16 != 0)
		return 0;
	now = now_usec();
	if (p->deadline_usec > 0 && now >= p->deadline_usec)
		p->stopped = -ETIME;
	if (now - p->checked_usec < PROGRESS_INTERVAL_USEC)
		return p->stopped;
	p->checked_usec = now;
	if (p->memory_bytes > 0 && resident_bytes() > p->memory_bytes)
		p->stopped = -ENOSPC;
	if (p->terminal)
		write_terminal(p, now);
	if (p->live_path && !p->live_broken && p->changed) {
		write_live(p);
		p->changed = false;
	}
	return p->stopped;
}
