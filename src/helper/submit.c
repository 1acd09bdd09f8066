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
#include "helper/submit.h"
#include "spool/accept.h"
#include "spool/index.h"
#include "spool/job.h"
#include "spool/redo.h"

enum {
	TICKET_SECONDS = 60,
	UNDER_WAY_MAX = 512,	/* submissions between request and answer */
	BACKLOG_MAX = 16 * 1024 * 1024,	/* bytes that wait for the journal */
	DEADLINE_MAX_SECONDS = 60,
	MEMORY_FILE_MAX = 1024 * 1024,	/* above it an input may come as an unlinked file */
	OWNER_MAX = 512,
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
};

struct submission {
	struct task task;
	struct write write;
	struct helper *helper;
	struct queue_owner *owner;
	struct reply_to to;
	struct job *job;
	int fds[MESSAGE_FDS_MAX];
	uint64_t max_bytes[MESSAGE_FDS_MAX];
	uint64_t total_bytes;
	bool flush;	/* the inputs are too large for the journal */
	bool publishing;
	const char *reason;	/* a constant, or refusal.why; for a refusal */
	struct tool_refusal refusal;	/* its member is filled in where one is at fault */
	int result;
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

/* Whether a job of this owner with so many bytes may come in now: 0, or why not. */
static int
admit(struct submits *s, const char *service, const struct queue_owner *owner, uint64_t bytes, const char **ret_reason, unsigned *ret_retry)
{
	struct helper *h = s->helper;
	uint64_t most = config_number(h->config, "helper", "uploads_max");
	uint64_t owner_most = config_number(h->config, "helper", "owner_queued");
	uint64_t service_most = config_service_number(h->config, service, "queued_max");
	uint64_t room = 0, inodes = 0, coming = s->ticket_bytes + s->bytes_under_way;
	int r;

	*ret_retry = RETRY_SOON;
	if (h->draining || h->stopped) {
		*ret_reason = h->stopped ? "a write failed, an administrator must look" : "not accepting";
		*ret_retry = RETRY_DISK;
		return -ESHUTDOWN;
	}
	if (bytes > most) {
		*ret_reason = "more than is ever taken";
		return -EFBIG;
	}
	if (owner_most > 0 && queue_owned(owner) >= owner_most) {
		*ret_reason = "too many jobs of this owner are waiting";
		*ret_retry = RETRY_QUEUE;
		return -EDQUOT;
	}
	if (service_most > 0 && queue_service_owned(owner) >= service_most) {
		*ret_reason = "too many jobs of this service are waiting";
		*ret_retry = RETRY_QUEUE;
		return -EAGAIN;
	}
	if (live_queued(h) + s->under_way + s->n_tickets >= config_number(h->config, "helper", "queue_max")) {
		*ret_reason = "the queue is full";
		*ret_retry = RETRY_QUEUE;
		return -EAGAIN;
	}
	if (s->under_way >= UNDER_WAY_MAX || coming > most || bytes > most - coming ||
	    writer_backlog_bytes(h->writer) > BACKLOG_MAX) {
		*ret_reason = "too much is coming in at once";
		return -EAGAIN;
	}
	r = spool_room(h->spool, &room, &inodes);
	if (r < 0 || room < config_number(h->config, "spool", "disk_reserve") + coming + bytes || inodes < 1000) {
		*ret_reason = "the disk is full";
		*ret_retry = RETRY_DISK;
		return -ENOSPC;
	}
	return 0;
}

/* Service and owner of a request. */
static int
get_owner(json_object *body, const char **ret_service, const char **ret_owner)
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

void
submit_may(struct helper *h, struct message *m, struct reply_to to)
{
	struct submits *s = h->submits;
	const char *service, *owner, *reason = NULL;
	struct jsonw w = jsonw_new();
	json_object *body = NULL;
	struct queue_owner *held;
	struct ticket *t = NULL;
	uint64_t bytes;
	unsigned retry = 0;
	int r;

	if (get_owner(m->body, &service, &owner) < 0 || json_get_uint(m->body, "bytes", &bytes) < 0) {
		jsonw_done(&w);
		server_refuse(h, to, -EINVAL, "service, owner or bytes is wrong", 0);
		return;
	}
	submits_disconnected(s, to.connection);
	drop_old_tickets(s);
	held = live_owner(h, owner);
	r = held ? admit(s, service, held, bytes, &reason, &retry) : -ENOMEM;
	t = r < 0 ? NULL : calloc(1, sizeof *t);
	if (!t) {
		jsonw_done(&w);
		live_owner_put(h, held);
		server_refuse(h, to, r < 0 ? r : -ENOMEM, reason, retry);
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

static void
free_submission(struct submission **p)
{
	struct submission *s = *p;

	if (!s)
		return;
	for (size_t i = 0; i < MESSAGE_FDS_MAX; i++)
		close_fd(&s->fds[i]);
	if (s->owner)
		live_owner_put(s->helper, s->owner);
	(void)job_free(s->job);
	free(s->write.data);
	free(s);
	*p = NULL;
}

/* The request is answered, one way or the other. */
static void
end_submission(struct submission *s)
{
	struct helper *h = s->helper;
	struct submits *all = h->submits;

	server_forget_cancel(h, s->to, &s->write.cancelled);
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

	server_refuse(s->helper, s->to, error, reason, retry);
	end_submission(s);
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
	s->flush = s->total_bytes > REDO_INPUT_MAX;
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
	if (get_owner(m->body, &service, &owner) < 0 || json_get_string(m->body, "tool", &tool_name) < 0)
		return -EINVAL;
	tool = tools_find(h->tools, tool_name);
	if (!tool) {
		s->reason = "there is no such tool";
		(void)snprintf(s->refusal.member, sizeof s->refusal.member, "/tool");
		return -EINVAL;
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
	r = tool_build_env(tool, params, &job->env);
	if (r < 0)
		return r;
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
	job->twice = tool->twice;
	return job->service && job->tool && job->owner && !job->live == !tool->live &&
	    !job->tool_version == !tool->version ? 0 : -ENOMEM;
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

/* In a thread: incoming/<id> with everything in it, and the record. */
static void
build(struct task *task)
{
	struct submission *s = task_owner(task, struct submission, task);
	const struct spool *spool = s->helper->spool;
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
		r = job_format(job, &text, &len);
	if (r >= 0)
		r = encode_record(s, text, len);
	if (r >= 0)
		r = incoming_finish(spool, job->id, job_fd, in_fd, text, len, s->flush);
	if (r < 0)
		incoming_abort(spool, job->id);
	s->result = r < 0 ? r : 0;
}

static void
abort_incoming(struct task *task)
{
	struct submission *s = task_owner(task, struct submission, task);

	incoming_abort(s->helper->spool, s->job->id);
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

	s->result = accept_publish(s->helper->spool, s->job);
	if (s->result < 0) {
		(void)accept_forget(s->helper->spool, s->job->id);
		incoming_abort(s->helper->spool, s->job->id);
	}
}

static void
published(struct task *task)
{
	struct submission *s = task_owner(task, struct submission, task);
	struct helper *h = s->helper;
	struct jsonw w;
	struct live *l;
	json_object *body = NULL;

	if (s->result < 0) {
		take_back(s);
		return;
	}
	writer_applied(h->writer, s->write.half);
	w = jsonw_new();
	jsonw_string(&w, "id", s->job->id);
	(void)jsonw_finish(&w, &body);
	jsonw_done(&w);
	server_reply(h, s->to, body);
	/* Out of memory here: it is accepted and will be found in active/ at the next start. */
	l = live_add(h, s->job->id, s->job->accepted_usec);
	if (l && live_set_owner(l, s->job->owner) == 0)
		live_enqueue(l);
	else
		log_error("job %s waits for a restart: no memory", s->job->id);
	log_info("job %s accepted: %s for %s", s->job->id, s->job->tool, s->job->owner);
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

static void
built(struct task *task)
{
	struct submission *s = task_owner(task, struct submission, task);

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
	s->write.done = recorded;
	writer_add(s->helper->writer, &s->write);
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

void
submit_request(struct helper *h, struct message *m, struct reply_to to)
{
	struct submits *all = h->submits;
	scoped(free_submission) struct submission *s = calloc(1, sizeof *s);
	const char *ticket = "", *reason = NULL;
	unsigned retry = 0;
	int r = -ENOMEM;

	if (s) {
		for (size_t i = 0; i < MESSAGE_FDS_MAX; i++)
			s->fds[i] = -EBADF;
		s->helper = h;
		s->to = to;
		s->job = job_new();
		r = s->job ? check_deadline(s, m->body) : -ENOMEM;
		s->reason = "deadline is missing";
	}
	if (r == 0)
		r = parse_submission(s, m);
	if (r < 0) {
		server_refuse_member(h, to, r, s ? s->reason : NULL, s ? s->refusal.member : "");
		return;
	}
	s->owner = live_owner(h, s->job->owner);
	if (!s->owner) {
		server_refuse(h, to, -ENOMEM, NULL, 0);
		return;
	}
	(void)json_get_string(m->body, "ticket", &ticket);
	if (!use_ticket(all, ticket, s->total_bytes) || h->stopped) {
		r = admit(all, s->job->service, s->owner, s->total_bytes, &reason, &retry);
		if (r < 0) {
			server_refuse(h, to, r, reason, retry);
			return;
		}
	}
	all->under_way++;
	queue_coming(s->owner);
	all->bytes_under_way += s->total_bytes;
	server_cancel_on_close(h, to, &s->write.cancelled);
	s->task.work = build;
	s->task.done = built;
	offload_run(s->flush ? h->bulk : h->io, &s->task);
	(void)take_ptr(s);
}
