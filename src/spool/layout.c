#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "basic/durable.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "spool/layout.h"
#include "spool/spool_internal.h"

enum { FORMAT_MAX = 256 };	/* bytes of the file format */

void
job_path(const char *id, const char *name, char ret_path[JOB_PATH_SIZE])
{
	(void)snprintf(ret_path, JOB_PATH_SIZE, "%.2s/%s%s%s", id, id, *name ? "/" : "", name);
}

int
create_file_at(int dir_fd, const char *name, const void *data, size_t len, mode_t mode, gid_t gid, bool flush)
{
	scoped(close_fd) int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (gid != (gid_t)-1 && fchown(fd, (uid_t)-1, gid) < 0)
		r = -errno;
	if (r >= 0 && mode != 0600 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r >= 0 && len > 0)
		r = write_all(fd, data, len);
	if (r >= 0 && flush && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir_fd, name, 0);
	return r < 0 ? r : 0;
}

int
exists_at(int dir_fd, const char *name)
{
	if (faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
}

int
touch_at(int dir_fd, const char *name)
{
	/* One system call instead of open and close. */
	if (mknodat(dir_fd, name, S_IFREG | MODE_OWN_FILE, 0) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

int
unlink_at(int dir_fd, const char *name)
{
	return unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int
each_name(int dir_fd, int (*f)(int dir_fd, const char *name, void *ctx), void *ctx)
{
	scoped(close_fd) int fd = -EBADF;
	scoped(close_dir) DIR *dir = NULL;

	fd = open_dir_at(dir_fd, ".");	/* a position of its own */
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	fd = -EBADF;
	for (;;) {
		const struct dirent *d = NULL;
		int r = 0;

		errno = 0;
		d = readdir(dir);
		if (!d)
			return errno ? -errno : 0;
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		r = f(dirfd(dir), d->d_name, ctx);
		if (r < 0)
			return r;
	}
}

int
version_check(json_object *obj)
{
	uint64_t v = 0;
	int r = json_get_uint(obj, "v", &v);

	if (r < 0)
		return -EBADMSG;
	if (v > RECORD_VERSION)
		return -EPROTONOSUPPORT;
	/* The previous version is read too, once there is one. */
	return v == RECORD_VERSION || (RECORD_VERSION > 1 && v + 1 == RECORD_VERSION) ? 0 : -EBADMSG;
}

void
jsonw_uint(struct jsonw *w, const char *key, uint64_t val)
{
	jsonw_add(w, key, json_object_new_uint64(val));
}

int
json_get_unsigned(json_object *obj, const char *name, unsigned *ret)
{
	uint64_t val = 0;
	int r = json_get_uint(obj, name, &val);

	if (r < 0)
		return r;
	if (val > UINT32_MAX)
		return -EBADMSG;
	*ret = (unsigned)val;
	return 0;
}

int
json_copy_string(json_object *obj, const char *name, char *ret, size_t size)
{
	const char *text = NULL;
	int r = json_get_string(obj, name, &text);
	size_t len = 0;

	if (r < 0)
		return r;
	len = strlen(text);
	if (len >= size)
		return -EBADMSG;
	memcpy(ret, text, len + 1);
	return 0;
}

int
jsonw_text(struct jsonw *w, char **ret_text, size_t *ret_len)
{
	scoped(put_json) json_object *obj = NULL;
	int r = jsonw_finish(w, &obj);

	return r < 0 ? r : json_format(obj, ret_text, ret_len);
}

static struct spool *
spool_new(void)
{
	struct spool *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->root_fd = s->jobs_fd = s->index_fd = s->active_fd = s->pending_fd = s->incoming_fd = s->trash_fd = -EBADF;
	s->groups = (struct spool_groups){ (gid_t)-1, (gid_t)-1 };
	return s;
}

struct spool *
spool_free(struct spool *s)
{
	if (!s)
		return NULL;
	close_fd(&s->trash_fd);
	close_fd(&s->incoming_fd);
	close_fd(&s->pending_fd);
	close_fd(&s->active_fd);
	close_fd(&s->index_fd);
	close_fd(&s->jobs_fd);
	close_fd(&s->root_fd);
	free(s);
	return NULL;
}

/* -ENOENT: no file format. */
static int
format_check(int root_fd)
{
	scoped(put_json) json_object *obj = NULL;
	uint64_t format = 0;
	int r = json_load_at(root_fd, FILE_FORMAT, FORMAT_MAX, &obj);

	if (r == -EFBIG)
		return -EBADMSG;
	if (r < 0)
		return r;
	r = version_check(obj);
	if (r < 0)
		return r;
	r = json_get_uint(obj, "format", &format);
	if (r < 0)
		return -EBADMSG;
	return format == SPOOL_FORMAT ? 0 : -EPROTONOSUPPORT;
}

static int
format_store(int root_fd, gid_t gid)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = 0;

	jsonw_int(&w, "v", RECORD_VERSION);
	jsonw_int(&w, "format", SPOOL_FORMAT);
	r = jsonw_text(&w, &text, &len);
	return r < 0 ? r : replace_file_durable(root_fd, FILE_FORMAT, text, len, MODE_RECORD, gid);
}

/* The groups may have been set since: as the folders, which make_dir_at gives theirs. */
static int
format_regroup(int root_fd, gid_t gid)
{
	scoped(close_fd) int fd = open_regular_at(root_fd, FILE_FORMAT, NULL);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return gid != (gid_t)-1 && st.st_gid != gid && fchown(fd, (uid_t)-1, gid) < 0 ? -errno : 0;
}

static int
make_folders(struct spool *s)
{
	const gid_t none = (gid_t)-1, read_gid = s->groups.read_gid, gate_gid = s->groups.gate_gid;
	const struct {
		const char *name;
		mode_t mode;
		gid_t gid;
		int *fd;	/* NULL: closed again */
	} folders[] = {
		{ DIR_INCOMING, MODE_OWN_DIR, none, &s->incoming_fd },
		{ DIR_JOBS, MODE_PASS, read_gid, &s->jobs_fd },
		{ DIR_ACTIVE, MODE_OWN_DIR, none, &s->active_fd },
		{ DIR_PENDING, MODE_OWN_DIR, none, &s->pending_fd },
		{ DIR_INDEX, MODE_LIST, gate_gid, &s->index_fd },
		{ DIR_INDEX "/" DIR_KEY, MODE_LIST, gate_gid, NULL },
		{ DIR_CACHE, MODE_LIST, read_gid, NULL },
		{ DIR_CACHE_STAN, MODE_LIST, read_gid, NULL },
		{ DIR_VOLUMES, MODE_PASS, read_gid, NULL },
		{ DIR_PACKS, MODE_LIST, read_gid, NULL },
		{ DIR_TRASH, MODE_OWN_DIR, none, &s->trash_fd },
	};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		scoped(close_fd) int fd = make_dir_at(s->root_fd, folders[i].name, folders[i].mode, folders[i].gid);

		if (fd < 0)
			return fd;
		if (folders[i].fd)
			*folders[i].fd = take_fd(fd);
	}
	return 0;
}

/* All at once, while the spool is new: afterwards no acceptance makes a folder that lasts. (One that is missing, in a
 * restored spool, is made when a job needs it.) */
static int
make_job_folders(const struct spool *s)
{
	for (unsigned i = 0; i < 256; i++) {
		char name[3] = { 0 };
		scoped(close_fd) int fd = -EBADF;

		(void)snprintf(name, sizeof name, "%02x", i);
		fd = make_dir_at(s->jobs_fd, name, MODE_PASS, s->groups.read_gid);
		if (fd < 0)
			return fd;
	}
	return 0;
}

int
spool_create(const char *path, struct spool_groups groups, struct spool **ret)
{
	scoped(free_spool) struct spool *s = spool_new();
	int r = 0;
	bool fresh = false;

	if (!s)
		return -ENOMEM;
	s->groups = groups;
	s->root_fd = make_dir_at(AT_FDCWD, path, MODE_PASS, groups.read_gid);
	if (s->root_fd < 0)
		return s->root_fd;
	r = format_check(s->root_fd);
	if (r < 0 && r != -ENOENT)
		return r;
	fresh = r == -ENOENT;
	r = make_folders(s);
	if (r < 0)
		return r;
	if (!fresh) {
		r = format_regroup(s->root_fd, groups.gate_gid);
		if (r < 0)
			return r;
	} else {
		/* The file format comes last: a spool that has one has everything. */
		r = make_job_folders(s);
		if (r >= 0)
			r = spool_sync(s);
		if (r >= 0)
			r = format_store(s->root_fd, groups.gate_gid);
		if (r < 0)
			return r;
	}
	*ret = take_ptr(s);
	return 0;
}

/* Listable where the caller may list it, else good for passing through. */
static int
open_folder(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == EACCES)
		fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int
spool_open(const char *path, struct spool **ret)
{
	scoped(free_spool) struct spool *s = spool_new();
	int r = 0;

	if (!s)
		return -ENOMEM;
	s->root_fd = open_folder(AT_FDCWD, path);
	if (s->root_fd < 0)
		return s->root_fd;
	r = format_check(s->root_fd);
	if (r < 0)
		return r;
	s->jobs_fd = open_folder(s->root_fd, DIR_JOBS);
	if (s->jobs_fd < 0)
		return s->jobs_fd;
	s->index_fd = open_folder(s->root_fd, DIR_INDEX);
	if (s->index_fd < 0)
		return s->index_fd;
	*ret = take_ptr(s);
	return 0;
}

static pid_t
read_holder(int fd)
{
	char text[24] = { 0 };
	ssize_t n = pread_full(fd, text, sizeof text - 1, 0);
	char *end = NULL;
	long pid = n > 0 ? strtol(text, &end, 10) : 0;

	return end && *end == '\n' && pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

pid_t
spool_holder(const char *path)
{
	scoped(close_fd) int root_fd = open_folder(AT_FDCWD, path);
	scoped(close_fd) int fd = root_fd < 0 ? -EBADF : openat(root_fd, FILE_LOCK, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? 0 : read_holder(fd);
}

int
spool_lock(const struct spool *s, pid_t *ret_pid)
{
	scoped(close_fd) int fd = openat(s->root_fd, FILE_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, MODE_OWN_FILE);
	char text[24] = { 0 };
	int len = 0, r = 0;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int saved = errno;

		if (ret_pid)
			*ret_pid = read_holder(fd);
		return -saved;
	}
	len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0)
		return -errno;
	r = pwrite_all(fd, text, (size_t)len, 0);
	/* On a full disk the lock holds all the same; only the word who has it is missing. */
	if (r < 0 && r != -ENOSPC && r != -EDQUOT)
		return r;
	return take_fd(fd);
}

int
spool_open_job(const struct spool *s, const char *id)
{
	char path[JOB_PATH_SIZE];
	int fd = -EBADF;
	/* The writer flushes and lists the folder; whoever has no active/ is a reader. */
	int how = s->active_fd >= 0 ? O_RDONLY : O_PATH;

	if (!id_valid(id))
		return -EINVAL;
	job_path(id, "", path);
	fd = openat(s->jobs_fd, path, how | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int
open_lock(int job_fd)
{
	int fd = openat(job_fd, FILE_LOCK, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int
job_lock(int job_fd)
{
	scoped(close_fd) int fd = open_lock(job_fd);
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_OFD_SETLK, &whole) < 0)
		return errno == EACCES || errno == EAGAIN ? -EWOULDBLOCK : -errno;
	return take_fd(fd);
}

int
job_locked(int job_fd)
{
	scoped(close_fd) int fd = open_lock(job_fd);
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_OFD_GETLK, &whole) < 0)
		return -errno;
	return whole.l_type != F_UNLCK;
}

struct each_id {
	int (*f)(const char *id, void *ctx);
	void *ctx;
};

static int
pass_id(int dir_fd, const char *name, void *ctx)
{
	const struct each_id *e = ctx;

	(void)dir_fd;
	return id_valid(name) ? e->f(name, e->ctx) : 0;
}

int
spool_each_active(const struct spool *s, int (*f)(const char *id, void *ctx), void *ctx)
{
	return each_name(s->active_fd, pass_id, &(struct each_id){ f, ctx });
}

int
spool_each_pending(const struct spool *s, int (*f)(const char *id, void *ctx), void *ctx)
{
	return each_name(s->pending_fd, pass_id, &(struct each_id){ f, ctx });
}

int
spool_mark_active(const struct spool *s, const char *id)
{
	return id_valid(id) ? touch_at(s->active_fd, id) : -EINVAL;
}

int
spool_clear_active(const struct spool *s, const char *id)
{
	return id_valid(id) ? unlink_at(s->active_fd, id) : -EINVAL;
}

int
spool_mark_pending(const struct spool *s, const char *id)
{
	return id_valid(id) ? touch_at(s->pending_fd, id) : -EINVAL;
}

int
spool_clear_pending(const struct spool *s, const char *id)
{
	return id_valid(id) ? unlink_at(s->pending_fd, id) : -EINVAL;
}

bool
spool_is_mine(const struct spool *s)
{
	struct stat st;

	return fstat(s->root_fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

int
spool_room(const struct spool *s, uint64_t *ret_bytes, uint64_t *ret_inodes)
{
	struct statvfs st;

	if (fstatvfs(s->root_fd, &st) < 0)
		return -errno;
	*ret_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	/* File systems without a table of inodes say 0 of 0. */
	*ret_inodes = st.f_files == 0 ? UINT64_MAX : st.f_favail;
	return 0;
}

int
spool_sync(const struct spool *s)
{
	return syncfs(s->root_fd) < 0 ? -errno : 0;
}
