#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/cgroup.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "helper/cgroup.h"

#define LEAF "spoolgated"
#define JOB_PREFIX "job-"

/* Who may make folders in it has it delegated; root may everywhere, and is asked to say which. */
static bool
is_ours(const char *path)
{
	struct stat st = { 0 };

	return geteuid() != 0 && stat(path, &st) == 0 && st.st_uid == geteuid();
}

/* Our own, or, where we have moved into the leaf already, the one above. NULL: it is not ours. */
static char *
find_own(void)
{
	scoped(free_ptr) char *path = NULL;
	char *leaf = NULL;

	if (cgroup_own(&path) < 0)
		return NULL;
	leaf = strrchr(path, '/');
	if (leaf && strcmp(leaf, "/" LEAF) == 0)
		*leaf = '\0';
	return is_ours(path) ? take_ptr(path) : NULL;
}

static int
prepare(const char *base)
{
	static const char *const controllers[] = { "memory", "pids", "cpu" };
	scoped(close_fd) int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (mkdirat(fd, LEAF, 0755) < 0 && errno != EEXIST)
		return -errno;
	r = cgroup_write(fd, LEAF "/cgroup.procs", "0");
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++) {
		char text[16];

		r = cgroup_has(fd, controllers[i]);
		if (r > 0)
			continue;
		(void)snprintf(text, sizeof text, "+%s", controllers[i]);
		r = cgroup_write(fd, "cgroup.subtree_control", text);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Where somebody lives in one its supervisor removes it, or the look at its job does. */
static void
sweep(const char *base)
{
	scoped(close_dir) DIR *dir = opendir(base);
	const struct dirent *e;

	while (dir && (e = readdir(dir)) != NULL)
		if (strncmp(e->d_name, JOB_PREFIX, strlen(JOB_PREFIX)) == 0)
			(void)unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
}

void
cgroups_open(struct helper *h)
{
	const char *asked = config_string(h->config, "helper", "cgroup");
	scoped(free_ptr) char *base = NULL;
	int r = 0;

	if (strcmp(asked, "none") == 0)
		return;
	base = strcmp(asked, "auto") == 0 ? find_own() : strdup(asked);
	r = base ? prepare(base) : 0;
	if (base && r == 0) {
		sweep(base);
		log_notice("limits of jobs are kept by cgroups in %s", base);
		h->cgroup = take_ptr(base);
	} else {
		log_notice("no cgroup is delegated%s%s%s%s: limits of memory and processes are approximate", base ? " (" : "",
		    base ? base : "", base ? ": " : "", base ? strerror(-r) : "");
	}
}

int
cgroups_join(const struct config *config, pid_t helper, char **ret_base)
{
	const char *asked = config_string(config, "helper", "cgroup");
	scoped(free_ptr) char *base = NULL;
	scoped(close_fd) int fd = -EBADF;
	int r = 0;

	if (strcmp(asked, "none") == 0)
		return 0;
	if (helper == 0) {
		base = strcmp(asked, "auto") == 0 ? find_own() : strdup(asked);
		r = base ? prepare(base) : 0;
	} else {
		char *leaf;

		if (cgroup_of(helper, &base) < 0)
			return 0;
		leaf = strrchr(base, '/');
		if (!leaf || strcmp(leaf, "/" LEAF) != 0)
			return 0;	/* it found none */
		*leaf = '\0';
		fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && cgroup_has(fd, "memory") <= 0)
			return 0;	/* and this one has nothing to keep limits with */
		r = fd < 0 ? -errno : cgroup_write(fd, LEAF "/cgroup.procs", "0");
	}
	if (r == 0)
		*ret_base = take_ptr(base);
	return r;
}

int
cgroups_remove(const struct helper *h, const char *id)
{
	scoped(free_ptr) char *path = NULL;

	if (!h->cgroup)
		return 0;
	if (asprintf(&path, "%s/" JOB_PREFIX "%s", h->cgroup, id) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return cgroup_remove(path);
}
