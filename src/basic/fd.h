/* fd.h - descriptors and files, below a directory descriptor.
 * Everything returns 0 or a positive count, or a negative errno. An unset descriptor is -EBADF. Every descriptor is born
 * close-on-exec. Names are single path components unless said otherwise. */
#ifndef SPOOLGATE_FD_H
#define SPOOLGATE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Writes all, over EINTR and short writes. Not for non-blocking descriptors. */
int write_all(int fd, const void *data, size_t len);
int pwrite_all(int fd, const void *data, size_t len, off_t offset);
/* Reads until len bytes or the end of the file; returns how many. */
ssize_t read_full(int fd, void *buf, size_t len);
ssize_t pread_full(int fd, void *buf, size_t len, off_t offset);

/* A directory, no link followed: openat(O_RDONLY|O_DIRECTORY|O_NOFOLLOW). */
int open_dir_at(int dir_fd, const char *name);
/* Makes name (ok if it is there) and opens it; mode is set exactly, whatever the umask. gid (gid_t)-1: as inherited. */
int make_dir_at(int dir_fd, const char *name, mode_t mode, gid_t gid);
/* A new empty file for writing, in the place of what bears this name (no folder); mode and gid as make_dir_at. */
int make_file_at(int dir_fd, const char *name, mode_t mode, gid_t gid);
/* A file somebody else may have placed: never follows a link, never blocks on a FIFO, refuses what is no regular file
 * with -EINVAL (a link with -ELOOP). ret_size may be NULL. Returns the descriptor. */
int open_regular_at(int dir_fd, const char *name, off_t *ret_size);
/* As open_regular_at, for a relative path of several components; none of them may be a link or "..": RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS of openat2(2). -EXDEV or -ELOOP where one is. */
int open_regular_beneath(int dir_fd, const char *path, off_t *ret_size);
int open_dir_beneath(int dir_fd, const char *path);
/* Whether a component of it is "..". */
bool path_has_dot_dot(const char *path);

/* Reads a whole regular file of at most max bytes, opened as open_regular_at does. The caller frees *ret_data, which has
 * a NUL behind it. -EFBIG over max; -ENOENT; ... */
int read_file_at(int dir_fd, const char *name, size_t max, char **ret_data, size_t *ret_len);

/* A new empty memory file, sealable. name is for /proc only. */
int memory_file(const char *name);
/* A memory file with this content, sealed against every change. */
int memory_file_sealed(const char *name, const void *data, size_t len);
int seal_memory_file(int fd);
/* 1 if fd is a memory file sealed against writing, growing and shrinking, 0 if not. */
int is_sealed_memory_file(int fd);

/* Copies len bytes (or up to the end where len is -1) from the start of from_fd to to_fd at its position; reads by offset,
 * so that a shared position is left alone. Returns the bytes copied, fewer where the file is shorter. */
int64_t copy_bytes(int from_fd, int to_fd, int64_t len);

int set_nonblock(int fd, bool on);
int set_cloexec(int fd, bool on);

/* Removes name and everything below it, no link followed, at most 64 descriptors held however deep it is; gives folders
 * u+rwx first where it must. 0 also when it was not there. On a failure the rest is removed all the same, and the first error
 * returned. */
int remove_tree_at(int dir_fd, const char *name);

#endif
