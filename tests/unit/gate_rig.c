#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "gate_rig.h"

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "config/config.h"
#include "spool/accept.h"
#include "spool/job.h"

/* FastCGI. */

enum { FCGI_BEGIN = 1, FCGI_END = 3, FCGI_PARAMS = 4, FCGI_STDIN = 5, FCGI_STDOUT = 6 };

static void
send_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)	/* the gate may close before it has read everything */
			return;
		p += n;
		len -= (size_t)n;
	}
}

void
fcgi_record(int fd, unsigned char type, const void *data, size_t len)
{
	const unsigned char *p = data;

	do {
		size_t n = len < 65535 ? len : 65535;
		unsigned char head[8] = { 1, type, 0, 1, (unsigned char)(n >> 8), (unsigned char)n, 0, 0 };

		send_all(fd, head, sizeof head);
		if (n)
			send_all(fd, p, n);
		p += n;
		len -= n;
	} while (len > 0);
}

static void
add_length(struct strbuf *s, size_t n)
{
	if (n >= 128) {
		uint32_t be = htonl((uint32_t)n | 0x80000000U);

		strbuf_add(s, &be, 4);
	} else {
		strbuf_addch(s, (char)n);
	}
}

static void
add_param(struct strbuf *s, const char *name, const char *value)
{
	add_length(s, strlen(name));
	add_length(s, strlen(value));
	strbuf_addstr(s, name);
	strbuf_addstr(s, value);
}

void
fcgi_send(int fd, const char *const *params, const char *body, size_t len, long declared)
{
	static const unsigned char begin[8] = { 0, 1, 0 };
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(1 << 20);
	char number[32];

	for (const char *const *p = params; *p; p += 2)
		add_param(&s, p[0], p[1]);
	if (declared >= 0) {
		(void)snprintf(number, sizeof number, "%ld", declared);
		add_param(&s, "CONTENT_LENGTH", number);
	}
	assert_int_equal(strbuf_err(&s), 0);
	fcgi_record(fd, FCGI_BEGIN, begin, sizeof begin);
	fcgi_record(fd, FCGI_PARAMS, s.buf, s.len);
	fcgi_record(fd, FCGI_PARAMS, "", 0);
	if (len)
		fcgi_record(fd, FCGI_STDIN, body, len);
	fcgi_record(fd, FCGI_STDIN, "", 0);
}

static bool
receive_all(int fd, void *data, size_t len)
{
	char *p = data;

	while (len > 0) {
		ssize_t n = recv(fd, p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			assert_int_not_equal(errno, EAGAIN);	/* SO_RCVTIMEO: nothing came by the deadline */
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

void
fcgi_receive(int fd, struct fcgi_answer *ret)
{
	scoped(strbuf_done) struct strbuf out = STRBUF_INIT(64 << 20);
	unsigned char head[8];
	char *end = NULL;

	*ret = (struct fcgi_answer){ .status = 0 };
	while (receive_all(fd, head, sizeof head)) {
		size_t n = (size_t)head[4] << 8 | head[5];
		char data[65536 + 256];

		if (!receive_all(fd, data, n + head[6]))
			break;
		if (head[1] == FCGI_STDOUT)
			strbuf_add(&out, data, n);
		if (head[1] == FCGI_END)
			ret->ended = true;
	}
	assert_int_equal(strbuf_err(&out), 0);
	end = out.len ? memmem(out.buf, out.len, "\r\n\r\n", 4) : NULL;
	if (!end)
		return;
	ret->headers = strndup(out.buf, (size_t)(end + 2 - out.buf));
	ret->len = out.len - (size_t)(end + 4 - out.buf);
	ret->body = calloc(1, ret->len + 1);
	assert_non_null(ret->body);
	memcpy(ret->body, end + 4, ret->len);
	assert_int_equal(strncmp(ret->headers, "Status: ", 8), 0);
	ret->status = (int)strtol(ret->headers + 8, NULL, 10);
}

void
fcgi_answer_done(struct fcgi_answer *a)
{
	free(a->headers);
	free(a->body);
}

char *
fcgi_header(const struct fcgi_answer *a, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = a->headers; p && *p; p = strstr(p, "\r\n") + 2)
		if (strncasecmp(p, name, len) == 0 && strncmp(p + len, ": ", 2) == 0)
			return strndup(p + len + 2, strcspn(p + len + 2, "\r"));
	return NULL;
}

/* The helper. */

enum { PEERS_MAX = 64 };

struct fake_helper {
	pthread_t thread;
	int listen_fd;
	int stop_fds[2];
	fake_answer_fn *answer;
	void *ctx;
	pthread_mutex_t lock;
	pthread_cond_t watched;
	int peers[PEERS_MAX];
	bool watches[PEERS_MAX];
	size_t n;
	unsigned n_watched;
};

json_object *
fake_ok(void)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "ok", json_object_new_boolean(true));
	return o;
}

json_object *
fake_refusal(int err, unsigned retry_after)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "ok", json_object_new_boolean(false));
	json_object_object_add(o, "errno", json_object_new_int(-err));
	json_object_object_add(o, "reason", json_object_new_string("said the test"));
	if (retry_after)
		json_object_object_add(o, "retry_after", json_object_new_int((int)retry_after));
	return o;
}

static void
drop_peer(struct fake_helper *h, size_t i)
{
	(void)close(h->peers[i]);
	h->n--;
	h->peers[i] = h->peers[h->n];
	h->watches[i] = h->watches[h->n];
}

static void
send_changed(int fd, const char *id)
{
	scoped(put_json) json_object *event = json_object_new_object();

	json_object_object_add(event, "event", json_object_new_string(id[0] ? "changed" : "resync"));
	if (id[0])
		json_object_object_add(event, "id", json_object_new_string(id));
	(void)message_send(fd, event, NULL, 0);
}

/* One message of peer i; false: it has gone, or is to go. */
static bool
serve_peer(struct fake_helper *h, size_t i)
{
	scoped(message_done) struct message m = MESSAGE_INIT;
	scoped(put_json) json_object *reply = NULL;
	json_object *ids = NULL;
	const char *op = "";
	int64_t n = 0;

	if (message_receive(h->peers[i], &m, 0) <= 0)
		return false;
	(void)json_get_string(m.body, "op", &op);
	(void)json_get_int(m.body, "n", &n);
	if (strcmp(op, "watch") == 0 && json_get_array(m.body, "ids", &ids) == 0) {
		h->watches[i] = true;
		h->n_watched += (unsigned)json_object_array_length(ids);
		(void)pthread_cond_broadcast(&h->watched);
	}
	if (strcmp(op, "hello") == 0 || strcmp(op, "watch") == 0 || strcmp(op, "unwatch") == 0)
		reply = fake_ok();
	else
		reply = h->answer(h, &m, h->ctx);
	if (!reply)
		return false;
	json_object_object_add(reply, "n", json_object_new_int64(n));
	if (message_send(h->peers[i], reply, NULL, 0) < 0)
		return false;
	/* As the real one does: what ended before it was watched would never change again. */
	for (size_t k = 0; strcmp(op, "watch") == 0 && ids && k < json_object_array_length(ids); k++)
		send_changed(h->peers[i], json_object_get_string(json_object_array_get_idx(ids, k)));
	return true;
}

static void *
helper_main(void *arg)
{
	struct fake_helper *h = arg;

	for (;;) {
		struct pollfd fds[PEERS_MAX + 2] = { { .fd = h->stop_fds[0], .events = POLLIN }, { .fd = h->listen_fd, .events = POLLIN } };
		size_t n = h->n;

		for (size_t i = 0; i < n; i++)
			fds[i + 2] = (struct pollfd){ .fd = h->peers[i], .events = POLLIN };
		if (poll(fds, (nfds_t)n + 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[0].revents)
			return NULL;
		(void)pthread_mutex_lock(&h->lock);
		for (size_t i = n; i-- > 0;)
			if (fds[i + 2].revents && !serve_peer(h, i))
				drop_peer(h, i);
		if (fds[1].revents && h->n < PEERS_MAX) {
			int fd = accept4(h->listen_fd, NULL, NULL, SOCK_CLOEXEC);

			if (fd >= 0) {
				h->watches[h->n] = false;
				h->peers[h->n++] = fd;
			}
		}
		(void)pthread_mutex_unlock(&h->lock);
	}
}

struct fake_helper *
fake_helper_new(const char *path, fake_answer_fn *answer, void *ctx)
{
	struct fake_helper *h = calloc(1, sizeof *h);

	assert_non_null(h);
	h->answer = answer;
	h->ctx = ctx;
	(void)pthread_mutex_init(&h->lock, NULL);
	(void)pthread_cond_init(&h->watched, NULL);
	h->listen_fd = message_listen(path, 0600, (gid_t)-1);
	assert_true(h->listen_fd >= 0);
	assert_int_equal(pipe2(h->stop_fds, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&h->thread, NULL, helper_main, h), 0);
	return h;
}

void
fake_helper_free(struct fake_helper *h)
{
	(void)close(h->stop_fds[1]);
	(void)pthread_join(h->thread, NULL);
	while (h->n > 0)
		drop_peer(h, 0);
	(void)close(h->stop_fds[0]);
	(void)close(h->listen_fd);
	(void)pthread_mutex_destroy(&h->lock);
	(void)pthread_cond_destroy(&h->watched);
	free(h);
}

void
fake_helper_changed(struct fake_helper *h, const char *id)
{
	(void)pthread_mutex_lock(&h->lock);
	for (size_t i = 0; i < h->n; i++)
		if (h->watches[i])
			send_changed(h->peers[i], id);
	(void)pthread_mutex_unlock(&h->lock);
}

void
fake_helper_await_watches(struct fake_helper *h, unsigned n)
{
	struct timespec end;
	int r = 0;

	(void)clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += RIG_DEADLINE_MSEC / 1000;
	(void)pthread_mutex_lock(&h->lock);
	while (h->n_watched < n && r == 0)
		r = pthread_cond_timedwait(&h->watched, &h->lock, &end);
	(void)pthread_mutex_unlock(&h->lock);
	assert_int_equal(r, 0);
}

/* The gate. */

void
rig_start(struct rig *rig, struct temp_dir *dir, const struct service *const *all, size_t n, const char *extra, bool spool)
{
	scoped(free_config) struct config *config = NULL;
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(65536);
	struct faults faults = { 0 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const struct spool_groups groups = { (gid_t)-1, (gid_t)-1 };

	memset(rig, 0, sizeof *rig);
	rig->dir = dir;
	(void)snprintf(rig->listen_path, sizeof rig->listen_path, "%s/fcgi", dir->path);
	(void)snprintf(rig->helper_path, sizeof rig->helper_path, "%s/helper", dir->path);
	(void)snprintf(rig->spool_path, sizeof rig->spool_path, "%s/spool", dir->path);
	(void)snprintf(rig->state_path, sizeof rig->state_path, "%s/state", dir->path);
	(void)snprintf(rig->config_path, sizeof rig->config_path, "%s/spoolgate.conf", dir->path);
	assert_int_equal(mkdir(rig->state_path, 0700), 0);
	if (spool)
		assert_int_equal(spool_create(rig->spool_path, groups, &rig->spool), 0);
	strbuf_addf(&s, "[spool]\npath = %s\n[helper]\ngate_socket = %s\n[gate]\nstate = %s\n%s\n", rig->spool_path, rig->helper_path,
	    rig->state_path, extra);
	rig_write(dir->fd, "spoolgate.conf", strbuf_str(&s));
	assert_int_equal(config_load(rig->config_path, &faults, &config), 0);
	for (size_t i = 0; i < faults.n; i++)
		print_error("%s\n", faults.texts[i]);
	assert_int_equal(faults.n, 0);
	faults_done(&faults);
	rig->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(rig->listen_fd >= 0);
	assert_true(strlen(rig->listen_path) < sizeof sa.sun_path);
	memcpy(sa.sun_path, rig->listen_path, strlen(rig->listen_path) + 1);
	assert_int_equal(bind(rig->listen_fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(rig->listen_fd, 511), 0);
	if (!all)
		return;	/* the test starts programs of its own */
	assert_int_equal(gate_new(config, all, n, &rig->gate), 0);
	assert_int_equal(worker_start(rig->gate, rig->listen_fd, &rig->worker), 0);
}

void
rig_stop(struct rig *rig)
{
	if (rig->worker) {
		worker_drain(rig->worker);
		rig->worker = worker_join(rig->worker);
	}
	rig->gate = gate_free(rig->gate);
	rig->spool = spool_free(rig->spool);
	close_fd(&rig->listen_fd);
}

int
rig_connect(const struct rig *rig)
{
	const struct timeval limit = { .tv_sec = RIG_DEADLINE_MSEC / 1000 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(sa.sun_path, rig->listen_path, strlen(rig->listen_path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	return fd;
}

struct fcgi_answer
rig_ask(const struct rig *rig, const char *service, const char *method, const char *uri, const char *const *params, const char *body)
{
	const char *all[64] = { "SPOOLGATE_SERVICE", service, "REQUEST_METHOD", method, "REQUEST_URI", uri };
	struct fcgi_answer a;
	size_t n = 6;
	int fd = rig_connect(rig);

	for (; params && *params; params += 2) {
		assert_true(n + 2 < sizeof all / sizeof all[0]);
		all[n++] = params[0];
		all[n++] = params[1];
	}
	fcgi_send(fd, all, body, body ? strlen(body) : 0, body ? (long)strlen(body) : 0);
	fcgi_receive(fd, &a);
	(void)close(fd);
	return a;
}

/* Jobs. */

void
rig_write(int dir_fd, const char *name, const char *text)
{
	scoped(close_fd) int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

int
rig_job(const struct rig *rig, const char *service, const char *id)
{
	scoped(free_job) struct job *job = job_new();
	scoped(free_ptr) char *text = NULL;
	scoped(close_fd) int job_fd = -EBADF;
	scoped(close_fd) int in_fd = -EBADF;
	size_t len = 0;
	int r;

	assert_non_null(job);
	memcpy(job->id, id, ID_SIZE);
	job->service = strdup(service);
	job->tool = strdup("tool");
	job->owner = strdup("test:ip:192.0.2.1");
	job->accepted_usec = clock_wall();
	job->argv = calloc(2, sizeof *job->argv);
	assert_non_null(job->argv);
	job->argv[0] = strdup("/bin/true");
	assert_int_equal(job_format(job, &text, &len), 0);
	assert_int_equal(incoming_begin(rig->spool, id, &job_fd, &in_fd), 0);
	assert_int_equal(incoming_finish(rig->spool, id, job_fd, in_fd, text, len, 0), 0);
	assert_int_equal(accept_publish(rig->spool, job), 0);
	r = spool_open_job(rig->spool, id);
	assert_true(r >= 0);
	return r;
}

void
rig_finish_job(const struct rig *rig, int job_fd, enum verdict verdict, int exit_code)
{
	struct job_result result = { .attempt = 1, .verdict = verdict, .exit_code = exit_code, .ended_usec = clock_wall() };

	if (verdict == VERDICT_KILLED)
		(void)snprintf(result.by, sizeof result.by, "client");
	assert_true(result_reserve(job_fd, rig->spool->groups) >= 0);
	assert_int_equal(result_store_durable(job_fd, rig->spool->groups, &result), 0);
}
