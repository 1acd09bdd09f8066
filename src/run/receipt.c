#include "config.h"

#include <string.h>

#include "basic/durable.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "run/receipt.h"
#include "spool/job.h"

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

static int
receipt_format(const struct plan *plan, const struct job *job, const struct job_result *result, const char *manifest_sha256,
    json_object **ret)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *limits = NULL, *inputs = NULL;
	int r = limits_format(&plan->limits, &limits);

	if (r == 0)
		r = job_inputs_format(job, &inputs);
	if (r < 0)
		return r;
	jsonw_int(&w, "v", RECORD_VERSION);
	jsonw_string(&w, "spoolgate", PACKAGE_VERSION);
	jsonw_string(&w, "id", plan->id);
	jsonw_int(&w, "attempt", plan->attempt);
	jsonw_string(&w, "service", job->service);
	jsonw_string(&w, "tool", job->tool);
	jsonw_strings(&w, "argv", plan->argv);
	jsonw_string(&w, "jail", plan->jail == JAIL_BWRAP ? "bwrap" : "none");
	jsonw_add(&w, "limits", take_ptr(limits));
	jsonw_add(&w, "inputs", take_ptr(inputs));
	jsonw_string(&w, "verdict", verdict_name(result->verdict));
	jsonw_int(&w, "exit_code", result->exit_code);
	jsonw_int(&w, "signal", result->signal);
	jsonw_add(&w, "usage", format_usage(result));
	jsonw_add(&w, "outputs", format_outputs(result, manifest_sha256));
	return jsonw_finish(&w, ret);
}

int
receipt_store(const struct plan *plan, int job_fd, const struct job_result *result,
    const char manifest_sha256[SHA256_HEX_SIZE])
{
	scoped(free_job) struct job *job = NULL;
	scoped(put_json) json_object *obj = NULL;
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = job_load(job_fd, &job);

	if (r == 0)
		r = receipt_format(plan, job, result, manifest_sha256, &obj);
	if (r == 0)
		r = json_format(obj, &text, &len);
	if (r == 0)
		r = replace_file_at(job_fd, "receipt.json", text, len, 0640, plan->groups.gate_gid);
	return r;
}
