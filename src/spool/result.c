#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/durable.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "spool/record.h"
#include "spool/record_internal.h"
#include "spool/spool_internal.h"

enum { RESERVED = 4096 };	/* bytes of result.new; the longest verdict, every byte escaped, has about 3000 */
#define FILE_RESULT_TMP ".result.new"	/* one writer, so one name: what a crash left is replaced */

#define LIMITS_EXACT "cgroup"
#define LIMITS_APPROXIMATE "approximate"

int (*result_flush)(int fd) = fsync;

static const char *const verdict_names[] = {
	[VERDICT_PASSED] = "passed",
	[VERDICT_FAILED] = "failed",
	[VERDICT_SIGNALLED] = "signalled",
	[VERDICT_TIMEOUT] = "timeout",
	[VERDICT_OUT_OF_MEMORY] = "out_of_memory",
	[VERDICT_OUTPUT_LIMIT] = "output_limit",
	[VERDICT_KILLED] = "killed",
	[VERDICT_LOST] = "lost",
	[VERDICT_REFUSED] = "refused",
};
enum { N_VERDICTS = sizeof verdict_names / sizeof *verdict_names };

static const struct {
	const char *name;
	size_t offset;
} counts[] = {
	{ "started_usec", offsetof(struct job_result, started_usec) },
	{ "ended_usec", offsetof(struct job_result, ended_usec) },
	{ "wall_usec", offsetof(struct job_result, wall_usec) },
	{ "cpu_usec", offsetof(struct job_result, cpu_usec) },
	{ "peak_memory_bytes", offsetof(struct job_result, peak_memory_bytes) },
	{ "log_bytes", offsetof(struct job_result, log_bytes) },
	{ "stdout_bytes", offsetof(struct job_result, stdout_bytes) },
	{ "output_files", offsetof(struct job_result, output_files) },
	{ "output_bytes", offsetof(struct job_result, output_bytes) },
};
enum { N_COUNTS = sizeof counts / sizeof *counts };

const char *
verdict_name(enum verdict v)
{
	return (size_t)v < N_VERDICTS ? verdict_names[v] : "unknown";
}

int
verdict_parse(const char *name, enum verdict *ret)
{
	for (size_t i = 0; i < N_VERDICTS; i++) {
		if (strcmp(name, verdict_names[i]) == 0) {
			*ret = (enum verdict)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* The array's text as JSON will have it: it may have been cut in the middle of a character. */
static void
add_text(struct jsonw *w, const char *key, const char *text, size_t size)
{
	char copy[256];
	size_t len = strnlen(text, size - 1);	/* with its NUL it fits into the array that reads it */

	assert(size <= sizeof copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (!utf8_valid(copy, len)) {
		for (size_t i = 0; i < len; i++) {
			if ((unsigned char)copy[i] >= 0x80)
				copy[i] = '?';
		}
	}
	jsonw_string(w, key, copy);
}

int
result_format(const struct job_result *r, char **ret_text, size_t *ret_len)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();

	jsonw_int(&w, "v", RECORD_VERSION);
	jsonw_uint(&w, "attempt", r->attempt);
	jsonw_string(&w, "verdict", verdict_name(r->verdict));
	jsonw_int(&w, "exit_code", r->exit_code);
	jsonw_int(&w, "signal", r->signal);
	if (r->attempt > 0)
		jsonw_string(&w, "limits", r->exact ? LIMITS_EXACT : LIMITS_APPROXIMATE);
	if (r->shared)
		jsonw_bool(&w, "shared", true);
	add_text(&w, "by", r->by, sizeof r->by);
	add_text(&w, "message", r->message, sizeof r->message);
	for (size_t i = 0; i < N_COUNTS; i++) {
		uint64_t val = 0;

		memcpy(&val, (const char *)r + counts[i].offset, sizeof val);
		jsonw_uint(&w, counts[i].name, val);
	}
	return jsonw_text(&w, ret_text, ret_len);
}

static int
get_int(json_object *obj, const char *name, int *ret)
{
	int64_t val = 0;
	int r = json_get_int(obj, name, &val);

	if (r < 0)
		return r;
	if (val < INT_MIN || val > INT_MAX)
		return -EBADMSG;
	*ret = (int)val;
	return 0;
}

int
result_parse(const char *text, size_t len, struct job_result *ret)
{
	scoped(put_json) json_object *obj = NULL;
	struct job_result res = { 0 };
	const char *verdict = NULL, *limits = NULL;
	int r = json_parse(text, len, &obj);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return -EBADMSG;
	r = version_check(obj);
	if (r < 0)
		return r;
	r = json_get_unsigned(obj, "attempt", &res.attempt);
	if (r >= 0)
		r = json_get_string(obj, "verdict", &verdict);
	if (r >= 0)
		r = verdict_parse(verdict, &res.verdict);
	if (r >= 0)
		r = get_int(obj, "exit_code", &res.exit_code);
	if (r >= 0)
		r = get_int(obj, "signal", &res.signal);
	if (r >= 0 && json_object_object_get_ex(obj, "limits", NULL))
		r = json_get_string(obj, "limits", &limits);
	if (r >= 0 && limits) {
		res.exact = strcmp(limits, LIMITS_EXACT) == 0;
		if (!res.exact && strcmp(limits, LIMITS_APPROXIMATE) != 0)
			r = -EBADMSG;
	}
	if (r >= 0 && json_object_object_get_ex(obj, "shared", NULL))
		r = json_get_bool(obj, "shared", &res.shared);
	if (r >= 0)
		r = json_copy_string(obj, "by", res.by, sizeof res.by);
	if (r >= 0)
		r = json_copy_string(obj, "message", res.message, sizeof res.message);
	for (size_t i = 0; r >= 0 && i < N_COUNTS; i++) {
		uint64_t val = 0;

		r = json_get_uint(obj, counts[i].name, &val);
		memcpy((char *)&res + counts[i].offset, &val, sizeof val);
	}
	if (r < 0)
		return -EBADMSG;
	*ret = res;
	return 0;
}

static int
result_read(int job_fd, const char *name, struct job_result *ret)
{
	char buf[SMALL_RECORD_MAX + 1];
	int n = small_read(job_fd, name, buf);

	return n < 0 ? n : result_parse(buf, (size_t)n, ret);
}

int
ended_load(int job_fd, struct job_result *ret)
{
	return result_read(job_fd, FILE_ENDED, ret);
}

int
ended_store(int job_fd, struct spool_groups groups, const struct job_result *res)
{
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = result_format(res, &text, &len);

	return r < 0 ? r : replace_file_at(job_fd, FILE_ENDED, text, len, MODE_RECORD, groups.gate_gid);
}

int
result_load(int job_fd, struct job_result *ret)
{
	return result_read(job_fd, FILE_RESULT, ret);
}

int
result_recover(int job_fd, struct job_result *ret)
{
	int r = result_read(job_fd, FILE_RESULT, ret);

	if (r != -ENOENT)
		return r;
	r = result_read(job_fd, FILE_RESULT_NEW, ret);
	/* Reserved and not written, or torn: no verdict yet. */
	return r == -EBADMSG ? -ENOENT : r;
}

int
result_reserve(int job_fd, struct spool_groups groups)
{
	scoped(close_fd) int fd = -EBADF;
	/* What an earlier attempt left has its place and its state of flushing unknown: a new file. */
	int r = unlink_at(job_fd, FILE_RESULT_NEW);

	if (r < 0)
		return r;
	r = create_file_at(job_fd, FILE_RESULT_NEW, NULL, 0, MODE_RECORD, groups.gate_gid, false);
	if (r < 0)
		return r;
	fd = openat(job_fd, FILE_RESULT_NEW, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = -posix_fallocate(fd, 0, RESERVED);
	if (r < 0)
		(void)unlinkat(job_fd, FILE_RESULT_NEW, 0);
	return r;
}

/* What a file that is to take a verdict holds now: 1 nothing (empty or zeros), 0 something. */
static int
is_blank(int fd)
{
	char buf[RESERVED];
	ssize_t n = pread_full(fd, buf, sizeof buf, 0);

	if (n < 0)
		return (int)n;
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] != 0)
			return 0;
	}
	return 1;
}

/* Into the reserved place. -EEXIST: there is something in it already; -EIO and the like: the write or the flush failed. */
static int
fill_reserved(int job_fd, const char *text, size_t len)
{
	scoped(close_fd) int fd = openat(job_fd, FILE_RESULT_NEW, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	r = is_blank(fd);
	if (r <= 0)
		return r < 0 ? r : -EEXIST;
	r = pwrite_all(fd, text, len, 0);
	if (r < 0)
		return r;
	/* Before the flush: what is flushed is the verdict to the byte. Blocks it does not need go back, its own stays. */
	if (ftruncate(fd, (off_t)len) < 0 || result_flush(fd) < 0)
		return -errno;
	return 0;
}

/* Into a new file that takes result.new's name once it is flushed. */
static int
fill_new(int job_fd, struct spool_groups groups, const char *text, size_t len)
{
	scoped(close_fd) int fd = -EBADF;
	int r = unlink_at(job_fd, FILE_RESULT_TMP);

	if (r < 0)
		return r;
	r = create_file_at(job_fd, FILE_RESULT_TMP, text, len, MODE_RECORD, groups.gate_gid, false);
	if (r < 0)
		return r;
	fd = openat(job_fd, FILE_RESULT_TMP, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || result_flush(fd) < 0 || renameat(job_fd, FILE_RESULT_TMP, job_fd, FILE_RESULT_NEW) < 0) {
		r = -errno;
		(void)unlinkat(job_fd, FILE_RESULT_TMP, 0);
	}
	return r;
}

/* A verdict that a supervisor wrote before it died, on a disk too full for a second file: flushed where it is. */
static int
flush_same(int job_fd, const char *text, size_t len)
{
	scoped(close_fd) int fd = openat(job_fd, FILE_RESULT_NEW, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char buf[RESERVED];
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	n = pread_full(fd, buf, sizeof buf, 0);
	if (n < 0)
		return (int)n;
	if ((size_t)n != len || memcmp(buf, text, len) != 0)
		return -ENOSPC;
	return result_flush(fd) < 0 ? -errno : 0;
}

/* result.new with the verdict in it, flushed. 1: after a flush that failed. */
static int
fill(int job_fd, struct spool_groups groups, const char *text, size_t len)
{
	int first = fill_reserved(job_fd, text, len), r = 0;

	if (first >= 0)
		return 0;
	r = fill_new(job_fd, groups, text, len);
	if (first == -ENOENT || first == -EEXIST) {
		if ((r == -ENOSPC || r == -EDQUOT) && first == -EEXIST)
			r = flush_same(job_fd, text, len);
		return r;
	}
	return r < 0 ? r : 1;
}

int
result_store_durable(int job_fd, struct spool_groups groups, const struct job_result *res)
{
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = result_format(res, &text, &len), suspect = 0;

	if (r < 0)
		return r;
	r = fill(job_fd, groups, text, len);
	if (r < 0)
		return r;
	suspect = r;
	/* The name result.new survives before result.json is seen: no reader believes a verdict that a power cut takes back. A
	 * folder whose flush failed is not flushed again either, and there is no second folder to go to. */
	if (result_flush(job_fd) < 0)
		suspect = 2;
	if (renameat(job_fd, FILE_RESULT_NEW, job_fd, FILE_RESULT) < 0)
		return -errno;
	if (suspect < 2 && result_flush(job_fd) < 0)
		suspect = 2;
	return suspect != 0;
}
