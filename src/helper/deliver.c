#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/heap.h"
#include "basic/https_url.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "helper/deliver.h"
#include "helper/live.h"
#include "helper/meta.h"
#include "spool/job.h"
#include "spool/layout.h"
#include "spool/meta.h"
#include "spool/record.h"

enum {
	HIGH_FD = 20,	/* above every descriptor that a sender gets */
	SECONDS = 30,	/* that one attempt may take */
	BUSY_MSEC = 250,	/* until the next look, while its host or all places are taken */
	TROUBLE_MSEC = 5000,	/* while something of ours is short */
	ANSWER_MAX = 1024,
	ARGS_MAX = 96,
};
#define PAUSE_MAX_USEC (6 * 3600 * USEC_PER_SEC)

struct delivery {
	struct task task;
	struct helper *helper;
	struct delivery *next;	/* of those under way */
	char id[ID_SIZE];
	char place[HTTPS_HOST_SIZE + 8];	/* host:port; "": not known yet */

	/* A look at the spool. */
	struct job *job;
	struct job_result result;
	struct job_meta meta;
	int error;

	pid_t pid;	/* of its sender; 0: none */
	int answer_fd;
};

struct deliveries {
	struct helper *helper;
	struct heap waiting;	/* of struct due */
	struct delivery *under_way;
	size_t n_under_way;
	sd_event_source *timer;
};

static void schedule(struct deliveries *d);

static void
forget_look(struct delivery *v)
{
	v->job = job_free(v->job);
	meta_done(&v->meta);
}

static void
free_delivery(struct delivery *v)
{
	forget_look(v);
	close_fd(&v->answer_fd);
	free(v);
}

/* ---- those that wait ---- */

struct due {
	uint64_t mono_usec;
	struct delivery *delivery;
};

/* Takes it over. Without memory it is made again after the next start. */
static void
wait_for(struct deliveries *d, struct delivery *v, uint64_t usec)
{
	if (heap_push(&d->waiting, &(struct due){ clock_mono() + usec, v }) < 0) {
		log_error("the callback of job %s waits for a restart: no memory", v->id);
		free_delivery(v);
	}
}

static struct delivery *
take_first(struct deliveries *d)
{
	struct due due;

	heap_pop(&d->waiting, &due);
	return due.delivery;
}

static uint64_t
pause_after(const struct helper *h, unsigned attempts)
{
	uint64_t pause = config_number(h->config, "callbacks", "pause");

	if (attempts == 0)
		return 0;
	for (unsigned i = 1; i < attempts && pause < PAUSE_MAX_USEC; i++)
		pause *= 3;
	return pause < PAUSE_MAX_USEC ? pause : PAUSE_MAX_USEC;
}

/* ---- what is sent ---- */

static void
add_time(struct jsonw *w, const char *key, uint64_t usec)
{
	char text[CLOCK_TEXT_SIZE];

	if (usec)
		clock_format(usec, text);
	jsonw_string(w, key, usec ? text : NULL);
}

/* The same in every attempt, as a receiver that compares would want it. The members are those of the native API's Job. */
static int
format_body(const struct delivery *v, char **ret)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new(), data = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	const struct job_result *r = &v->result;
	json_object *inner = NULL;
	const char *name = NULL;
	size_t len = 0;
	int e;

	if (v->job->note)
		(void)json_get_string(v->job->note, "name", &name);
	jsonw_string(&data, "id", v->id);
	jsonw_string(&data, "service", v->job->service);
	jsonw_string(&data, "tool", v->job->tool);
	jsonw_string(&data, "name", name);
	jsonw_string(&data, "state", "finished");
	jsonw_string(&data, "verdict", verdict_name(r->verdict));
	if (r->exit_code >= 0)
		jsonw_int(&data, "exit_code", r->exit_code);
	else
		jsonw_null(&data, "exit_code");
	add_time(&data, "created", v->job->accepted_usec);
	add_time(&data, "started", r->started_usec);
	add_time(&data, "ended", r->ended_usec);
	e = jsonw_finish(&data, &inner);
	if (e < 0)
		return e;
	jsonw_string(&w, "type", "job.finished");
	add_time(&w, "timestamp", r->ended_usec);
	jsonw_add(&w, "data", inner);
	e = jsonw_finish(&w, &obj);
	return e < 0 ? e : json_format(obj, ret, &len);
}

/* Standard Webhooks: HMAC-SHA-256 over "id.timestamp.body". */
static int
format_headers(const struct delivery *v, const char *body, json_object **ret)
{
	const struct callbacks *c = &v->helper->callbacks;
	scoped(put_json) json_object *list = json_object_new_array();
	scoped(strbuf_done) struct strbuf text = STRBUF_INIT(strlen(body) + 128);
	unsigned char hash[SHA256_LEN];
	char base64[48];
	uint64_t now = clock_wall() / USEC_PER_SEC;
	int r;

	strbuf_addf(&text, "job_%s.%" PRIu64 ".%s", v->id, now, body);
	r = strbuf_err(&text);
	if (r < 0 || !list)
		return r < 0 ? r : -ENOMEM;
	hmac_sha256(c->key, c->key_len, text.buf, text.len, hash);
	(void)EVP_EncodeBlock((unsigned char *)base64, hash, sizeof hash);
	for (size_t i = 0; i < 4; i++) {
		json_object *one = NULL;

		strbuf_reset(&text);
		if (i == 0)
			strbuf_addstr(&text, "Content-Type: application/json");
		else if (i == 1)
			strbuf_addf(&text, "webhook-id: job_%s", v->id);
		else if (i == 2)
			strbuf_addf(&text, "webhook-timestamp: %" PRIu64, now);
		else
			strbuf_addf(&text, "webhook-signature: v1,%s", base64);
		one = json_object_new_string(strbuf_str(&text));
		if (!one || json_object_array_add(list, one) < 0) {
			json_object_put(one);
			return -ENOMEM;
		}
	}
	*ret = take_ptr(list);
	return 0;
}

/* A memory file with what spoolgate-send reads. */
static int
format_request(const struct delivery *v)
{
	const struct config *config = v->helper->config;
	const char *allow = config_string(config, "callbacks", "allow");
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	scoped(free_ptr) char *body = NULL, *text = NULL;
	json_object *headers = NULL;
	size_t len = 0;
	int r = format_body(v, &body);

	if (r == 0)
		r = format_headers(v, body, &headers);
	if (r < 0)
		return r;
	jsonw_string(&w, "url", v->job->callback);
	jsonw_add(&w, "headers", headers);
	jsonw_string(&w, "body", body);
	jsonw_string(&w, "allow", allow ? allow : "");
	jsonw_string(&w, "ca_file", config_string(config, "callbacks", "ca_file"));
	jsonw_int(&w, "seconds", SECONDS);
	r = jsonw_finish(&w, &obj);
	if (r == 0)
		r = json_format(obj, &text, &len);
	return r < 0 ? r : memory_file_sealed("call", text, len);
}

/* ---- the sender ---- */

struct args {
	const char *list[ARGS_MAX];
	size_t n;
};

static void
add(struct args *a, const char *one, const char *two, const char *three)
{
	const char *all[] = { one, two, three };

	for (size_t i = 0; i < 3 && all[i] && a->n < ARGS_MAX - 1; i++)
		a->list[a->n++] = all[i];
}

/* /usr, the folders that are links into it, what the resolver and TLS read, and nothing else of this host. */
static void
add_view(struct args *a, const struct config *config)
{
	static const char *const links[][2] = { { "usr/bin", "/bin" }, { "usr/lib", "/lib" }, { "usr/lib64", "/lib64" } };
	static const char *const etc[] = { "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/host.conf",
		"/etc/services", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/ld.so.cache" };
	const char *ca = config_string(config, "callbacks", "ca_file");

	add(a, "--ro-bind", "/usr", "/usr");
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		add(a, "--symlink", links[i][0], links[i][1]);
	for (size_t i = 0; i < sizeof etc / sizeof *etc; i++)
		add(a, "--ro-bind-try", etc[i], etc[i]);
	if (ca)
		add(a, "--ro-bind", ca, ca);
	add(a, "--ro-bind", config_string(config, "callbacks", "send_program"), "/spoolgate-send");
}

static int
spawn(struct delivery *v, int request_fd, int answer_fd)
{
	const struct config *config = v->helper->config;
	char *env[] = { NULL, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	scoped(close_fd) int high_in = fcntl(request_fd, F_DUPFD_CLOEXEC, HIGH_FD);
	scoped(close_fd) int high_out = fcntl(answer_fd, F_DUPFD_CLOEXEC, HIGH_FD);
	struct args a = { .n = 0 };
	char options[512];
	int r;

	if (high_in < 0 || high_out < 0)
		return -errno;
	add(&a, config_string(config, "helper", "bwrap"), NULL, NULL);
	add(&a, "--unshare-all", "--share-net", "--unshare-user");
	add(&a, "--die-with-parent", "--new-session", "--clearenv");
	add(&a, "--cap-drop", "ALL", NULL);
	if (getenv("ASAN_OPTIONS"))
		add(&a, "--setenv", "ASAN_OPTIONS", "detect_leaks=0");	/* its jail has no /proc to look at itself */
	add_view(&a, config);
	add(&a, "--dev", "/dev", NULL);
	add(&a, "--remount-ro", "/", NULL);
	add(&a, "--chdir", "/", "/spoolgate-send");
	if (getenv("ASAN_OPTIONS")) {
		(void)snprintf(options, sizeof options, "ASAN_OPTIONS=%s", getenv("ASAN_OPTIONS"));
		env[0] = options;
	}
	r = spawnattr_init_clean(&attr, 1);
	if (r < 0)
		return r;
	r = -posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		r = -posix_spawn_file_actions_adddup2(&actions, high_in, 0);
		if (r == 0)
			r = -posix_spawn_file_actions_adddup2(&actions, high_out, 1);
		if (r == 0)
			r = -posix_spawn(&v->pid, a.list[0], &actions, &attr, (char *const *)(uintptr_t)a.list, env);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	(void)posix_spawnattr_destroy(&attr);
	return r;
}

static int
begin_attempt(struct delivery *v)
{
	scoped(close_fd) int request_fd = format_request(v);
	scoped(close_fd) int theirs = -EBADF;
	int fds[2];

	if (request_fd < 0)
		return request_fd;
	/* The sealed file's descriptor is at its end. */
	if (lseek(request_fd, 0, SEEK_SET) < 0 || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	v->answer_fd = fds[0];
	theirs = fds[1];
	return spawn(v, request_fd, theirs);
}

/* ---- one after the other ---- */

static void
leave_way(struct deliveries *d, struct delivery *v)
{
	struct delivery **p = &d->under_way;

	while (*p != v)
		p = &(*p)->next;
	*p = v->next;
	d->n_under_way--;
}

/* Back among those that wait. */
static void
put_back(struct delivery *v, uint64_t usec)
{
	struct deliveries *d = v->helper->deliveries;

	leave_way(d, v);
	forget_look(v);
	wait_for(d, v, usec);
	schedule(d);
}

static void
drop(struct delivery *v)
{
	struct deliveries *d = v->helper->deliveries;

	leave_way(d, v);
	free_delivery(v);
	schedule(d);
}

static void
look(struct task *task)
{
	struct delivery *v = task_owner(task, struct delivery, task);
	const struct spool *s = v->helper->spool;
	scoped(close_fd) int job_fd = spool_open_job(s, v->id);
	int r = job_fd < 0 ? job_fd : job_load(job_fd, &v->job);

	if (r == 0)
		r = result_load(job_fd, &v->result);
	if (r == 0)
		r = meta_load(job_fd, &v->meta);
	if (r == 0 && v->meta.callback.state != CALLBACK_PENDING) {
		(void)spool_clear_pending(s, v->id);
		r = -EALREADY;
	}
	v->error = r;
}

static void
looked(struct task *task)
{
	struct delivery *v = task_owner(task, struct delivery, task);
	struct helper *h = v->helper;
	struct https_url url;
	uint64_t now = clock_wall(), due;
	int r;

	if (v->error == -ENOENT || v->error == -EALREADY || v->error == -EBADMSG || v->error == -EPROTONOSUPPORT ||
	    (v->error == 0 && (!v->job->callback || https_url_check(v->job->callback, &url)))) {
		drop(v);	/* deleted, delivered, or damaged, which the check tells */
		return;
	}
	if (v->error < 0 || h->callbacks.key_len == 0) {	/* also where they are not configured any more */
		put_back(v, TROUBLE_MSEC * USEC_PER_MSEC);
		return;
	}
	due = v->meta.callback.last_usec + pause_after(h, v->meta.callback.attempts);
	if (v->meta.callback.attempts > 0 && due > now && due - now <= PAUSE_MAX_USEC) {
		put_back(v, due - now);
		return;
	}
	(void)snprintf(v->place, sizeof v->place, "%s:%u", url.host, (unsigned)url.port);
	for (const struct delivery *i = h->deliveries->under_way; i; i = i->next)
		if (i != v && i->pid > 0 && strcmp(i->place, v->place) == 0) {
			put_back(v, BUSY_MSEC * USEC_PER_MSEC);
			return;
		}
	r = begin_attempt(v);
	if (r < 0) {
		log_error("the callback of job %s cannot be sent: %s", v->id, strerror(-r));
		close_fd(&v->answer_fd);
		v->pid = 0;
		put_back(v, TROUBLE_MSEC * USEC_PER_MSEC);
	}
}

static bool
host_is_busy(const struct deliveries *d, const struct delivery *v)
{
	for (const struct delivery *i = d->under_way; i; i = i->next)
		if (v->place[0] && strcmp(i->place, v->place) == 0)
			return true;
	return false;
}

static int
on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct deliveries *d = ctx;

	(void)source;
	(void)usec;
	schedule(d);
	return 0;
}

/* Begins what is due, as far as there are places, and sets the timer for the next. */
static void
schedule(struct deliveries *d)
{
	uint64_t now = clock_mono(), next;

	if (d->helper->leaving)
		return;
	if (d->helper->stopped) {	/* how an attempt went could not be written */
		(void)sd_event_source_set_time_relative(d->timer, TROUBLE_MSEC * USEC_PER_MSEC);
		(void)sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
		return;
	}
	while (heap_first(&d->waiting) <= now && d->n_under_way < DELIVER_RUNNING_MAX) {
		struct delivery *v = take_first(d);

		if (host_is_busy(d, v)) {
			wait_for(d, v, BUSY_MSEC * USEC_PER_MSEC);
			continue;
		}
		v->next = d->under_way;
		d->under_way = v;
		d->n_under_way++;
		v->task.work = look;
		v->task.done = looked;
		offload_run(d->helper->slow, &v->task);
	}
	if (d->waiting.n == 0 || d->n_under_way == DELIVER_RUNNING_MAX)
		return;
	next = heap_first(&d->waiting) > now ? heap_first(&d->waiting) - now : 0;
	(void)sd_event_source_set_time_relative(d->timer, next);
	(void)sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
}

/* ---- how it went ---- */

static void
read_answer(struct delivery *v, int *ret_status, char ret_words[CALLBACK_LAST_MAX])
{
	scoped(put_json) json_object *obj = NULL;
	char text[ANSWER_MAX];
	/* One line, written at once; bubblewrap's own init may hold the pipe a moment longer. */
	ssize_t n = read(v->answer_fd, text, sizeof text);
	const char *words = NULL;
	int64_t status = 0;

	*ret_status = 0;
	(void)snprintf(ret_words, CALLBACK_LAST_MAX, "spoolgate-send did not answer");
	if (n <= 0 || json_parse(text, (size_t)n, &obj) < 0)
		return;
	if (json_get_int(obj, "status", &status) == 0 && status >= 100 && status <= 999) {
		*ret_status = (int)status;
		(void)snprintf(ret_words, CALLBACK_LAST_MAX, "HTTP status %d", (int)status);
	} else if (json_get_string(obj, "error", &words) == 0) {
		(void)snprintf(ret_words, CALLBACK_LAST_MAX, "%.150s", words);
	}
}

void
deliver_reaped(struct helper *h, const siginfo_t *info)
{
	struct delivery *v = h->deliveries ? h->deliveries->under_way : NULL;
	struct job_meta outcome = { .note = NULL };
	int status;

	while (v && v->pid != info->si_pid)
		v = v->next;
	if (!v)
		return;
	v->pid = 0;
	read_answer(v, &status, outcome.callback.last);
	close_fd(&v->answer_fd);
	outcome.callback.attempts = v->meta.callback.attempts + 1;
	outcome.callback.last_usec = clock_wall();
	if (status >= 200 && status <= 299)
		outcome.callback.state = CALLBACK_DELIVERED;
	else if (status == 410 || outcome.callback.attempts >= config_number(h->config, "callbacks", "attempts"))
		outcome.callback.state = CALLBACK_FAILED;
	if (outcome.callback.state == CALLBACK_DELIVERED)
		log_info("job %s: its callback is delivered", v->id);
	else
		log_warning("job %s: its callback, attempt %u, %s: %s", v->id, outcome.callback.attempts,
		    outcome.callback.state == CALLBACK_FAILED ? "which was the last" : "which is made again", outcome.callback.last);
	/* It stays under way until that is written: what comes next reads it. */
	meta_tell_callback(h, v->id, &outcome);
}

void
deliver_recorded(struct helper *h, const char *id)
{
	struct delivery *v = h->deliveries ? h->deliveries->under_way : NULL;

	while (v && strcmp(v->id, id) != 0)
		v = v->next;
	if (v)
		put_back(v, 0);	/* the look knows when it is due, or that it is over */
}

void
deliver(struct helper *h, const char *id)
{
	struct delivery *v = h->deliveries ? calloc(1, sizeof *v) : NULL;

	if (!v)
		return;	/* found in pending/ at the next start */
	v->helper = h;
	memcpy(v->id, id, sizeof v->id);
	v->answer_fd = -EBADF;
	wait_for(h->deliveries, v, 0);
	schedule(h->deliveries);
}

static int
learn(const char *id, void *ctx)
{
	if (!live_find(ctx, id))
		deliver(ctx, id);
	return 0;
}

int
deliveries_new(struct helper *h, struct deliveries **ret)
{
	struct deliveries *d = calloc(1, sizeof *d);
	int r;

	if (!d)
		return -ENOMEM;
	d->helper = h;
	d->waiting.size = sizeof(struct due);
	*ret = d;
	r = sd_event_add_time_relative(h->event, &d->timer, CLOCK_MONOTONIC, 0, 1, on_timer, d);
	return r < 0 ? r : spool_each_pending(h->spool, learn, h);
}

struct deliveries *
deliveries_free(struct deliveries *d)
{
	if (!d)
		return NULL;
	(void)sd_event_source_disable_unref(d->timer);
	for (struct delivery *v = d->under_way, *next; v; v = next) {
		next = v->next;
		if (v->pid > 0)
			(void)kill(v->pid, SIGKILL);
		free_delivery(v);
	}
	while (d->waiting.n > 0)
		free_delivery(take_first(d));
	heap_done(&d->waiting);
	free(d);
	return NULL;
}
