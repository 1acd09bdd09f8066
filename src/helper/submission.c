#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/address.h"
#include "basic/fd.h"
#include "basic/https_url.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "helper/live.h"
#include "helper/submission.h"
#include "spool/index.h"
#include "spool/redo.h"

enum {
	DEADLINE_MAX_SECONDS = 60,
	MEMORY_FILE_MAX = 1024 * 1024,	/* above it an input may come as an unlinked file */
	OWNER_MAX = 512,
};

/* Service and owner of a request. */
int
submission_owner(json_object *body, const char **ret_service, const char **ret_owner)
{
	const char *service, *owner;
	size_t len;

	if (json_get_string(body, "service", &service) < 0 || json_get_string(body, "owner", &owner) < 0)
		return -EINVAL;
	len = strlen(service);
	if (strlen(owner) > OWNER_MAX || len == 0 || strncmp(owner, service, len) != 0 || owner[len] != ':')
		return -EINVAL;
	/* Both become file names of the index, which must not fail once the job is accepted. */
	if (strchr(service, ':') || index_owner_check(owner) < 0)
		return -EINVAL;
	*ret_service = service;
	*ret_owner = owner;
	return 0;
}

struct submission *
submission_free(struct submission *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < MESSAGE_FDS_MAX; i++)
		close_fd(&s->fds[i]);
	if (s->owner)
		live_owner_put(s->helper, s->owner);
	(void)job_free(s->job);
	(void)sha256_free(s->once_hash);
	for (char **one = s->secrets; one && *one; one++)
		explicit_bzero(*one, strlen(*one));
	argv_free(s->secrets);
	conditions_done(&s->conditions);
	free(s->write.data);
	free(s);
	return NULL;
}

static void
blame_input(struct submission *s, const char *name)
{
	if (input_name_valid(name))
		(void)snprintf(s->refusal.member, sizeof s->refusal.member, "/inputs/%s", name);
}

/* Descriptor i as the message describes it. */
static int
check_descriptor(struct submission *s, size_t i)
{
	struct job_input *input = &s->job->inputs[i];
	struct stat st;

	if (fstat(s->fds[i], &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size != input->size) {
		s->reason = "an input's descriptor is no file of the announced size";
		return -EINVAL;
	}
	if (input->size > s->max_bytes[i]) {
		s->reason = "an input is too large";
		blame_input(s, input->name);
		return -EFBIG;
	}
	if (is_sealed_memory_file(s->fds[i]) == 1)
		return 0;
	if (st.st_nlink == 0 && input->size > MEMORY_FILE_MAX)
		return 0;
	s->reason = "an input is neither a sealed memory file nor an unlinked file over 1 MiB";
	return -EINVAL;
}

static int
take_inputs(struct submission *s, const struct tool *tool, struct message *m, const char *names[MESSAGE_FDS_MAX])
{
	struct job *job = s->job;
	json_object *array = NULL;
	size_t n;
	int r;

	s->reason = "the inputs and their descriptors do not match";
	if (json_get_array(m->body, "inputs", &array) < 0)
		return -EINVAL;
	n = json_object_array_length(array);
	if (n != m->n_fds || n > MESSAGE_FDS_MAX)
		return -EINVAL;
	job->inputs = calloc(n + 1, sizeof *job->inputs);
	if (!job->inputs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		json_object *item = json_object_array_get_idx(array, i);
		const struct input *declared;
		const char *name;

		if (!json_object_is_type(item, json_type_object) || json_get_string(item, "name", &name) < 0 ||
		    json_get_uint(item, "size", &job->inputs[i].size) < 0)
			return -EINVAL;
		declared = tool_find_input(tool, name);
		if (!declared || !input_name_valid(name)) {
			s->reason = "the tool has no such input";
			blame_input(s, name);
			return -EINVAL;
		}
		job->inputs[i].name = strdup(name);
		if (!job->inputs[i].name)
			return -ENOMEM;
		job->n_inputs = i + 1;
		names[i] = job->inputs[i].name;
		s->max_bytes[i] = declared->max_bytes;
		s->fds[i] = take_fd(m->fds[i]);
		r = check_descriptor(s, i);
		if (r < 0)
			return r;
		s->total_bytes += job->inputs[i].size;
	}
	m->n_fds = 0;
	s->flush = s->total_bytes > REDO_INPUT_MAX && s->spool == s->helper->spool;
	return 0;
}

static int
refuse_callback(struct submission *s, const char *why)
{
	(void)snprintf(s->refusal.member, sizeof s->refusal.member, "/callback");
	(void)snprintf(s->refusal.why, sizeof s->refusal.why, "%s", why);
	return -EINVAL;
}

static int
parse_callback(struct submission *s, json_object *body)
{
	const struct callbacks *c = &s->helper->callbacks;
	struct in6_addr address;
	struct network literal;
	struct https_url url;
	const char *text = NULL, *why;

	if (!json_object_object_get_ex(body, "callback", NULL))
		return 0;
	if (s->spool != s->helper->spool)
		return refuse_callback(s, "jobs of this tool are not kept long enough for that");
	if (c->key_len == 0)
		return refuse_callback(s, "this server makes no callbacks");
	if (json_get_string(body, "callback", &text) < 0)
		return refuse_callback(s, "this must be a text");
	why = https_url_check(text, &url);
	if (why) {
		(void)snprintf(s->refusal.member, sizeof s->refusal.member, "/callback");
		(void)snprintf(s->refusal.why, sizeof s->refusal.why, "this is no https URL that can be called: %s", why);
		return -EINVAL;
	}
	/* A name is looked at when it is called: what it stands for may change. */
	if (network_parse(url.host, &literal) == 0) {
		address = literal.address;
		if (!callbacks_permit(c, &address))
			return refuse_callback(s, "its address is private");
	}
	s->job->callback = strdup(text);
	return s->job->callback ? 0 : -ENOMEM;
}

/* One job of a group runs at a time: the tool's own, or the one that the service names. */
static int
parse_group(struct submission *s, const struct tool *tool, json_object *body)
{
	struct job *job = s->job;
	const char *serial = tool->name;

	s->shares = tool->cache_key;
	if (!tool->serial && !json_object_object_get_ex(body, "serial", NULL))
		return 0;
	if (!tool->serial && (json_get_string(body, "serial", &serial) < 0 || strlen(serial) < 1 || strlen(serial) > JOB_SERIAL_MAX ||
	    tool->cache_key)) {
		(void)snprintf(s->refusal.member, sizeof s->refusal.member, "/serial");
		(void)snprintf(s->refusal.why, sizeof s->refusal.why, "%s", tool->cache_key ? "jobs of a tool with a cache key have no group" :
		    "this is no name of a group");
		return -EINVAL;
	}
	return asprintf(&job->serial, "%s:%s", tool->serial ? "tool" : job->service, serial) < 0 ? (job->serial = NULL, -ENOMEM) : 0;
}

/* What is kept of a submission must not tell them, not even as a hash. */
static json_object *
without_secrets(const struct tool *tool, json_object *params)
{
	json_object *plain = NULL;

	if (!params || json_object_deep_copy(params, &plain, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < tool->n_parameters; i++)
		if (tool->parameters[i].secret)
			json_object_object_del(plain, tool->parameters[i].name);
	return plain;
}

static int
begin_once_hash(struct submission *s, const struct tool *tool, json_object *params)
{
	scoped(put_json) json_object *plain = without_secrets(tool, params);
	json_object *parts[] = { plain, s->job->note };

	if (params && !plain)
		return -ENOMEM;
	s->once_hash = sha256_new();
	if (!s->once_hash)
		return -ENOMEM;
	sha256_add(s->once_hash, s->job->tool, strlen(s->job->tool) + 1);
	if (s->job->callback)
		sha256_add(s->once_hash, s->job->callback, strlen(s->job->callback) + 1);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		const char *text = parts[i] ? json_object_to_json_string_ext(parts[i], JSON_C_TO_STRING_PLAIN) : "";

		if (!text)
			return -ENOMEM;
		sha256_add(s->once_hash, text, strlen(text) + 1);
	}
	return 0;
}

/* Fills in the job from the request; s->reason tells what is wrong with it. */
static int
parse_submission(struct submission *s, struct message *m)
{
	struct helper *h = s->helper;
	struct job *job = s->job;
	const char *service, *owner, *tool_name, *names[MESSAGE_FDS_MAX];
	json_object *params = NULL;
	const struct tool *tool;
	int r;

	s->reason = "service, tool or owner is wrong";
	if (submission_owner(m->body, &service, &owner) < 0 || json_get_string(m->body, "tool", &tool_name) < 0)
		return -EINVAL;
	tool = tools_find(h->tools, tool_name);
	if (!tool) {
		s->reason = "there is no such tool";
		(void)snprintf(s->refusal.member, sizeof s->refusal.member, "/tool");
		return -EINVAL;
	}
	if (tool->service && strcmp(tool->service, service) != 0) {
		s->reason = "this tool's jobs come from a service of its own";
		(void)snprintf(s->refusal.member, sizeof s->refusal.member, "/tool");
		return -EINVAL;
	}
	s->spool = tool->transient ? h->transient : h->spool;
	if (!s->spool) {
		s->reason = "there is no folder in memory for its jobs";
		return -ENOSPC;
	}
	r = take_inputs(s, tool, m, names);
	if (r < 0)
		return r;
	s->reason = "params or note is no object";
	if (json_object_object_get_ex(m->body, "params", NULL) && json_get_object(m->body, "params", &params) < 0)
		return -EINVAL;
	if (json_object_object_get_ex(m->body, "note", NULL)) {
		if (json_get_object(m->body, "note", &job->note) < 0)
			return -EINVAL;
		json_object_get(job->note);
	}
	r = tool_build_argv(tool, params, names, job->n_inputs, &job->argv, &s->refusal);
	if (r < 0) {
		s->reason = s->refusal.why;
		return r;
	}
	r = tool_build_env(tool, params, false, &job->env);
	if (r == 0)
		r = tool_build_env(tool, params, true, &s->secrets);
	if (r < 0)
		return r;
	job->secrets = s->secrets && s->secrets[0];
	id_new(job->id);
	job->service = strdup(service);
	job->tool = strdup(tool_name);
	job->live = tool->live ? strdup(tool->live) : NULL;
	job->owner = strdup(owner);
	job->tool_version = tool->version ? strdup(tool->version) : NULL;
	memcpy(job->tool_sha256, tool->sha256, sizeof job->tool_sha256);
	job->accepted_usec = clock_wall();
	job->limits = tool->limits;
	job->kill_grace_usec = tool->kill_grace_usec;
	job->keep_usec = tool->keep_usec;
	job->files_usec = tool->files_usec;
	if (tool->transient)
		job->keep_usec = TRANSIENT_KEEP_SECONDS * USEC_PER_SEC;
	job->twice = tool->twice;
	if (!job->service || !job->tool || !job->owner || !job->live != !tool->live || !job->tool_version != !tool->version)
		return -ENOMEM;
	r = parse_callback(s, m->body);
	if (r == 0)
		r = parse_group(s, tool, m->body);
	if (r == 0)
		r = conditions_parse(&s->conditions, m->body, job, &s->refusal);
	if (r == 0 && job->once[0])
		r = begin_once_hash(s, tool, params);
	if (r == -EINVAL)
		s->reason = s->refusal.why;
	return r;
}

void
submission_hash_once(struct submission *s)
{
	for (size_t i = 0; i < s->job->n_inputs; i++) {
		const struct job_input *in = &s->job->inputs[i];

		sha256_add(s->once_hash, in->name, strlen(in->name) + 1);
		sha256_add(s->once_hash, in->sha256, sizeof in->sha256);
	}
	sha256_finish(s->once_hash, s->job->once_sha256);
}

int
submission_hash_work(struct job *job)
{
	scoped(free_sha256) struct sha256 *hash = sha256_new();

	if (!hash)
		return -ENOMEM;
	sha256_add(hash, job->tool, strlen(job->tool) + 1);
	sha256_add(hash, job->tool_sha256, sizeof job->tool_sha256);
	sha256_add(hash, job->program_sha256, sizeof job->program_sha256);
	for (char **a = job->argv; *a; a++)
		sha256_add(hash, *a, strlen(*a) + 1);
	sha256_add(hash, "", 1);	/* no argument is empty and the last */
	for (char **e = job->env; e && *e; e++)
		sha256_add(hash, *e, strlen(*e) + 1);
	sha256_add(hash, "", 1);
	for (size_t i = 0; i < job->n_inputs; i++) {
		sha256_add(hash, job->inputs[i].name, strlen(job->inputs[i].name) + 1);
		sha256_add(hash, job->inputs[i].sha256, sizeof job->inputs[i].sha256);
	}
	sha256_finish(hash, job->work);
	return 0;
}

static int
check_deadline(struct submission *s, json_object *body)
{
	uint64_t now = clock_mono(), deadline;

	if (json_get_uint(body, "deadline", &deadline) < 0)
		return -EINVAL;
	if (deadline > now + DEADLINE_MAX_SECONDS * USEC_PER_SEC)
		deadline = now + DEADLINE_MAX_SECONDS * USEC_PER_SEC;
	s->write.deadline_mono_usec = deadline;
	return 0;
}

int
submission_new(struct helper *h, struct message *m, struct reply_to to, struct submission **ret)
{
	struct submission *s = *ret = calloc(1, sizeof *s);
	int r;

	if (!s)
		return -ENOMEM;
	for (size_t i = 0; i < MESSAGE_FDS_MAX; i++)
		s->fds[i] = -EBADF;
	s->helper = h;
	s->to = to;
	s->job = job_new();
	s->reason = "deadline is missing";
	r = s->job ? check_deadline(s, m->body) : -ENOMEM;
	if (r == 0)
		r = parse_submission(s, m);
	if (r < 0)
		return r;
	s->owner = live_owner(h, s->job->owner);
	s->reason = NULL;
	return s->owner ? 0 : -ENOMEM;
}
