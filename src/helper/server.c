#include "config.h"

#include <assert.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/id.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "helper/cull.h"
#include "helper/expire.h"
#include "helper/kill.h"
#include "helper/live.h"
#include "helper/meta.h"
#include "helper/pack.h"
#include "helper/resume.h"
#include "helper/server.h"
#include "helper/stats.h"
#include "helper/submit.h"
#include "helper/top.h"
#include "helper/weight.h"
#include "proto/client.h"

enum {
	CONNECTIONS_MAX = 1024,
	LISTENER_PAUSE_MSEC = 100,
	CANCELS_MAX = 64,	/* submissions under way of one connection */
	TOOLS_PAGE_BYTES = 128 * 1024,	/* of one answer about tools, which is one packet */
};

enum door { DOOR_GATE = 1, DOOR_ADMIN = 2 };

struct connection {
	struct server *server;
	int fd;
	enum door door;
	sd_event_source *source;
	uint64_t serial;
	bool greeted;
	bool read;	/* to its end, while we leave; answers still go out */
	bool resync;	/* an event was dropped: the peer must look at everything again */
	char (*watches)[ID_SIZE];	/* sorted */
	size_t n_watches;
	atomic_bool *cancels[CANCELS_MAX];
	struct connection *next;
};

struct listener {
	struct server *server;
	int fd;
	enum door door;
	sd_event_source *source;
	sd_event_source *pause;	/* while there is no descriptor for another connection */
};

struct server {
	struct helper *helper;
	struct listener listeners[2];
	struct connection *connections;
	size_t n_connections;
	uint64_t last_serial;
};

static struct connection *
find_connection(struct helper *h, uint64_t serial)
{
	struct connection *c = h->server ? h->server->connections : NULL;

	while (c && c->serial != serial)
		c = c->next;
	return c;
}

static void
drop_connection(struct connection *c)
{
	struct server *s = c->server;
	struct connection **p = &s->connections;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	s->n_connections--;
	if (s->helper->submits)
		submits_disconnected(s->helper->submits, c->serial);
	for (size_t i = 0; i < CANCELS_MAX; i++)
		if (c->cancels[i])
			atomic_store(c->cancels[i], true);
	(void)sd_event_source_disable_unref(c->source);
	close_fd(&c->fd);
	free(c->watches);
	free(c);
}

static void
send_answer(struct helper *h, struct reply_to to, json_object *body, bool ok)
{
	struct connection *c = find_connection(h, to.connection);
	int r;

	if (!body)
		body = json_object_new_object();
	if (c && body) {
		(void)json_object_object_add(body, "n", json_object_new_int64(to.number));
		(void)json_object_object_add(body, "ok", json_object_new_boolean(ok));
		r = message_send(c->fd, body, NULL, 0);
		/* A peer that lets answers pile up has lost its right to them. */
		if (r < 0)
			(void)shutdown(c->fd, SHUT_RDWR);
	}
	json_object_put(body);
}

void
server_reply(struct helper *h, struct reply_to to, json_object *body)
{
	send_answer(h, to, body, true);
}

static void
refuse(struct helper *h, struct reply_to to, int error, const char *reason, const char *member, unsigned retry_after)
{
	struct jsonw w = jsonw_new();
	json_object *body = NULL;

	jsonw_int(&w, "errno", -error);
	if (reason)
		jsonw_string(&w, "reason", reason);
	if (member && *member)
		jsonw_string(&w, "member", member);
	if (retry_after > 0)
		jsonw_int(&w, "retry_after", retry_after);
	(void)jsonw_finish(&w, &body);
	jsonw_done(&w);
	send_answer(h, to, body, false);
}

void
server_refuse(struct helper *h, struct reply_to to, int error, const char *reason, unsigned retry_after)
{
	refuse(h, to, error, reason, NULL, retry_after);
}

void
server_refuse_member(struct helper *h, struct reply_to to, int error, const char *reason, const char *member)
{
	refuse(h, to, error, reason, member, 0);
}

void
server_cancel_on_close(struct helper *h, struct reply_to to, atomic_bool *flag)
{
	struct connection *c = find_connection(h, to.connection);

	for (size_t i = 0; c && i < CANCELS_MAX; i++)
		if (!c->cancels[i]) {
			c->cancels[i] = flag;
			return;
		}
	atomic_store(flag, true);	/* no connection, or too much at once */
}

void
server_forget_cancel(struct helper *h, struct reply_to to, atomic_bool *flag)
{
	struct connection *c = find_connection(h, to.connection);

	for (size_t i = 0; c && i < CANCELS_MAX; i++)
		if (c->cancels[i] == flag)
			c->cancels[i] = NULL;
}

/* ---- subscriptions ---- */

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, ID_SIZE);
}

static void
send_event(struct connection *c, const char *event, const char *id)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *body = NULL;

	if (c->resync)
		return;
	jsonw_string(&w, "event", event);
	if (id)
		jsonw_string(&w, "id", id);
	if (jsonw_finish(&w, &body) == 0 && message_send(c->fd, body, NULL, 0) == 0)
		return;
	c->resync = true;
	(void)sd_event_source_set_io_events(c->source, EPOLLIN | EPOLLOUT);
}

void
server_changed(struct helper *h, const char *id)
{
	for (struct connection *c = h->server ? h->server->connections : NULL; c; c = c->next)
		if (c->n_watches > 0 && bsearch(id, c->watches, c->n_watches, ID_SIZE, compare_ids))
			send_event(c, "changed", id);
}

/* What is watched already and these ids, sorted, each once. NULL: no memory. */
static char
(*merge_watches(const struct connection *c, json_object *array, size_t *ret_n))[ID_SIZE]
{
	size_t n_array = json_object_array_length(array), n = 0, kept = 0;
	char (*merged)[ID_SIZE] = calloc(c->n_watches + n_array + 1, sizeof *merged);

	if (!merged)
		return NULL;
	for (; n < c->n_watches; n++)
		memcpy(merged[n], c->watches[n], ID_SIZE);
	for (size_t i = 0; i < n_array; i++) {
		const char *id = json_object_get_string(json_object_array_get_idx(array, i));

		if (id && id_valid(id))
			memcpy(merged[n++], id, ID_SIZE);
	}
	qsort(merged, n, ID_SIZE, compare_ids);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || compare_ids(merged[kept - 1], merged[i]) != 0)
			memmove(merged[kept++], merged[i], ID_SIZE);
	*ret_n = kept;
	return merged;
}

static void
on_watch(struct helper *h, struct message *m, struct reply_to to)
{
	struct connection *c = find_connection(h, to.connection);
	json_object *array = NULL;
	char (*merged)[ID_SIZE];
	size_t n = 0;

	if (json_get_array(m->body, "ids", &array) < 0) {
		server_refuse(h, to, -EINVAL, "ids is missing", 0);
		return;
	}
	merged = merge_watches(c, array, &n);
	if (!merged || n > CLIENT_WATCH_MAX) {
		free(merged);
		server_refuse(h, to, merged ? -EDQUOT : -ENOMEM, "too many subscriptions", 0);
		return;
	}
	free(c->watches);
	c->watches = merged;
	c->n_watches = n;
	server_reply(h, to, NULL);
	/* What ended before it was watched would never change again. */
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		const char *id = json_object_get_string(json_object_array_get_idx(array, i));

		if (id && id_valid(id) && !live_find(h, id))
			send_event(c, "changed", id);
	}
}

static void
on_unwatch(struct helper *h, struct message *m, struct reply_to to)
{
	struct connection *c = find_connection(h, to.connection);
	json_object *array = NULL;

	if (json_get_array(m->body, "ids", &array) < 0) {
		server_refuse(h, to, -EINVAL, "ids is missing", 0);
		return;
	}
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		const char *id = json_object_get_string(json_object_array_get_idx(array, i));
		char (*found)[ID_SIZE] = NULL;

		if (id && id_valid(id) && c->n_watches > 0)
			found = bsearch(id, c->watches, c->n_watches, ID_SIZE, compare_ids);
		if (!found)
			continue;
		c->n_watches--;
		memmove(found, found + 1, (size_t)(c->watches + c->n_watches - found) * ID_SIZE);
	}
	server_reply(h, to, NULL);
}

/* ---- requests ---- */

static void
on_hello(struct helper *h, struct message *m, struct reply_to to)
{
	struct connection *c = find_connection(h, to.connection);
	struct jsonw w = jsonw_new();
	json_object *versions = NULL, *body = NULL;
	bool common = false;

	if (json_get_array(m->body, "versions", &versions) == 0)
		for (size_t i = 0; i < json_object_array_length(versions); i++)
			common = common || (json_object_is_type(json_object_array_get_idx(versions, i), json_type_int) &&
			    json_object_get_int(json_object_array_get_idx(versions, i)) == PROTO_VERSION);
	if (!common) {
		jsonw_done(&w);
		server_refuse(h, to, -EPROTONOSUPPORT, "no version in common", 0);
		return;
	}
	c->greeted = true;
	jsonw_int(&w, "version", PROTO_VERSION);
	jsonw_string(&w, "release", PACKAGE_VERSION);
	(void)jsonw_finish(&w, &body);
	jsonw_done(&w);
	server_reply(h, to, body);
}

static void
on_queue(struct helper *h, struct message *m, struct reply_to to)
{
	struct jsonw w = jsonw_new();
	json_object *body = NULL;

	(void)m;
	jsonw_int(&w, "queued", (int64_t)live_queued(h));
	jsonw_int(&w, "running", (int64_t)live_running(h));
	jsonw_int(&w, "slots", (int64_t)live_slots(h));
	jsonw_int(&w, "queue_max", (int64_t)config_number(h->config, "helper", "queue_max"));
	jsonw_bool(&w, "accepting", !h->draining && !h->stopped && !h->leaving);
	jsonw_bool(&w, "draining", h->draining);
	jsonw_bool(&w, "stopped", h->stopped);
	jsonw_bool(&w, "expiry_held", expire_held(h));
	jsonw_int(&w, "finished", (int64_t)expire_known(h));
	jsonw_int(&w, "results_bytes", (int64_t)weights_bytes(h));
	(void)jsonw_finish(&w, &body);
	jsonw_done(&w);
	server_reply(h, to, body);
}

/* {"ids": [...]}: their places in the queue, 1 is next, 0 for what does not wait. */
static void
on_position(struct helper *h, struct message *m, struct reply_to to)
{
	struct jsonw w = jsonw_new();
	json_object *ids = NULL, *body = NULL, *list = json_object_new_array();
	bool ok = list != NULL;

	if (json_get_array(m->body, "ids", &ids) < 0 || json_object_array_length(ids) > CLIENT_POSITIONS_MAX) {
		json_object_put(list);
		jsonw_done(&w);
		server_refuse(h, to, -EINVAL, "ids is missing or too long", 0);
		return;
	}
	for (size_t i = 0; ok && i < json_object_array_length(ids); i++) {
		const char *id = json_object_get_string(json_object_array_get_idx(ids, i));
		const struct live *l = id ? live_find(h, id) : NULL;

		ok = json_object_array_add(list, json_object_new_int64(l ? (int64_t)live_position(l) : 0)) == 0;
	}
	jsonw_add(&w, "positions", list);
	if (!ok || jsonw_finish(&w, &body) < 0)
		server_refuse(h, to, -ENOMEM, NULL, 0);
	else
		server_reply(h, to, body);
	jsonw_done(&w);
}

static void
on_drain(struct helper *h, struct message *m, struct reply_to to)
{
	(void)m;
	h->draining = true;
	log_notice("draining: nothing is accepted until resume");
	server_reply(h, to, NULL);
}

static void
on_reload(struct helper *h, struct message *m, struct reply_to to)
{
	size_t faults = helper_reload(h);

	(void)m;
	if (faults > 0)
		server_refuse(h, to, -EINVAL, "the configuration has faults, the old one stays; see the log", 0);
	else
		server_reply(h, to, NULL);
}

static void
on_restart(struct helper *h, struct message *m, struct reply_to to)
{
	(void)m;
	/* Whoever comes after us must be able to begin. */
	if (access(h->program, X_OK) < 0) {
		server_refuse(h, to, -errno, "the program is not there", 0);
		return;
	}
	if (helper_reload(h) > 0) {
		server_refuse(h, to, -EINVAL, "the configuration has faults; see the log", 0);
		return;
	}
	server_reply(h, to, NULL);
	helper_leave(h, true);
}

/* Who may ask what. */
/* {"after": name}: the tools that follow it by name, as many as fit: {"tools": [...], "more": bool}. */
static void
on_tools(struct helper *h, struct message *m, struct reply_to to)
{
	struct jsonw w = jsonw_new();
	json_object *list = json_object_new_array();
	json_object *body = NULL;
	const struct tool *t = NULL;
	const char *after = "";
	size_t bytes = 0;
	bool ok = list != NULL;

	(void)json_get_string(m->body, "after", &after);
	for (t = tools_after(h->tools, after); ok && t; t = tools_after(h->tools, t->name)) {
		json_object *one = NULL;
		size_t len = 0;

		if (t->service)	/* nobody else's business */
			continue;
		one = tool_describe(t);
		len = one ? strlen(json_object_to_json_string_ext(one, JSON_C_TO_STRING_PLAIN)) : 0;
		if (one && bytes > 0 && bytes + len > TOOLS_PAGE_BYTES) {
			json_object_put(one);
			break;
		}
		bytes += len;
		ok = one && json_object_array_add(list, one) == 0;
		if (!ok)
			json_object_put(one);
	}
	jsonw_add(&w, "tools", list);
	jsonw_bool(&w, "more", t != NULL);
	if (!ok || jsonw_finish(&w, &body) < 0)
		server_refuse(h, to, -ENOMEM, NULL, 0);
	else
		server_reply(h, to, body);
	jsonw_done(&w);
}

static const struct request {
	const char *op;
	unsigned doors;
	void (*handle)(struct helper *h, struct message *m, struct reply_to to);
} requests[] = {
	{ "hello", DOOR_GATE | DOOR_ADMIN, on_hello },
	{ "may", DOOR_GATE, submit_may },
	{ "submit", DOOR_GATE, submit_request },
	{ "tools", DOOR_GATE, on_tools },
	{ "kill", DOOR_GATE | DOOR_ADMIN, kill_request },
	{ "forget", DOOR_GATE | DOOR_ADMIN, forget_request },
	{ "prune", DOOR_GATE | DOOR_ADMIN, prune_request },
	{ "amend", DOOR_GATE | DOOR_ADMIN, amend_request },
	{ "pack", DOOR_GATE, pack_request },
	{ "watch", DOOR_GATE, on_watch },
	{ "unwatch", DOOR_GATE, on_unwatch },
	{ "queue", DOOR_GATE | DOOR_ADMIN, on_queue },
	{ "position", DOOR_GATE | DOOR_ADMIN, on_position },
	{ "stats", DOOR_GATE | DOOR_ADMIN, stats_request },
	{ "restart", DOOR_GATE | DOOR_ADMIN, on_restart },
	{ "top", DOOR_ADMIN, top_request },
	{ "cull", DOOR_ADMIN, cull_request },
	{ "drain", DOOR_ADMIN, on_drain },
	{ "resume", DOOR_ADMIN, resume_request },
	{ "reload", DOOR_ADMIN, on_reload },
};

/* 0: go on, a negative errno: the connection is to be closed. */
static int
handle_message(struct connection *c, struct message *m)
{
	struct helper *h = c->server->helper;
	struct reply_to to = { .connection = c->serial };
	const char *op;

	if (json_get_int(m->body, "n", &to.number) < 0 || json_get_string(m->body, "op", &op) < 0)
		return -EBADMSG;
	if (!c->greeted && strcmp(op, "hello") != 0)
		return -EPROTO;
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		const struct request *q = &requests[i];

		if (strcmp(q->op, op) != 0)
			continue;
		if (!(q->doors & (unsigned)c->door))
			server_refuse(h, to, -EPERM, "not on this socket", 0);
		else if (m->n_fds > 0 && q->handle != submit_request)
			server_refuse(h, to, -EINVAL, "superfluous descriptors", 0);
		else
			q->handle(h, m, to);
		return 0;
	}
	server_refuse(h, to, -ENOSYS, "unknown request", 0);
	return 0;
}

static int
on_connection(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	struct connection *c = ctx;
	scoped(message_done) struct message m = MESSAGE_INIT;
	int r;

	if ((events & EPOLLOUT) && c->resync) {
		c->resync = false;
		(void)sd_event_source_set_io_events(c->source, EPOLLIN);
		send_event(c, "resync", NULL);
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return 0;
	r = message_receive(fd, &m, 0);
	if (r == -EAGAIN)
		return 0;
	if (r == 0 && c->server->helper->leaving) {
		c->read = true;
		(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
		return 0;
	}
	if (r > 0)
		r = handle_message(c, &m);
	else if (r == 0)
		r = -ECONNRESET;
	if (r < 0) {
		if (r != -ECONNRESET)
			log_warning("a connection is closed: %s", strerror(-r));
		drop_connection(c);
	}
	return 0;
}

static bool
peer_permitted(const struct helper *h, enum door door, uid_t uid)
{
	const struct accounts *a = &h->accounts;

	if (a->shared && uid == a->own_uid)
		return true;
	if (uid == a->own_uid)
		return false;	/* a tool that got out of its jail has this uid */
	return door == DOOR_GATE ? uid == a->gate_uid : uid == a->admin_uid || uid == 0;
}

static int
add_connection(struct listener *l, int fd)
{
	struct server *s = l->server;
	struct connection *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return -ENOMEM;
	c->server = s;
	c->fd = fd;
	c->door = l->door;
	c->serial = ++s->last_serial;
	r = sd_event_add_io(s->helper->event, &c->source, fd, EPOLLIN, on_connection, c);
	if (r < 0) {
		free(c);
		return r;
	}
	c->next = s->connections;
	s->connections = c;
	s->n_connections++;
	return 0;
}

static int
on_pause_over(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct listener *l = ctx;

	(void)source;
	(void)usec;
	l->pause = sd_event_source_disable_unref(l->pause);
	if (l->source)
		(void)sd_event_source_set_enabled(l->source, SD_EVENT_ON);
	return 0;
}

/* The connection stays in the queue, and its readiness would wake the loop again and again. */
static void
pause_listener(struct listener *l)
{
	log_warning("no connection can be taken: %s", strerror(errno));
	if (sd_event_add_time_relative(l->server->helper->event, &l->pause, CLOCK_MONOTONIC, LISTENER_PAUSE_MSEC * USEC_PER_MSEC, 1,
	    on_pause_over, l) >= 0)
		(void)sd_event_source_set_enabled(l->source, SD_EVENT_OFF);
}

static int
on_listener(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	struct listener *l = ctx;
	scoped(close_fd) int peer_fd = -EBADF;
	uid_t uid = (uid_t)-1;
	gid_t gid;
	pid_t pid = 0;
	int r;

	(void)source;
	(void)events;
	peer_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (peer_fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		pause_listener(l);
	if (peer_fd < 0)
		return 0;
	r = message_peer(peer_fd, &uid, &gid, &pid);
	if (r < 0 || !peer_permitted(l->server->helper, l->door, uid)) {
		log_warning("process %d of uid %u may not ask on the %s socket", (int)pid, (unsigned)uid,
		    l->door == DOOR_GATE ? "gate" : "admin");
		return 0;
	}
	if (l->server->n_connections >= CONNECTIONS_MAX) {
		log_warning("more than %d connections", CONNECTIONS_MAX);
		return 0;
	}
	r = add_connection(l, peer_fd);
	if (r == 0)
		(void)take_fd(peer_fd);
	return 0;
}

int
server_new(struct helper *h, int gate_fd, int admin_fd, struct server **ret)
{
	struct server *s = calloc(1, sizeof *s);
	int r = 0;

	if (!s)
		return -ENOMEM;
	s->helper = h;
	s->listeners[0] = (struct listener){ s, gate_fd, DOOR_GATE, NULL, NULL };
	s->listeners[1] = (struct listener){ s, admin_fd, DOOR_ADMIN, NULL, NULL };
	for (size_t i = 0; r >= 0 && i < 2; i++) {
		struct listener *l = &s->listeners[i];

		r = set_nonblock(l->fd, true);
		if (r >= 0)
			r = sd_event_add_io(h->event, &l->source, l->fd, EPOLLIN, on_listener, l);
	}
	if (r < 0) {
		(void)server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

static void
stop_listening(struct server *s)
{
	for (size_t i = 0; i < 2; i++) {
		s->listeners[i].source = sd_event_source_disable_unref(s->listeners[i].source);
		s->listeners[i].pause = sd_event_source_disable_unref(s->listeners[i].pause);
	}
}

void
server_leave(struct server *s)
{
	stop_listening(s);
	for (struct connection *c = s->connections; c; c = c->next)
		(void)shutdown(c->fd, SHUT_RD);
}

bool
server_has_left(const struct server *s)
{
	for (const struct connection *c = s->connections; c; c = c->next)
		if (!c->read)
			return false;
	return true;
}

void
server_take_sockets(struct server *s, int *ret_gate_fd, int *ret_admin_fd)
{
	stop_listening(s);
	*ret_gate_fd = take_fd(s->listeners[0].fd);
	*ret_admin_fd = take_fd(s->listeners[1].fd);
}

struct server *
server_free(struct server *s)
{
	if (!s)
		return NULL;
	while (s->connections)
		drop_connection(s->connections);
	for (size_t i = 0; i < 2; i++) {
		(void)sd_event_source_disable_unref(s->listeners[i].source);
		(void)sd_event_source_disable_unref(s->listeners[i].pause);
		close_fd(&s->listeners[i].fd);
	}
	free(s);
	return NULL;
}
