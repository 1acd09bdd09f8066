#include "config.h"

#include <string.h>

#include "basic/log.h"
#include "basic/scoped.h"
#include "helper/expire.h"
#include "helper/live.h"
#include "helper/resume.h"
#include "helper/submit.h"
#include "spool/accept.h"
#include "spool/redo.h"

struct resume {
	struct task task;
	struct helper *helper;
	struct reply_to to;
	struct redo *redo;
	uint64_t redo_bytes;
	int result;
};

static void
renew_journal(struct task *task)
{
	struct resume *r = task_owner(task, struct resume, task);
	struct helper *h = r->helper;

	/* Everything that was acknowledged is applied by now (the writer is held); once it is flushed no record of the old journal
	 * is needed, and the file that could not be flushed is never used again. */
	writer_settle(h->writer);
	r->result = spool_sync(h->spool);
	if (r->result == 0)
		r->result = redo_renew(h->spool, r->redo_bytes, &r->redo);
	if (r->result == 0)
		r->result = redo_flush(r->redo);	/* says whether its name is flushed too */
	/* What was left for a record of which nobody knew whether it is there. */
	if (r->result == 0)
		(void)incoming_sweep(h->spool);
}

static void
renewed(struct task *task)
{
	struct resume *r = task_owner(task, struct resume, task);
	struct helper *h = r->helper;

	if (r->redo) {
		(void)redo_free(writer_replace(h->writer, r->redo));
		h->redo = r->redo;
	} else {
		(void)writer_replace(h->writer, NULL);
	}
	if (r->result < 0) {
		log_error("resume: %s", strerror(-r->result));
		server_refuse(h, r->to, r->result, "the spool cannot be flushed", 0);
	} else {
		h->stopped = false;
		h->draining = false;
		log_notice("resumed with a new journal");
		server_reply(h, r->to, NULL);
		expire_sweep(h);
		live_schedule(h);
	}
	free(r);
	helper_check_leaving(h);
}

void
resume_request(struct helper *h, struct message *m, struct reply_to to)
{
	struct resume *r;

	(void)m;
	expire_confirm(h);
	if (!h->stopped && writer_error(h->writer) == 0) {
		h->draining = false;
		log_notice("resumed");
		server_reply(h, to, NULL);
		return;
	}
	r = calloc(1, sizeof *r);
	if (!r) {
		server_refuse(h, to, -ENOMEM, NULL, 0);
		return;
	}
	if (submits_under_way(h->submits) > 0 || offload_pending(h->slow) > 0 || writer_hold(h->writer) < 0) {
		free(r);
		server_refuse(h, to, -EBUSY, "writes are under way", 1);
		return;
	}
	/* Where only a checkpoint failed nobody has noticed yet: what came into incoming/ now would be swept. */
	helper_stop_accepting(h, writer_error(h->writer), "a checkpoint");
	r->redo_bytes = config_number(h->config, "spool", "redo_bytes");
	r->task.work = renew_journal;
	r->task.done = renewed;
	r->helper = h;
	r->to = to;
	offload_run(h->slow, &r->task);
}
