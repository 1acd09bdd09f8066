#include "config.h"

#include "spool_help.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/scoped.h"
#include "spool/accept.h"

int
spool_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	/* In memory where there is such a place: these tests ask what is written, not whether a disk keeps it. */
	const char *tmp = getenv("TMPDIR") ? getenv("TMPDIR") : access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";

	assert_non_null(f);
	assert_true(asprintf(&f->parent, "%s/spoolgate-unit.XXXXXX", tmp) > 0);
	assert_non_null(mkdtemp(f->parent));
	assert_true(asprintf(&f->path, "%s/spool", f->parent) > 0);
	assert_int_equal(spool_create(f->path, (struct spool_groups){ (gid_t)-1, (gid_t)-1 }, &f->s), 0);
	*state = f;
	return 0;
}

int
spool_teardown(void **state)
{
	struct fixture *f = *state;

	f->s = spool_free(f->s);
	assert_int_equal(remove_tree_at(AT_FDCWD, f->parent), 0);
	free(f->path);
	free(f->parent);
	free(f);
	return 0;
}

void
spool_again(struct fixture *f)
{
	f->s = spool_free(f->s);
	assert_int_equal(spool_create(f->path, (struct spool_groups){ (gid_t)-1, (gid_t)-1 }, &f->s), 0);
}

struct job *
help_job(char digit, const char *owner, const char *const *inputs)
{
	struct job *job = job_new();
	size_t n = 0;

	assert_non_null(job);
	id_new(job->id);
	if (digit)
		memset(job->id, digit, ID_LEN);
	job->service = strdup("v1");
	job->tool = strdup("tool");
	job->owner = strdup(owner);
	job->accepted_usec = 1770000000000000;
	job->argv = calloc(3, sizeof *job->argv);
	job->inputs = calloc(INPUTS_MAX, sizeof *job->inputs);
	assert_non_null(job->argv);
	assert_non_null(job->inputs);
	job->argv[0] = strdup("/usr/bin/true");
	job->argv[1] = strdup("--x=\xc3\xa9");
	for (; inputs && inputs[2 * n]; n++) {
		job->inputs[n].name = strdup(inputs[2 * n]);
		job->inputs[n].size = strlen(inputs[2 * n + 1]);
		sha256_hex(inputs[2 * n + 1], strlen(inputs[2 * n + 1]), job->inputs[n].sha256);
	}
	job->n_inputs = n;
	return job;
}

void
help_accept_record(const struct job *job, const char *const *inputs, struct redo_record *ret, struct redo_blob *blobs,
    char **ret_text)
{
	size_t len = 0;

	assert_int_equal(job_format(job, ret_text, &len), 0);
	for (size_t i = 0; i < job->n_inputs; i++)
		blobs[i] = (struct redo_blob){ inputs[2 * i + 1], strlen(inputs[2 * i + 1]) };
	*ret = (struct redo_record){ .type = REDO_ACCEPT, .text = *ret_text, .text_len = len, .blobs = blobs,
		.n_blobs = job->n_inputs };
	memcpy(ret->id, job->id, ID_SIZE);
}

void
help_incoming(const struct fixture *f, struct job *job, const char *const *inputs)
{
	scoped(close_fd) int job_fd = -EBADF, in_fd = -EBADF;
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;

	assert_int_equal(incoming_begin(f->s, job->id, &job_fd, &in_fd), 0);
	for (size_t i = 0; i < job->n_inputs; i++) {
		scoped(close_fd) int fd = memory_file_sealed("input", inputs[2 * i + 1], strlen(inputs[2 * i + 1]));

		assert_true(fd >= 0);
		assert_int_equal(incoming_input(in_fd, f->s->groups, fd, 1 << 20, 0, &job->inputs[i]), 0);
	}
	assert_int_equal(job_format(job, &text, &len), 0);
	assert_int_equal(incoming_finish(f->s, job->id, job_fd, in_fd, text, len, 0), 0);
}

void
help_accept(const struct fixture *f, struct job *job, const char *const *inputs)
{
	help_incoming(f, job, inputs);
	assert_int_equal(accept_publish(f->s, job), 0);
}

void
help_write(int dir_fd, const char *name, const char *text)
{
	scoped(close_fd) int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

char *
help_read(int dir_fd, const char *name)
{
	char *data = NULL;
	size_t len = 0;
	int r = read_file_at(dir_fd, name, 1 << 20, &data, &len);

	if (r == -ENOENT)
		return NULL;
	assert_int_equal(r, 0);
	return data;
}

bool
help_exists(int dir_fd, const char *name)
{
	return faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

unsigned
help_mode(int dir_fd, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}
