#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/memory_fs.h"
#include "basic/scoped.h"
#include "helper/live.h"
#include "helper/secret.h"

enum { SECRETS_MAX = 1024 * 1024 };	/* bytes of one job */

static const struct tool *
who_wants(const struct tools *tools)
{
	for (const struct tool *t = tools_after(tools, ""); t; t = tools_after(tools, t->name))
		for (size_t i = 0; i < t->n_parameters; i++)
			if (t->parameters[i].secret)
				return t;
	return NULL;
}

void
secrets_check(const struct config *config, const struct tools *tools, struct faults *f)
{
	const char *path = config_string(config, "helper", "secrets");
	const struct tool *tool = who_wants(tools);
	int r = tool ? path_in_memory(path) : 1;

	if (r < 0)
		faults_add(f, path, 0, "tool %s has a secret parameter: %s", tool->name, strerror(-r));
	else if (r == 0)
		faults_add(f, path, 0, "tool %s has a secret parameter, and [helper] secrets is on no tmpfs", tool->name);
}

int
secrets_open(struct helper *h)
{
	const char *path = config_string(h->config, "helper", "secrets");
	scoped(close_fd) int fd = -EBADF;
	struct stat st;

	if (h->secrets_fd >= 0 || !who_wants(h->tools))
		return 0;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return -EPERM;
	if (fd_in_memory(fd) != 1)
		return -EMEDIUMTYPE;
	h->secrets_fd = take_fd(fd);
	return 0;
}

void
secrets_sweep(struct helper *h)
{
	int fd = h->secrets_fd < 0 ? -EBADF : openat(h->secrets_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);

	for (struct dirent *e; folder && (e = readdir(folder));)
		if (id_valid(e->d_name) && !live_find(h, e->d_name))
			(void)unlinkat(h->secrets_fd, e->d_name, 0);
	if (folder)
		(void)closedir(folder);
	else
		close_fd(&fd);
}

int
secrets_store(int secrets_fd, const char *id, char *const *values)
{
	scoped(close_fd) int fd = -EBADF;
	int r = 0;

	if (secrets_fd < 0)
		return -ENOTSUP;
	fd = openat(secrets_fd, id, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	for (; r == 0 && *values; values++)
		r = write_all(fd, *values, strlen(*values) + 1);
	if (r < 0)
		(void)unlinkat(secrets_fd, id, 0);
	return r;
}

int
secrets_load(int secrets_fd, const char *id, char ***ret)
{
	scoped(free_argv) char **values = NULL;
	scoped(free_ptr) char *text = NULL;
	size_t len = 0, n = 0;
	int r = secrets_fd < 0 ? -ENOENT : read_file_at(secrets_fd, id, SECRETS_MAX, &text, &len);

	if (r < 0)
		return r == -ENOENT ? -ENOKEY : r;
	values = calloc(len / 2 + 2, sizeof *values);	/* the shortest is A= */
	for (size_t at = 0; values && at < len; at += strlen(text + at) + 1)
		if (!(values[n++] = strdup(text + at)))
			return -ENOMEM;
	explicit_bzero(text, len);
	if (!values)
		return -ENOMEM;
	*ret = take_ptr(values);
	return 0;
}

void
secrets_remove(int secrets_fd, const char *id)
{
	if (secrets_fd >= 0)
		(void)unlinkat(secrets_fd, id, 0);
}
