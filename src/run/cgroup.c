#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/cgroup.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "run/cgroup.h"

static int
set_number(const struct cgroup *c, const char *file, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%" PRIu64, value);
	return cgroup_write(c->fd, file, text);
}

static int
set_limits(const struct cgroup *c, const struct limits *limits)
{
	int r = 0;

	if (limits->memory_bytes > 0) {
		r = set_number(c, "memory.max", limits->memory_bytes);
		if (r == 0)
			r = set_number(c, "memory.swap.max", 0);
		if (r == -ENOENT)	/* a kernel without swap accounting */
			r = 0;
	}
	if (r == 0 && limits->processes > 0)
		r = set_number(c, "pids.max", limits->processes + 1);
	return r;
}

int
cgroup_make(struct cgroup *c, const struct plan *plan)
{
	int r = 0;

	if (asprintf(&c->path, "%s/job-%s", plan->cgroup, plan->id) < 0) {
		c->path = NULL;
		return -ENOMEM;
	}
	/* One of an earlier attempt, whose supervisor could not remove it, has its counts. */
	r = cgroup_remove(c->path);
	if (r == 0 && mkdir(c->path, 0755) < 0)
		r = -errno;
	if (r == 0 && (c->fd = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		r = -errno;
	if (r == 0 && (c->events_fd = openat(c->fd, "memory.events", O_RDONLY | O_CLOEXEC)) < 0)
		r = -errno;
	if (r == 0)
		r = set_limits(c, &plan->limits);
	if (r < 0)
		cgroup_end(c);
	return r;
}

int
cgroup_enter(const struct cgroup *c, pid_t pid)
{
	return set_number(c, "cgroup.procs", (uint64_t)pid);
}

bool
cgroup_out_of_memory(const struct cgroup *c)
{
	static const char key[] = "\noom_kill ";
	char text[512];
	const char *line = NULL;
	ssize_t n = c->events_fd < 0 ? 0 : pread(c->events_fd, text, sizeof text - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, key);
	return line && strtoull(line + sizeof key - 1, NULL, 10) > 0;
}

void
cgroup_usage(const struct cgroup *c, uint64_t *ret_cpu_usec, uint64_t *ret_peak_bytes)
{
	uint64_t value = 0;

	if (c->fd < 0)
		return;
	if (cgroup_number(c->fd, "cpu.stat", "usage_usec", &value) == 0)
		*ret_cpu_usec = value;
	if (cgroup_number(c->fd, "memory.peak", NULL, &value) == 0)	/* from Linux 5.19 on */
		*ret_peak_bytes = value;
}

void
cgroup_end(struct cgroup *c)
{
	int r = 0;

	close_fd(&c->events_fd);
	close_fd(&c->fd);
	if (!c->path)
		return;
	r = cgroup_remove(c->path);
	if (r < 0)
		log_warning("%s stays: %s", c->path, strerror(-r));
	free(c->path);
	c->path = NULL;
}
