#include "config.h"

#include <poll.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "proto/client.h"
#include "proto/message.h"

enum {
	ANSWER_MSEC = 30 * 1000,	/* a submission's own deadline comes first */
	SOON_MSEC = 1000,	/* for what its asker can do without */
	REASON_MAX = 256,
	HELLO_TRIES = 3,
};

struct client {
	char *path;
	char *program;
	int fd;
	int64_t number;	/* of the last request on this connection */
	unsigned answer_msec;	/* how long an answer may take */
	unsigned retry_after;
	char reason[REASON_MAX];
	char member[REASON_MAX];
};

int
client_new(const char *socket_path, const char *program, struct client **ret)
{
	scoped(free_client) struct client *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->fd = -EBADF;
	c->answer_msec = ANSWER_MSEC;
	c->path = strdup(socket_path);
	c->program = strdup(program);
	if (!c->path || !c->program)
		return -ENOMEM;
	*ret = take_ptr(c);
	return 0;
}

struct client *
client_free(struct client *c)
{
	if (!c)
		return NULL;
	close_fd(&c->fd);
	free(c->path);
	free(c->program);
	free(c);
	return NULL;
}

unsigned
client_retry_after(const struct client *c)
{
	return c->retry_after;
}

const char *
client_reason(const struct client *c)
{
	return c->reason;
}

const char *
client_member(const struct client *c)
{
	return c->member;
}

int
client_fd(const struct client *c)
{
	return c->fd;
}

static void
take_text(char ret[REASON_MAX], const char *text)
{
	size_t len = strnlen(text, REASON_MAX - 1);

	/* Cut between two characters. */
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	memcpy(ret, text, len);
	ret[len] = '\0';
}

/* What a refusal says: a negative errno. */
static int
take_refusal(struct client *c, json_object *answer)
{
	const char *text;
	int64_t number;
	uint64_t seconds;

	if (json_get_string(answer, "reason", &text) == 0)
		take_text(c->reason, text);
	if (json_get_string(answer, "member", &text) == 0)
		take_text(c->member, text);
	if (json_get_uint(answer, "retry_after", &seconds) == 0 && seconds < 86400)
		c->retry_after = (unsigned)seconds;
	if (json_get_int(answer, "errno", &number) < 0 || number <= 0 || number > 4095)
		return -EPROTO;
	return (int)-number;
}

/* Sends one request on an open connection and waits for its answer. *ret_usable: the connection is as good as before, an error
 * is the helper's word or came before anything was sent. */
static int
exchange(struct client *c, json_object *request, const int *fds, size_t n_fds, json_object **ret, bool *ret_usable)
{
	uint64_t end = clock_mono() + c->answer_msec * USEC_PER_MSEC;
	int64_t number = ++c->number;
	int r;

	*ret_usable = false;
	json_object_object_del(request, "n");
	if (json_object_object_add(request, "n", json_object_new_int64(number)) < 0)
		return -ENOMEM;
	r = message_send(c->fd, request, fds, n_fds);
	if (r < 0) {
		*ret_usable = r == -EMSGSIZE || r == -EBADMSG || r == -ENOMEM || r == -EBADF;
		return r == -EAGAIN ? -ETIMEDOUT : r;
	}
	for (;;) {
		scoped(message_done) struct message m = MESSAGE_INIT;
		uint64_t now = clock_mono();
		int64_t answered;
		bool ok;

		r = now >= end ? -ETIMEDOUT : message_receive(c->fd, &m, (int)((end - now) / USEC_PER_MSEC) + 1);
		if (r == 0)
			return -ECONNRESET;
		if (r < 0)
			return r == -EBADMSG || r == -EMSGSIZE ? -EPROTO : r;
		if (json_get_int(m.body, "n", &answered) < 0 || answered != number)
			continue;	/* an event, or the late answer to a request that was given up */
		if (json_get_bool(m.body, "ok", &ok) < 0)
			return -EPROTO;
		r = ok ? 0 : take_refusal(c, m.body);
		*ret_usable = r != -EPROTO;
		if (r < 0)
			return r;
		if (ret)
			*ret = take_ptr(m.body);
		return 0;
	}
}

static int
format_hello(const struct client *c, json_object **ret)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *versions = json_object_new_array();

	if (versions)
		json_object_array_add(versions, json_object_new_int(PROTO_VERSION));
	jsonw_string(&w, "op", "hello");
	jsonw_string(&w, "program", c->program);
	jsonw_add(&w, "versions", versions);
	return jsonw_finish(&w, ret);
}

static int
ensure_connected(struct client *c)
{
	scoped(put_json) json_object *hello = NULL;
	bool usable;
	int r;

	if (c->fd >= 0)
		return 0;
	r = format_hello(c, &hello);
	if (r < 0)
		return r;
	/* A helper that executes itself anew closes whom it has just taken. Nothing but hello was said: once more. */
	for (int attempt = 0; attempt < HELLO_TRIES; attempt++) {
		c->fd = message_connect(c->path, false);
		if (c->fd < 0)
			return c->fd == -EAGAIN ? -ETIMEDOUT : c->fd;
		c->number = 0;
		r = exchange(c, hello, NULL, 0, NULL, &usable);
		if (r < 0)
			close_fd(&c->fd);
		if (r != -ECONNRESET && r != -EPIPE)
			break;
	}
	return r;
}

/* One call. An idle connection that the helper's restart has closed is opened anew, once, where nothing can have been done. */
static int
call(struct client *c, json_object *request, const int *fds, size_t n_fds, json_object **ret)
{
	bool was_open = c->fd >= 0;
	int r;

	c->retry_after = 0;
	c->reason[0] = '\0';
	c->member[0] = '\0';
	for (int attempt = 0;; attempt++) {
		scoped(put_json) json_object *answer = NULL;
		bool usable;

		r = ensure_connected(c);
		if (r < 0)
			return r;
		r = exchange(c, request, fds, n_fds, &answer, &usable);
		if (r == 0 && ret)
			*ret = take_ptr(answer);
		if (usable)
			return r;
		close_fd(&c->fd);
		/* EPIPE: the packet did not reach anybody. */
		if (r != -EPIPE || !was_open || attempt > 0)
			return r;
	}
}

int
client_may(struct client *c, const char *service, const char *owner, uint64_t bytes, char ret_ticket[ID_SIZE])
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *request = NULL;
	scoped(put_json) json_object *answer = NULL;
	const char *ticket;
	int r;

	if (bytes > INT64_MAX)
		return -EFBIG;
	jsonw_string(&w, "op", "may");
	jsonw_string(&w, "service", service);
	jsonw_string(&w, "owner", owner);
	jsonw_int(&w, "bytes", (int64_t)bytes);
	r = jsonw_finish(&w, &request);
	if (r == 0)
		r = call(c, request, NULL, 0, &answer);
	if (r < 0)
		return r;
	if (json_get_string(answer, "ticket", &ticket) < 0 || !id_valid(ticket))
		return -EPROTO;
	memcpy(ret_ticket, ticket, ID_SIZE);
	return 0;
}

static json_object *
inputs_format(const struct submission *s)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; array && i < s->n_inputs; i++) {
		struct jsonw w = jsonw_new();
		json_object *item = NULL;

		jsonw_string(&w, "name", s->inputs[i].name);
		jsonw_int(&w, "size", (int64_t)s->inputs[i].size);
		if (jsonw_finish(&w, &item) < 0 || json_object_array_add(array, item) < 0) {
			json_object_put(item);
			json_object_put(array);
			array = NULL;
		}
		jsonw_done(&w);
	}
	return array;
}

static void
add_conditions(struct jsonw *w, const struct submission *s)
{
	if (s->once)
		jsonw_string(w, "once", s->once);
	if (s->callback)
		jsonw_string(w, "callback", s->callback);
	if (s->key)
		jsonw_string(w, "key", s->key);
	if (s->key && s->key_replaces)
		jsonw_bool(w, "key_replaces", true);
	if (s->serial)
		jsonw_string(w, "serial", s->serial);
	if (s->kept_owner > 0)
		jsonw_int(w, "kept_owner", (int64_t)s->kept_owner);
	if (s->kept_service > 0)
		jsonw_int(w, "kept_service", (int64_t)s->kept_service);
}

int
client_submit(struct client *c, const struct submission *s, char ret_id[ID_SIZE])
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *request = NULL;
	scoped(put_json) json_object *answer = NULL;
	uint64_t deadline = s->deadline_mono_usec ? s->deadline_mono_usec : clock_mono() + 10 * USEC_PER_SEC;
	int fds[MESSAGE_FDS_MAX];
	const char *id;
	bool repeated = false;
	int r;

	if (s->n_inputs > MESSAGE_FDS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < s->n_inputs; i++)
		fds[i] = s->inputs[i].fd;
	jsonw_string(&w, "op", "submit");
	jsonw_string(&w, "service", s->service);
	jsonw_string(&w, "tool", s->tool);
	jsonw_string(&w, "owner", s->owner);
	if (s->ticket && s->ticket[0])
		jsonw_string(&w, "ticket", s->ticket);
	jsonw_int(&w, "deadline", (int64_t)deadline);
	add_conditions(&w, s);
	if (s->params)
		jsonw_add(&w, "params", json_object_get(s->params));
	if (s->note)
		jsonw_add(&w, "note", json_object_get(s->note));
	jsonw_add(&w, "inputs", inputs_format(s));
	r = jsonw_finish(&w, &request);
	if (r == 0)
		r = call(c, request, fds, s->n_inputs, &answer);
	if (r < 0)
		return r;
	if (json_get_string(answer, "id", &id) < 0 || !id_valid(id))
		return -EPROTO;
	memcpy(ret_id, id, ID_SIZE);
	return json_get_bool(answer, "repeated", &repeated) == 0 && repeated;
}

int
client_tools(struct client *c, const char *after, json_object **ret, bool *ret_more)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *request = NULL;
	scoped(put_json) json_object *answer = NULL;
	json_object *list = NULL;
	bool more;
	int r;

	jsonw_string(&w, "op", "tools");
	jsonw_string(&w, "after", after);
	r = jsonw_finish(&w, &request);
	if (r == 0)
		r = call(c, request, NULL, 0, &answer);
	if (r < 0)
		return r;
	if (json_get_array(answer, "tools", &list) < 0 || json_get_bool(answer, "more", &more) < 0)
		return -EPROTO;
	*ret = json_object_get(list);
	*ret_more = more;
	return 0;
}

/* A request that names one job. */
static int
call_job(struct client *c, const char *op, const char *id, const char *by, json_object **ret)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *request = NULL;
	int r;

	jsonw_string(&w, "op", op);
	jsonw_string(&w, "id", id);
	if (by)
		jsonw_string(&w, "by", by);
	r = jsonw_finish(&w, &request);
	return r < 0 ? r : call(c, request, NULL, 0, ret);
}

int
client_kill(struct client *c, const char *id, const char *by)
{
	scoped(put_json) json_object *answer = NULL;
	bool finished;
	int r = call_job(c, "kill", id, by, &answer);

	if (r < 0)
		return r;
	if (json_get_bool(answer, "finished", &finished) < 0)
		return -EPROTO;
	return finished ? 1 : 0;
}

int
client_pack(struct client *c, const char *id, char ret_name[SHA256_HEX_SIZE])
{
	scoped(put_json) json_object *answer = NULL;
	const char *name;
	bool ready;
	int r = call_job(c, "pack", id, NULL, &answer);

	if (r < 0)
		return r;
	if (json_get_string(answer, "name", &name) < 0 || strlen(name) != SHA256_HEX_SIZE - 1 || json_get_bool(answer, "ready", &ready) < 0)
		return -EPROTO;
	memcpy(ret_name, name, SHA256_HEX_SIZE);
	return ready ? 1 : 0;
}

int
client_forget(struct client *c, const char *id)
{
	return call_job(c, "forget", id, NULL, NULL);
}

int
client_prune(struct client *c, const char *id)
{
	return call_job(c, "prune", id, NULL, NULL);
}

int
client_amend(struct client *c, const char *id, json_object *note)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *request = NULL;
	int r;

	jsonw_string(&w, "op", "amend");
	jsonw_string(&w, "id", id);
	jsonw_add(&w, "note", json_object_get(note));
	r = jsonw_finish(&w, &request);
	return r < 0 ? r : call(c, request, NULL, 0, NULL);
}

int
client_request(struct client *c, json_object *request, json_object **ret_reply)
{
	return call(c, request, NULL, 0, ret_reply);
}

int
client_command(struct client *c, const char *op, json_object **ret_reply)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *request = NULL;
	int r;

	jsonw_string(&w, "op", op);
	r = jsonw_finish(&w, &request);
	return r < 0 ? r : call(c, request, NULL, 0, ret_reply);
}

int
client_queue(struct client *c, struct queue_summary *ret)
{
	scoped(put_json) json_object *answer = NULL;
	struct queue_summary q = { 0 };
	bool accepting = false;
	int r = client_command(c, "queue", &answer);

	if (r < 0)
		return r;
	if (json_get_uint(answer, "queued", &q.queued) < 0 || json_get_uint(answer, "running", &q.running) < 0 ||
	    json_get_uint(answer, "slots", &q.slots) < 0 || json_get_uint(answer, "queue_max", &q.queue_max) < 0 ||
	    json_get_bool(answer, "accepting", &accepting) < 0)
		return -EPROTO;
	q.accepting = accepting;
	*ret = q;
	return 0;
}

static json_object *
format_ids(const char *const *ids, size_t n)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; array && i < n; i++)
		if (json_object_array_add(array, json_object_new_string(ids[i])) < 0) {
			json_object_put(array);
			array = NULL;
		}
	return array;
}

int
client_positions(struct client *c, const char *const *ids, size_t n, uint64_t *ret)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *request = NULL, *answer = NULL;
	json_object *list = NULL;
	int r;

	jsonw_string(&w, "op", "position");
	jsonw_add(&w, "ids", format_ids(ids, n));
	r = jsonw_finish(&w, &request);
	c->answer_msec = SOON_MSEC;
	if (r == 0)
		r = call(c, request, NULL, 0, &answer);
	c->answer_msec = ANSWER_MSEC;
	if (r < 0)
		return r;
	if (json_get_array(answer, "positions", &list) < 0 || json_object_array_length(list) != n)
		return -EPROTO;
	for (size_t i = 0; i < n; i++)
		ret[i] = json_object_get_uint64(json_object_array_get_idx(list, i));
	return 0;
}

int
client_stats(struct client *c, json_object **ret)
{
	int r;

	c->answer_msec = SOON_MSEC;
	r = client_command(c, "stats", ret);
	c->answer_msec = ANSWER_MSEC;
	return r;
}

/* Sends a request whose answer client_event() will meet. Never waits: a peer that does not read has lost us. */
static int
send_only(struct client *c, json_object *request)
{
	int r = 0;

	if (json_object_object_add(request, "n", json_object_new_int64(++c->number)) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = message_send(c->fd, request, NULL, 0);
	if (r < 0)
		close_fd(&c->fd);
	return r;
}

static int
ensure_subscribing(struct client *c)
{
	scoped(put_json) json_object *hello = NULL;
	int r;

	if (c->fd >= 0)
		return 0;
	r = format_hello(c, &hello);
	if (r < 0)
		return r;
	c->fd = message_connect(c->path, true);
	if (c->fd < 0)
		return c->fd;
	c->number = 0;
	return send_only(c, hello);
}

static int
call_ids(struct client *c, const char *op, const char *const *ids, size_t n)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *request = NULL;
	int r;

	jsonw_string(&w, "op", op);
	jsonw_add(&w, "ids", format_ids(ids, n));
	r = jsonw_finish(&w, &request);
	if (r == 0)
		r = ensure_subscribing(c);
	return r < 0 ? r : send_only(c, request);
}

int
client_watch(struct client *c, const char *const *ids, size_t n)
{
	return call_ids(c, "watch", ids, n);
}

int
client_unwatch(struct client *c, const char *const *ids, size_t n)
{
	return call_ids(c, "unwatch", ids, n);
}

int
client_event(struct client *c, char ret_id[ID_SIZE])
{
	for (;;) {
		scoped(message_done) struct message m = MESSAGE_INIT;
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		const char *event, *id;
		bool ok;
		int r;

		if (c->fd < 0)
			return -ENOTCONN;
		if (poll(&p, 1, 0) <= 0)
			return 0;
		r = message_receive(c->fd, &m, 0);
		if (r == -EAGAIN)
			return 0;
		if (r <= 0) {
			close_fd(&c->fd);
			return r < 0 ? r : -ECONNRESET;
		}
		if (json_get_bool(m.body, "ok", &ok) == 0 && !ok) {	/* what it does not tell us about we must not wait for */
			close_fd(&c->fd);
			return take_refusal(c, m.body);
		}
		if (json_get_string(m.body, "event", &event) < 0)
			continue;
		if (strcmp(event, "resync") == 0) {
			ret_id[0] = '\0';
			return 1;
		}
		if (strcmp(event, "changed") == 0 && json_get_string(m.body, "id", &id) == 0 && id_valid(id)) {
			memcpy(ret_id, id, ID_SIZE);
			return 1;
		}
	}
}
