#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "cli/command.h"
#include "cli/download.h"
#include "cli/save.h"

/* A download on its way. */
struct transfer {
	struct session *s;
	struct download *d;
	struct save_partial partial;	/* unused where it goes to standard output */
	char key[33];	/* the name of this download, whatever its content */
	char etag[160];	/* of the answer whose bytes we have */
	uint64_t have;	/* bytes of it */
	uint64_t total;	/* 0: not known */
	struct sha256 *hash;	/* of what has gone to standard output; files are hashed when they are whole */
	bool head_seen;	/* of the answer that comes now */
	uint64_t since_usec, from;
	uint64_t progress_mono;	/* when the last byte came */
};

static void
transfer_done(struct transfer *t)
{
	save_partial_close(&t->partial);
	t->hash = sha256_free(t->hash);
}

/* The ETag that can be asked with: a strong one. */
static void
take_etag(struct transfer *t, const struct http_answer *a)
{
	const char *etag = http_header(a, "ETag");

	if (!etag || etag[0] != '"' || strlen(etag) >= sizeof t->etag)
		etag = "";
	(void)snprintf(t->etag, sizeof t->etag, "%s", etag);
}

/* "bytes FIRST-LAST/TOTAL" */
static bool
parse_range(const char *text, uint64_t *ret_first, uint64_t *ret_total)
{
	uint64_t last;

	return text && sscanf(text, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, ret_first, &last, ret_total) == 3;
}

/* The head of a 2xx answer: a piece from where we are, or the whole of it. */
static int
on_head(struct transfer *t, const struct http_answer *a)
{
	uint64_t first, bytes;

	if (a->status == 206) {
		if (!parse_range(http_header(a, "Content-Range"), &first, &t->total) || first != t->have)
			return -EBADMSG;
		t->from = t->have;
		return 0;
	}
	if (a->status != 200)
		return -EBADMSG;
	if (!t->d->name && t->have > 0)	/* it changed, and what has been printed cannot be taken back */
		return -ESTALE;
	take_etag(t, a);
	t->have = t->from = 0;
	t->total = http_header_number(a, "Content-Length", &bytes) == 0 ? bytes : 0;
	return t->d->name ? save_partial_begin(&t->partial, t->key, t->etag) : 0;
}

static int
on_data(const struct http_answer *a, const char *data, size_t len, void *ctx)
{
	struct transfer *t = ctx;
	int r = t->head_seen ? 0 : on_head(t, a);

	if (r < 0)
		return r;
	t->head_seen = true;
	if (t->d->sha256 && len > t->d->bytes - t->have)
		return -EOVERFLOW;
	if (t->d->name) {
		r = pwrite_all(t->partial.fd, data, len, (off_t)t->have);
	} else {
		r = write_all(STDOUT_FILENO, data, len);
		sha256_add(t->hash, data, len);
	}
	if (r < 0)
		return r;
	t->have += len;
	t->partial.bytes = t->have;
	t->progress_mono = clock_mono();
	progress_bytes(&t->s->progress, t->d->shown, t->have, t->d->sha256 ? t->d->bytes : t->total, t->since_usec, t->from);
	return 0;
}

static int
say_local(struct session *s, const struct download *d, int r)
{
	switch (r) {
	case -EBADMSG:
		session_say(s, "%s: the server sent another part than was asked for", d->shown);
		return EXIT_DAMAGED;
	case -EOVERFLOW:
		session_say(s, "%s: the server sends more than the %" PRIu64 " bytes that it announced", d->shown, d->bytes);
		return EXIT_DAMAGED;
	case -ESTALE:
		session_say(s, "%s: it changed while it was printed", d->shown);
		return EXIT_DAMAGED;
	case -EEXIST:
		session_say(s, "%s is there already; --force replaces it", d->shown);
		return EXIT_FAILURE;
	case -EPIPE:
		return EXIT_FAILURE;
	default:
		session_say(s, "%s: %s", d->shown, strerror(-r));
		return EXIT_FAILURE;
	}
}

/* Whether it may be asked for again after what came of a request; said where not. */
static int
after_cut(struct transfer *t, int r, const struct http_answer *a, uint64_t *pause)
{
	struct session *s = t->s;
	uint64_t sec = 0;

	if (r == 0 && a->status == 416) {	/* what an earlier run left is longer than it is: begin anew */
		if (t->have == 0 || !t->d->name)
			return session_fault(s, a);
		save_partial_drop(&t->partial);
		t->have = 0;
		return EXIT_SUCCESS;
	}
	if (r == 0 && a->status != 429 && (a->status < 502 || a->status > 504))
		return session_fault(s, a);
	if (r < 0 && r != -ECONNRESET && r != -ECONNREFUSED)
		return http_reason(s->http)[0] && (r == -EINTR || r == -ETIMEDOUT || r == -EINVAL) ? session_broken(s, r) :
		    say_local(s, t->d, r);
	if (r == 0 && http_header_number(a, "Retry-After", &sec) == 0 && sec < 86400 && sec * USEC_PER_SEC > *pause)
		*pause = sec * USEC_PER_SEC;
	if (clock_mono() + *pause > t->progress_mono + s->retry_usec)
		return r < 0 ? session_broken(s, r) : session_fault(s, a);
	r = http_sleep(s->http, *pause);
	*pause = *pause * 2 < 5 * USEC_PER_SEC ? *pause * 2 : 5 * USEC_PER_SEC;
	return r < 0 ? session_broken(s, r) : EXIT_SUCCESS;
}

/* Whether what we have can be gone on with: only an ETag or a hash tells a piece of the same from one of another. Begins anew
 * where it cannot, unless it has been printed. */
static int
check_going_on(struct transfer *t)
{
	if (t->have == 0 || t->etag[0] || t->d->sha256)
		return EXIT_SUCCESS;
	if (!t->d->name) {
		session_say(t->s, "%s: it was cut, and the server sent no ETag to go on with", t->d->shown);
		return EXIT_CONNECTION;
	}
	save_partial_drop(&t->partial);
	t->have = 0;
	return EXIT_SUCCESS;
}

/* One request, from where we are. *ret_whole: nothing is missing any more. */
static int
request(struct transfer *t, uint64_t *pause, bool *ret_whole)
{
	scoped(http_answer_done) struct http_answer a = { 0 };
	char range[64], if_range[sizeof t->etag + 16];
	const char *lines[] = { range, t->etag[0] ? if_range : NULL, NULL };
	struct http_request q = HTTP_GET(t->d->url);
	uint64_t before = t->have;
	int r;

	(void)snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-", t->have);
	(void)snprintf(if_range, sizeof if_range, "If-Range: %s", t->etag);
	if (t->have > 0)
		q.headers = lines;
	q.repeat = HTTP_NEVER;
	q.sink = on_data;
	q.ctx = t;
	t->head_seen = false;
	http_answer_init(&a);
	r = http_do(t->s->http, &q, &a);
	if (r == 0 && a.status >= 200 && a.status < 300 && !t->head_seen)	/* a body of no bytes */
		r = on_head(t, &a);
	*ret_whole = r == 0 && a.status >= 200 && a.status < 300;
	if (*ret_whole)
		return EXIT_SUCCESS;
	if (t->have > before)
		*pause = 100 * USEC_PER_MSEC;
	return after_cut(t, r, &a, pause);
}

static int
transfer(struct transfer *t)
{
	uint64_t pause = 100 * USEC_PER_MSEC;
	bool whole = false;
	int r = EXIT_SUCCESS;

	while (r == EXIT_SUCCESS && !whole) {
		/* An earlier run may have been cut between the last byte and the name; no server has a range for that. */
		if (t->d->sha256 && t->have == t->d->bytes && t->have > 0)
			break;
		r = check_going_on(t);
		if (r == EXIT_SUCCESS)
			r = request(t, &pause, &whole);
	}
	progress_clear(&t->s->progress);
	return r;
}

/* Size and hash of what came, in comparison with what was announced. */
static int
verify(struct transfer *t, bool quietly)
{
	struct download *d = t->d;

	d->got_bytes = t->have;
	if (d->name) {
		int64_t n = sha256_fd(t->partial.fd, INT64_MAX, d->got_sha256);

		if (n < 0)
			return say_local(t->s, d, (int)n);
		d->got_bytes = (uint64_t)n;
	} else {
		sha256_finish(t->hash, d->got_sha256);
	}
	if (!d->sha256 || (d->got_bytes == d->bytes && strcmp(d->got_sha256, d->sha256) == 0))
		return EXIT_SUCCESS;
	if (quietly)
		return EXIT_DAMAGED;
	if (d->got_bytes != d->bytes)
		session_say(t->s, "%s has %" PRIu64 " bytes and not the %" PRIu64 " that the server announced", d->shown, d->got_bytes,
		    d->bytes);
	else
		session_say(t->s, "%s has another SHA-256 than the server announced", d->shown);
	return EXIT_DAMAGED;
}

/* What is there under this name: nothing (0), the very content (1), or something else, which is said (an exit status as a
 * negative number). */
static int
look(struct session *s, struct download *d)
{
	scoped(close_fd) int fd = -EBADF;
	struct stat st;
	off_t size;

	if (fstatat(d->dir_fd, d->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -say_local(s, d, -errno);
	if (d->sha256 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == d->bytes) {
		fd = open_regular_at(d->dir_fd, d->name, &size);
		if (fd >= 0 && sha256_fd(fd, INT64_MAX, d->got_sha256) == (int64_t)d->bytes &&
		    strcmp(d->got_sha256, d->sha256) == 0)
			return 1;
	}
	return d->force && !S_ISDIR(st.st_mode) ? 0 : -say_local(s, d, S_ISDIR(st.st_mode) ? -EISDIR : -EEXIST);
}

/* Finds the partial download of an earlier run. */
static int
take_up(struct transfer *t)
{
	scoped(strbuf_done) struct strbuf what = STRBUF_INIT(64 * 1024);	/* of another content it is another download */
	char hex[SHA256_HEX_SIZE];
	int r;

	strbuf_addf(&what, "%s%s\n%s", http_server(t->s->http), t->d->url, t->d->sha256 ? t->d->sha256 : "");
	sha256_hex(strbuf_str(&what), what.len, hex);
	(void)snprintf(t->key, sizeof t->key, "%.32s", hex);
	r = save_partial_find(t->d->dir_fd, t->key, &t->partial);
	if (r < 0)
		return say_local(t->s, t->d, r);
	t->have = t->partial.bytes;
	(void)snprintf(t->etag, sizeof t->etag, "%s", t->partial.etag);
	if (t->have > 0 && (t->etag[0] == '\0' || (t->d->sha256 && t->have > t->d->bytes))) {
		save_partial_drop(&t->partial);
		t->have = 0;
	}
	return EXIT_SUCCESS;
}

int
download(struct session *s, struct download *d)
{
	scoped(transfer_done) struct transfer t = { .s = s, .d = d, .partial = { .fd = -EBADF }, .since_usec = clock_mono(),
		.progress_mono = clock_mono() };
	bool resumed;
	int r;

	d->got_bytes = d->bytes;
	d->was_there = false;
	if (d->name) {
		r = look(s, d);
		if (r != 0) {
			d->was_there = r > 0;
			return r > 0 ? EXIT_SUCCESS : -r;
		}
		r = take_up(&t);
		if (r != EXIT_SUCCESS)
			return r;
	} else if (!(t.hash = sha256_new())) {
		return session_broken(s, -ENOMEM);
	}
	resumed = t.have > 0;
	t.from = t.have;
	r = transfer(&t);
	if (r == EXIT_SUCCESS)
		r = verify(&t, resumed);
	if (r == EXIT_DAMAGED && resumed) {	/* perhaps the part from the earlier run is: once more without it */
		save_partial_drop(&t.partial);
		t.have = t.from = 0;
		r = transfer(&t);
		if (r == EXIT_SUCCESS)
			r = verify(&t, false);
	}
	if (r == EXIT_DAMAGED)
		save_partial_drop(&t.partial);
	if (r == EXIT_SUCCESS && d->name) {
		int err = save_partial_finish(&t.partial, d->name, d->force);

		if (err < 0)
			return say_local(s, d, err);
	}
	return r;
}
