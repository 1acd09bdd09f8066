#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "helper/condition.h"
#include "helper/deliver.h"
#include "helper/expire.h"
#include "helper/meta.h"
#include "helper/offload.h"
#include "helper/weight.h"
#include "helper/writer.h"
#include "spool/meta.h"
#include "spool/record.h"
#include "spool/redo.h"

struct change {
	struct task task;
	struct write write;
	struct conditions turn;	/* one change of a job at a time */
	struct helper *helper;
	struct reply_to to;
	char id[ID_SIZE];
	enum { CHANGE_AMEND, CHANGE_PRUNE, CHANGE_CALLBACK } kind;
	json_object *note;	/* CHANGE_AMEND */
	struct job_meta outcome;	/* CHANGE_CALLBACK: its callback */
	bool done_before;
	char *text;	/* the new meta.json */
	size_t len;
	uint64_t bytes;	/* that a prune frees */
	int error;
};

static void
end_change(struct change *c)
{
	struct helper *h = c->helper;
	static const char *const reasons[] = { [ENOENT] = "there is no such job", [EBUSY] = "it has not finished",
		[EINVAL] = "the note is no object", [E2BIG] = "the note is too large" };
	size_t error = (size_t)-c->error;

	if (c->error < 0)
		server_refuse(h, c->to, c->error, error < sizeof reasons / sizeof *reasons && reasons[error] ? reasons[error] :
		    "it could not be done", 0);
	else
		server_reply(h, c->to, NULL);
	if (c->error < 0 && c->error != -ENOENT && c->to.connection == 0 && c->kind == CHANGE_PRUNE)
		expire_later(h, c->id);
	conditions_leave(&h->changes, &c->turn);
	if (c->kind == CHANGE_CALLBACK)
		deliver_recorded(h, c->id);
	conditions_done(&c->turn);
	json_object_put(c->note);
	free(c->text);
	free(c->write.data);
	free(c);
	helper_check_leaving(h);
}

/* In a thread: the new meta.json, not yet written. */
static void
look(struct task *task)
{
	struct change *c = task_owner(task, struct change, task);
	scoped(close_fd) int job_fd = spool_open_job(c->helper->spool, c->id);
	scoped(meta_done) struct job_meta meta = { .note = NULL };
	struct job_result result;
	uint64_t ended = 0;
	int r = job_fd < 0 ? job_fd : 0;

	if (r == 0 && c->kind == CHANGE_PRUNE)
		r = result_load(job_fd, &result) == -ENOENT ? -EBUSY : job_weight(c->helper->spool, c->id, &c->bytes, &ended);
	if (r == 0)
		r = meta_load(job_fd, &meta);
	if (r == -EBADMSG)
		r = 0;	/* what is damaged is replaced */
	if (r == 0 && c->kind == CHANGE_PRUNE) {
		c->done_before = meta.pruned_usec > 0;
		meta.pruned_usec = c->done_before ? meta.pruned_usec : clock_wall();
	}
	if (r == 0 && c->kind == CHANGE_CALLBACK)
		meta.callback = c->outcome.callback;
	if (r == 0 && c->kind == CHANGE_AMEND) {
		meta_done(&meta);
		meta.note = json_object_get(c->note);
	}
	if (r == 0)
		r = meta_format(&meta, &c->text, &c->len);
	c->error = r;
}

/* In a thread, after the record. */
static void
apply(struct task *task)
{
	struct change *c = task_owner(task, struct change, task);
	const struct spool *s = c->helper->spool;
	scoped(close_fd) int job_fd = spool_open_job(s, c->id);
	int r = job_fd < 0 ? job_fd : meta_store(job_fd, s->groups, c->text, c->len);

	if (r >= 0 && c->kind == CHANGE_CALLBACK && c->outcome.callback.state != CALLBACK_PENDING)
		r = spool_clear_pending(s, c->id);
	if (r >= 0 && c->kind == CHANGE_PRUNE)
		r = prune_files(s, c->id);
	c->error = r < 0 ? r : 0;
}

static void
applied(struct task *task)
{
	struct change *c = task_owner(task, struct change, task);
	struct helper *h = c->helper;

	if (c->error < 0)
		log_error("job %s cannot be %s: %s", c->id, c->kind == CHANGE_PRUNE ? "pruned" : "amended", strerror(-c->error));
	/* Applied even if it failed: the next start would only try the same again. */
	writer_applied(h->writer, c->write.half);
	server_changed(h, c->id);
	if (c->kind == CHANGE_PRUNE && c->error == 0) {
		log_info("job %s has no files any more", c->id);
		weights_freed(h, c->id, c->bytes);
		expire_sweep(h);
	}
	end_change(c);
}

static void
recorded(struct write *write, int result)
{
	struct change *c = task_owner(write, struct change, write);

	if (result < 0) {
		helper_stop_accepting(c->helper, result, "the journal");
		c->error = result;
		end_change(c);
		return;
	}
	c->task.work = apply;
	c->task.done = applied;
	offload_run(c->helper->io, &c->task);
}

static void
looked(struct task *task)
{
	struct change *c = task_owner(task, struct change, task);
	struct redo_record record = { .type = REDO_META, .text = c->text, .text_len = c->len };
	void *data = NULL;

	if (c->error == 0 && !c->done_before) {
		memcpy(record.id, c->id, sizeof record.id);
		c->error = redo_encode(&record, &data, &c->write.len);
	}
	if (c->error < 0 || c->done_before) {
		end_change(c);
		return;
	}
	c->write.data = data;
	c->write.deadline_mono_usec = USEC_INFINITY;
	c->write.done = recorded;
	writer_add(c->helper->writer, &c->write);
}

static void
begin(struct conditions *turn)
{
	struct change *c = task_owner(turn, struct change, turn);

	c->task.work = look;
	c->task.done = looked;
	offload_run(c->helper->io, &c->task);
}

static void
begin_change(struct helper *h, const struct change *what)
{
	struct change *c = calloc(1, sizeof *c);
	char *claim = strdup(what->id);

	if (!c || !claim) {
		free(c);
		free(claim);
		server_refuse(h, what->to, -ENOMEM, NULL, 0);
		if (what->kind == CHANGE_CALLBACK)
			deliver_recorded(h, what->id);
		return;
	}
	c->helper = h;
	c->to = what->to;
	memcpy(c->id, what->id, sizeof c->id);
	c->kind = what->kind;
	c->note = json_object_get(what->note);
	c->outcome = what->outcome;
	c->turn.claims[0] = claim;
	c->turn.n_claims = 1;
	c->turn.go = begin;
	conditions_enter(&h->changes, &c->turn);
}

static void
change(struct helper *h, const char *id, struct change what)
{
	memcpy(what.id, id, sizeof what.id);
	begin_change(h, &what);
}

void
meta_tell_callback(struct helper *h, const char *id, const struct job_meta *outcome)
{
	change(h, id, (struct change){ .kind = CHANGE_CALLBACK, .outcome = *outcome });
}

void
amend_request(struct helper *h, struct message *m, struct reply_to to)
{
	json_object *note = NULL;
	const char *id;

	if (json_get_string(m->body, "id", &id) < 0 || !id_valid(id) || json_get_object(m->body, "note", &note) < 0)
		server_refuse(h, to, -EINVAL, "id or note is wrong", 0);
	else
		change(h, id, (struct change){ .kind = CHANGE_AMEND, .note = note, .to = to });
}

void
prune_job(struct helper *h, const char *id, struct reply_to to)
{
	change(h, id, (struct change){ .kind = CHANGE_PRUNE, .to = to });
}

void
prune_request(struct helper *h, struct message *m, struct reply_to to)
{
	const char *id;

	if (json_get_string(m->body, "id", &id) < 0 || !id_valid(id))
		server_refuse(h, to, -EINVAL, "id is wrong", 0);
	else
		prune_job(h, id, to);
}
