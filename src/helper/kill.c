#include "config.h"

#include <signal.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "helper/expire.h"
#include "helper/kill.h"
#include "helper/stats.h"
#include "helper/weight.h"
#include "spool/accept.h"
#include "spool/meta.h"
#include "spool/redo.h"

/* ---- answers ---- */

static void
answer_kill(struct helper *h, struct reply_to to, bool finished)
{
	struct jsonw w = jsonw_new();
	json_object *body = NULL;

	jsonw_bool(&w, "finished", finished);
	(void)jsonw_finish(&w, &body);
	jsonw_done(&w);
	server_reply(h, to, body);
}

static void
answer_all(struct live *l, int error)
{
	for (size_t i = 0; i < l->n_kill_replies; i++) {
		if (error < 0)
			server_refuse(l->helper, l->kill_replies[i], error, "it could not be recorded", 0);
		else
			answer_kill(l->helper, l->kill_replies[i], false);
	}
	l->n_kill_replies = 0;
}

void
kill_settle(struct live *l, bool finished)
{
	if (l->kill_recorded && l->kill_half >= 0) {
		writer_applied(l->helper->writer, l->kill_half);
		l->kill_half = -1;
	}
	/* A kill whose record is still under way is answered too: the job is over, which is all that was wanted. */
	if (finished || l->kill_recorded)
		answer_all(l, 0);
}

/* ---- a live job ---- */

struct store {
	struct task task;
	struct live *live;
	struct job_want want;
	int error;
};

static void
store_want(struct task *task)
{
	struct store *s = task_owner(task, struct store, task);
	const struct spool *spool = s->live->spool;
	scoped(close_fd) int job_fd = spool_open_job(spool, s->live->id);

	s->error = job_fd < 0 ? job_fd : want_store(job_fd, spool->groups, &s->want);
}

static void
kill_stored(struct live *l, int error)
{
	int r;

	/* On a full disk the supervisor does not learn who asked, but it is told to end. */
	if (error < 0)
		log_error("job %s: the kill cannot be written into state.json: %s", l->id, strerror(-error));
	l->kill_stored = true;
	if (l->pidfd >= 0) {
		r = pidfd_signal(l->pidfd, SIGTERM);
		if (r < 0 && r != -ESRCH)
			log_error("job %s cannot be killed: %s", l->id, strerror(-r));
	}
	kill_settle(l, false);
	server_changed(l->helper, l->id);
	live_step(l);
}

static void
stored(struct task *task)
{
	struct store *s = task_owner(task, struct store, task);
	struct live *l = s->live;
	int error = s->error;

	free(s);
	live_set_busy(l, false);
	kill_stored(l, error);
}

static struct job_want
killed_want(const struct live *l)
{
	struct job_want want = { .want = WANT_KILL, .attempt = l->attempt, .at_usec = clock_wall() };

	memcpy(want.boot, l->helper->boot, sizeof want.boot);
	memcpy(want.by, l->by, sizeof want.by);
	return want;
}

void
kill_store(struct live *l)
{
	struct store *s = calloc(1, sizeof *s);

	if (!s) {
		kill_stored(l, -ENOMEM);
		return;
	}
	s->task.work = store_want;
	s->task.done = stored;
	s->live = l;
	s->want = killed_want(l);
	live_set_busy(l, true);
	offload_run(l->helper->io, &s->task);
}

struct kill_record {
	struct write write;
	struct helper *helper;
	char id[ID_SIZE];	/* the job may be over by then */
};

static void
kill_recorded(struct write *write, int result)
{
	struct kill_record *k = task_owner(write, struct kill_record, write);
	struct helper *h = k->helper;
	struct live *l = live_find(h, k->id);

	if (result < 0)
		helper_stop_accepting(h, result, "the journal");
	if (!l) {	/* it ended by itself meanwhile; the answers were given then */
		if (result == 0)
			writer_applied(h->writer, write->half);
	} else if (result == 0) {
		l->kill_recorded = true;
		l->kill_half = write->half;
		live_step(l);
	} else {
		l->kill_wanted = false;
		live_hold(l, false);
		answer_all(l, result);
		live_schedule(h);
	}
	free(k);
	helper_check_leaving(h);
}

static int
record_kill(struct live *l)
{
	struct job_want want = killed_want(l);
	struct redo_record record = { .type = REDO_KILL };
	struct kill_record *k = calloc(1, sizeof *k);
	scoped(free_ptr) char *text = NULL;
	void *data = NULL;
	int r = k ? want_format(&want, &text, &record.text_len) : -ENOMEM;

	if (r == 0) {
		record.text = text;
		memcpy(record.id, l->id, sizeof record.id);
		r = redo_encode(&record, &data, &k->write.len);
	}
	if (r < 0) {
		free(k);
		return r;
	}
	k->write.data = data;
	k->write.deadline_mono_usec = USEC_INFINITY;
	k->write.done = kill_recorded;
	k->helper = l->helper;
	memcpy(k->id, l->id, sizeof k->id);
	writer_add(l->helper->writer, &k->write);
	return 0;
}

/* What does not fit is cut, between two characters. */
static void
copy_name(char ret[BY_MAX], const char *by)
{
	size_t len = strnlen(by, BY_MAX);

	if (len == BY_MAX)
		for (len--; len > 0 && ((unsigned char)by[len] & 0xc0) == 0x80;)
			len--;
	memcpy(ret, by, len);
	ret[len] = '\0';
}

static void
kill_live(struct live *l, const char *by, struct reply_to to)
{
	int r;

	if (l->kill_recorded && (l->kill_stored || l->state == LIVE_ENDING)) {
		answer_kill(l->helper, to, false);
		return;
	}
	if (l->n_kill_replies >= LIVE_KILL_REPLIES) {
		server_refuse(l->helper, to, -EAGAIN, "it is being killed", 1);
		return;
	}
	l->kill_replies[l->n_kill_replies++] = to;
	if (l->kill_wanted)
		return;
	l->kill_wanted = true;
	live_hold(l, true);
	copy_name(l->by, by);
	if (live_is_transient(l)) {
		l->kill_recorded = true;
		l->kill_half = -1;
		live_step(l);
		return;
	}
	r = record_kill(l);
	if (r < 0) {
		l->kill_wanted = false;
		live_hold(l, false);
		answer_all(l, r);
	}
}

/* ---- jobs on disk ---- */

struct errand {
	struct task task;
	struct write write;
	struct helper *helper;
	struct reply_to to;
	char id[ID_SIZE];
	int error;
	uint64_t bytes;	/* that its end frees */
	const struct spool *spool;	/* where it lies */
	bool recorded;
	bool shed;	/* for want of room, unless it has none */
	struct errand *next;	/* of those who wait to forget the same job */
};

static struct errand *
new_errand(struct helper *h, const char *id, struct reply_to to)
{
	struct errand *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->helper = h;
	e->to = to;
	memcpy(e->id, id, sizeof e->id);
	return e;
}

/* Whether a finished job of this id is there: 0, or -ENOENT, or -EBUSY where it has no verdict. */
static void
look_for_job(struct task *task)
{
	struct errand *e = task_owner(task, struct errand, task);
	scoped(close_fd) int job_fd = helper_open_job(e->helper, e->id, &e->spool);
	struct job_result result;

	if (job_fd < 0)
		e->error = job_fd;
	else if (result_load(job_fd, &result) == -ENOENT)
		e->error = -EBUSY;
	else if (e->shed && job_is_pruned(e->spool, e->id) == 1)
		e->error = -EALREADY;
}

static void
kill_looked(struct task *task)
{
	struct errand *e = task_owner(task, struct errand, task);

	if (e->error < 0)
		server_refuse(e->helper, e->to, e->error, "there is no such job", 0);
	else
		answer_kill(e->helper, e->to, true);
	helper_check_leaving(e->helper);
	free(e);
}

void
kill_request(struct helper *h, struct message *m, struct reply_to to)
{
	const char *id, *by = "client";
	struct errand *e;
	struct live *l;

	if (json_get_string(m->body, "id", &id) < 0 || !id_valid(id)) {
		server_refuse(h, to, -EINVAL, "id is wrong", 0);
		return;
	}
	(void)json_get_string(m->body, "by", &by);
	l = live_find(h, id);
	if (l) {
		kill_live(l, by, to);
		return;
	}
	e = new_errand(h, id, to);
	if (!e) {
		server_refuse(h, to, -ENOMEM, NULL, 0);
		return;
	}
	e->task.work = look_for_job;
	e->task.done = kill_looked;
	offload_run(h->io, &e->task);
}

/* ---- forget ---- */

static void
end_forget(struct errand *e, const char *reason)
{
	struct helper *h = e->helper;

	if (e->error < 0)
		server_refuse(h, e->to, e->error, reason, 0);
	else
		server_reply(h, e->to, NULL);
	if (e->error < 0 && e->error != -ENOENT && e->to.connection == 0 && !e->shed)
		expire_later(h, e->id);
	if (e->shed)
		weights_shed_one(h);
	free(e);
	expire_sweep(h);
	helper_check_leaving(h);
}

static void
forget(struct task *task)
{
	struct errand *e = task_owner(task, struct errand, task);

	uint64_t ended;

	if (!e->recorded || job_weight(e->spool, e->id, &e->bytes, &ended) < 0)
		e->bytes = 0;
	e->error = accept_forget(e->spool, e->id);
}

static void
forgotten(struct task *task)
{
	struct errand *e = task_owner(task, struct errand, task);

	if (e->error < 0)
		log_error("job %s cannot be forgotten: %s", e->id, strerror(-e->error));
	/* Applied even if it failed: the next start would only try the same again. */
	if (e->recorded)
		writer_applied(e->helper->writer, e->write.half);
	server_changed(e->helper, e->id);
	if (e->error >= 0) {
		weights_freed(e->helper, e->id, e->bytes);
		stats_forgot(e->helper);
	}
	end_forget(e, "it could not be deleted");
}

static void
begin_deletion(struct errand *e)
{
	e->task.work = forget;
	e->task.done = forgotten;
	offload_run(e->helper->io, &e->task);
}

static void
forget_recorded(struct write *write, int result)
{
	struct errand *e = task_owner(write, struct errand, write);

	if (result < 0) {
		helper_stop_accepting(e->helper, result, "the journal");
		e->error = result;
		end_forget(e, "it could not be recorded");
		return;
	}
	e->recorded = true;
	begin_deletion(e);
}

static void
record_forget(struct errand *e)
{
	struct redo_record record = { .type = REDO_FORGET, .text = "" };
	void *data = NULL;

	if (e->spool != e->helper->spool) {	/* transient: nobody wrote down that it is there */
		begin_deletion(e);
		return;
	}
	memcpy(record.id, e->id, sizeof record.id);
	e->error = redo_encode(&record, &data, &e->write.len);
	if (e->error < 0) {
		end_forget(e, "it could not be recorded");
		return;
	}
	e->write.data = data;
	e->write.deadline_mono_usec = USEC_INFINITY;
	e->write.done = forget_recorded;
	writer_add(e->helper->writer, &e->write);
}

static void
forget_looked(struct task *task)
{
	struct errand *e = task_owner(task, struct errand, task);
	struct live *l = live_find(e->helper, e->id);

	if (e->error < 0) {
		end_forget(e, e->error == -EBUSY ? "it has not finished" : "there is no such job");
	} else if (l) {
		/* Its verdict is there, its supervisor about to end: who read the one need not know of the other. */
		e->next = l->forgets;
		l->forgets = e;
	} else {
		record_forget(e);
	}
}

void
forget_go_on(struct errand *list)
{
	while (list) {
		struct errand *e = list;

		list = e->next;
		record_forget(e);
	}
}

void
forget_drop(struct errand *list)
{
	while (list) {
		struct errand *e = list;

		list = e->next;
		free(e);
	}
}

static void
begin_forget(struct helper *h, const char *id, struct reply_to to, bool shed)
{
	struct errand *e = new_errand(h, id, to);

	if (!e) {
		server_refuse(h, to, -ENOMEM, NULL, 0);
		if (shed)
			weights_shed_one(h);
		return;
	}
	e->shed = shed;
	e->task.work = look_for_job;
	e->task.done = forget_looked;
	offload_run(h->io, &e->task);
}

void
forget_job(struct helper *h, const char *id, struct reply_to to)
{
	begin_forget(h, id, to, false);
}

void
forget_shed(struct helper *h, const char *id)
{
	begin_forget(h, id, (struct reply_to){ 0, 0 }, true);
}

void
forget_request(struct helper *h, struct message *m, struct reply_to to)
{
	const char *id;

	if (json_get_string(m->body, "id", &id) < 0 || !id_valid(id))
		server_refuse(h, to, -EINVAL, "id is wrong", 0);
	else
		forget_job(h, id, to);
}
