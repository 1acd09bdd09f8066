#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "helper/fingerprint.h"
#include "helper/live.h"
#include "helper/secret.h"
#include "helper/stats.h"
#include "helper/submission.h"
#include "helper/submit.h"
#include "spool/accept.h"
#include "spool/index.h"
#include "spool/job.h"
#include "spool/redo.h"

enum {
	TICKET_SECONDS = 60,
	UNDER_WAY_MAX = 512,	/* submissions between request and answer */
	BACKLOG_MAX = 16 * 1024 * 1024,	/* bytes that wait for the journal */
	RETRY_SOON = 1,
	RETRY_QUEUE = 5,
	RETRY_DISK = 60,
};

/* Room for a body that is being read. A connection serves one request at a time and so has one at most: its next `may`
 * replaces it, and it goes with the connection. Whoever asks and then sends nothing keeps nobody else out. */
struct ticket {
	struct queue_owner *owner;
	char id[ID_SIZE];
	uint64_t connection;
	uint64_t bytes;
	uint64_t until_mono_usec;
	struct ticket *next;
};

struct submits {
	struct helper *helper;
	struct ticket *tickets;
	size_t n_tickets;
	uint64_t ticket_bytes;
	size_t under_way;
	uint64_t bytes_under_way;
	struct conditions_list conditions;
};

int
submits_new(struct helper *h, struct submits **ret)
{
	struct submits *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	s->helper = h;
	*ret = s;
	return 0;
}

struct submits *
submits_free(struct submits *s)
{
	while (s && s->tickets) {
		struct ticket *t = s->tickets;

		s->tickets = t->next;
		free(t);
	}
	free(s);
	return NULL;
}

size_t
submits_under_way(const struct submits *s)
{
	return s->under_way;
}

/* ---- may ---- */

static void
drop_ticket(struct submits *s, struct ticket **p)
{
	struct ticket *t = *p;

	*p = t->next;
	s->n_tickets--;
	s->ticket_bytes -= t->bytes;
	queue_came(t->owner);
	live_owner_put(s->helper, t->owner);
	free(t);
}

static void
drop_old_tickets(struct submits *s)
{
	uint64_t now = clock_mono();

	for (struct ticket **p = &s->tickets; *p;) {
		if ((*p)->until_mono_usec <= now)
			drop_ticket(s, p);
		else
			p = &(*p)->next;
	}
}

void
submits_disconnected(struct submits *s, uint64_t connection)
{
	for (struct ticket **p = &s->tickets; *p; p = &(*p)->next)
		if ((*p)->connection == connection) {
			drop_ticket(s, p);
			return;
		}
}

/* Uses a ticket up; whether it held room for this many bytes. */
static bool
use_ticket(struct submits *s, const char *id, uint64_t bytes)
{
	drop_old_tickets(s);
	for (struct ticket **p = &s->tickets; *p; p = &(*p)->next)
		if (strcmp((*p)->id, id) == 0) {
			bool enough = (*p)->bytes >= bytes;

			drop_ticket(s, p);
			return enough;
		}
	return false;
}

static struct refused
refused(int error, const char *reason, unsigned retry)
{
	return (struct refused){ error, reason, retry };
}

/* Whether another job of this owner may wait. */
static struct refused
admit_job(struct submits *s, const char *service, const struct queue_owner *owner)
{
	struct helper *h = s->helper;
	uint64_t owner_most = config_number(h->config, "helper", "owner_queued");
	uint64_t service_most = config_service_number(h->config, service, "queued_max");

	if (h->draining)
		return refused(-ESHUTDOWN, "not accepting", RETRY_DISK);
	if (owner_most > 0 && queue_owned(owner) >= owner_most)
		return refused(-EDQUOT, "too many jobs of this owner are waiting", RETRY_QUEUE);
	if (service_most > 0 && queue_service_owned(owner) >= service_most)
		return refused(-EAGAIN, REASON_SERVICE_FULL, RETRY_QUEUE);
	if (live_queued(h) + s->under_way + s->n_tickets >= config_number(h->config, "helper", "queue_max"))
		return refused(-EAGAIN, REASON_QUEUE_FULL, RETRY_QUEUE);
	return refused(0, NULL, 0);
}

/* Whether so many bytes may come in. */
static struct refused
admit_bytes(struct submits *s, uint64_t bytes)
{
	struct helper *h = s->helper;
	uint64_t most = config_number(h->config, "helper", "uploads_max");
	uint64_t room = 0, inodes = 0, coming = s->ticket_bytes + s->bytes_under_way;
	int r;

	if (h->stopped)
		return refused(-ESHUTDOWN, "a write failed, an administrator must look", RETRY_DISK);
	if (bytes > most)
		return refused(-EFBIG, "more than is ever taken", 0);
	if (s->under_way >= UNDER_WAY_MAX || coming > most || bytes > most - coming ||
	    writer_backlog_bytes(h->writer) > BACKLOG_MAX)
		return refused(-EAGAIN, REASON_TOO_MUCH, RETRY_SOON);
	r = spool_room(h->spool, &room, &inodes);
	if (r < 0 || room < config_number(h->config, "spool", "disk_reserve") + coming + bytes || inodes < 1000)
		return refused(-ENOSPC, "the disk is full", RETRY_DISK);
	return refused(0, NULL, 0);
}

void
submit_may(struct helper *h, struct message *m, struct reply_to to)
{
	struct submits *s = h->submits;
	const char *service, *owner;
	struct jsonw w = jsonw_new();
	json_object *body = NULL;
	struct queue_owner *held;
	struct refused not = refused(-ENOMEM, NULL, 0);
	struct ticket *t = NULL;
	uint64_t bytes;

	if (submission_owner(m->body, &service, &owner) < 0 || json_get_uint(m->body, "bytes", &bytes) < 0) {
		jsonw_done(&w);
		stats_refused(h, -EINVAL, NULL);
		server_refuse(h, to, -EINVAL, "service, owner or bytes is wrong", 0);
		return;
	}
	submits_disconnected(s, to.connection);
	drop_old_tickets(s);
	held = live_owner(h, owner);
	if (held)
		not = admit_bytes(s, bytes);
	if (held && not.error == 0)
		not = admit_job(s, service, held);
	if (not.error == 0 && !(t = calloc(1, sizeof *t)))
		not = refused(-ENOMEM, NULL, 0);
	if (!t) {
		jsonw_done(&w);
		live_owner_put(h, held);
		stats_refused(h, not.error, not.reason);
		server_refuse(h, to, not.error, not.reason, not.retry);
		return;
	}
	t->owner = held;
	queue_coming(held);
	id_new(t->id);
	t->connection = to.connection;
	t->bytes = bytes;
	t->until_mono_usec = clock_mono() + TICKET_SECONDS * USEC_PER_SEC;
	t->next = s->tickets;
	s->tickets = t;
	s->n_tickets++;
	s->ticket_bytes += bytes;
	jsonw_string(&w, "ticket", t->id);
	(void)jsonw_finish(&w, &body);
	jsonw_done(&w);
	server_reply(h, to, body);
}

/* ---- submit ---- */

/* The request is answered, one way or the other. */
static void
end_submission(struct submission *s)
{
	struct helper *h = s->helper;
	struct submits *all = h->submits;

	server_forget_cancel(h, s->to, &s->write.cancelled);
	conditions_leave(&all->conditions, &s->conditions);
	all->under_way--;
	queue_came(s->owner);
	all->bytes_under_way -= s->total_bytes;
	free_submission(&s);
	helper_check_leaving(h);
}

static void
refuse_submission(struct submission *s, int error, const char *reason)
{
	unsigned retry = error == -ENOSPC ? RETRY_DISK : error == -EAGAIN ? RETRY_SOON : 0;

	stats_refused(s->helper, error, reason);
	server_refuse(s->helper, s->to, error, reason, retry);
	end_submission(s);
}

static bool
is_transient(const struct submission *s)
{
	return s->spool != s->helper->spool;
}

/* The record, with the inputs in it unless they are flushed beside it. In a thread. */
static int
encode_record(struct submission *s, const char *text, size_t len)
{
	struct redo_blob blobs[MESSAGE_FDS_MAX];
	struct redo_record record = { .type = REDO_ACCEPT, .text = text, .text_len = len, .blobs = blobs,
		.n_blobs = s->job->n_inputs };
	scoped(free_ptr) char *data = NULL;
	size_t at = 0;
	void *encoded = NULL;
	int r;

	memcpy(record.id, s->job->id, sizeof record.id);
	if (!s->flush) {
		data = malloc((size_t)s->total_bytes + 1);
		if (!data)
			return -ENOMEM;
	}
	for (size_t i = 0; i < record.n_blobs; i++) {
		size_t size = (size_t)s->job->inputs[i].size;

		blobs[i] = (struct redo_blob){ .data = NULL, .len = size };
		if (s->flush)
			continue;
		if (pread_full(s->fds[i], data + at, size, 0) != (ssize_t)size)
			return -ESTALE;
		blobs[i].data = data + at;
		at += size;
	}
	r = redo_encode(&record, &encoded, &s->write.len);
	s->write.data = encoded;
	return r;
}

/* In a thread. 0: it may become a job; -EEXIST also where it is one already. */
static int
check_conditions(struct submission *s)
{
	int r;

	if (s->once_hash)
		submission_hash_once(s);
	r = s->conditions.n_claims > 0 ? conditions_check(s->spool, &s->conditions, s->job, &s->refusal, s->same_id) : 0;
	s->repeated = r == 1;
	s->failed_condition = r == -EEXIST || r == -ENOTUNIQ || r == -EDQUOT;
	if (r == 0 && s->refused.error < 0)
		r = s->refused.error;
	return r == 1 ? -EEXIST : r;
}

/* In a thread: incoming/<id> with everything in it, and the record. */
static void
build(struct task *task)
{
	struct submission *s = task_owner(task, struct submission, task);
	const struct spool *spool = s->spool;
	scoped(close_fd) int job_fd = -EBADF;
	scoped(close_fd) int in_fd = -EBADF;
	scoped(free_ptr) char *text = NULL;
	struct job *job = s->job;
	size_t len = 0;
	int r;

	r = incoming_begin(spool, job->id, &job_fd, &in_fd);
	if (r < 0) {
		s->result = r;
		return;
	}
	r = fingerprints_take(s->helper->fingerprints, job->argv[0], job->program_sha256);
	for (size_t i = 0; r >= 0 && i < job->n_inputs; i++)
		r = incoming_input(in_fd, spool->groups, s->fds[i], s->max_bytes[i], s->flush, &job->inputs[i]);
	if (r >= 0)
		r = check_conditions(s);
	if (r >= 0 && s->shares)
		r = submission_hash_work(job);
	if (r >= 0)
		r = job_format(job, &text, &len);
	if (r >= 0 && !is_transient(s))
		r = encode_record(s, text, len);
	if (r >= 0)
		r = incoming_finish(spool, job->id, job_fd, in_fd, text, len, s->flush);
	/* Before the record: what a crash leaves of a job that is none, the next start sweeps. */
	if (r >= 0 && job->secrets)
		r = secrets_store(s->helper->secrets_fd, job->id, s->secrets);
	if (r < 0)
		incoming_abort(spool, job->id);
	s->result = r < 0 ? r : 0;
}

static void
answer_id(struct submission *s, const char *id)
{
	struct jsonw w = jsonw_new();
	json_object *body = NULL;

	jsonw_string(&w, "id", id);
	if (s->repeated)
		jsonw_bool(&w, "repeated", true);
	(void)jsonw_finish(&w, &body);
	jsonw_done(&w);
	server_reply(s->helper, s->to, body);
}

static void
abort_incoming(struct task *task)
{
	struct submission *s = task_owner(task, struct submission, task);

	incoming_abort(s->spool, s->job->id);
	secrets_remove(s->helper->secrets_fd, s->job->id);
}

static void
aborted(struct task *task)
{
	struct submission *s = task_owner(task, struct submission, task);

	refuse_submission(s, s->result, s->reason);
}

/* Nothing is recorded: what is in incoming/ goes. */
static void
abort_submission(struct submission *s, int error, const char *reason)
{
	s->result = error;
	s->reason = reason;
	s->task.work = abort_incoming;
	s->task.done = aborted;
	offload_run(s->helper->io, &s->task);
}

static void
unaccepted(struct write *write, int result)
{
	struct submission *s = task_owner(write, struct submission, write);

	if (result == 0)
		writer_applied(s->helper->writer, write->half);
	else
		helper_stop_accepting(s->helper, result, "the journal");
	refuse_submission(s, s->result, s->reason);
}

/* Recorded, but it cannot be put in its place (a full disk): a second record takes it back before anybody is told. */
static void
take_back(struct submission *s)
{
	struct redo_record record = { .type = REDO_FORGET, .text = "" };
	void *data = NULL;
	int r;

	log_error("job %s cannot be published: %s", s->job->id, strerror(-s->result));
	writer_applied(s->helper->writer, s->write.half);
	memcpy(record.id, s->job->id, sizeof record.id);
	r = redo_encode(&record, &data, &s->write.len);
	if (r < 0) {
		refuse_submission(s, r, NULL);
		return;
	}
	s->write.data = data;
	s->write.deadline_mono_usec = USEC_INFINITY;
	s->reason = s->result == -ENOSPC ? "the disk is full" : "the spool cannot be written";
	server_forget_cancel(s->helper, s->to, &s->write.cancelled);
	atomic_store(&s->write.cancelled, false);
	s->write.done = unaccepted;
	writer_add(s->helper->writer, &s->write);
}

static void
publish(struct task *task)
{
	struct submission *s = task_owner(task, struct submission, task);

	s->result = accept_publish(s->spool, s->job);
	if (s->result < 0) {
		(void)accept_forget(s->spool, s->job->id);
		incoming_abort(s->spool, s->job->id);
		secrets_remove(s->helper->secrets_fd, s->job->id);
	}
}

static void
published(struct task *task)
{
	struct submission *s = task_owner(task, struct submission, task);
	struct helper *h = s->helper;
	struct live *l;

	if (s->result < 0 && is_transient(s)) {
		refuse_submission(s, s->result, "there is no room in memory");
		return;
	}
	if (s->result < 0) {
		take_back(s);
		return;
	}
	if (!is_transient(s))
		writer_applied(h->writer, s->write.half);
	answer_id(s, s->job->id);
	/* Out of memory here: it is accepted and will be found in active/ at the next start. */
	l = live_add(h, s->spool, s->job->id, s->job->accepted_usec);
	if (l && live_learn(l, s->job, false) == 0)
		live_enqueue(l);
	else
		log_error("job %s waits for a restart: no memory", s->job->id);
	log_info("job %s accepted: %s for %s", s->job->id, s->job->tool, s->job->owner);
	stats_accepted(h, s->job->service);
	end_submission(s);
}

static void
recorded(struct write *write, int result)
{
	struct submission *s = task_owner(write, struct submission, write);

	if (result == -ETIMEDOUT || result == -ECANCELED) {
		abort_submission(s, -ETIMEDOUT, "it could not be recorded in time");
		return;
	}
	if (result < 0) {
		/* Perhaps the record is there all the same. Its inputs may lie in incoming/ alone, so that stays as it is: the next
		 * start accepts it or sweeps it, and `resume`, which makes a new journal, sweeps it. */
		helper_stop_accepting(s->helper, result, "the journal");
		refuse_submission(s, result, "it could not be recorded");
		return;
	}
	s->task.work = publish;
	s->task.done = published;
	offload_run(s->helper->io, &s->task);
}

/* Without a record: whoever gave up by now gets nothing. */
static void
publish_transient(struct submission *s)
{
	if (atomic_load(&s->write.cancelled) || clock_mono() > s->write.deadline_mono_usec) {
		abort_submission(s, -ETIMEDOUT, "it could not be accepted in time");
		return;
	}
	s->task.work = publish;
	s->task.done = published;
	offload_run(s->helper->io, &s->task);
}

static void
built(struct task *task)
{
	struct submission *s = task_owner(task, struct submission, task);

	if (s->repeated) {
		log_info("job %s was asked for again", s->same_id);
		answer_id(s, s->same_id);
		end_submission(s);
		return;
	}
	if (s->failed_condition) {
		stats_refused(s->helper, s->result, NULL);
		server_refuse_member(s->helper, s->to, s->result, s->refusal.why, s->refusal.member);
		end_submission(s);
		return;
	}
	if (s->refused.error < 0) {
		stats_refused(s->helper, s->refused.error, s->refused.reason);
		server_refuse(s->helper, s->to, s->refused.error, s->refused.reason, s->refused.retry);
		end_submission(s);
		return;
	}
	if (s->result < 0) {
		const char *reason = s->result == -ENOSPC || s->result == -EDQUOT ? "the disk is full" :
		    s->result == -E2BIG ? "the note is too large" : "the inputs could not be taken";

		/* A descriptor that cannot be read, or changes its size, is the asker's fault. */
		if (s->result == -EBADF || s->result == -ESTALE || s->result == -E2BIG)
			s->result = -EINVAL;
		if (s->result == -EDQUOT)
			s->result = -ENOSPC;
		refuse_submission(s, s->result, reason);
		return;
	}
	if (is_transient(s)) {
		publish_transient(s);
		return;
	}
	s->write.done = recorded;
	writer_add(s->helper->writer, &s->write);
}

/* Its inputs are copied and hashed, whatever becomes of it. */
static void
begin_build(struct conditions *c)
{
	struct submission *s = task_owner(c, struct submission, conditions);

	s->task.work = build;
	s->task.done = built;
	offload_run(s->flush ? s->helper->bulk : s->helper->io, &s->task);
}

void
submit_request(struct helper *h, struct message *m, struct reply_to to)
{
	struct submits *all = h->submits;
	scoped(free_submission) struct submission *s = NULL;
	const char *ticket = "";
	struct refused not;
	int r = submission_new(h, m, to, &s);

	if (r < 0) {
		stats_refused(h, r, NULL);
		server_refuse_member(h, to, r, s ? s->reason : NULL, s ? s->refusal.member : "");
		return;
	}
	(void)json_get_string(m->body, "ticket", &ticket);
	if (!use_ticket(all, ticket, s->total_bytes) || h->stopped) {
		not = admit_bytes(all, s->total_bytes);
		if (not.error == 0)
			s->refused = not = admit_job(all, s->job->service, s->owner);
		/* One that is there already needs no room: whether it is will be known when its inputs are. */
		if (not.error < 0 && !(s->refused.error < 0 && s->job->once[0])) {
			stats_refused(h, not.error, not.reason);
			server_refuse(h, to, not.error, not.reason, not.retry);
			return;
		}
	}
	all->under_way++;
	queue_coming(s->owner);
	all->bytes_under_way += s->total_bytes;
	server_cancel_on_close(h, to, &s->write.cancelled);
	s->conditions.go = begin_build;
	conditions_enter(&all->conditions, &take_ptr(s)->conditions);
}
