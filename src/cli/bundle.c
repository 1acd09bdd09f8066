#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "cli/bundle.h"

struct bundle_file {
	int error;	/* why it cannot be read; 0: nothing is wrong so far */
	int fd;	/* of a folder's file; -EBADF: not opened yet, or of a zip */
	const char *path;
	zip_t *zip;	/* NULL: of a folder */
	zip_uint64_t index;
	zip_file_t *entry;
};

static void
close_file(struct bundle_file *f)
{
	close_fd(&f->fd);
	if (f->entry)
		(void)zip_fclose(f->entry);
	f->entry = NULL;
}

static void
close_fts(FTS **fts)
{
	if (*fts)
		(void)fts_close(*fts);
}

static void
discard_zip(zip_t **zip)
{
	if (*zip)
		zip_discard(*zip);
}

static int
each_of_folder(const char *path, int (*f)(const char *, struct bundle_file *, void *), void *ctx)
{
	scoped(free_ptr) char *copy = strdup(path);
	char *paths[] = { copy, NULL };
	scoped(close_fts) FTS *fts = NULL;
	size_t root;
	FTSENT *e;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	for (root = strlen(copy); root > 1 && copy[root - 1] == '/'; root--)
		copy[root - 1] = '\0';
	fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	if (!fts)
		return -errno;
	while (r == 0 && (errno = 0, e = fts_read(fts)) != NULL) {
		struct bundle_file file = { .fd = -EBADF, .path = e->fts_accpath };

		if (e->fts_info == FTS_D || e->fts_info == FTS_DP)
			continue;
		if (e->fts_level == 0)
			return e->fts_errno ? -e->fts_errno : -EBADMSG;
		if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
			file.error = e->fts_errno ? -e->fts_errno : -EIO;
		else if (e->fts_info != FTS_F)
			file.error = -EINVAL;
		r = f(e->fts_path + root + strspn(e->fts_path + root, "/"), &file, ctx);
		close_file(&file);
	}
	return r == 0 && errno ? -errno : r;
}

static int
zip_errno(zip_error_t *error)
{
	switch (zip_error_code_zip(error)) {
	case ZIP_ER_OK:
		return 0;
	case ZIP_ER_MEMORY:
		return -ENOMEM;
	case ZIP_ER_NOPASSWD:
	case ZIP_ER_COMPNOTSUPP:
	case ZIP_ER_ENCRNOTSUPP:
		return -ENOTSUP;
	case ZIP_ER_OPEN:
	case ZIP_ER_READ:
	case ZIP_ER_SEEK:
		return zip_error_code_system(error) ? -zip_error_code_system(error) : -EIO;
	default:
		return -EBADMSG;
	}
}

static int
open_zip(const char *path, zip_t **ret)
{
	zip_error_t error;
	int code = 0, r;

	*ret = zip_open(path, ZIP_RDONLY, &code);
	if (*ret)
		return 0;
	r = errno;
	zip_error_init_with_code(&error, code);
	zip_error_set(&error, code, r);
	r = code == ZIP_ER_NOENT ? -ENOENT : zip_errno(&error);
	zip_error_fini(&error);
	return r;
}

/* As a program of Unix packed it, where one did. */
static bool
is_regular(zip_t *zip, zip_uint64_t index)
{
	zip_uint8_t system = 0;
	zip_uint32_t attributes = 0;
	mode_t kind;

	if (zip_file_get_external_attributes(zip, index, 0, &system, &attributes) < 0 || system != ZIP_OPSYS_UNIX)
		return true;
	kind = (mode_t)(attributes >> 16) & S_IFMT;
	return kind == 0 || kind == S_IFREG;
}

static int
each_of_zip(const char *path, int (*f)(const char *, struct bundle_file *, void *), void *ctx)
{
	scoped(discard_zip) zip_t *zip = NULL;
	int r = open_zip(path, &zip);
	zip_int64_t n = r < 0 ? 0 : zip_get_num_entries(zip, 0);

	for (zip_uint64_t i = 0; r == 0 && (zip_int64_t)i < n; i++) {
		struct bundle_file file = { .fd = -EBADF, .zip = zip, .index = i };
		const char *name = zip_get_name(zip, i, ZIP_FL_ENC_RAW);
		size_t len = name ? strlen(name) : 0;

		if (!name)
			return -EBADMSG;
		if (len > 0 && name[len - 1] == '/')
			continue;
		if (!is_regular(zip, i))
			file.error = -EINVAL;
		r = f(name, &file, ctx);
		close_file(&file);
	}
	return r;
}

int
bundle_each(const char *path, int (*f)(const char *name, struct bundle_file *file, void *ctx), void *ctx)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return each_of_folder(path, f, ctx);
	return S_ISREG(st.st_mode) ? each_of_zip(path, f, ctx) : -EBADMSG;
}

static int
open_file(struct bundle_file *f)
{
	if (f->zip) {
		f->entry = zip_fopen_index(f->zip, f->index, 0);
		return f->entry ? 0 : zip_errno(zip_get_error(f->zip));
	}
	f->fd = open_regular_at(AT_FDCWD, f->path, NULL);
	return f->fd < 0 ? f->fd : 0;
}

ssize_t
bundle_read(struct bundle_file *f, void *data, size_t len)
{
	zip_int64_t n;

	if (f->error == 0 && f->fd < 0 && !f->entry)
		f->error = open_file(f);
	if (f->error < 0)
		return f->error;
	if (f->entry) {
		n = zip_fread(f->entry, data, len);
		if (n < 0)
			f->error = zip_errno(zip_file_get_error(f->entry));
	} else {
		do
			n = read(f->fd, data, len);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			f->error = -errno;
	}
	return n < 0 ? (f->error < 0 ? f->error : -EBADMSG) : (ssize_t)n;
}
