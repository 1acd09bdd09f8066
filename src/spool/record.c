#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/durable.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "spool/record.h"
#include "spool/record_internal.h"
#include "spool/spool_internal.h"

static const char *const want_names[] = {
	[WANT_QUEUED] = "queued",
	[WANT_START] = "start",
	[WANT_KILL] = "kill",
};

int
small_read(int dir_fd, const char *name, char *buf)
{
	/* No fstat: these names are ours alone, no tool can write in the folder. O_NONBLOCK all the same, should it be a FIFO. */
	scoped(close_fd) int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	do
		n = read(fd, buf, SMALL_RECORD_MAX + 1);	/* less than asked for is the end of a regular file */
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n > SMALL_RECORD_MAX ? -EBADMSG : (int)n;
}

/* An object with a version of ours. */
static int
record_parse(const char *text, size_t len, json_object **ret)
{
	scoped(put_json) json_object *obj = NULL;
	int r = json_parse(text, len, &obj);

	if (r == -ENOMEM)
		return r;
	if (r < 0 || !json_object_is_type(obj, json_type_object))
		return -EBADMSG;
	r = version_check(obj);
	if (r < 0)
		return r;
	*ret = take_ptr(obj);
	return 0;
}

static int
record_store(int job_fd, const char *name, gid_t gid, struct jsonw *w)
{
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = jsonw_text(w, &text, &len);

	return r < 0 ? r : replace_file_at(job_fd, name, text, len, MODE_RECORD, gid);
}

int
want_format(const struct job_want *want, char **ret_text, size_t *ret_len)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();

	jsonw_int(&w, "v", RECORD_VERSION);
	jsonw_string(&w, "want", want_names[want->want]);
	jsonw_uint(&w, "attempt", want->attempt);
	jsonw_string(&w, "boot", want->boot);
	jsonw_string(&w, "by", want->by);
	jsonw_uint(&w, "at_usec", want->at_usec);
	return jsonw_text(&w, ret_text, ret_len);
}

int
want_parse(const char *text, size_t len, struct job_want *ret)
{
	scoped(put_json) json_object *obj = NULL;
	struct job_want want = { 0 };
	char name[16];
	size_t i = 0;
	int r = record_parse(text, len, &obj);

	if (r < 0)
		return r;
	r = json_copy_string(obj, "want", name, sizeof name);
	if (r >= 0)
		r = json_get_unsigned(obj, "attempt", &want.attempt);
	if (r >= 0)
		r = json_copy_string(obj, "boot", want.boot, sizeof want.boot);
	if (r >= 0)
		r = json_copy_string(obj, "by", want.by, sizeof want.by);
	if (r >= 0)
		r = json_get_uint(obj, "at_usec", &want.at_usec);
	if (r < 0)
		return -EBADMSG;
	while (i < sizeof want_names / sizeof *want_names && strcmp(name, want_names[i]) != 0)
		i++;
	if (i == sizeof want_names / sizeof *want_names || (i == WANT_START && want.attempt == 0))
		return -EBADMSG;
	want.want = (enum want)i;
	*ret = want;
	return 0;
}

static int
want_read(int dir_fd, const char *name, struct job_want *ret)
{
	char buf[SMALL_RECORD_MAX + 1];
	int n = small_read(dir_fd, name, buf);

	return n < 0 ? n : want_parse(buf, (size_t)n, ret);
}

int
want_load(int job_fd, struct job_want *ret)
{
	return want_read(job_fd, FILE_STATE, ret);
}

int
want_store(int job_fd, struct spool_groups groups, const struct job_want *w)
{
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = want_format(w, &text, &len);

	return r < 0 ? r : replace_file_at(job_fd, FILE_STATE, text, len, MODE_RECORD, groups.gate_gid);
}

int
meta_store(int job_fd, struct spool_groups groups, const char *text, size_t len)
{
	if (len > JOB_RECORD_MAX)
		return -E2BIG;
	return replace_file_at(job_fd, FILE_META, text, len, MODE_RECORD, groups.gate_gid);
}

static int
get_pid(json_object *obj, const char *name, pid_t *ret)
{
	unsigned val = 0;
	int r = json_get_unsigned(obj, name, &val);

	if (r < 0)
		return r;
	if (val > INT32_MAX)
		return -EBADMSG;
	*ret = (pid_t)val;
	return 0;
}

int
run_parse(const char *text, size_t len, struct job_run *ret)
{
	scoped(put_json) json_object *obj = NULL;
	struct job_run run = { 0 };
	int r = record_parse(text, len, &obj);

	if (r < 0)
		return r;
	r = json_get_unsigned(obj, "attempt", &run.attempt);
	if (r >= 0)
		r = get_pid(obj, "pid", &run.pid);
	if (r >= 0)
		r = json_get_uint(obj, "start_ticks", &run.start_ticks);
	if (r >= 0)
		r = get_pid(obj, "init_pid", &run.init_pid);
	if (r >= 0)
		r = json_get_uint(obj, "init_ticks", &run.init_ticks);
	if (r >= 0)
		r = json_copy_string(obj, "boot", run.boot, sizeof run.boot);
	if (r >= 0)
		r = json_copy_string(obj, "cgroup", run.cgroup, sizeof run.cgroup);
	if (r >= 0 && json_object_object_get_ex(obj, "after", NULL))
		r = json_get_bool(obj, "after", &run.after);
	if (r >= 0 && json_object_object_get_ex(obj, "no_jail", NULL))
		r = json_get_bool(obj, "no_jail", &run.no_jail);
	if (r >= 0)
		r = json_get_uint(obj, "started_usec", &run.started_usec);
	if (r < 0 || run.attempt == 0 || run.pid == 0)
		return -EBADMSG;
	*ret = run;
	return 0;
}

static int
run_read(int dir_fd, const char *name, struct job_run *ret)
{
	char buf[SMALL_RECORD_MAX + 1];
	int n = small_read(dir_fd, name, buf);

	return n < 0 ? n : run_parse(buf, (size_t)n, ret);
}

int
run_load(int job_fd, struct job_run *ret)
{
	return run_read(job_fd, FILE_RUN, ret);
}

int
run_store(int job_fd, struct spool_groups groups, const struct job_run *run)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();

	jsonw_int(&w, "v", RECORD_VERSION);
	jsonw_uint(&w, "attempt", run->attempt);
	jsonw_int(&w, "pid", run->pid);
	jsonw_uint(&w, "start_ticks", run->start_ticks);
	jsonw_int(&w, "init_pid", run->init_pid);
	jsonw_uint(&w, "init_ticks", run->init_ticks);
	jsonw_string(&w, "boot", run->boot);
	jsonw_string(&w, "cgroup", run->cgroup);
	if (run->after)
		jsonw_bool(&w, "after", true);
	if (run->no_jail)
		jsonw_bool(&w, "no_jail", true);
	jsonw_uint(&w, "started_usec", run->started_usec);
	return record_store(job_fd, FILE_RUN, groups.gate_gid, &w);
}

/* Names are relative to dir_fd; prefix is "" or "<xx>/<id>/". result.json first: whoever deletes a job removes state.json before
 * it, so that a finished job is never taken for a running one. */
static int
status_read(int dir_fd, const char *prefix, struct job_status *ret)
{
	struct job_status status = { 0 };
	struct job_run run = { 0 };
	char path[JOB_PATH_SIZE], buf[SMALL_RECORD_MAX + 1];
	int n = 0, r = 0;

	(void)snprintf(path, sizeof path, "%s%s", prefix, FILE_RESULT);
	n = small_read(dir_fd, path, buf);
	if (n >= 0) {
		r = result_parse(buf, (size_t)n, &status.result);
		if (r < 0)
			return r;
		status.state = JOB_FINISHED;
		status.attempt = status.result.attempt;
		status.started_usec = status.result.started_usec;
		*ret = status;
		return 0;
	}
	if (n != -ENOENT)
		return n;
	(void)snprintf(path, sizeof path, "%s%s", prefix, FILE_STATE);
	r = want_read(dir_fd, path, &status.want);
	if (r < 0)
		return r;
	status.attempt = status.want.attempt;
	status.state = status.want.want == WANT_QUEUED ? JOB_QUEUED :
	    status.want.want == WANT_START ? JOB_RUNNING : JOB_KILLING;
	if (status.state != JOB_QUEUED && status.attempt > 0) {
		(void)snprintf(path, sizeof path, "%s%s", prefix, FILE_RUN);
		/* One that a power cut tore is recovery's; a reader only lacks the time. */
		r = run_read(dir_fd, path, &run);
		if (r < 0 && r != -ENOENT && r != -EBADMSG)
			return r;
		if (r >= 0 && run.attempt == status.attempt)
			status.started_usec = run.started_usec;
	}
	*ret = status;
	return 0;
}

int
status_load(int job_fd, struct job_status *ret)
{
	return status_read(job_fd, "", ret);
}

int
spool_status(const struct spool *s, const char *id, struct job_status *ret)
{
	char prefix[JOB_PATH_SIZE];

	if (!id_valid(id))
		return -EINVAL;
	(void)snprintf(prefix, sizeof prefix, "%.2s/%s/", id, id);
	return status_read(s->jobs_fd, prefix, ret);
}
