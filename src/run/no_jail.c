#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/scoped.h"
#include "run/bwrap.h"
#include "run/no_jail.h"

static size_t
add_readable(char **argv, size_t n, const char *path)
{
	static char read[] = INIT_PROGRAM_READ;

	if (n + 2 <= NO_JAIL_ARGUMENTS_MAX) {
		argv[n++] = read;
		argv[n++] = (char *)(uintptr_t)path;
	}
	return n;
}

size_t
no_jail_arguments(const struct plan *plan, char **argv)
{
	static char no_jail[] = INIT_PROGRAM_NO_JAIL;
	static const char *const etc[] = { "/etc/localtime", "/etc/passwd", "/etc/group", "/proc", NULL };
	const char *const *const lists[] = { bwrap_folders, bwrap_files, etc, plan->network ? bwrap_network_files : NULL };
	size_t n = 0;

	argv[n++] = no_jail;
	if (!plan->filter)
		return n;
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		for (const char *const *path = lists[i]; path && *path; path++)
			n = add_readable(argv, n, *path);
	for (char **path = plan->folders; path && *path; path++)
		n = add_readable(argv, n, *path);
	for (char **link = plan->links; link && *link; link++) {
		const char *target = strchr(*link, ' ');

		if (target)	/* else links_make() refuses it before the tool begins */
			n = add_readable(argv, n, target + 1);
	}
	return n;
}

static bool
is_set(char *const *env, const char *name)
{
	for (; env && *env; env++)
		if (strncmp(*env, name, strlen(name)) == 0)
			return true;
	return false;
}

void
free_environment(char ***env)
{
	for (char **e = *env; e && *e; e++)
		free(*e);
	free(*env);
	*env = NULL;
}

int
no_jail_environment(const struct plan *plan, int work_fd, char ***ret)
{
	scoped(free_environment) char **list = NULL;
	char link[64], path[PATH_MAX];
	size_t n = 0;
	ssize_t len = 0;

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", work_fd);
	len = readlink(link, path, sizeof path - 1);
	if (len < 0)
		return -errno;
	path[len] = '\0';
	while (plan->env && plan->env[n])
		n++;
	list = calloc(n + 3, sizeof *list);
	if (!list)
		return -ENOMEM;
	n = 0;
	for (char **e = plan->env; e && *e; e++) {
		if (strncmp(*e, "PWD=", 4) == 0)
			continue;
		if (asprintf(&list[n], "%s%s", strcmp(*e, "HOME=/job") == 0 ? "HOME=" : *e, strcmp(*e, "HOME=/job") == 0 ? path : "") < 0)
			goto no_memory;
		n++;
	}
	if (asprintf(&list[n], "PWD=%s", path) < 0)
		goto no_memory;
	n++;
	if (plan->filter && !is_set(plan->env, "TMPDIR=") && asprintf(&list[n], "TMPDIR=%s", path) < 0)
		goto no_memory;
	*ret = take_ptr(list);
	return 0;

no_memory:
	list[n] = NULL;
	return -ENOMEM;
}
