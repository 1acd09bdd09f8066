/* GET /jobs/{}/log: the whole log, or a piece of it from an offset on, held until there is one. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "gate/api_native.h"
#include "gate/exchange.h"
#include "gate/problem.h"
#include "gate/waiting.h"

enum { PIECE_MAX = 64 * 1024, HOLD_MAX_SEC = 60 };
#define LOOK_USEC (50 * USEC_PER_MSEC)	/* as often as followed files are looked at */

static const char text_type[] = "text/plain; charset=utf-8";

int
native_open_log(const struct native_job *j, uint64_t *ret_size)
{
	off_t size = 0;
	int fd = open_regular_at(j->job_fd, JOB_LOG, &size);

	if (fd == -ENOENT) {
		*ret_size = 0;
		return -EBADF;
	}
	if (fd >= 0)
		*ret_size = (uint64_t)size;
	return fd;
}

/* As far as it goes now; through nginx, with ranges. */
static int
answer_whole(struct exchange *x, const struct native_job *j)
{
	scoped(close_fd) int fd = -EBADF;
	char location[64];
	uint64_t size = 0;

	fd = native_open_log(j, &size);
	if (fd < 0 && fd != -EBADF)
		return fd;
	if (fd < 0) {
		response_body(&x->res, 200, text_type, strdup(""), 0);
		return HANDLED;
	}
	(void)snprintf(location, sizeof location, "/-/%s/jobs/%.2s/%s/" JOB_LOG, j->root, j->id, j->id);
	response_redirect(&x->res, text_type, location);
	return HANDLED;
}

struct piece {
	struct native_job job;
	uint64_t offset, limit;
	uint64_t end_mono_usec;	/* when the hold is over */
};

static void
free_piece(void *ctx)
{
	struct piece *p = ctx;

	native_job_done(&p->job);
	free(p);
}

static int
answer_bytes(struct exchange *x, const struct piece *p, int fd, uint64_t size)
{
	uint64_t len = size - p->offset < p->limit ? size - p->offset : p->limit;
	scoped(free_ptr) char *data = malloc((size_t)len + 1);
	ssize_t n = 0;

	if (!data)
		return -ENOMEM;
	if (len)
		n = pread_full(fd, data, (size_t)len, (off_t)p->offset);
	if (n < 0)
		return (int)n;
	response_headerf(&x->res, "Spoolgate-Log-Offset", "%" PRIu64, p->offset);
	response_headerf(&x->res, "Spoolgate-Log-Next", "%" PRIu64, p->offset + (uint64_t)n);
	response_header(&x->res, "Spoolgate-Log-Complete",
	    p->job.status.state == JOB_FINISHED && p->offset + (uint64_t)n == size ? "yes" : "no");
	response_header(&x->res, "Cache-Control", "no-store");
	response_body(&x->res, 200, "application/octet-stream", take_ptr(data), (size_t)n);
	return HANDLED;
}

/* HANDLED: the answer is set. HANDLED_WAITING: there is nothing yet, and the hold is not over. */
static int
look(struct exchange *x, struct piece *p, bool over)
{
	scoped(close_fd) int fd = -EBADF;
	uint64_t size = 0;
	int r = native_reload(&p->job);	/* before the log's size: what is finished does not grow any more */

	if (r == -ENOENT)
		return native_problem(x, 404, PLACE_NONE, NULL, "The job has been deleted.");
	if (r < 0)
		return r;
	fd = native_open_log(&p->job, &size);
	if (fd < 0 && fd != -EBADF)
		return fd;
	if (p->offset > size)
		return native_problem(x, 416, PLACE_PARAMETER, "offset", "The log has %" PRIu64 " bytes by now.", size);
	if (p->offset == size && p->job.status.state != JOB_FINISHED && !over)
		return HANDLED_WAITING;
	return answer_bytes(x, p, fd, size);
}

static enum wait_verdict
answer_held(struct exchange *x, enum wait_event event, void *ctx)
{
	struct piece *p = ctx;
	uint64_t now = clock_mono();
	int r = look(x, p, event == WAIT_DRAIN || now >= p->end_mono_usec);

	if (r == HANDLED_WAITING) {
		/* A log that was not there when the wait began is not followed as a file, and nobody tells of its first byte. */
		bool poll = p->offset == 0 && p->job.status.state != JOB_QUEUED;
		uint64_t next = poll && now + LOOK_USEC < p->end_mono_usec ? now + LOOK_USEC : p->end_mono_usec;

		exchange_wait_until(x, next);
		return WAIT_ON;
	}
	if (r < 0)
		exchange_fail(x, 500, "Internal error.");
	return WAIT_DONE;
}

static int
hold(struct exchange *x, struct native_job *j, uint64_t offset, uint64_t limit, uint64_t seconds)
{
	struct wait_for what = { .answer = answer_held, .free_ctx = free_piece, .follow_fd = -EBADF };
	struct piece *p = malloc(sizeof *p);
	uint64_t size = 0;
	int r;

	if (!p)
		return -ENOMEM;
	*p = (struct piece){ .job = *j, .offset = offset, .limit = limit, .end_mono_usec = clock_mono() + seconds * USEC_PER_SEC };
	*j = (struct native_job)NATIVE_JOB_NONE;
	what.ctx = p;
	what.owner = p->job.job->owner;
	what.deadline_mono_usec = p->end_mono_usec;
	what.follow_fd = native_open_log(&p->job, &size);
	memcpy(what.id, p->job.id, ID_SIZE);
	r = exchange_wait(x, &what);
	return r < 0 ? native_wait_refused(x, r) : HANDLED_WAITING;
}

int
native_get_log(struct exchange *x)
{
	static const char *const known[] = { "offset", "limit", "wait", NULL };
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	uint64_t offset = 0, limit = 0, seconds = 0;
	struct piece p;
	int r = native_open_job(x, SCOPE_READ, &j);

	if (r == 0)
		r = native_check_files(x, &j);
	if (r != 0)
		return r < 0 ? r : HANDLED;
	if (native_query_check(x, known) != 0 || native_query_number(x, "offset", 0, NATIVE_NUMBER_MAX, UINT64_MAX, &offset) != 0 ||
	    native_query_number(x, "limit", 1, PIECE_MAX, PIECE_MAX, &limit) != 0 ||
	    native_query_number(x, "wait", 0, HOLD_MAX_SEC, 0, &seconds) != 0)
		return HANDLED;
	if (offset == UINT64_MAX && !*x->req.query)
		return answer_whole(x, &j);
	if (offset == UINT64_MAX)
		offset = 0;
	p = (struct piece){ .job = j, .offset = offset, .limit = limit };
	r = look(x, &p, seconds == 0);
	return r == HANDLED_WAITING ? hold(x, &j, offset, limit, seconds) : r;
}
