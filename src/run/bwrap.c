#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/strbuf.h"
#include "run/bwrap.h"

enum { TMPFS_DEFAULT = 256 * 1024 * 1024, TMPFS_MIN = 1024 * 1024 };

const char *const bwrap_folders[] = { "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", NULL };
/* Nothing here is secret or of this host alone. */
const char *const bwrap_files[] = { "/etc/alternatives", "/etc/ld.so.cache", NULL };
const char *const bwrap_network_files[] = { "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/services", "/etc/ssl/certs", NULL };

static void
option(struct strbuf *s, const char *text)
{
	strbuf_add(s, text, strlen(text) + 1);
}

static void
option2(struct strbuf *s, const char *name, const char *value)
{
	option(s, name);
	option(s, value);
}

static void
option3(struct strbuf *s, const char *name, const char *a, const char *b)
{
	option2(s, name, a);
	option(s, b);
}

static void
option_number(struct strbuf *s, const char *name, unsigned long long value)
{
	option(s, name);
	strbuf_addf(s, "%llu", value);
	strbuf_addch(s, '\0');
}

/* bubblewrap's --perms and --size are for the next one alone. */
static void
tmpfs(struct strbuf *s, const char *path, unsigned long long size)
{
	option2(s, "--perms", "1777");
	option_number(s, "--size", size);
	option2(s, "--tmpfs", path);
}

/* The same link inside; false where path is none. Every mount that it spares bubblewrap counts: it reads all of mountinfo for
 * each. */
static bool
system_link(struct strbuf *s, const char *path)
{
	char target[PATH_MAX] = { 0 };
	ssize_t n = readlink(path, target, sizeof target - 1);

	if (n > 0)
		option3(s, "--symlink", target, path);
	return n > 0;
}

/* /bin, /lib... are links into /usr on a merged system; where one is a folder it is bound. */
static void
system_folder(struct strbuf *s, const char *path)
{
	if (!system_link(s, path) && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		option3(s, "--ro-bind", path, path);
}

static void
system_view(struct strbuf *s, bool network)
{
	for (const char *const *path = bwrap_folders; *path; path++)
		system_folder(s, *path);
	for (const char *const *path = bwrap_files; *path; path++)
		option3(s, "--ro-bind-try", *path, *path);
	(void)system_link(s, "/etc/localtime");	/* into /usr/share/zoneinfo; where it is a file, the jail's time is UTC */
	for (const char *const *path = bwrap_network_files; network && *path; path++)
		option3(s, "--ro-bind-try", *path, *path);
	option_number(s, "--file", BWRAP_PASSWD_FD);
	option(s, "/etc/passwd");
	option_number(s, "--file", BWRAP_GROUP_FD);
	option(s, "/etc/group");
}

static int
folder(struct strbuf *s, const char *path)
{
	if (path[0] != '/' || path[strspn(path, "/")] == '\0' || path_has_dot_dot(path))
		return -EINVAL;
	if (strncmp(path, "/usr/", 5) != 0 && strcmp(path, "/usr") != 0)
		option3(s, "--ro-bind", path, path);
	return 0;
}

int
bwrap_options(const struct plan *plan, const char *work_path, struct strbuf *ret)
{
	struct strbuf *s = ret;
	unsigned long long memory = plan->limits.memory_bytes > 0 ? plan->limits.memory_bytes : TMPFS_DEFAULT * 2ULL;
	unsigned long long size = memory / 2 > TMPFS_MIN ? memory / 2 : TMPFS_MIN;

	option(s, "--unshare-all");
	if (plan->network)
		option(s, "--share-net");
	option(s, "--unshare-user");	/* not only where it can: without it there is no jail */
	option(s, "--disable-userns");
	option(s, "--die-with-parent");
	option(s, "--as-pid-1");
	/* Init's; the tool gets one of its own, and no other. The kernel shares the CPUs out by session. */
	option(s, "--new-session");
	option2(s, "--cap-drop", "ALL");
	option2(s, "--hostname", "spoolgate");
	option(s, "--clearenv");
	for (char **env = plan->env; env && *env; env++) {
		const char *equals = strchr(*env, '=');

		if (!equals || equals == *env)
			return -EINVAL;
		option(s, "--setenv");
		strbuf_add(s, *env, (size_t)(equals - *env));
		strbuf_addch(s, '\0');
		option(s, equals + 1);
	}
	system_view(s, plan->network);
	option2(s, "--proc", "/proc");
	option2(s, "--dev", "/dev");
	tmpfs(s, "/dev/shm", size);
	tmpfs(s, "/tmp", size);
	/* After /tmp, for a tool may be installed beneath it; before /job, which nothing may cover. */
	for (char **path = plan->folders; path && *path; path++) {
		int r = folder(s, *path);

		if (r < 0)
			return r;
	}
	for (char **link = plan->links; link && *link; link++) {
		const char *target = strchr(*link, ' ');
		int r = target ? folder(s, target + 1) : -EINVAL;

		if (r < 0)
			return r;
	}
	option3(s, "--ro-bind", plan->init, BWRAP_INIT_PATH);
	option3(s, "--bind", work_path, "/job");
	option2(s, "--remount-ro", "/dev");
	option2(s, "--remount-ro", "/");
	option2(s, "--chdir", "/job");
	return strbuf_err(s);
}

void
bwrap_passwd(struct strbuf *ret)
{
	strbuf_addstr(ret, "root:x:0:0:root:/:/usr/sbin/nologin\n");
	if (getuid() != 0)
		strbuf_addf(ret, "job:x:%u:%u:job:/job:/usr/sbin/nologin\n", (unsigned)getuid(), (unsigned)getgid());
}

void
bwrap_group(struct strbuf *ret)
{
	strbuf_addstr(ret, "root:x:0:\n");
	if (getgid() != 0)
		strbuf_addf(ret, "job:x:%u:\n", (unsigned)getgid());
}
