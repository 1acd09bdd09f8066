#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/fd.h"
#include "basic/https_url.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "spool/index.h"
#include "spool/job.h"
#include "spool/layout.h"
#include "spool/spool_internal.h"

enum {
	NAME_MAX_BYTES = 100,	/* of an input */
	WORD_MAX = 64,	/* of a service's or a tool's name */
};

/* One table for both directions. */
static const struct {
	const char *name;
	size_t offset;
} limit_members[] = {
	{ "wall_usec", offsetof(struct limits, wall_usec) },
	{ "cpu_usec", offsetof(struct limits, cpu_usec) },
	{ "memory_bytes", offsetof(struct limits, memory_bytes) },
	{ "address_space_bytes", offsetof(struct limits, address_space_bytes) },
	{ "processes", offsetof(struct limits, processes) },
	{ "file_bytes", offsetof(struct limits, file_bytes) },
	{ "open_files", offsetof(struct limits, open_files) },
	{ "log_bytes", offsetof(struct limits, log_bytes) },
	{ "stdout_bytes", offsetof(struct limits, stdout_bytes) },
	{ "output_bytes", offsetof(struct limits, output_bytes) },
	{ "output_files", offsetof(struct limits, output_files) },
};
enum { N_LIMITS = sizeof limit_members / sizeof *limit_members };

struct job *
job_new(void)
{
	return calloc(1, sizeof(struct job));
}

struct job *
job_free(struct job *job)
{
	if (!job)
		return NULL;
	for (char **a = job->argv; a && *a; a++)
		free(*a);
	free(job->argv);
	for (char **e = job->env; e && *e; e++)
		free(*e);
	free(job->env);
	free(job->tool_version);
	for (size_t i = 0; i < job->n_inputs; i++)
		free(job->inputs[i].name);
	free(job->inputs);
	free(job->service);
	free(job->tool);
	free(job->live);
	free(job->owner);
	free(job->callback);
	free(job->key);
	free(job->serial);
	json_object_put(job->note);
	free(job);
	return NULL;
}

bool
input_name_valid(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-,";
	size_t len = strspn(name, allowed);

	return len >= 1 && len <= NAME_MAX_BYTES && name[len] == '\0' && name[0] != '.' && name[0] != '-';
}

#define ONCE_PREFIX "once:"

int
once_hash(const char *owner, const char *key, char ret_once[SHA256_HEX_SIZE])
{
	scoped(free_sha256) struct sha256 *hash = sha256_new();

	if (!hash)
		return -ENOMEM;
	sha256_add(hash, owner, strlen(owner) + 1);
	sha256_add(hash, key, strlen(key));
	sha256_finish(hash, ret_once);
	return 0;
}

void
once_name(const char once[SHA256_HEX_SIZE], char ret_name[ONCE_NAME_SIZE])
{
	(void)snprintf(ret_name, ONCE_NAME_SIZE, ONCE_PREFIX "%s", once);
}

bool
key_is_once(const char *key)
{
	return strncmp(key, ONCE_PREFIX, strlen(ONCE_PREFIX)) == 0;
}

static bool
sha256_hex_valid(const char *text)
{
	return strspn(text, "0123456789abcdef") == SHA256_HEX_SIZE - 1 && text[SHA256_HEX_SIZE - 1] == '\0';
}

static bool
word_valid(const char *text, size_t max)
{
	size_t len = strlen(text);

	return len >= 1 && len <= max;
}

static bool
sha256_valid_or_none(const char *text)
{
	return !text[0] || sha256_hex_valid(text);
}

/* What both job_format and job_parse insist on, so that whatever was written can be read. */
static bool
job_valid(const struct job *job)
{
	struct https_url url;

	if (!id_valid(job->id) || !word_valid(job->service, WORD_MAX) || !word_valid(job->tool, WORD_MAX) ||
	    index_owner_check(job->owner) < 0 || (job->live && !input_name_valid(job->live)))
		return false;
	if (!job->argv[0] || job->argv[0][0] != '/' || job->n_inputs > INPUTS_MAX)
		return false;
	for (char **e = job->env; e && *e; e++)
		if (!strchr(*e, '=') || **e == '=')
			return false;
	if (!sha256_valid_or_none(job->tool_sha256) || !sha256_valid_or_none(job->program_sha256) ||
	    !sha256_valid_or_none(job->once) || !sha256_valid_or_none(job->once_sha256) || !sha256_valid_or_none(job->work))
		return false;
	if (job->callback && https_url_check(job->callback, &url))
		return false;
	if ((job->key && !word_valid(job->key, JOB_KEY_MAX)) || (job->serial && !word_valid(job->serial, JOB_SERIAL_MAX)))
		return false;
	for (size_t i = 0; i < job->n_inputs; i++) {
		const struct job_input *in = &job->inputs[i];

		if (!input_name_valid(in->name) || !sha256_hex_valid(in->sha256) || in->size > INT64_MAX)
			return false;
		for (size_t j = 0; j < i; j++) {
			if (strcmp(in->name, job->inputs[j].name) == 0)
				return false;
		}
	}
	return true;
}

int
limits_format(const struct limits *l, json_object **ret)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();

	for (size_t i = 0; i < N_LIMITS; i++) {
		uint64_t val = 0;

		memcpy(&val, (const char *)l + limit_members[i].offset, sizeof val);
		jsonw_uint(&w, limit_members[i].name, val);
	}
	return jsonw_finish(&w, ret);
}

int
limits_parse(json_object *obj, struct limits *ret)
{
	struct limits l = { 0 };

	for (size_t i = 0; i < N_LIMITS; i++) {
		uint64_t val = 0;

		if (json_get_uint(obj, limit_members[i].name, &val) < 0)
			return -EBADMSG;
		memcpy((char *)&l + limit_members[i].offset, &val, sizeof val);
	}
	*ret = l;
	return 0;
}

int
job_inputs_format(const struct job *job, json_object **ret)
{
	scoped(put_json) json_object *list = json_object_new_array_ext(INPUTS_MAX);

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < job->n_inputs; i++) {
		scoped(jsonw_done) struct jsonw w = jsonw_new();
		json_object *one = NULL;
		int r = 0;

		jsonw_string(&w, "name", job->inputs[i].name);
		jsonw_uint(&w, "size", job->inputs[i].size);
		jsonw_string(&w, "sha256", job->inputs[i].sha256);
		r = jsonw_finish(&w, &one);
		if (r < 0)
			return r;
		if (json_object_array_add(list, one) < 0) {
			json_object_put(one);
			return -ENOMEM;
		}
	}
	*ret = take_ptr(list);
	return 0;
}

static int
note_check(json_object *note)
{
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = note ? json_format(note, &text, &len) : 0;

	if (r < 0)
		return r == -EBADMSG ? -EINVAL : r;
	return len > NOTE_MAX ? -E2BIG : 0;
}

int
job_format(const struct job *job, char **ret_text, size_t *ret_len)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *inputs = NULL, *limits = NULL;
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = 0;

	if (!job->service || !job->tool || !job->owner || !job->argv || !job_valid(job))
		return -EINVAL;
	r = note_check(job->note);
	if (r >= 0)
		r = job_inputs_format(job, &inputs);
	if (r >= 0)
		r = limits_format(&job->limits, &limits);
	if (r < 0)
		return r;
	jsonw_int(&w, "v", RECORD_VERSION);
	jsonw_string(&w, "id", job->id);
	jsonw_string(&w, "service", job->service);
	jsonw_string(&w, "tool", job->tool);
	jsonw_string(&w, "owner", job->owner);
	jsonw_uint(&w, "accepted_usec", job->accepted_usec);
	jsonw_strings(&w, "argv", job->argv);
	if (job->env && job->env[0])
		jsonw_strings(&w, "env", job->env);
	if (job->tool_version)
		jsonw_string(&w, "tool_version", job->tool_version);
	if (job->tool_sha256[0])
		jsonw_string(&w, "tool_sha256", job->tool_sha256);
	if (job->program_sha256[0])
		jsonw_string(&w, "program_sha256", job->program_sha256);
	if (job->live)
		jsonw_string(&w, "live", job->live);
	jsonw_add(&w, "inputs", take_ptr(inputs));
	jsonw_add(&w, "limits", take_ptr(limits));
	jsonw_uint(&w, "kill_grace_usec", job->kill_grace_usec);
	jsonw_uint(&w, "keep_usec", job->keep_usec);
	if (job->files_usec > 0)
		jsonw_uint(&w, "files_usec", job->files_usec);
	if (job->secrets)
		jsonw_bool(&w, "secrets", true);
	jsonw_bool(&w, "twice", job->twice);
	if (job->callback)
		jsonw_string(&w, "callback", job->callback);
	if (job->key)
		jsonw_string(&w, "key", job->key);
	if (job->serial)
		jsonw_string(&w, "serial", job->serial);
	if (job->once[0]) {
		jsonw_string(&w, "once", job->once);
		jsonw_string(&w, "once_sha256", job->once_sha256);
	}
	if (job->work[0])
		jsonw_string(&w, "work", job->work);
	if (job->note)
		jsonw_add(&w, "note", json_object_get(job->note));
	r = jsonw_text(&w, &text, &len);
	if (r == -EBADMSG)
		return -EINVAL;
	if (r < 0)
		return r;
	/* A note at json_parse's depth is too deep inside job.json. */
	if (len > JOB_RECORD_MAX || json_scan(text, len, JSON_DEPTH_MAX, NULL) < 0)
		return -E2BIG;
	*ret_text = take_ptr(text);
	*ret_len = len;
	return 0;
}

static int
strings_parse(json_object *obj, const char *name, char ***ret)
{
	json_object *list = NULL;
	size_t n = 0;
	int r = json_get_array(obj, name, &list);

	if (r < 0)
		return r;
	n = json_object_array_length(list);
	*ret = calloc(n + 1, sizeof **ret);	/* the job owns it at once, half filled too */
	if (!*ret)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		json_object *arg = json_object_array_get_idx(list, i);
		const char *text = NULL;

		if (!json_object_is_type(arg, json_type_string))
			return -EBADMSG;
		text = json_object_get_string(arg);
		if (strlen(text) != (size_t)json_object_get_string_len(arg))
			return -EBADMSG;
		(*ret)[i] = strdup(text);
		if (!(*ret)[i])
			return -ENOMEM;
	}
	return 0;
}

static int
inputs_parse(json_object *obj, struct job *job)
{
	json_object *list = NULL;
	size_t n = 0;
	int r = json_get_array(obj, "inputs", &list);

	if (r < 0)
		return r;
	n = json_object_array_length(list);
	if (n > INPUTS_MAX)
		return -EBADMSG;
	job->inputs = calloc(n + 1, sizeof *job->inputs);
	if (!job->inputs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		json_object *one = json_object_array_get_idx(list, i);
		struct job_input *in = &job->inputs[i];

		if (!json_object_is_type(one, json_type_object))
			return -EBADMSG;
		r = json_dup_string(one, "name", &in->name);
		if (r < 0)
			return r;
		job->n_inputs = i + 1;
		r = json_get_uint(one, "size", &in->size);
		if (r >= 0)
			r = json_copy_string(one, "sha256", in->sha256, sizeof in->sha256);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What a record may lack: one of an earlier version, or a job that has no such thing. */
static int
optional_members(json_object *obj, struct job *job)
{
	const struct { const char *name; char **to; } texts[] = {
		{ "tool_version", &job->tool_version }, { "live", &job->live }, { "callback", &job->callback }, { "key", &job->key }, { "serial", &job->serial },
	};
	const struct { const char *name; char *to; } hashes[] = {
		{ "tool_sha256", job->tool_sha256 }, { "program_sha256", job->program_sha256 }, { "once", job->once },
		{ "once_sha256", job->once_sha256 }, { "work", job->work },
	};
	int r = 0;

	if (json_object_object_get_ex(obj, "env", NULL))
		r = strings_parse(obj, "env", &job->env);
	if (r >= 0 && json_object_object_get_ex(obj, "secrets", NULL))
		r = json_get_bool(obj, "secrets", &job->secrets);
	if (r >= 0 && json_object_object_get_ex(obj, "files_usec", NULL))
		r = json_get_uint(obj, "files_usec", &job->files_usec);
	for (size_t i = 0; r >= 0 && i < sizeof texts / sizeof *texts; i++)
		if (json_object_object_get_ex(obj, texts[i].name, NULL))
			r = json_dup_string(obj, texts[i].name, texts[i].to);
	for (size_t i = 0; r >= 0 && i < sizeof hashes / sizeof *hashes; i++)
		if (json_object_object_get_ex(obj, hashes[i].name, NULL))
			r = json_copy_string(obj, hashes[i].name, hashes[i].to, SHA256_HEX_SIZE);
	return r;
}

static int
job_members(json_object *obj, struct job *job)
{
	json_object *limits = NULL, *note = NULL;
	int r = json_copy_string(obj, "id", job->id, sizeof job->id);

	if (r >= 0)
		r = json_dup_string(obj, "service", &job->service);
	if (r >= 0)
		r = json_dup_string(obj, "tool", &job->tool);
	if (r >= 0)
		r = json_dup_string(obj, "owner", &job->owner);
	if (r >= 0)
		r = json_get_uint(obj, "accepted_usec", &job->accepted_usec);
	if (r >= 0)
		r = strings_parse(obj, "argv", &job->argv);
	if (r >= 0)
		r = optional_members(obj, job);
	if (r >= 0)
		r = inputs_parse(obj, job);
	if (r >= 0)
		r = json_get_object(obj, "limits", &limits);
	if (r >= 0)
		r = limits_parse(limits, &job->limits);
	if (r >= 0)
		r = json_get_uint(obj, "kill_grace_usec", &job->kill_grace_usec);
	if (r >= 0)
		r = json_get_uint(obj, "keep_usec", &job->keep_usec);
	if (r >= 0)
		r = json_get_bool(obj, "twice", &job->twice);
	if (r < 0)
		return r;
	if (json_object_object_get_ex(obj, "note", &note))
		job->note = json_object_get(note);
	return 0;
}

int
job_parse(const char *text, size_t len, struct job **ret)
{
	scoped(put_json) json_object *obj = NULL;
	scoped(free_job) struct job *job = NULL;
	int r = 0;

	if (len > JOB_RECORD_MAX)
		return -EBADMSG;
	r = json_parse(text, len, &obj);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !json_object_is_type(obj, json_type_object))
		return -EBADMSG;
	r = version_check(obj);
	if (r < 0)
		return r;
	job = job_new();
	if (!job)
		return -ENOMEM;
	r = job_members(obj, job);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !job_valid(job))
		return -EBADMSG;
	*ret = take_ptr(job);
	return 0;
}

int
job_load(int job_fd, struct job **ret)
{
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = read_file_at(job_fd, FILE_JOB, JOB_RECORD_MAX, &text, &len);

	if (r == -EFBIG)
		return -EBADMSG;
	return r < 0 ? r : job_parse(text, len, ret);
}
