#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "helper/cgroup.h"
#include "helper/host.h"
#include "spool/layout.h"

#define ACCOUNT "spoolgate"	/* of a helper that has not made its spool yet */

int
host_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi > 0 ? (int)abi : 0;
}

int
host_user_namespaces(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) < 0 ? errno : 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

/* A setting's number; -1: this kernel has none of that name. */
static long
setting(const char *path)
{
	scoped(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32] = { 0 };

	if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
		return -1;
	return strtol(text, NULL, 10);
}

static int
add(json_object *array, const char *text)
{
	json_object *item = json_object_new_string(text);

	if (item && json_object_array_add(array, item) == 0)
		return 0;
	json_object_put(item);
	return -ENOMEM;
}

int
host_add_hints(const struct config *config, json_object *array)
{
	static const struct { const char *path; long bad; const char *hint; } settings[] = {
		{ "/proc/sys/kernel/unprivileged_userns_clone", 0,
		    "unprivileged user namespaces are switched off: sysctl -w kernel.unprivileged_userns_clone=1, and the same line in /etc/sysctl.d" },
		{ "/proc/sys/user/max_user_namespaces", 0,
		    "no user namespace may be made: sysctl -w user.max_user_namespaces=15000, and the same line in /etc/sysctl.d" },
		{ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1,
		    "AppArmor restricts user namespaces: give bubblewrap a profile with \"userns,\" in /etc/apparmor.d, "
		    "or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0" },
	};
	const char *bwrap = config_string(config, "helper", "bwrap");
	size_t before = json_object_array_length(array);
	int r = 0;

	if (access(bwrap, X_OK) < 0) {
		scoped(free_ptr) char *text = NULL;

		if (asprintf(&text, "%s: %s; install bubblewrap, or say in [helper] bwrap where it is", bwrap, strerror(errno)) < 0)
			return -ENOMEM;
		r = add(array, text);
	}
	for (size_t i = 0; r == 0 && i < sizeof settings / sizeof *settings; i++)
		if (setting(settings[i].path) == settings[i].bad)
			r = add(array, settings[i].hint);
	if (r == 0 && json_object_array_length(array) == before)
		r = add(array, host_user_namespaces() < 0 ?
		    "no user namespace can be made, and no setting of this kernel says why: a container's own filter may forbid it "
		    "(docker: --security-opt seccomp=..., systemd: RestrictNamespaces=no)" :
		    "user namespaces are allowed, but bubblewrap fails all the same: in a container /proc may be masked "
		    "(docker: --security-opt systempaths=unconfined)");
	return r;
}

int
host_become_owner(const struct config *config)
{
	const struct passwd *pw = NULL;
	struct stat st = { 0 };

	if (geteuid() != 0)
		return 0;
	if (stat(config_string(config, "spool", "path"), &st) == 0)
		pw = getpwuid(st.st_uid);
	else if (errno == ENOENT && (pw = getpwnam(ACCOUNT)) != NULL)
		st.st_uid = pw->pw_uid;
	if (st.st_uid == 0)
		return 0;
	if (pw ? initgroups(pw->pw_name, pw->pw_gid) < 0 : setgroups(0, NULL) < 0)
		return -errno;
	if (setresgid(pw ? pw->pw_gid : st.st_gid, pw ? pw->pw_gid : st.st_gid, pw ? pw->pw_gid : st.st_gid) < 0 ||
	    setresuid(st.st_uid, st.st_uid, st.st_uid) < 0)
		return -errno;
	/* As after an exec: supervisors of this account read their own /proc. */
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 ? -errno : 0;
}

pid_t
host_helper(const struct config *config)
{
	pid_t pid = spool_holder(config_string(config, "spool", "path"));
	char path[64], name[32] = { 0 };
	scoped(close_fd) int fd = -EBADF;

	if (pid <= 0)
		return 0;
	(void)snprintf(path, sizeof path, "/proc/%ld/comm", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, name, sizeof name - 1) > 0 && strcmp(name, "spoolgated\n") == 0 ? pid : 0;
}

void
host_join_cgroup(const struct config *config, pid_t helper, char **ret_base, const char **ret_why)
{
	int r;

	*ret_base = NULL;
	*ret_why = "none is delegated";
	if (strcmp(config_string(config, "helper", "cgroup"), "none") == 0) {
		*ret_why = "[helper] cgroup says none";
		return;
	}
	if (helper == 0 && geteuid() == 0) {	/* what this process makes would be root's, and in the helper's way */
		*ret_why = "not tried: no helper runs here whose cgroup it would be";
		return;
	}
	r = cgroups_join(config, helper, ret_base);
	if (r < 0)
		*ret_why = helper > 0 && geteuid() != 0 ? "not tried: root alone may enter the helper's cgroup" : "it cannot be entered";
}
