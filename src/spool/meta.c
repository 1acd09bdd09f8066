#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "spool/accept_internal.h"
#include "spool/job.h"
#include "spool/meta.h"
#include "spool/pack.h"
#include "spool/record.h"
#include "spool/spool_internal.h"

static const char *const state_names[] = { [CALLBACK_PENDING] = "pending", [CALLBACK_DELIVERED] = "delivered",
	[CALLBACK_FAILED] = "failed" };

const char *
callback_state_name(enum callback_state state)
{
	return state_names[state];
}

static int
take_callback(json_object *obj, struct job_meta *m)
{
	const char *state = NULL;
	int r = json_get_string(obj, "state", &state);

	if (r >= 0)
		r = json_get_unsigned(obj, "attempts", &m->callback.attempts);
	if (r >= 0)
		r = json_get_uint(obj, "last_usec", &m->callback.last_usec);
	if (r >= 0)
		r = json_copy_string(obj, "last", m->callback.last, sizeof m->callback.last);
	for (size_t i = 0; r >= 0 && i < sizeof state_names / sizeof *state_names; i++)
		if (strcmp(state, state_names[i]) == 0) {
			m->callback.state = (enum callback_state)i;
			return 0;
		}
	return -EBADMSG;
}

static int
take_members(json_object *obj, struct job_meta *ret)
{
	struct job_meta m = { .note = NULL };
	json_object *callback = NULL;
	int r = version_check(obj);

	if (r < 0)
		return r;
	if (json_object_object_get_ex(obj, "pruned_usec", NULL))
		r = json_get_uint(obj, "pruned_usec", &m.pruned_usec);
	if (r >= 0 && json_object_object_get_ex(obj, "callback", NULL))
		r = json_get_object(obj, "callback", &callback);
	if (r >= 0 && callback)
		r = take_callback(callback, &m);
	if (r >= 0 && json_object_object_get_ex(obj, "note", NULL))
		r = json_get_object(obj, "note", &m.note);
	if (r < 0)
		return -EBADMSG;
	json_object_get(m.note);
	*ret = m;
	return 0;
}

int
meta_parse(const char *text, size_t len, struct job_meta *ret)
{
	scoped(put_json) json_object *obj = NULL;
	int r = json_parse(text, len, &obj);

	if (r == -ENOMEM)
		return r;
	return r < 0 || !json_object_is_type(obj, json_type_object) ? -EBADMSG : take_members(obj, ret);
}

int
meta_load(int job_fd, struct job_meta *ret)
{
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = read_file_at(job_fd, FILE_META, JOB_RECORD_MAX, &text, &len);

	*ret = (struct job_meta){ .note = NULL };
	if (r == -ENOENT)
		return 0;
	if (r == -EFBIG)
		return -EBADMSG;
	return r < 0 ? r : meta_parse(text, len, ret);
}

static void
add_callback(struct jsonw *w, const struct job_meta *m)
{
	scoped(jsonw_done) struct jsonw c = jsonw_new();
	json_object *obj = NULL;

	jsonw_string(&c, "state", state_names[m->callback.state]);
	jsonw_uint(&c, "attempts", m->callback.attempts);
	jsonw_uint(&c, "last_usec", m->callback.last_usec);
	jsonw_string(&c, "last", m->callback.last);
	jsonw_add(w, "callback", jsonw_finish(&c, &obj) < 0 ? NULL : obj);
}

int
meta_format(const struct job_meta *m, char **ret_text, size_t *ret_len)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(free_ptr) char *text = NULL, *note = NULL;
	size_t len = 0, note_len = 0;
	int r = m->note ? json_format(m->note, &note, &note_len) : 0;

	if (m->note && !json_object_is_type(m->note, json_type_object))
		return -EINVAL;
	if (r < 0)
		return r == -EBADMSG ? -EINVAL : r;
	if (note_len > NOTE_MAX)
		return -E2BIG;
	jsonw_int(&w, "v", RECORD_VERSION);
	if (m->pruned_usec > 0)
		jsonw_uint(&w, "pruned_usec", m->pruned_usec);
	if (m->callback.attempts > 0)
		add_callback(&w, m);
	if (m->note)
		jsonw_add(&w, "note", json_object_get(m->note));
	r = jsonw_text(&w, &text, &len);
	if (r < 0)
		return r == -EBADMSG ? -EINVAL : r;
	if (json_scan(text, len, JSON_DEPTH_MAX, NULL) < 0)
		return -E2BIG;
	*ret_text = take_ptr(text);
	*ret_len = len;
	return 0;
}

int
prune_files(const struct spool *s, const char *id)
{
	static const char *const folders[] = { JOB_WORK, JOB_IN }, *const files[] = { JOB_LOG, JOB_STDOUT };
	scoped(close_fd) int job_fd = spool_open_job(s, id);
	char pack[PACK_NAME_SIZE];
	int r = job_fd < 0 ? job_fd : 0;

	if (r == 0 && pack_name(s, id, pack) == 0)
		pack_remove(s, pack);
	for (size_t i = 0; r >= 0 && i < 2; i++)
		r = drop_folder(s, id, folders[i]);
	for (size_t i = 0; r >= 0 && i < 2; i++)
		r = unlink_at(job_fd, files[i]);
	return r;
}

int
job_is_pruned(const struct spool *s, const char *id)
{
	scoped(close_fd) int job_fd = spool_open_job(s, id);
	struct job_meta m;
	int r = job_fd < 0 ? job_fd : meta_load(job_fd, &m);

	if (r < 0)
		return r;
	meta_done(&m);
	return m.pruned_usec > 0;
}

int
job_weight(const struct spool *s, const char *id, uint64_t *ret_bytes, uint64_t *ret_ended_usec)
{
	scoped(close_fd) int job_fd = spool_open_job(s, id);
	scoped(free_job) struct job *job = NULL;
	struct job_result result;
	struct job_meta m = { .note = NULL };
	int r = job_fd < 0 ? job_fd : result_load(job_fd, &result);

	if (r == 0)
		r = meta_load(job_fd, &m);
	if (r == 0)
		r = job_load(job_fd, &job);
	if (r < 0)
		return r;
	meta_done(&m);
	*ret_ended_usec = result.ended_usec;
	*ret_bytes = 0;
	if (m.pruned_usec > 0)
		return 0;
	*ret_bytes = result.output_bytes + result.log_bytes + result.stdout_bytes;
	for (size_t i = 0; i < job->n_inputs; i++)	/* the tool's copies are among its files, if it left them */
		*ret_bytes += job->inputs[i].size;
	return 0;
}
