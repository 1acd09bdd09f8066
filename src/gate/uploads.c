#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/scoped.h"
#include "gate/gate.h"
#include "gate/uploads.h"

enum {
	OWNER_LEN = 32,	/* hex digits of the owner's hash that the name has */
	NAME_SIZE = ID_LEN + 1 + OWNER_LEN + 1 + 20 + 1,	/* <id>-<owner>-<bytes> */
};
#define DISK_RESERVE (UINT64_C(256) << 20)	/* stays free beside what uploads announce */

static int
open_folder(const struct gate *g)
{
	scoped(close_fd) int state_fd = -EBADF;

	if (!g->state_path)
		return -ENOSPC;
	state_fd = open(g->state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return state_fd < 0 ? -errno : make_dir_at(state_fd, "uploads", 0700, (gid_t)-1);
}

static void
owner_hash(const char *owner, char ret[OWNER_LEN + 1])
{
	char hex[SHA256_HEX_SIZE];

	sha256_hex(owner, strlen(owner), hex);
	memcpy(ret, hex, OWNER_LEN);
	ret[OWNER_LEN] = '\0';
}

static bool
name_parse(const char *name, char ret_id[ID_SIZE], char ret_owner[OWNER_LEN + 1], uint64_t *ret_bytes)
{
	char *end = NULL;

	if (strlen(name) >= NAME_SIZE || strlen(name) < ID_LEN + OWNER_LEN + 3 || name[ID_LEN] != '-' || name[ID_LEN + 1 + OWNER_LEN] != '-')
		return false;
	memcpy(ret_id, name, ID_LEN);
	ret_id[ID_LEN] = '\0';
	memcpy(ret_owner, name + ID_LEN + 1, OWNER_LEN);
	ret_owner[OWNER_LEN] = '\0';
	*ret_bytes = strtoull(name + ID_LEN + OWNER_LEN + 2, &end, 10);
	return id_valid(ret_id) && *end == '\0';
}

/* A walk over the folder. */
struct walk {
	const char *id;	/* the one that is looked for; NULL: none */
	char owner[OWNER_LEN + 1];
	bool sweep;	/* remove what nobody went on with */
	char found[NAME_SIZE];	/* "" */
	uint64_t found_bytes;
	unsigned n_owner;
	uint64_t bytes;	/* announced, all together */
};

static void
look_at(int dir_fd, const char *name, struct walk *w)
{
	char id[ID_SIZE], owner[OWNER_LEN + 1];
	uint64_t bytes = 0;
	struct timespec now;
	struct stat st;

	if (!name_parse(name, id, owner, &bytes))
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);	/* the kernel's, which the file's time comes from */
	if (w->sweep && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_mtim.tv_sec + (time_t)(UPLOAD_KEEP_USEC / USEC_PER_SEC) < now.tv_sec) {
		(void)unlinkat(dir_fd, name, 0);
		return;
	}
	w->bytes += bytes;
	if (strcmp(owner, w->owner) != 0)
		return;
	w->n_owner++;
	if (w->id && strcmp(id, w->id) == 0) {
		memcpy(w->found, name, strlen(name) + 1);	/* name_parse() has seen that it fits */
		w->found_bytes = bytes;
	}
}

static int
walk_folder(int folder_fd, const char *owner, struct walk *w)
{
	scoped(close_dir) DIR *dir = NULL;
	int fd = open_dir_at(folder_fd, ".");

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		close_fd(&fd);
		return -ENOMEM;
	}
	owner_hash(owner, w->owner);
	for (;;) {
		const struct dirent *d;

		errno = 0;
		d = readdir(dir);
		if (!d)
			return errno ? -errno : 0;
		look_at(dirfd(dir), d->d_name, w);
	}
}

/* The file of an upload; its folder besides. */
static int
open_upload(const struct gate *g, const char *owner, const char *id, int *ret_folder_fd, struct walk *w, struct upload *ret)
{
	scoped(close_fd) int folder_fd = -EBADF;
	scoped(close_fd) int fd = -EBADF;
	off_t size = 0;
	struct stat st;
	int r;

	if (!id_valid(id))
		return -ENOENT;
	folder_fd = open_folder(g);
	if (folder_fd < 0)
		return folder_fd;
	*w = (struct walk){ .id = id };
	r = walk_folder(folder_fd, owner, w);
	if (r < 0)
		return r;
	if (!w->found[0])
		return -ENOENT;
	fd = openat(folder_fd, w->found, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	size = st.st_size;
	*ret = (struct upload){ .bytes = w->found_bytes, .offset = (uint64_t)size,
		.expires_usec = (uint64_t)st.st_mtim.tv_sec * USEC_PER_SEC + UPLOAD_KEEP_USEC };
	memcpy(ret->id, id, ID_SIZE);
	*ret_folder_fd = take_fd(folder_fd);
	return take_fd(fd);
}

static int
make_upload(int folder_fd, const char *owner, const char *id, uint64_t bytes)
{
	char name[NAME_SIZE], hash[OWNER_LEN + 1];
	int fd;

	owner_hash(owner, hash);
	(void)snprintf(name, sizeof name, "%s-%s-%" PRIu64, id, hash, bytes);
	fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? (errno == EDQUOT ? -ENOSPC : -errno) : fd;
}

int
upload_begin(const struct gate *g, const char *owner, uint64_t bytes, uint64_t all_max, struct upload *ret)
{
	scoped(close_fd) int folder_fd = open_folder(g);
	scoped(close_fd) int fd = -EBADF;
	struct walk w = { .sweep = true };
	struct statvfs disk;
	int r;

	if (folder_fd < 0)
		return folder_fd;
	r = walk_folder(folder_fd, owner, &w);
	if (r < 0)
		return r;
	if (w.n_owner >= UPLOADS_OWNER_MAX)
		return -EDQUOT;
	if (w.bytes > all_max || bytes > all_max - w.bytes)
		return -ENOSPC;
	if (fstatvfs(folder_fd, &disk) < 0)
		return -errno;
	if (disk.f_bavail * disk.f_frsize < bytes + DISK_RESERVE)
		return -ENOSPC;
	*ret = (struct upload){ .bytes = bytes, .expires_usec = clock_wall() + UPLOAD_KEEP_USEC };
	id_new(ret->id);
	fd = make_upload(folder_fd, owner, ret->id, bytes);
	return fd < 0 ? fd : 0;
}

int
upload_find(const struct gate *g, const char *owner, const char *id, struct upload *ret)
{
	scoped(close_fd) int folder_fd = -EBADF;
	scoped(close_fd) int fd = -EBADF;
	struct walk w;

	fd = open_upload(g, owner, id, &folder_fd, &w, ret);
	return fd < 0 ? fd : 0;
}

int
upload_forget(const struct gate *g, const char *owner, const char *id)
{
	scoped(close_fd) int folder_fd = -EBADF;
	scoped(close_fd) int fd = -EBADF;
	struct upload u;
	struct walk w;

	fd = open_upload(g, owner, id, &folder_fd, &w, &u);
	if (fd < 0)
		return fd;
	return unlinkat(folder_fd, w.found, 0) < 0 ? -errno : 0;
}

int
upload_append(const struct gate *g, const char *owner, const char *id, uint64_t offset, struct upload *ret, int *ret_fd)
{
	scoped(close_fd) int folder_fd = -EBADF;
	scoped(close_fd) int fd = -EBADF;
	struct walk w;
	struct stat st;

	fd = open_upload(g, owner, id, &folder_fd, &w, ret);
	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -ESTALE : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_nlink == 0)	/* taken meanwhile */
		return -ENOENT;
	ret->offset = (uint64_t)st.st_size;
	if (ret->offset != offset)
		return -ESTALE;
	if (lseek(fd, 0, SEEK_END) < 0)
		return -errno;
	*ret_fd = take_fd(fd);
	return 0;
}

int
upload_take(const struct gate *g, const char *owner, const char *id, struct input_file *ret)
{
	scoped(input_file_done) struct input_file f = INPUT_FILE_NONE;
	scoped(close_fd) int folder_fd = -EBADF;
	scoped(close_fd) int fd = -EBADF;
	struct upload u;
	struct walk w;
	int64_t n = 0;
	int r = 0;

	fd = open_upload(g, owner, id, &folder_fd, &w, &u);
	if (fd < 0)
		return fd;
	if (u.offset != u.bytes || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -EAGAIN;
	/* Two submissions may have come this far: the name is there once. */
	if (unlinkat(folder_fd, w.found, 0) < 0)
		return -errno;
	if (u.bytes > GATE_MEMORY_MAX) {
		*ret = (struct input_file){ .fd = take_fd(fd), .size = u.bytes, .on_disk = true };
		return 0;
	}
	r = input_file_begin(&f, "upload");
	if (r == 0)
		n = copy_bytes(fd, f.fd, (int64_t)u.bytes);
	if (r == 0 && n < 0)
		r = (int)n;
	f.size = u.bytes;
	if (r == 0)
		r = input_file_finish(&f);
	if (r < 0)
		return r;
	*ret = f;
	f = (struct input_file)INPUT_FILE_NONE;
	return 0;
}

int
upload_put_back(const struct gate *g, const char *owner, const char *id, const struct input_file *f)
{
	scoped(close_fd) int folder_fd = open_folder(g);
	scoped(close_fd) int fd = -EBADF;
	int64_t n;

	if (folder_fd < 0)
		return folder_fd;
	fd = make_upload(folder_fd, owner, id, f->size);
	if (fd < 0)
		return fd;
	n = copy_bytes(f->fd, fd, (int64_t)f->size);	/* an inode without a name gets none again */
	return n < 0 ? (int)n : 0;
}
