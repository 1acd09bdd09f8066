#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "helper/condition.h"
#include "spool/index.h"
#include "spool/record.h"

#define ONCE_USEC (24 * 3600 * USEC_PER_SEC)

static int
refuse(struct tool_refusal *refusal, const char *member, const char *why)
{
	(void)snprintf(refusal->member, sizeof refusal->member, "/%s", member);
	(void)snprintf(refusal->why, sizeof refusal->why, "%s", why);
	return -EINVAL;
}

static int
claim(struct conditions *c, const char *kind, const char *service, const char *name)
{
	if (asprintf(&c->claims[c->n_claims], "%s:%s:%s", kind, service, name) < 0) {
		c->claims[c->n_claims] = NULL;
		return -ENOMEM;
	}
	c->n_claims++;
	return 0;
}

static int
parse_key(struct conditions *c, json_object *body, struct job *job, struct tool_refusal *refusal)
{
	const char *key = NULL;
	int r = json_get_string(body, "key", &key);

	if (r < 0 || strlen(key) < 1 || strlen(key) > JOB_KEY_MAX || key_is_once(key))
		return refuse(refusal, "key", "this is no name for a job");
	if (json_object_object_get_ex(body, "key_replaces", NULL) && json_get_bool(body, "key_replaces", &c->key_replaces) < 0)
		return refuse(refusal, "key_replaces", "this must be true or false");
	job->key = strdup(key);
	return job->key ? claim(c, "key", job->service, key) : -ENOMEM;
}

static int
parse_once(struct conditions *c, json_object *body, struct job *job, struct tool_refusal *refusal)
{
	const char *once = NULL;

	if (json_get_string(body, "once", &once) < 0 || strlen(once) < 1 || strlen(once) > ONCE_MAX)
		return refuse(refusal, "once", "this is no Idempotency-Key");
	if (once_hash(job->owner, once, job->once) < 0)
		return -ENOMEM;
	return claim(c, "once", job->service, job->once);
}

int
conditions_parse(struct conditions *c, json_object *body, struct job *job, struct tool_refusal *refusal)
{
	int r = 0;

	if (json_object_object_get_ex(body, "key", NULL))
		r = parse_key(c, body, job, refusal);
	if (r == 0 && json_object_object_get_ex(body, "once", NULL))
		r = parse_once(c, body, job, refusal);
	if (r == 0 && json_object_object_get_ex(body, "kept_owner", NULL) &&
	    (json_get_uint(body, "kept_owner", &c->kept_owner) < 0 || c->kept_owner == 0))
		return refuse(refusal, "kept_owner", "this is no number of jobs");
	if (r == 0 && json_object_object_get_ex(body, "kept_service", NULL) &&
	    (json_get_uint(body, "kept_service", &c->kept_service) < 0 || c->kept_service == 0))
		return refuse(refusal, "kept_service", "this is no number of jobs");
	if (r == 0 && (c->kept_owner > 0 || c->kept_service > 0))
		r = claim(c, "kept", job->service, "");
	return r;
}

void
conditions_done(struct conditions *c)
{
	for (size_t i = 0; i < c->n_claims; i++)
		free(c->claims[i]);
	c->n_claims = 0;
}

static bool
in_common(const struct conditions *a, const struct conditions *b)
{
	for (size_t i = 0; i < a->n_claims; i++)
		for (size_t j = 0; j < b->n_claims; j++)
			if (strcmp(a->claims[i], b->claims[j]) == 0)
				return true;
	return false;
}

/* Whether nobody who came earlier has a claim of it. */
static bool
is_its_turn(const struct conditions_list *l, const struct conditions *c)
{
	for (const struct conditions *i = l->first; i != c; i = i->next)
		if (in_common(i, c))
			return false;
	return true;
}

void
conditions_enter(struct conditions_list *l, struct conditions *c)
{
	struct conditions **end = &l->first;

	c->next = NULL;
	if (c->n_claims > 0) {
		while (*end)
			end = &(*end)->next;
		*end = c;
		if (!is_its_turn(l, c))
			return;
	}
	c->granted = true;
	c->go(c);
}

void
conditions_leave(struct conditions_list *l, struct conditions *c)
{
	struct conditions **p = &l->first, *next = NULL;

	while (*p && *p != c)
		p = &(*p)->next;
	if (!*p)
		return;
	*p = c->next;
	/* Only those behind it can have waited for it. go only hands over to a thread: it changes nothing here. */
	for (struct conditions *i = c->next; i; i = next) {
		next = i->next;
		if (i->granted || !in_common(i, c) || !is_its_turn(l, i))
			continue;
		i->granted = true;
		i->go(i);
	}
}

/* 1: the same is there; 0: not; -ENOTUNIQ: something else is. */
static int
look_for_once(const struct spool *s, const struct job *job, char ret_id[ID_SIZE])
{
	scoped(close_fd) int job_fd = -EBADF;
	scoped(free_job) struct job *other = NULL;
	char name[ONCE_NAME_SIZE];
	int r;

	once_name(job->once, name);
	r = index_key_get(s, job->service, name, ret_id);
	if (r == 0)
		job_fd = r = spool_open_job(s, ret_id);
	if (r >= 0)
		r = job_load(job_fd, &other);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (other->accepted_usec + ONCE_USEC < clock_wall())
		return 0;
	return strcmp(other->once_sha256, job->once_sha256) == 0 ? 1 : -ENOTUNIQ;
}

/* 1: the key is another's who may not lose it. */
static int
look_for_key(const struct spool *s, const struct conditions *c, const struct job *job)
{
	scoped(close_fd) int job_fd = -EBADF;
	struct job_result result;
	char other[ID_SIZE];
	int r = index_key_get(s, job->service, job->key, other);

	if (r < 0 || !c->key_replaces)
		return r == -ENOENT ? 0 : r < 0 ? r : 1;
	job_fd = spool_open_job(s, other);
	if (job_fd < 0)
		return job_fd == -ENOENT ? 0 : job_fd;
	r = result_load(job_fd, &result);
	/* Damaged, its verdict is no use to anybody either. */
	return r == -ENOENT ? 1 : r == -EBADMSG ? 0 : r;
}

int
conditions_check(const struct spool *s, const struct conditions *c, const struct job *job, struct tool_refusal *refusal,
    char ret_id[ID_SIZE])
{
	int r = job->once[0] ? look_for_once(s, job, ret_id) : 0;

	if (r == -ENOTUNIQ)
		(void)refuse(refusal, "once", "this Idempotency-Key stands for another submission");
	if (r != 0)
		return r;
	if (job->key && (r = look_for_key(s, c, job)) != 0) {
		(void)refuse(refusal, "key", "there is a job of this name");
		return r < 0 ? r : -EEXIST;
	}
	r = c->kept_owner > 0 ? index_count(s, job->owner, c->kept_owner) : 0;
	if (r < 0)
		return r;
	if (c->kept_owner > 0 && (uint64_t)r >= c->kept_owner) {
		(void)refuse(refusal, "kept_owner", "too many jobs of this owner are kept");
		return -EDQUOT;
	}
	r = c->kept_service > 0 ? index_count(s, job->service, c->kept_service) : 0;
	if (r < 0)
		return r;
	if (c->kept_service > 0 && (uint64_t)r >= c->kept_service) {
		(void)refuse(refusal, "kept_service", "too many jobs of this service are kept");
		return -EDQUOT;
	}
	return 0;
}
