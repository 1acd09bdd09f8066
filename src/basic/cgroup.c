#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/cgroup.h"
#include "basic/fd.h"
#include "basic/scoped.h"

enum { FILE_MAX = 4096, EMPTY_ROUNDS = 20, EMPTY_MSEC = 10 };

int
cgroup_write(int dir_fd, const char *file, const char *text)
{
	scoped(close_fd) int fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int
read_text(int dir_fd, const char *file, char *ret, size_t size)
{
	scoped(close_fd) int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pread_full(fd, ret, size - 1, 0);
	if (n < 0)
		return (int)n;
	ret[n] = '\0';
	return 0;
}

int
cgroup_number(int dir_fd, const char *file, const char *key, uint64_t *ret)
{
	char text[FILE_MAX], *number = text, *end = NULL;
	size_t len = key ? strlen(key) : 0;
	int r = read_text(dir_fd, file, text, sizeof text);

	if (r < 0)
		return r;
	while (key && !(strncmp(number, key, len) == 0 && number[len] == ' ')) {
		number = strchr(number, '\n');
		if (!number)
			return -ENOENT;
		number++;
	}
	if (key)
		number += len + 1;
	if (strncmp(number, "max", 3) == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	if (*number < '0' || *number > '9')
		return -EBADMSG;
	*ret = strtoull(number, &end, 10);
	return *end == '\n' || *end == '\0' ? 0 : -EBADMSG;
}

int
cgroup_has(int dir_fd, const char *controller)
{
	char text[FILE_MAX], *save = NULL;
	int r = read_text(dir_fd, "cgroup.subtree_control", text, sizeof text);

	if (r < 0)
		return r;
	for (const char *word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		if (strcmp(word, controller) == 0)
			return 1;
	return 0;
}

/* proc(5), mountinfo: "36 35 98:0 /root /mount/point options - cgroup2 ...". */
static int
mount_point(char ret[PATH_MAX])
{
	scoped(close_stream) FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[PATH_MAX * 2], root[PATH_MAX], point[PATH_MAX];

	if (!file)
		return -errno;
	while (fgets(line, sizeof line, file)) {
		const char *kind = strstr(line, " - cgroup2 ");

		if (kind && sscanf(line, "%*d %*d %*s %4095s %4095s", root, point) == 2 && strcmp(root, "/") == 0) {
			memcpy(ret, point, sizeof point);
			return 0;
		}
	}
	return -ENOENT;
}

static int
find(const char *file, char **ret_path)
{
	char text[FILE_MAX], point[PATH_MAX], *path = NULL;
	int r = mount_point(point);

	if (r == 0)
		r = read_text(AT_FDCWD, file, text, sizeof text);
	if (r < 0)
		return r;
	path = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (!path)
		return -ENOENT;
	path += *path == '\n' ? 4 : 3;
	path[strcspn(path, "\n")] = '\0';
	if (asprintf(ret_path, "%s%s", point, strcmp(path, "/") == 0 ? "" : path) < 0)
		return -ENOMEM;
	return 0;
}

int
cgroup_own(char **ret_path)
{
	return find("/proc/self/cgroup", ret_path);
}

int
cgroup_of(pid_t pid, char **ret_path)
{
	char file[40];

	(void)snprintf(file, sizeof file, "/proc/%ld/cgroup", (long)pid);
	return find(file, ret_path);
}

int
cgroup_remove(const char *path)
{
	scoped(close_fd) int dir_fd = -EBADF;

	if (rmdir(path) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY)
		return -errno;
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return errno == ENOENT ? 0 : -errno;
	(void)cgroup_write(dir_fd, "cgroup.kill", "1");
	for (int i = 0; i < EMPTY_ROUNDS; i++) {
		/* Busy until what was in it is reaped; its end is no event. */
		(void)poll(NULL, 0, EMPTY_MSEC);
		if (rmdir(path) == 0 || errno == ENOENT)
			return 0;
	}
	return -errno;
}
