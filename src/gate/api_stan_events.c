/* GET /events/<model_id>: how a compile goes, as server-sent events (the HTML standard, section 9.2); ours, old clients know nothing
 * of it. Event "state" with {"state": "queued" or "running"}, then "end" with {"ready": whether the model can be downloaded}. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "gate/api_stan.h"
#include "gate/waiting.h"

#define HEARTBEAT_USEC (15 * USEC_PER_SEC)	/* far below any proxy's patience */

struct watcher {
	char model_id[SHA1_HEX_SIZE];
	char job_id[ID_SIZE];
	char owner[sizeof "stan:ip:" + ADDRESS_NAME_SIZE];
	int told;	/* enum job_state; -1: nothing yet */
};

static void
add_event(struct exchange *x, const char *text)
{
	exchange_stream_add(x, text, strlen(text));
}

static enum wait_verdict
tell(struct exchange *x, enum wait_event event, void *ctx)
{
	struct watcher *w = ctx;
	scoped(close_fd) int job_fd = gate_open_job(x->gate, "stan", w->job_id);
	struct job_status status = { .state = JOB_FINISHED };

	/* A slow reader hears the next word later; of a job that is gone it hears the end. */
	if (!exchange_stream_idle(x))
		return event == WAIT_DRAIN ? WAIT_DONE : WAIT_ON;
	if (job_fd >= 0)
		(void)status_load(job_fd, &status);
	if (status.state == JOB_FINISHED) {
		add_event(x, stan_in_cache(x->state, w->model_id) ? "event: end\ndata: {\"ready\":true}\n\n" : "event: end\ndata: {\"ready\":false}\n\n");
		return WAIT_DONE;
	}
	if (event == WAIT_DRAIN) {
		add_event(x, "retry: 200\nevent: reconnect\ndata: {}\n\n");
		return WAIT_DONE;
	}
	if ((int)status.state != w->told)
		add_event(x, status.state == JOB_QUEUED ? "event: state\ndata: {\"state\":\"queued\"}\n\n" : "event: state\ndata: {\"state\":\"running\"}\n\n");
	else if (event == WAIT_DEADLINE)
		add_event(x, ":\n\n");
	w->told = (int)status.state;
	exchange_wait_until(x, clock_mono() + HEARTBEAT_USEC);
	return WAIT_ON;
}

int
stan_get_events(struct exchange *x)
{
	struct wait_for what = { .answer = tell, .free_ctx = free, .follow_fd = -EBADF, .stream = "text/event-stream",
		.deadline_mono_usec = clock_mono() + HEARTBEAT_USEC };
	char address[ADDRESS_NAME_SIZE];
	struct watcher *w;
	int r;

	if (!stan_is_model_id(x->args[0])) {
		exchange_fail(x, 404, NULL);
		return HANDLED;
	}
	w = calloc(1, sizeof *w);
	if (!w)
		return -ENOMEM;
	memcpy(w->model_id, x->args[0], sizeof w->model_id);
	w->told = -1;
	r = gate_key_get(x->gate, "stan", w->model_id, w->job_id);
	if (r < 0 && !stan_in_cache(x->state, w->model_id)) {
		free(w);
		stan_message(x, 404, "Nobody compiles this model");
		return HANDLED;
	}
	address_name(x->req.remote_addr, address);
	(void)snprintf(w->owner, sizeof w->owner, "stan:ip:%s", address);
	what.ctx = w;
	what.owner = w->owner;
	memcpy(what.id, w->job_id, r < 0 ? 0 : ID_SIZE);
	r = exchange_wait(x, &what);
	if (r == -EDQUOT || r == -EAGAIN) {
		exchange_fail_retry(x, 503, 5, "Too many requests wait at the same time");
		return HANDLED;
	}
	return r < 0 ? r : HANDLED_WAITING;
}
