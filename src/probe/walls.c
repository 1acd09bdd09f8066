#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/probe.h"

enum { FDS_MAX = 4096 };

extern char **environ;

/* The first fact of this kind; NULL: there is none. */
static const char *
fact(char **facts, const char *prefix)
{
	for (; *facts; facts++)
		if (strncmp(*facts, prefix, strlen(prefix)) == 0)
			return *facts + strlen(prefix);
	return NULL;
}

static void
namespaces(char **facts)
{
	static const char *const kinds[] = { "user", "mnt", "pid", "net", "ipc", "uts", "cgroup" };

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		char name[32], path[32], prefix[16], here[64] = { 0 };
		const char *host;

		(void)snprintf(name, sizeof name, "namespace-%s", kinds[i]);
		(void)snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
		(void)snprintf(prefix, sizeof prefix, "ns=%s:", kinds[i]);
		host = fact(facts, prefix);
		if (readlink(path, here, sizeof here - 1) < 0)
			tell(name, false, "%s", host ? error_name(errno) : "this kernel has none");
		else
			tell(name, host && strcmp(strchr(here, ':') ? strchr(here, ':') + 1 : here, host) != 0,
			    host && strcmp(strchr(here, ':') ? strchr(here, ':') + 1 : here, host) == 0 ? "the host's" : "its own");
	}
}

static void
processes(void)
{
	DIR *dir = opendir("/proc");
	const struct dirent *e;
	unsigned others = 0;

	while (dir && (e = readdir(dir)) != NULL)
		if (isdigit((unsigned char)e->d_name[0]) && strtol(e->d_name, NULL, 10) != 1 && strtol(e->d_name, NULL, 10) != getpid())
			others++;
	tell("own-processes", dir && others == 0 && getppid() == 1, others == 0 ? "init and itself" : "%u others", others);
	if (dir)
		(void)closedir(dir);
}

/* A datagram socket that is connected sends nothing, but there has to be a way. */
static int
has_route(int family, const void *address, socklen_t len)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return errno;
	err = connect(fd, address, len) < 0 ? errno : 0;
	(void)close(fd);
	return err;
}

static void
network(void)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	FILE *file = fopen("/proc/net/dev", "re");
	char line[512], other[IF_NAMESIZE + 1] = { 0 };
	int err4, err6;

	while (file && fgets(line, sizeof line, file)) {
		char name[IF_NAMESIZE + 1] = { 0 };

		if (strchr(line, ':') && sscanf(line, " %16[^:]", name) == 1 && strcmp(name, "lo") != 0)
			(void)memcpy(other, name, sizeof other);
	}
	/* Of documentation (RFC 5737, RFC 3849): nobody is there. */
	(void)inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
	(void)inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr);
	err4 = has_route(AF_INET, &v4, sizeof v4);
	err6 = has_route(AF_INET6, &v6, sizeof v6);
	if (other[0] != '\0')
		tell("no-network", false, "there is an interface %s", other);
	else
		tell("no-network", file && err4 != 0 && err6 != 0, "no interface but lo; a way out: %s", error_name(err4 ? err4 : 0));
	if (file)
		(void)fclose(file);
}

static void
host_name(void)
{
	struct utsname u = { 0 };

	(void)uname(&u);
	tell("host-name", strcmp(u.nodename, "spoolgate") == 0, "%s", u.nodename);
}

/* Each set of /proc/self/status. */
static void
privileges(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[512], left[64] = { 0 };
	unsigned sets = 0;

	while (file && fgets(line, sizeof line, file)) {
		unsigned long long bits = 0;
		char set[4] = { 0 };

		if (sscanf(line, "Cap%3[A-Za-z]: %llx", set, &bits) != 2)
			continue;
		sets++;
		if (bits != 0)
			(void)snprintf(left, sizeof left, "%s has %llx", set, bits);
	}
	tell("no-capabilities", sets == 5 && left[0] == '\0', "%s", left[0] != '\0' ? left : "all five sets are empty");
	tell("no-new-privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? "on" : "off");
	if (file)
		(void)fclose(file);
}

/* /proc/self/comm may be written as far as mounts and modes go. */
static void
landlock(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
	int fd = open("/proc/self/comm", O_WRONLY | O_CLOEXEC), err = fd < 0 ? errno : 0;

	if (abi < 0)
		tell("landlock", false, "not in this kernel (%s)", error_name(errno));
	else
		tell("landlock", err == EACCES, err == EACCES ? "ABI %ld" : "ABI %ld, but a write outside its folders works", abi);
	if (fd >= 0)
		(void)close(fd);
}

/* Whether a mount may be writable: the job's folder, what goes with the jail, and the kernel's own below /proc and /dev. */
static bool
may_write(const char *path)
{
	return strcmp(path, "/job") == 0 || strcmp(path, "/tmp") == 0 || strcmp(path, "/proc") == 0 ||
	    strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/dev/", 5) == 0;
}

/* All mounts, by their own options (field 6 of mountinfo). */
static void
mounts(void)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char writable[128] = { 0 }, setuid[128] = { 0 };
	unsigned n = 0;
	char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		char path[128] = { 0 }, options[128] = { 0 };

		if (sscanf(line, "%*s %*s %*s %*s %127s %127s", path, options) != 2)
			continue;
		n++;
		if (strncmp(options, "ro", 2) != 0 && !may_write(path))
			(void)memcpy(writable, path, sizeof writable);
		if (!strstr(options, "nosuid"))
			(void)memcpy(setuid, path, sizeof setuid);
	}
	tell("read-only", n > 0 && writable[0] == '\0', writable[0] != '\0' ? "%s is writable" : "%s%u mounts, writable only where it may be",
	    writable, n);
	tell("no-setuid", n > 0 && setuid[0] == '\0', setuid[0] != '\0' ? "%s heeds it" : "%s%u mounts", setuid, n);
	free(line);
	if (file)
		(void)fclose(file);
}

/* A program that lies below /tmp or /home on the host brings the folders above it into the jail. */
static bool
is_above(const char *folder, const char *path)
{
	size_t len = strlen(folder);

	return path && strncmp(path, folder, len) == 0 && path[len] == '/';
}

static void
own_folders(char **facts)
{
	struct statfs fs = { 0 };
	const struct dirent *e;
	unsigned entries = 0;
	DIR *dir;
	int fd = open("/job/probe", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), err = fd < 0 ? errno : 0;

	tell("job-folder", fd >= 0, "%s", error_name(err));
	if (fd >= 0)
		(void)close(fd);
	(void)unlink("/job/probe");
	dir = opendir("/tmp");
	while (dir && (e = readdir(dir)) != NULL) {
		char path[sizeof "/tmp/" + NAME_MAX];

		(void)snprintf(path, sizeof path, "/tmp/%s", e->d_name);
		entries += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !is_above(path, fact(facts, "own="));
	}
	if (!dir || statfs("/tmp", &fs) < 0)
		tell("private-tmp", false, "%s", error_name(errno));
	else
		tell("private-tmp", fs.f_type == TMPFS_MAGIC && entries == 0, "%s, %u entries, %llu KiB", fs.f_type == TMPFS_MAGIC ? "a tmpfs" :
		    "no tmpfs", entries, (unsigned long long)fs.f_blocks * (unsigned long long)fs.f_bsize / 1024);
	if (dir)
		(void)closedir(dir);
}

static void
devices(void)
{
	static const char *const known[] = { ".", "..", "null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "shm",
		"stdin", "stdout", "stderr", "fd", "core" };
	DIR *dir = opendir("/dev");
	const struct dirent *e;
	char other[64] = { 0 };
	int fd;

	while (dir && (e = readdir(dir)) != NULL) {
		size_t i = 0;

		while (i < sizeof known / sizeof *known && strcmp(e->d_name, known[i]) != 0)
			i++;
		if (i == sizeof known / sizeof *known)
			(void)snprintf(other, sizeof other, "%.60s", e->d_name);
	}
	tell("few-devices", dir && other[0] == '\0', other[0] != '\0' ? "there is %s" : "%snull, zero, full, random, tty", other);
	if (dir)
		(void)closedir(dir);
	fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	tell("no-terminal", fd < 0, "%s", error_name(fd < 0 ? errno : 0));
	if (fd >= 0)
		(void)close(fd);
}

static void
descriptors(void)
{
	int found = -1;

	for (int fd = 3; fd < FDS_MAX; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			found = fd;
	tell("descriptors", found < 0, found < 0 ? "0 to 2" : "%d is open", found);
}

static void
environment(char **facts)
{
	const char *surplus = NULL;
	char name[64] = { 0 };
	unsigned wanted = 0, n = 0;

	for (char **f = facts; *f; f++)
		wanted += strncmp(*f, "env=", 4) == 0;
	for (char **env = environ; env && *env; env++) {
		char **f = facts;

		if (strcmp(*env, "PWD=/job") == 0)
			continue;
		while (*f && (strncmp(*f, "env=", 4) != 0 || strcmp(*f + 4, *env) != 0))
			f++;
		if (*f)
			n++;
		else
			surplus = *env;
	}
	if (surplus)	/* its value may be a secret */
		(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(surplus, "="), surplus);
	tell("environment", !surplus && n == wanted, surplus ? "%s is there too" : "%sas the tool file says", name);
}

static int
opens(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 ? errno : 0;

	if (fd >= 0)
		(void)close(fd);
	return err;
}

static bool
is_denial(int err)
{
	return err == EACCES || err == EPERM;
}

/* Pid 1 has its supervisor's socket, and knows the filter. */
static void
init(void)
{
	static const char *const files[] = { "/proc/1/mem", "/proc/1/environ", "/proc/1/maps" };
	char byte = 0, link[64];
	struct iovec here = { &byte, 1 }, there = { (void *)(uintptr_t)0x1000, 1 };
	const char *shown = "its descriptors";
	/* Not the folder, which root may open. */
	int err = readlink("/proc/1/fd/3", link, sizeof link) < 0 ? errno : 0;

	for (size_t i = 0; is_denial(err) && i < sizeof files / sizeof *files; i++) {
		err = opens(files[i]);
		shown = files[i];
	}
	tell("init-hidden", is_denial(err), "%s: %s", is_denial(err) ? "memory, environment and descriptors" : shown, error_name(err));
	err = process_vm_readv(1, &here, 1, &there, 1, 0) < 0 ? errno : 0;
	if (err == EPERM || err == ENOSYS)
		err = ptrace(PTRACE_SEIZE, 1, NULL, NULL) < 0 ? errno : 0;
	tell("init-untraced", err == EPERM || err == ENOSYS, "%s", error_name(err));
}

static void
hidden(char **facts)
{
	static const char *const never[] = { "/etc/shadow", "/etc/ssh", "/root", "/home", "/var/lib", "/sys", "/boot", NULL };
	const char *seen = NULL;

	for (const char *const *path = never; *path && !seen; path++)
		if (!is_above(*path, fact(facts, "own=")) && access(*path, F_OK) == 0)
			seen = *path;
	tell("host-files", !seen, seen ? "there is %s" : "%sno home, no /var, no /sys", seen ? seen : "");
	seen = NULL;
	for (char **f = facts; *f && !seen; f++)
		if (strncmp(*f, "hide=", 5) == 0 && access(*f + 5, F_OK) == 0)
			seen = *f + 5;
	tell("spool-hidden", !seen, seen ? "there is %s" : "%sneither spool nor sockets nor secrets", seen ? seen : "");
}

void
walls(char **facts)
{
	namespaces(facts);
	processes();
	network();
	host_name();
	privileges();
	landlock();
	mounts();
	own_folders(facts);
	devices();
	descriptors();
	environment(facts);
	init();
	hidden(facts);
}
