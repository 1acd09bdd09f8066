#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "helper/cull.h"
#include "helper/expire.h"
#include "helper/offload.h"
#include "spool/index.h"
#include "spool/meta.h"

struct culled {
	uint64_t ended_usec, bytes;
	char id[ID_SIZE];
};

struct cull {
	struct task task;
	struct helper *helper;
	struct reply_to to;
	char *owner;	/* NULL: everybody */
	bool by_age, by_bytes, files, dry_run;
	uint64_t before_usec;	/* wall time */
	uint64_t keep_bytes;
	struct culled *jobs;
	size_t n, room, chosen;
	uint64_t bytes;	/* of the chosen */
	int error;
};

static void
free_cull(struct cull **p)
{
	struct cull *c = *p;

	if (!c)
		return;
	free(c->owner);
	free(c->jobs);
	free(c);
	*p = NULL;
}

static int
take(const char *owner, uint64_t accepted_usec, const char *id, void *ctx)
{
	struct cull *c = ctx;
	struct culled one;
	int r;

	(void)accepted_usec;
	if (c->owner && strcmp(owner, c->owner) != 0)
		return 0;
	r = job_weight(c->helper->spool, id, &one.bytes, &one.ended_usec);
	if (r == -ENOENT || r == -EBADMSG || r == -EPROTONOSUPPORT || (r == 0 && c->files && one.bytes == 0))
		return 0;	/* not finished, damaged, or nothing to take */
	if (r < 0)
		return r;
	if (c->n == c->room) {
		size_t room = c->room ? 2 * c->room : 256;
		struct culled *grown = reallocarray(c->jobs, room, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		c->jobs = grown;
		c->room = room;
	}
	memcpy(one.id, id, sizeof one.id);
	c->jobs[c->n++] = one;
	return 0;
}

static int
compare(const void *a, const void *b)
{
	const struct culled *one = a, *other = b;

	if (one->ended_usec != other->ended_usec)
		return one->ended_usec < other->ended_usec ? -1 : 1;
	return memcmp(one->id, other->id, ID_SIZE);
}

/* In a thread: reads the record of each finished job. */
static void
choose(struct task *task)
{
	struct cull *c = task_owner(task, struct cull, task);
	uint64_t left = 0;

	c->error = index_each(c->helper->spool, take, c);
	if (c->n > 0)
		qsort(c->jobs, c->n, sizeof *c->jobs, compare);
	for (size_t i = 0; i < c->n; i++)
		left += c->jobs[i].bytes;
	for (; c->chosen < c->n; c->chosen++) {
		const struct culled *one = &c->jobs[c->chosen];

		if (!(c->by_age && one->ended_usec < c->before_usec) && !(c->by_bytes && left > c->keep_bytes))
			break;
		left -= one->bytes;
		c->bytes += one->bytes;
	}
}

static void
chosen(struct task *task)
{
	scoped(free_cull) struct cull *c = task_owner(task, struct cull, task);
	struct helper *h = c->helper;
	struct jsonw w = jsonw_new();
	json_object *body = NULL;

	if (c->error < 0) {
		jsonw_done(&w);
		server_refuse(h, c->to, c->error, "the jobs cannot be read", 0);
		return;
	}
	for (size_t i = 0; !c->dry_run && i < c->chosen; i++)
		expire_force(h, c->jobs[i].id, c->files);
	if (!c->dry_run)
		log_notice("an administrator removes %s%zu jobs", c->files ? "the files of " : "", c->chosen);
	jsonw_int(&w, "jobs", (int64_t)c->chosen);
	jsonw_int(&w, "bytes", (int64_t)c->bytes);
	(void)jsonw_finish(&w, &body);
	jsonw_done(&w);
	server_reply(h, c->to, body);
	helper_check_leaving(h);
}

static int
parse(struct cull *c, json_object *body)
{
	const char *owner = NULL;
	uint64_t older = 0, now = clock_wall();

	if (json_object_object_get_ex(body, "older_usec", NULL)) {
		if (json_get_uint(body, "older_usec", &older) < 0)
			return -EINVAL;
		c->by_age = true;
		c->before_usec = older < now ? now - older : 0;
	}
	if (json_object_object_get_ex(body, "keep_bytes", NULL)) {
		if (json_get_uint(body, "keep_bytes", &c->keep_bytes) < 0)
			return -EINVAL;
		c->by_bytes = true;
	}
	if (json_object_object_get_ex(body, "owner", NULL)) {
		if (json_get_string(body, "owner", &owner) < 0 || index_owner_check(owner) < 0)
			return -EINVAL;
		c->owner = strdup(owner);
		if (!c->owner)
			return -ENOMEM;
	}
	(void)json_get_bool(body, "files", &c->files);
	(void)json_get_bool(body, "dry_run", &c->dry_run);
	return c->by_age || c->by_bytes ? 0 : -EINVAL;
}

void
cull_request(struct helper *h, struct message *m, struct reply_to to)
{
	scoped(free_cull) struct cull *c = calloc(1, sizeof *c);
	int r = c ? parse(c, m->body) : -ENOMEM;

	if (r < 0) {
		server_refuse(h, to, r, r == -EINVAL ? "older_usec, keep_bytes or owner is wrong" : NULL, 0);
		return;
	}
	c->helper = h;
	c->to = to;
	c->task.work = choose;
	c->task.done = chosen;
	offload_run(h->slow, &take_ptr(c)->task);
}
