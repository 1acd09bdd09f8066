#include "config.h"

#include <stdio.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "helper/live.h"
#include "helper/top.h"

struct top {
	json_object *list;
	size_t more;
	int error;
};

static void
take(const struct live *l, void *ctx)
{
	struct top *t = ctx;
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *obj = NULL;
	pid_t pid = 0;

	if (!l->has_slot || t->error < 0)
		return;
	if (json_object_array_length(t->list) >= TOP_MAX) {
		t->more++;
		return;
	}
	if (l->pidfd >= 0 && pidfd_pid(l->pidfd, &pid) < 0)
		pid = 0;
	jsonw_string(&w, "id", l->id);
	jsonw_string(&w, "tool", l->tool);
	jsonw_string(&w, "owner", l->owner ? queue_owner_name(l->owner) : "");
	jsonw_int(&w, "pid", pid);
	jsonw_int(&w, "since_mono_usec", (int64_t)l->slot_mono_usec);
	jsonw_bool(&w, "killing", l->kill_wanted);
	t->error = jsonw_finish(&w, &obj);
	if (t->error == 0 && json_object_array_add(t->list, obj) < 0) {
		json_object_put(obj);
		t->error = -ENOMEM;
	}
}

void
top_request(struct helper *h, struct message *m, struct reply_to to)
{
	struct top t = { .list = json_object_new_array() };
	struct jsonw w = jsonw_new();
	json_object *body = NULL;

	(void)m;
	if (t.list)
		live_each(h, take, &t);
	jsonw_int(&w, "now_mono_usec", (int64_t)clock_mono());
	jsonw_int(&w, "helper_pid", getpid());
	jsonw_int(&w, "more", (int64_t)t.more);
	jsonw_add(&w, "jobs", t.list);
	if (t.error < 0 || jsonw_finish(&w, &body) < 0)
		server_refuse(h, to, -ENOMEM, NULL, 0);
	else
		server_reply(h, to, body);
	jsonw_done(&w);
}
