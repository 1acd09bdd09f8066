#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "run/tree.h"

enum {
	KIB = 1024,
	FILE_MAX = 4096,
	INODE_BYTES = 1024,	/* of an empty file in a tmpfs: inode and name */
	SOCKETS_FREE = 64,
	SOCKET_BYTES = 212992,	/* net.core.wmem_default, which one unix socket may have on the way */
};

struct process {
	pid_t pid;
	bool shares;	/* the address space of one that counts */
	uint64_t rss;	/* bytes; all but files on disk, and the next two */
	uint64_t swap, tables;
};

static struct process processes[TREE_PROCESSES_MAX];
static size_t n_processes;
static char text[FILE_MAX];

static int
open_proc(pid_t pid, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Into text, as a string; what is longer is cut. -ENOENT: the process is gone, or is going; -EACCES: it hides. */
static int
read_proc(pid_t pid, const char *name)
{
	size_t len = 0;
	int fd = open_proc(pid, name);

	if (fd < 0)
		return errno == EACCES || errno == EPERM ? -EACCES : -ENOENT;
	while (len + 1 < sizeof text) {
		ssize_t n = read(fd, text + len, sizeof text - 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	(void)close(fd);
	text[len] = '\0';
	return len > 0 ? 0 : -ENOENT;
}

static void
add_process(pid_t pid)
{
	if (n_processes < TREE_PROCESSES_MAX && pid > 1 && pid != getpid())
		processes[n_processes++] = (struct process){ .pid = pid };
}

/* Everything in our /proc. */
static void
list_namespace(void)
{
	DIR *dir = opendir("/proc");
	const struct dirent *e;

	while (dir && (e = readdir(dir)) != NULL)
		if (e->d_name[0] > '0' && e->d_name[0] <= '9')
			add_process((pid_t)atoi(e->d_name));
	if (dir)
		(void)closedir(dir);
}

/* Each thread has children of its own. */
static void
add_children(pid_t pid)
{
	char path[64];
	DIR *dir;
	const struct dirent *e;

	(void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir)) != NULL) {
		char name[NAME_MAX + 32], *next = text, *end = NULL;

		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		(void)snprintf(name, sizeof name, "task/%s/children", e->d_name);
		if (read_proc(pid, name) < 0)
			continue;
		for (long child; (child = strtol(next, &end, 10)) > 0 && end != next; next = end)
			add_process((pid_t)child);
	}
	if (dir)
		(void)closedir(dir);
}

static void
list_descendants(void)
{
	add_children(getpid());
	for (size_t i = 0; i < n_processes; i++)	/* the list grows meanwhile */
		add_children(processes[i].pid);
}

/* A line of text that begins with name, which ends in a colon: its number. */
static uint64_t
number_of(const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (strncmp(line, name, len) == 0)
			return strtoull(line + len, NULL, 10);
	return 0;
}

/* proc(5): after the name in parentheses the fields 3 and on; 14 to 17 are times in ticks, of the process and of what it waited for. */
static uint64_t
ticks_of(pid_t pid)
{
	unsigned long long user = 0, system = 0, children_user = 0, children_system = 0;
	const char *after = read_proc(pid, "stat") == 0 ? strrchr(text, ')') : NULL;

	if (!after || sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu", &user, &system,
	    &children_user, &children_system) != 4)
		return 0;
	return user + system + children_user + children_system;
}

static void
look_at(struct process *p, struct tree_use *use)
{
	static long ticks_per_sec;

	if (ticks_per_sec <= 0)
		ticks_per_sec = sysconf(_SC_CLK_TCK);
	if (ticks_per_sec > 0)
		use->cpu_usec += ticks_of(p->pid) * (1000000U / (uint64_t)ticks_per_sec);
	if (read_proc(p->pid, "status") < 0)
		return;
	use->tasks += number_of("Threads:");
	p->rss = (number_of("RssAnon:") + number_of("RssShmem:")) * KIB;
	p->swap = number_of("VmSwap:") * KIB;
	p->tables = number_of("VmPTE:") * KIB;
}

static uint64_t
used_of(const char *path)
{
	struct statvfs st = { 0 };

	if (statvfs(path, &st) < 0)
		return 0;
	return (uint64_t)(st.f_blocks - st.f_bfree) * st.f_frsize + (uint64_t)(st.f_files - st.f_ffree) * INODE_BYTES;
}

/* proc(5), net/sockstat: "sockets: used N", of the network namespace. What lies in their buffers belongs to no process. */
static uint64_t
socket_bytes(void)
{
	uint64_t n = read_proc(getpid(), "net/sockstat") == 0 ? number_of("sockets: used") : 0;

	return n > SOCKETS_FREE ? (n - SOCKETS_FREE) * SOCKET_BYTES : 0;
}

/* An order of address spaces, which the kernel alone knows; what cannot be compared is different. */
static int
compare_spaces(const void *a, const void *b)
{
	const struct process *p = a, *q = b;
	long r = syscall(SYS_kcmp, p->pid, q->pid, KCMP_VM, 0, 0);

	return r == 0 ? 0 : r == 1 ? -1 : 1;
}

static void
find_shared_spaces(void)
{
	qsort(processes, n_processes, sizeof *processes, compare_spaces);
	for (size_t i = 1; i < n_processes; i++)
		processes[i].shares = compare_spaces(&processes[i - 1], &processes[i]) == 0;
}

/* Whether a line of smaps begins a mapping, and then whether it is of a file in one of the jail's tmpfs. A path in there is no other's:
 * nothing can be mounted in a jail. */
static bool
begins_mapping(const char *line, bool *ret_tmpfs)
{
	const char *path = strchr(line, '/');
	size_t hex = strspn(line, "0123456789abcdef");

	if (hex == 0 || line[hex] != '-')
		return false;
	*ret_tmpfs = path && (strncmp(path, "/tmp/", 5) == 0 || strncmp(path, "/dev/shm/", 9) == 0);
	return true;
}

/* What the process maps of files that the tmpfs' own numbers count already. */
static uint64_t
mapped_tmpfs(pid_t pid)
{
	char line[512];
	size_t len = 0;
	bool tmpfs = false;
	uint64_t sum = 0;
	int fd = open_proc(pid, "smaps");

	for (ssize_t n = 1; fd >= 0 && n > 0;) {
		n = read(fd, text, sizeof text);
		for (ssize_t i = 0; i < n; i++) {
			if (text[i] != '\n') {
				if (len + 1 < sizeof line)
					line[len++] = text[i];
				continue;
			}
			line[len] = '\0';
			if (!begins_mapping(line, &tmpfs) && tmpfs && strncmp(line, "Pss:", 4) == 0)
				sum += strtoull(line + 4, NULL, 10) * KIB;
			len = 0;
		}
	}
	if (fd >= 0)
		(void)close(fd);
	return sum;
}

/* Each page counts once, whoever maps it. */
static uint64_t
share_out(bool tmpfs)
{
	uint64_t sum = 0;

	find_shared_spaces();
	for (size_t i = 0; i < n_processes; i++) {
		const struct process *p = &processes[i];
		uint64_t shared = 0;
		int r = 0;

		if (p->shares)
			continue;
		r = read_proc(p->pid, "smaps_rollup");
		if (r == -ENOENT)
			continue;
		sum += p->tables;
		if (r < 0) {
			sum += p->rss + p->swap;
			continue;
		}
		shared = number_of("Pss_Shmem:") * KIB;
		sum += number_of("Pss_Anon:") * KIB + shared + number_of("SwapPss:") * KIB;
		if (tmpfs && shared > 0) {
			uint64_t twice = mapped_tmpfs(p->pid);

			sum -= twice < shared ? twice : shared;
		}
	}
	return sum;
}

/* Whether it is the first of this inode; a table that is full knows no more. */
static bool
is_new(ino_t ino, bool begin)
{
	static ino_t seen[4096];
	const size_t size = sizeof seen / sizeof *seen;

	if (begin)
		memset(seen, 0, sizeof seen);
	for (size_t i = 0, at = (size_t)ino % size; i < size; i++, at = (at + 1) % size) {
		if (seen[at] == ino)
			return false;
		if (seen[at] == 0) {
			seen[at] = ino;
			return true;
		}
	}
	return true;
}

uint64_t
tree_nameless_bytes(uint64_t dev)
{
	uint64_t sum = 0;

	(void)is_new(0, true);
	for (size_t i = 0; i < n_processes; i++) {
		char path[64];
		DIR *dir;
		const struct dirent *e;

		(void)snprintf(path, sizeof path, "/proc/%d/fd", (int)processes[i].pid);
		dir = opendir(path);
		while (dir && (e = readdir(dir)) != NULL) {
			struct stat st = { 0 };

			if (fstatat(dirfd(dir), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0 && st.st_dev == dev &&
			    is_new(st.st_ino, false))
				sum += (uint64_t)st.st_blocks * 512U;
		}
		if (dir)
			(void)closedir(dir);
	}
	return sum;
}

static uint64_t
measure(bool jailed, bool count_sockets, uint64_t limit_bytes, struct tree_use *ret)
{
	uint64_t tmpfs = jailed ? used_of("/tmp") + used_of("/dev/shm") : 0, sockets = count_sockets ? socket_bytes() : 0, sum = 0;

	*ret = (struct tree_use){ 0 };
	n_processes = 0;
	if (jailed)
		list_namespace();
	else
		list_descendants();
	for (size_t i = 0; i < n_processes; i++) {
		look_at(&processes[i], ret);
		sum += processes[i].rss + processes[i].swap + processes[i].tables;
	}
	if (limit_bytes > 0 && sum + tmpfs + sockets > limit_bytes)
		sum = share_out(tmpfs > 0);
	return sum + tmpfs + sockets;
}

void
tree_measure(bool jailed, bool count_sockets, uint64_t limit_bytes, struct tree_use *ret)
{
	enum { DOUBTS = 3 };
	uint64_t sum = 0;

	/* While processes end, what they shared is shared by fewer from one to the next, and their sum is too much: it is to be too much
	 * several times. */
	for (int i = 0; i < DOUBTS; i++) {
		sum = measure(jailed, count_sockets, limit_bytes, ret);
		if (limit_bytes == 0 || sum <= limit_bytes)
			break;
	}
	ret->memory_bytes = sum;
}
