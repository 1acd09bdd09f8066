#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/durable.h"
#include "basic/escape.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "spool/job.h"
#include "spool/manifest.h"
#include "spool/pack.h"
#include "spool/receipt.h"

enum { PATH_MAX_ENCODED = 3 * 4096 };

static json_object *
format_usage(const struct job_result *result)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *obj = NULL;

	jsonw_int(&w, "wall_usec", (int64_t)result->wall_usec);
	jsonw_int(&w, "cpu_usec", (int64_t)result->cpu_usec);
	jsonw_int(&w, "peak_memory_bytes", (int64_t)result->peak_memory_bytes);
	jsonw_int(&w, "log_bytes", (int64_t)result->log_bytes);
	jsonw_int(&w, "stdout_bytes", (int64_t)result->stdout_bytes);
	return jsonw_finish(&w, &obj) < 0 ? NULL : obj;
}

static json_object *
format_outputs(const struct job_result *result, const char *manifest_sha256)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *obj = NULL;

	jsonw_int(&w, "files", (int64_t)result->output_files);
	jsonw_int(&w, "bytes", (int64_t)result->output_bytes);
	jsonw_string(&w, "manifest_sha256", manifest_sha256);
	return jsonw_finish(&w, &obj) < 0 ? NULL : obj;
}

/* One kept file. A name that is not UTF-8, which JSON cannot hold, goes percent-encoded, as the manifest has it. */
static int
add_file(const struct manifest_entry *e, void *ctx)
{
	json_object *list = ctx, *obj = NULL;
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(strbuf_done) struct strbuf encoded = STRBUF_INIT(PATH_MAX_ENCODED + 1);
	int r;

	if (e->sha256[0] == '\0')
		return 0;
	if (utf8_valid(e->path, strlen(e->path))) {
		jsonw_string(&w, "name", e->path);
	} else {
		percent_encode(&encoded, e->path);
		r = strbuf_err(&encoded);
		if (r < 0)
			return r;
		jsonw_string(&w, "encoded", strbuf_str(&encoded));
	}
	jsonw_int(&w, "bytes", (int64_t)e->size);
	jsonw_string(&w, "sha256", e->sha256);
	r = jsonw_finish(&w, &obj);
	if (r == 0 && json_object_array_add(list, obj) < 0) {
		json_object_put(obj);
		r = -ENOMEM;
	}
	return r;
}

static int
format_files(int job_fd, json_object **ret)
{
	scoped(put_json) json_object *list = json_object_new_array();
	int r = list ? manifest_each(job_fd, MANIFEST_MAX, add_file, list) : -ENOMEM;

	if (r < 0 && r != -ENOENT)	/* what never ran left nothing */
		return r;
	*ret = take_ptr(list);
	return 0;
}

/* {"bytes","sha256"} of a file beside work/; JSON null where there is none. */
static int
add_hash(struct jsonw *w, int job_fd, const char *name)
{
	scoped(jsonw_done) struct jsonw one = jsonw_new();
	scoped(close_fd) int fd = open_regular_at(job_fd, name, NULL);
	char sha256[SHA256_HEX_SIZE];
	json_object *obj = NULL;
	int64_t n;

	if (fd == -ENOENT) {
		jsonw_null(w, name);
		return 0;
	}
	n = fd < 0 ? fd : sha256_fd(fd, INT64_MAX, sha256);
	if (n < 0)
		return (int)n;
	jsonw_int(&one, "bytes", n);
	jsonw_string(&one, "sha256", sha256);
	jsonw_add(w, name, jsonw_finish(&one, &obj) < 0 ? NULL : obj);
	return 0;
}

static void
add_time(struct jsonw *w, const char *name, uint64_t usec)
{
	char text[CLOCK_TEXT_SIZE];

	if (usec == 0) {
		jsonw_null(w, name);
		return;
	}
	clock_format(usec, text);
	jsonw_string(w, name, text);
}

static uint64_t
ctime_usec(const struct stat *st)
{
	return (uint64_t)st->st_ctim.tv_sec * USEC_PER_SEC + (uint64_t)st->st_ctim.tv_nsec / 1000;
}

/* The tool as it was when the job was accepted; whether the program was replaced or touched since, its inode tells. */
static void
add_tool(struct jsonw *w, const struct job *job)
{
	char fingerprint[SHA256_HEX_SIZE], both[2 * SHA256_HEX_SIZE];
	struct stat st = { 0 };

	jsonw_string(w, "tool", job->tool);
	if (job->tool_version)
		jsonw_string(w, "tool_version", job->tool_version);
	if (job->tool_sha256[0])
		jsonw_string(w, "tool_sha256", job->tool_sha256);
	if (!job->program_sha256[0] || !job->tool_sha256[0])
		return;
	jsonw_string(w, "program_sha256", job->program_sha256);
	if (stat(job->argv[0], &st) < 0 || ctime_usec(&st) > job->accepted_usec)
		jsonw_bool(w, "program_changed", true);
	(void)snprintf(both, sizeof both, "%s%s", job->tool_sha256, job->program_sha256);
	sha256_hex(both, strlen(both), fingerprint);
	jsonw_string(w, "fingerprint", fingerprint);
}

static int
receipt_format(int job_fd, const struct job *job, const char *jail, bool network, const struct job_result *result,
    const char *manifest_sha256, json_object **ret)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *limits = NULL, *inputs = NULL, *files = NULL;
	int r = limits_format(&job->limits, &limits);

	if (r == 0)
		r = job_inputs_format(job, &inputs);
	if (r == 0)
		r = format_files(job_fd, &files);
	if (r < 0)
		return r;
	jsonw_int(&w, "v", RECORD_VERSION);
	jsonw_string(&w, "spoolgate", PACKAGE_VERSION);
	jsonw_string(&w, "id", job->id);
	jsonw_int(&w, "attempt", result->attempt);
	jsonw_string(&w, "service", job->service);
	add_tool(&w, job);
	jsonw_strings(&w, "argv", job->argv);
	/* What parameters added; the rest is the administrator's, and may be nobody else's business. */
	jsonw_strings(&w, "environment", job->env);
	jsonw_string(&w, "jail", jail);
	jsonw_bool(&w, "network", network);
	jsonw_add(&w, "limits", take_ptr(limits));
	jsonw_add(&w, "inputs", take_ptr(inputs));
	add_time(&w, "accepted", job->accepted_usec);
	add_time(&w, "started", result->started_usec);
	add_time(&w, "ended", result->ended_usec);
	jsonw_string(&w, "verdict", verdict_name(result->verdict));
	jsonw_int(&w, "exit_code", result->exit_code);
	jsonw_int(&w, "signal", result->signal);
	jsonw_add(&w, "usage", format_usage(result));
	jsonw_add(&w, "outputs", format_outputs(result, manifest_sha256));
	r = add_hash(&w, job_fd, JOB_LOG);
	if (r == 0)
		r = add_hash(&w, job_fd, JOB_STDOUT);
	if (r < 0)
		return r;
	jsonw_add(&w, "files", take_ptr(files));
	return jsonw_finish(&w, ret);
}

int
receipt_store(int job_fd, struct spool_groups groups, const char *jail, bool network, const struct job_result *result,
    const char *manifest_sha256)
{
	scoped(free_job) struct job *job = NULL;
	scoped(put_json) json_object *obj = NULL;
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = job_load(job_fd, &job);

	if (r == 0)
		r = receipt_format(job_fd, job, jail, network, result, manifest_sha256, &obj);
	if (r == 0)
		r = json_format(obj, &text, &len);
	if (r == 0)
		r = replace_file_at(job_fd, JOB_RECEIPT, text, len, 0640, groups.gate_gid);
	return r;
}
