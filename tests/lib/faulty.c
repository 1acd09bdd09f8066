/* faulty.c - a disk that says no, for a program under LD_PRELOAD. The file $FAULTS holds names of what is to fail: fsync, fdatasync
 * and syncfs, with EIO; dirsync, which is fsync of a folder; publish, which moves a job's folder into jobs/, with ENOSPC; spawn,
 * which starts any process, with EAGAIN; accept, with EMFILE. Without the file everything is as always. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
faulty(const char *name)
{
	const char *path = getenv("FAULTS");
	char text[256] = " ";
	char word[32];
	ssize_t n = 0;
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return 0;
	n = read(fd, text + 1, sizeof text - 3);
	(void)close(fd);
	(void)snprintf(word, sizeof word, " %s ", name);
	text[n < 0 ? 1 : n + 1] = ' ';
	return strstr(text, word) != NULL;
}

static int
flush(const char *name, long call, int fd)
{
	if (!faulty(name))
		return (int)syscall(call, fd);
	errno = EIO;
	return -1;
}

int
fsync(int fd)
{
	struct stat st;

	return flush(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && faulty("dirsync") ? "dirsync" : "fsync", SYS_fsync, fd);
}

int fdatasync(int fd) { return flush("fdatasync", SYS_fdatasync, fd); }
int syncfs(int fd) { return flush("syncfs", SYS_syncfs, fd); }

int
renameat(int from, const char *old, int to, const char *new)
{
	if (strlen(new) == 35 && new[2] == '/' && faulty("publish")) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_renameat, from, old, to, new);
}

int
accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	if (faulty("accept")) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_accept4, fd, address, len, flags);
}

int
posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
    char *const argv[], char *const env[])
{
	int (*real)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[], char *const[]);

	*(void **)&real = dlsym(RTLD_NEXT, "posix_spawn");
	return faulty("spawn") ? EAGAIN : real(pid, path, actions, attr, argv, env);
}
