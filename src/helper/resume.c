#include "config.h"

#include <string.h>

#include "basic/log.h"
#include "basic/scoped.h"
#include "helper/expire.h"
#include "helper/resume.h"
#include "spool/redo.h"

struct resume {
	struct task task;
	struct helper *helper;
	struct reply_to to;
	struct redo *redo;
	int result;
};

static void
renew_journal(struct task *task)
{
	struct resume *r = task_owner(task, struct resume, task);
	struct helper *h = r->helper;

	/* Everything that was acknowledged is applied by now (nothing is under way); once it is flushed no record of the old
	 * journal is needed, and the file that could not be flushed is never used again. */
	r->result = spool_sync(h->spool);
	if (r->result == 0)
		r->result = redo_renew(h->spool, config_number(h->config, "spool", "redo_bytes"), &r->redo);
}

static void
renewed(struct task *task)
{
	struct resume *r = task_owner(task, struct resume, task);
	struct helper *h = r->helper;

	if (r->result < 0) {
		log_error("resume: %s", strerror(-r->result));
		server_refuse(h, r->to, r->result, "the spool cannot be flushed", 0);
	} else {
		(void)redo_free(writer_replace(h->writer, r->redo));
		h->redo = r->redo;
		h->stopped = false;
		h->draining = false;
		log_notice("resumed with a new journal");
		server_reply(h, r->to, NULL);
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
	if (writer_pending(h->writer) > 0 || offload_pending(h->io) > 0 || offload_pending(h->slow) > 0) {
		server_refuse(h, to, -EBUSY, "writes are under way", 1);
		return;
	}
	r = calloc(1, sizeof *r);
	if (!r) {
		server_refuse(h, to, -ENOMEM, NULL, 0);
		return;
	}
	r->task.work = renew_journal;
	r->task.done = renewed;
	r->helper = h;
	r->to = to;
	offload_run(h->slow, &r->task);
}
