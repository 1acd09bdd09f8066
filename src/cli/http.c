#include <config.h>	/* in angle brackets: config/config.h is another */

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/scoped.h"
#include "cli/http.h"
#include "cli/url.h"

enum {
	CONNECT_SEC = 10,
	SILENCE_SEC = 60,	/* without a byte, beyond what the server may hold back */
	HEADERS_MAX = 256 * 1024,
	BODY_MAX = 64 * 1024 * 1024,
	REASON_MAX = 2048,
};
static const uint64_t first_pause_usec = 100 * USEC_PER_MSEC, longest_pause_usec = 5 * USEC_PER_SEC;

struct http {
	CURL *curl;
	const struct settings *settings;
	struct http_options options;
	char *base;	/* the server's URL without a slash at its end */
	uint64_t limit_mono;	/* 0: none */
	bool sent;
	bool repeated;	/* the last request was sent before, and nobody knows what became of it */
	bool sunk;	/* a sink has had bytes of the last answer */
	bool answered;	/* the server has answered once: its name and its certificate are right */
	char error[CURL_ERROR_SIZE];
	struct strbuf reason;
};

/* One request on its way. */
struct flight {
	struct http *h;
	const struct http_request *q;
	struct http_answer *a;
	int err;	/* the first negative errno of ours */
	uint64_t read;	/* of the body file */
};

static volatile sig_atomic_t caught;	/* a signal's number */

static void
on_signal(int sig)
{
	caught = sig;
}

void
http_catch_signals(void)
{
	const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { 0 }, old;

	sa.sa_handler = on_signal;
	(void)sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)	/* what is ignored (nohup) stays so */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			(void)sigaction(signals[i], &sa, NULL);
}

void
http_die_of_signal(void)
{
	int sig = caught;

	if (sig == 0)
		return;
	(void)fflush(NULL);
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
}

static void
put_list(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

int
http_new(const struct settings *settings, const struct http_options *options, struct http **ret, const char **ret_reason)
{
	scoped(free_http) struct http *h = calloc(1, sizeof *h);
	size_t len = strlen(settings->server);

	*ret_reason = NULL;
	if (!h)
		return -ENOMEM;
	strbuf_init(&h->reason, REASON_MAX);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	h->settings = settings;
	h->options = *options;
	if (options->limit_usec > 0)
		h->limit_mono = clock_mono() + options->limit_usec;
	*ret_reason = url_server_fault(settings->server);
	if (*ret_reason)
		return -EINVAL;
	while (len > 0 && settings->server[len - 1] == '/')
		len--;
	h->base = strndup(settings->server, len);
	h->curl = curl_easy_init();
	if (!h->base || !h->curl)
		return -ENOMEM;
	*ret = take_ptr(h);
	return 0;
}

struct http *
http_free(struct http *h)
{
	if (!h)
		return NULL;
	curl_easy_cleanup(h->curl);
	free(h->base);
	strbuf_done(&h->reason);
	free(h);
	return NULL;
}

const char *
http_reason(const struct http *h)
{
	return strbuf_str(&h->reason);
}

bool
http_was_sent(const struct http *h)
{
	return h->sent;
}

bool
http_was_repeated(const struct http *h)
{
	return h->repeated;
}

const char *
http_server(const struct http *h)
{
	return h->base;
}

bool
http_is_own(const struct http *h, const char *url)
{
	return url[0] == '/' || url_same_origin(url, h->base);
}

void
http_answer_init(struct http_answer *a)
{
	a->status = 0;
	strbuf_init(&a->headers, HEADERS_MAX);
	strbuf_init(&a->body, BODY_MAX);
}

void
http_answer_done(struct http_answer *a)
{
	strbuf_done(&a->headers);
	strbuf_done(&a->body);
}

const char *
http_header(const struct http_answer *a, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < a->headers.len;) {
		const char *line = a->headers.buf + i;

		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " \t");
		i += strlen(line) + 1;
	}
	return NULL;
}

int
http_header_number(const struct http_answer *a, const char *name, uint64_t *ret)
{
	const char *text = http_header(a, name);
	size_t len = text ? strlen(text) : 0;

	if (!text)
		return -ENOENT;
	if (len == 0 || len > 18 || strspn(text, "0123456789") != len)
		return -EBADMSG;
	*ret = strtoull(text, NULL, 10);
	return 0;
}

static size_t
on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct flight *f = ctx;
	size_t len = size * n;

	if (len > 5 && strncmp(data, "HTTP/", 5) == 0) {	/* the head after a 100 replaces it */
		const char *space = memchr(data, ' ', len);

		strbuf_reset(&f->a->headers);
		f->a->status = space && data + len - space > 3 ? atoi(space + 1) : 0;
		return len;
	}
	while (len > 0 && strchr("\r\n \t", data[len - 1]))
		len--;
	if (len > 0 && !memchr(data, '\0', len)) {
		strbuf_add(&f->a->headers, data, len);
		strbuf_add(&f->a->headers, "", 1);
	}
	return size * n;
}

static size_t
on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct flight *f = ctx;
	size_t len = size * n;

	if (f->q->sink && f->a->status >= 200 && f->a->status < 300) {
		f->h->sunk = true;
		f->err = f->q->sink(f->a, data, len, f->q->ctx);
	} else {
		strbuf_add(&f->a->body, data, len);
		f->err = strbuf_err(&f->a->body);
	}
	return f->err < 0 ? 0 : len;
}

static size_t
on_read(char *buf, size_t size, size_t n, void *ctx)
{
	struct flight *f = ctx;
	uint64_t left = f->q->body_fd_len - f->read;
	size_t want = size * n < left ? size * n : (size_t)left;
	ssize_t got;

	if (want == 0)
		return 0;
	do
		got = pread(f->q->body_fd, buf, want, f->q->body_offset + (off_t)f->read);
	while (got < 0 && errno == EINTR);
	if (got <= 0) {
		f->err = got < 0 ? -errno : -EIO;	/* the file has become shorter */
		return CURL_READFUNC_ABORT;
	}
	f->read += (uint64_t)got;
	return (size_t)got;
}

static int
on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct flight *f = ctx;

	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_CANTSEEK;
	f->read = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static int
on_progress(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
	struct flight *f = ctx;

	(void)down_total, (void)down, (void)up_total;
	if (f->q->on_sent)
		f->q->on_sent((uint64_t)up, f->q->ctx);
	if (caught != 0)
		f->err = -EINTR;
	else if (f->h->limit_mono > 0 && clock_mono() >= f->h->limit_mono)
		f->err = -ETIMEDOUT;
	return f->err < 0;
}

/* libcurl calls it when the connection stands and nothing of the request has been sent. */
static int
on_connected(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
	struct flight *f = ctx;

	(void)ip, (void)local_ip, (void)port, (void)local_port;
	f->h->sent = true;
	return CURL_PREREQFUNC_OK;
}

static void
add_header(struct curl_slist **list, const char *line, int *err)
{
	struct curl_slist *more = curl_slist_append(*list, line);

	if (more)
		*list = more;
	else
		*err = -ENOMEM;
}

/* The lines that we send, and the token where it may go. */
static int
make_headers(struct http *h, const struct http_request *q, const char *url, struct curl_slist **ret)
{
	scoped(strbuf_done) struct strbuf line = STRBUF_INIT(8192);
	const char *token = h->settings->token;
	int err = 0;

	for (size_t i = 0; q->headers && q->headers[i]; i++)
		add_header(ret, q->headers[i], &err);
	add_header(ret, "Expect:", &err);	/* no wait for a 100 */
	if (!q->headers)	/* a POST of nothing is no form */
		add_header(ret, "Content-Type:", &err);
	if (!token || !url_same_origin(url, h->base) ||
	    (h->settings->token_server && !url_same_origin(h->settings->token_server, h->base)))
		return err;
	if (strncasecmp(url, "https:", 6) != 0 && !url_is_loopback(url)) {
		strbuf_addf(&h->reason, "the token is not sent over plain HTTP to another machine; use https");
		return -EINVAL;
	}
	strbuf_addf(&line, "Authorization: Bearer %s", token);
	if (strbuf_err(&line) == 0)
		add_header(ret, strbuf_str(&line), &err);
	if (line.buf)
		explicit_bzero(line.buf, line.len);
	return strbuf_err(&line) < 0 ? strbuf_err(&line) : err;
}

static void
set_body(CURL *c, const struct http_request *q)
{
	bool get = strcmp(q->method, "GET") == 0, head = strcmp(q->method, "HEAD") == 0, post = strcmp(q->method, "POST") == 0;

	if (head)
		(void)curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	if (q->body_fd_len > 0) {
		(void)curl_easy_setopt(c, CURLOPT_POST, 1L);
		(void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_fd_len);
	} else if (q->body || post) {
		(void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
		(void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body ? q->body : "");
	}
	if (!get && !head && !post)
		(void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
	if (q->repeat == HTTP_ONCE) {	/* libcurl itself repeats on a kept connection that has just been closed */
		(void)curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
	}
}

static CURLcode
perform(struct http *h, const char *url, struct curl_slist *headers, struct flight *f)
{
	CURL *c = h->curl;

	curl_easy_reset(c);	/* connections stay */
	(void)curl_easy_setopt(c, CURLOPT_URL, url);
	(void)curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	(void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(c, CURLOPT_USERAGENT, h->options.program);
	(void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->error);
	(void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SEC);
	(void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	(void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_SEC + (long)f->q->hold_sec);
	(void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, f);
	(void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(c, CURLOPT_HEADERDATA, f);
	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, f);
	(void)curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
	(void)curl_easy_setopt(c, CURLOPT_READDATA, f);
	(void)curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
	(void)curl_easy_setopt(c, CURLOPT_SEEKDATA, f);
	(void)curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_connected);
	(void)curl_easy_setopt(c, CURLOPT_PREREQDATA, f);
	if (url_is_loopback(url))	/* a proxy has another idea of what localhost is */
		(void)curl_easy_setopt(c, CURLOPT_PROXY, "");
	if (h->settings->ca) {
		(void)curl_easy_setopt(c, CURLOPT_CAINFO, h->settings->ca);
		(void)curl_easy_setopt(c, CURLOPT_CAPATH, NULL);	/* this authority, and not the system's besides */
	}
	set_body(c, f->q);
	h->error[0] = '\0';
	return curl_easy_perform(c);
}

/* What became of a request that got no answer. */
static int
transport_error(struct http *h, const char *url, const struct flight *f, CURLcode code)
{
	int server = (int)strcspn(url + strcspn(url, ":") + 3, "/?#") + (int)strcspn(url, ":") + 3;	/* "https://host:port" */
	const char *text = h->error[0] ? h->error : curl_easy_strerror(code);

	strbuf_reset(&h->reason);
	if (f->err < 0) {
		const char *ours = f->err == -EINTR ? "interrupted" : f->err == -ETIMEDOUT ? "the time limit passed" :
		    f->err == -EFBIG ? "the answer is larger than 64 MiB" : strerror(-f->err);

		strbuf_addstr(&h->reason, ours);
		return f->err;
	}
	strbuf_addf(&h->reason, "%.*s: %s", server, url, text);
	if (code == CURLE_PEER_FAILED_VERIFICATION && !h->settings->ca)
		strbuf_addstr(&h->reason, " (an authority of your own is named with --ca FILE or SPOOLGATE_CA)");
	switch (code) {
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return -EINVAL;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CONNECT_ERROR:
		return -ECONNREFUSED;
	default:
		return h->sent ? -ECONNRESET : -ECONNREFUSED;
	}
}

/* Whether it can get better by itself, and how long the server wants us to wait (0: it does not say). */
static bool
may_repeat(const struct http *h, const struct http_request *q, const struct http_answer *a, int r, CURLcode code,
    uint64_t *ret_pause)
{
	uint64_t sec = 0;
	bool said;

	*ret_pause = 0;
	if (q->repeat == HTTP_NEVER || h->sunk)
		return false;
	if (r < 0) {
		if (r != -ECONNREFUSED && r != -ECONNRESET)
			return false;
		if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
			return false;
		if ((code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY) && !h->answered)
			return false;	/* more likely a slip of the pen */
		return q->repeat == HTTP_REPEAT || !h->sent;
	}
	said = http_header_number(a, "Retry-After", &sec) == 0 && sec < 86400;
	*ret_pause = said ? sec * USEC_PER_SEC : 0;
	if (a->status == 429 || (a->status == 503 && q->repeat == HTTP_ONCE))
		return said;
	return q->repeat == HTTP_REPEAT && a->status >= 502 && a->status <= 504;
}

int
http_sleep(struct http *h, uint64_t usec)
{
	uint64_t now = clock_mono(), until = now + usec;
	bool limited = h->limit_mono > 0 && h->limit_mono < until;

	if (limited)
		until = h->limit_mono;
	for (; now < until; now = clock_mono()) {
		struct timespec left = { .tv_sec = (time_t)((until - now) / USEC_PER_SEC),
			.tv_nsec = (long)((until - now) % USEC_PER_SEC * 1000) };
		struct timespec second = { .tv_sec = 1 };

		if (caught != 0)
			return -EINTR;
		/* A signal between the look and the sleep is seen a second later. */
		(void)ppoll(NULL, 0, left.tv_sec > 0 ? &second : &left, NULL);
	}
	if (caught != 0)
		return -EINTR;
	return limited ? -ETIMEDOUT : 0;
}

/* The whole URL that a request goes to. */
static int
make_url(const struct http *h, const char *url, char **ret)
{
	if (url[0] == '/')
		return asprintf(ret, "%s%s", h->base, url) < 0 ? -ENOMEM : 0;
	*ret = strdup(url);
	return *ret ? 0 : -ENOMEM;
}

int
http_do(struct http *h, const struct http_request *q, struct http_answer *ret)
{
	scoped(free_ptr) char *url = NULL;
	scoped(put_list) struct curl_slist *headers = NULL;
	uint64_t give_up = 0, pause = first_pause_usec, wanted;
	int r = make_url(h, q->url, &url);

	strbuf_reset(&h->reason);
	h->sent = h->repeated = false;
	if (r == 0)
		r = make_headers(h, q, url, &headers);
	if (r < 0)
		return r;
	for (;;) {
		struct flight f = { .h = h, .q = q, .a = ret };
		CURLcode code;

		h->sent = h->sunk = false;
		ret->status = 0;
		strbuf_reset(&ret->headers);
		strbuf_reset(&ret->body);
		code = perform(h, url, headers, &f);
		r = code == CURLE_OK ? 0 : transport_error(h, url, &f, code);
		if (r == 0)
			h->answered = true;
		if (!may_repeat(h, q, ret, r, code, &wanted))
			return r;
		if (h->sent && (r < 0 || ret->status == 502 || ret->status == 504))
			h->repeated = true;
		if (give_up == 0)
			give_up = clock_mono() + h->options.retry_usec;
		if (wanted < pause)
			wanted = pause;
		if (clock_mono() + wanted > give_up)
			return r;
		if (h->options.on_pause)
			h->options.on_pause(r < 0 ? http_reason(h) : "the server is busy", h->options.ctx);
		r = http_sleep(h, wanted);
		if (r < 0) {
			strbuf_reset(&h->reason);
			strbuf_addstr(&h->reason, r == -EINTR ? "interrupted" : "the time limit passed");
			return r;
		}
		pause = pause * 2 < longest_pause_usec ? pause * 2 : longest_pause_usec;
	}
}
