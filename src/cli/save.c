#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/escape.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "cli/save.h"

enum { COMPONENT_MAX = 255, PATH_LEN_MAX = 4095 };
static const char partial_start[] = ".spoolgate-", partial_end[] = ".part";

const char *
save_name_fault(const char *path)
{
	size_t len;

	if (path[0] == '\0')
		return "the name is empty";
	if (path[0] == '/')
		return "the name is an absolute path";
	if (strlen(path) > PATH_LEN_MAX)
		return "the name is too long";
	for (const char *p = path; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return "the name has control characters";
	for (const char *p = path;; p += len + 1) {
		len = strcspn(p, "/");
		if (len == 0)
			return "the name has an empty component";
		if (len > COMPONENT_MAX)
			return "the name is too long";
		if (p[0] == '.' && (len == 1 || (len == 2 && p[1] == '.')))
			return "the name leads out of its folder";
		if (p[len] == '\0')
			return NULL;
	}
}

int
save_open_folder(const char *path)
{
	scoped(free_ptr) char *copy = strdup(path);
	int fd;

	if (!copy)
		return -ENOMEM;
	for (char *p = copy + 1; *copy && *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0777) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	if (mkdir(copy, 0777) < 0 && errno != EEXIST)
		return -errno;
	fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int
save_open_parent(int folder_fd, const char *path, const char **ret_name)
{
	scoped(close_fd) int dir_fd = fcntl(folder_fd, F_DUPFD_CLOEXEC, 3);
	const char *slash;

	for (; dir_fd >= 0 && (slash = strchr(path, '/')) != NULL; path = slash + 1) {
		char name[COMPONENT_MAX + 1];
		size_t len = (size_t)(slash - path);
		int next;

		if (len >= sizeof name)
			return -ENAMETOOLONG;
		memcpy(name, path, len);
		name[len] = '\0';
		if (mkdirat(dir_fd, name, 0777) < 0 && errno != EEXIST)
			return -errno;
		next = open_dir_at(dir_fd, name);
		close_fd(&dir_fd);
		if (next < 0)
			return next;
		dir_fd = next;
	}
	if (dir_fd < 0)
		return -errno;
	*ret_name = path;
	return take_fd(dir_fd);
}

/* Names a partial download. An ETag that has no room in the name is left out. */
static void
set_name(struct save_partial *p, const char *key, const char *etag)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(sizeof p->name - 1);
	bool fits = strlen(etag) < sizeof p->etag;

	strbuf_addf(&s, "%s%s-", partial_start, key);
	if (fits)
		percent_encode(&s, etag);
	strbuf_addstr(&s, partial_end);
	fits = fits && strbuf_err(&s) == 0;
	(void)snprintf(p->etag, sizeof p->etag, "%s", fits ? etag : "");
	if (fits)
		(void)snprintf(p->name, sizeof p->name, "%s", strbuf_str(&s));
	else
		(void)snprintf(p->name, sizeof p->name, "%s%s-%s", partial_start, key, partial_end);
}

/* Takes up a file that is called like a partial download, if it is a plain one of ours that has no second name. */
static bool
take_up(struct save_partial *p, const char *name, size_t prefix)
{
	scoped(free_ptr) char *etag = NULL;
	scoped(close_fd) int fd = -EBADF;
	size_t len = strlen(name), end = sizeof partial_end - 1;
	struct stat st;

	if (len <= prefix + end || strcmp(name + len - end, partial_end) != 0 ||
	    percent_decode(name + prefix, len - prefix - end, &etag) < 0 || strlen(etag) >= sizeof p->etag || strpbrk(etag, "\r\n"))
		return false;
	fd = openat(p->dir_fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)
		return false;
	p->fd = take_fd(fd);
	p->bytes = (uint64_t)st.st_size;
	(void)snprintf(p->name, sizeof p->name, "%s", name);
	(void)snprintf(p->etag, sizeof p->etag, "%s", etag);
	return true;
}

int
save_partial_find(int dir_fd, const char *key, struct save_partial *ret)
{
	scoped(strbuf_done) struct strbuf prefix = STRBUF_INIT(128);
	scoped(close_dir) DIR *dir = NULL;
	scoped(close_fd) int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;

	*ret = (struct save_partial){ .dir_fd = dir_fd, .fd = -EBADF };
	strbuf_addf(&prefix, "%s%s-", partial_start, key);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	(void)take_fd(fd);
	while (ret->fd < 0 && (e = readdir(dir)) != NULL)
		if (strncmp(e->d_name, strbuf_str(&prefix), prefix.len) == 0)
			(void)take_up(ret, e->d_name, prefix.len);
	return 0;
}

int
save_partial_begin(struct save_partial *p, const char *key, const char *etag)
{
	save_partial_drop(p);
	set_name(p, key, etag);
	if (unlinkat(p->dir_fd, p->name, 0) < 0 && errno != ENOENT)
		return -errno;
	p->fd = openat(p->dir_fd, p->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (p->fd < 0) {
		p->name[0] = '\0';
		return -errno;
	}
	return 0;
}

int
save_partial_finish(struct save_partial *p, const char *name, bool force)
{
	int r = renameat2(p->dir_fd, p->name, p->dir_fd, name, force ? 0 : RENAME_NOREPLACE) < 0 ? -errno : 0;

	if (r == -EINVAL && !force) {	/* a file system that cannot: a link never replaces anything either */
		r = linkat(p->dir_fd, p->name, p->dir_fd, name, 0) < 0 ? -errno : 0;
		if (r == 0)
			(void)unlinkat(p->dir_fd, p->name, 0);
	}
	if (r == 0) {
		p->name[0] = '\0';
		close_fd(&p->fd);
	}
	return r;
}

void
save_partial_drop(struct save_partial *p)
{
	if (p->name[0])
		(void)unlinkat(p->dir_fd, p->name, 0);
	close_fd(&p->fd);
	p->name[0] = p->etag[0] = '\0';
	p->bytes = 0;
}

void
save_partial_close(struct save_partial *p)
{
	if (p->bytes == 0 || p->etag[0] == '\0')
		save_partial_drop(p);
	close_fd(&p->fd);
}
