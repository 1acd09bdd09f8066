/* GET /jobs/{}/events: a job's states and its log, as server-sent events (the HTML standard, section 9.2). The id of an event is
 * the log's offset behind it, so that a reader who comes again (Last-Event-ID) misses nothing and gets nothing twice. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "gate/api_native.h"
#include "gate/exchange.h"
#include "gate/problem.h"
#include "gate/waiting.h"

enum { CHUNK = 4096, EVENT_MAX = 48 * 1024 };	/* bytes of log in one event; each becomes at most six */
#define HEARTBEAT_USEC (15 * USEC_PER_SEC)	/* far below any proxy's patience */
#define LOOK_USEC (50 * USEC_PER_MSEC)

struct follower {
	struct native_job job;
	int log_fd;	/* -EBADF: there is no log yet */
	bool own_fd;	/* not the one that the waiting thread follows, and closes */
	uint64_t offset;	/* next byte of the log */
	bool greeted;	/* the first state has been told */
	enum job_state told;
	unsigned told_attempt;
	uint64_t heartbeat_mono_usec;
};

static void
free_follower(void *ctx)
{
	struct follower *f = ctx;

	if (f->own_fd)
		close_fd(&f->log_fd);
	native_job_done(&f->job);
	free(f);
}

static int
add_job_event(struct exchange *x, const struct follower *f, const char *name)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(EVENT_MAX);
	scoped(put_json) json_object *obj = NULL;
	int r = native_job_json(&f->job, &obj);

	if (r < 0)
		return r;
	strbuf_addf(&s, "event: %s\ndata: ", name);
	json_style_format(&s, obj, 0);
	strbuf_addstr(&s, "\n\n");
	r = strbuf_err(&s);
	if (r == 0)
		exchange_stream_add(x, s.buf, s.len);
	return r;
}

/* How many of these bytes are whole characters, or no UTF-8 at all: an end that may be the beginning of a character is left. */
static size_t
whole_characters(const unsigned char *data, size_t len)
{
	for (size_t back = 1; back <= 3 && back <= len; back++) {
		unsigned char c = data[len - back];

		if (c >= 0xc2 && c <= 0xf4)
			return (c >= 0xf0 ? 4U : c >= 0xe0 ? 3U : 2U) > back ? len - back : len;
		if ((c & 0xc0) != 0x80)
			break;
	}
	return len;
}

/* The next piece of the log as an event: 1, or 0 where there is none. */
static int
add_log_event(struct exchange *x, struct follower *f)
{
	scoped(strbuf_done) struct strbuf text = STRBUF_INIT(3 * CHUNK);
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(EVENT_MAX);
	char data[CHUNK];
	ssize_t n = 0;
	size_t len;
	int r;

	if (f->log_fd >= 0)
		n = pread_full(f->log_fd, data, sizeof data, (off_t)f->offset);
	if (n <= 0)
		return (int)n;
	len = whole_characters((const unsigned char *)data, (size_t)n);
	if (len == 0 && f->job.status.state == JOB_FINISHED)
		len = (size_t)n;	/* what is missing of it never comes */
	if (len == 0)
		return 0;
	utf8_add(&text, data, len);
	strbuf_addf(&s, "id: %" PRIu64 "\nevent: log\ndata: {\"offset\":%" PRIu64 ",\"text\":", f->offset + len, f->offset);
	json_quote(&s, strbuf_str(&text), text.len, false);
	strbuf_addstr(&s, "}\n\n");
	r = strbuf_err(&text) < 0 ? strbuf_err(&text) : strbuf_err(&s);
	if (r < 0)
		return r;
	exchange_stream_add(x, s.buf, s.len);
	f->offset += len;
	return 1;
}

static void
open_log(struct follower *f)
{
	uint64_t size = 0;

	if (f->log_fd >= 0)
		return;
	f->log_fd = native_open_log(&f->job, &size);
	f->own_fd = f->log_fd >= 0;
}

/* Says what there is to say, one event at a time while they go out. 1: that was the end. */
static int
tell(struct exchange *x, struct follower *f)
{
	int r = native_reload(&f->job);	/* before the log is read: what is finished does not grow any more */

	if (r == -ENOENT)
		return 1;
	if (r < 0)
		return r;
	open_log(f);
	while (exchange_stream_idle(x)) {
		const struct job_status *now = &f->job.status;

		if (!f->greeted || now->state != f->told || now->attempt != f->told_attempt) {
			r = now->state == JOB_FINISHED && f->greeted ? 0 : add_job_event(x, f, "state");
			f->greeted = true;
			f->told = now->state;
			f->told_attempt = now->attempt;
			if (r < 0)
				return r;
			continue;
		}
		r = add_log_event(x, f);
		if (r < 0)
			return r;
		if (r == 0 && now->state == JOB_FINISHED) {
			r = add_job_event(x, f, "end");
			return r < 0 ? r : 1;
		}
		if (r == 0)
			break;
	}
	return 0;
}

static enum wait_verdict
follow(struct exchange *x, enum wait_event event, void *ctx)
{
	static const char reconnect[] = "retry: 200\nevent: reconnect\ndata: {}\n\n";
	struct follower *f = ctx;
	uint64_t now = clock_mono();
	uint64_t next;
	int r = tell(x, f);

	if (r != 0)	/* of what cannot be read the stream tells nothing: it breaks off, and the reader comes again */
		return WAIT_DONE;
	if (event == WAIT_DRAIN && exchange_stream_idle(x)) {
		exchange_stream_add(x, reconnect, sizeof reconnect - 1);
		return WAIT_DONE;
	}
	if (event == WAIT_DRAIN)	/* a slow reader */
		return WAIT_DONE;
	if (now >= f->heartbeat_mono_usec) {
		if (exchange_stream_idle(x))
			exchange_stream_add(x, ":\n\n", 3);
		f->heartbeat_mono_usec = now + HEARTBEAT_USEC;
	}
	/* A log that was not there when the wait began is not followed by the waiting thread. */
	next = (f->own_fd || f->log_fd < 0) && f->job.status.state != JOB_QUEUED ? now + LOOK_USEC : f->heartbeat_mono_usec;
	exchange_wait_until(x, next < f->heartbeat_mono_usec ? next : f->heartbeat_mono_usec);
	return WAIT_ON;
}

/* Where the reader wants to begin. 0, or 1: the answer is set. */
static int
find_offset(struct exchange *x, const struct native_job *j, uint64_t *ret)
{
	static const char *const known[] = { "offset", NULL };
	scoped(close_fd) int fd = -EBADF;
	const char *last = request_header(&x->req, "HTTP_LAST_EVENT_ID");
	uint64_t size = 0;
	char *end = NULL;

	if (native_query_check(x, known) != 0 || native_query_number(x, "offset", 0, NATIVE_NUMBER_MAX, 0, ret) != 0)
		return 1;
	if (last) {
		errno = 0;
		*ret = *last >= '0' && *last <= '9' ? strtoull(last, &end, 10) : 0;
		if (!end || *end || errno || *ret > NATIVE_NUMBER_MAX) {
			native_problem(x, 400, PLACE_HEADER, "Last-Event-ID", "This is no id of an event of a job.");
			return 1;
		}
	}
	fd = native_open_log(j, &size);
	if (*ret > size) {
		native_problem(x, 416, last ? PLACE_HEADER : PLACE_PARAMETER, last ? "Last-Event-ID" : "offset",
		    "The log has %" PRIu64 " bytes by now.", size);
		return 1;
	}
	if (last && *ret == size && j->status.state == JOB_FINISHED) {
		response_empty(&x->res, 204);	/* which makes an EventSource stop */
		return 1;
	}
	return 0;
}

int
native_get_events(struct exchange *x)
{
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	struct wait_for what = { .answer = follow, .free_ctx = free_follower, .follow_fd = -EBADF };
	struct follower *f = NULL;
	uint64_t offset = 0, size = 0;
	int r = native_open_job(x, SCOPE_READ, &j);

	if (r == 0)
		r = native_check_files(x, &j);
	if (r != 0)
		return r < 0 ? r : HANDLED;
	if (find_offset(x, &j, &offset) != 0)
		return HANDLED;
	if (x->req.method == METHOD_HEAD) {
		response_body(&x->res, 200, "text/event-stream", strdup(""), 0);
		return HANDLED;
	}
	f = calloc(1, sizeof *f);
	if (!f)
		return -ENOMEM;
	*f = (struct follower){ .job = j, .log_fd = -EBADF, .offset = offset, .heartbeat_mono_usec = clock_mono() + HEARTBEAT_USEC };
	j = (struct native_job)NATIVE_JOB_NONE;
	what.follow_fd = native_open_log(&f->job, &size);
	f->log_fd = what.follow_fd;
	what.ctx = f;
	what.owner = f->job.job->owner;
	what.stream = "text/event-stream";
	what.deadline_mono_usec = f->heartbeat_mono_usec;
	memcpy(what.id, f->job.id, ID_SIZE);
	response_header(&x->res, "Cache-Control", "no-store");
	r = exchange_wait(x, &what);
	return r < 0 ? native_wait_refused(x, r) : HANDLED_WAITING;
}
