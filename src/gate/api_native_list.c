/* GET /jobs: one's own jobs, newest first, a page at a time. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "gate/api_native.h"
#include "gate/exchange.h"
#include "gate/problem.h"
#include "spool/index.h"

enum {
	LIMIT_DEFAULT = 100, LIMIT_MAX = 1000,
	SCAN_MAX = 2000,	/* jobs looked at for one page: where a filter leaves few, a page may be short and say where to go on */
	CURSOR_SIZE = 20 + 1 + ID_SIZE,
};

struct filter {
	char *owner, *state, *tool, *name;	/* NULL: any */
	uint64_t since_usec, until_usec;	/* until is not included */
	struct index_entry before;	/* where the page begins */
	uint64_t limit;
};

static void
filter_done(struct filter *f)
{
	free(f->owner);
	free(f->state);
	free(f->tool);
	free(f->name);
}

static int
parse_cursor(const char *text, struct index_entry *ret)
{
	char *end = NULL;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	ret->accepted_usec = strtoull(text, &end, 10);
	if (errno || *end != '-' || !id_valid(end + 1))
		return -EINVAL;
	memcpy(ret->id, end + 1, ID_SIZE);
	return 0;
}

static int
time_parameter(struct exchange *x, const char *name, uint64_t *ret)
{
	scoped(free_ptr) char *text = NULL;

	if (native_query_text(x, name, &text) != 0)
		return 1;
	if (text && clock_parse(text, ret) < 0) {
		native_problem(x, 400, PLACE_PARAMETER, name, "This must be a time of RFC 3339, such as 2026-11-26T16:50:00Z.");
		return 1;
	}
	return 0;
}

/* 0, or 1: the answer is set. */
static int
parse_filter(struct exchange *x, const struct caller *c, struct filter *f)
{
	static const char *const known[] = { "state", "tool", "name", "since", "until", "limit", "cursor", "owner", NULL };
	static const char *const states[] = { "queued", "running", "killing", "finished" };
	scoped(free_ptr) char *cursor = NULL;
	bool found = false;

	if (native_query_check(x, known) != 0 || native_query_text(x, "state", &f->state) != 0 ||
	    native_query_text(x, "tool", &f->tool) != 0 || native_query_text(x, "name", &f->name) != 0 ||
	    native_query_text(x, "owner", &f->owner) != 0 || native_query_text(x, "cursor", &cursor) != 0 ||
	    time_parameter(x, "since", &f->since_usec) != 0 || time_parameter(x, "until", &f->until_usec) != 0 ||
	    native_query_number(x, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &f->limit) != 0)
		return 1;
	for (size_t i = 0; f->state && i < sizeof states / sizeof states[0]; i++)
		found = found || strcmp(f->state, states[i]) == 0;
	if (f->state && !found) {
		native_problem(x, 400, PLACE_PARAMETER, "state", "This must be queued, running, killing or finished.");
		return 1;
	}
	f->before = (struct index_entry){ .accepted_usec = f->until_usec };
	if (cursor && parse_cursor(cursor, &f->before) < 0) {
		native_problem(x, 400, PLACE_PARAMETER, "cursor", "This is no cursor: take it from `next` of the page before.");
		return 1;
	}
	if (f->owner && !(c->scopes & SCOPE_ADMIN)) {
		native_problem(x, 403, PLACE_PARAMETER, "owner", "Only a token with the scope admin may list others' jobs.");
		return 1;
	}
	if (f->owner && index_owner_check(f->owner) < 0) {
		native_problem(x, 400, PLACE_PARAMETER, "owner", "This is no owner, such as v1:token:lab.");
		return 1;
	}
	return 0;
}

static bool
matches(const struct filter *f, const struct native_job *j)
{
	static const char *const states[] = { [JOB_QUEUED] = "queued", [JOB_RUNNING] = "running", [JOB_KILLING] = "killing",
		[JOB_FINISHED] = "finished" };
	const char *name = native_job_name(j);

	return (!f->state || strcmp(f->state, states[j->status.state]) == 0) && (!f->tool || strcmp(f->tool, j->job->tool) == 0) &&
	    (!f->name || (name && strcmp(f->name, name) == 0));
}

/* Appends the job where it matches. -ENOENT: forgotten meanwhile. */
static int
take(struct exchange *x, const struct caller *c, const struct filter *f, const char *id, json_object *list)
{
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	json_object *obj = NULL;
	int r = native_load_job(x, c, id, &j);

	if (r < 0 || !matches(f, &j))
		return r;
	native_find_position(x, &j);
	r = native_job_json(&j, &obj);
	if (r == 0 && json_object_array_add(list, obj) < 0) {
		json_object_put(obj);
		r = -ENOMEM;
	}
	return r;
}

/* Fills the list; ret_next is where the next page begins, "" at the end. */
static int
collect(struct exchange *x, const struct caller *c, struct filter *f, const struct spool *spool, json_object *list,
    char ret_next[CURSOR_SIZE])
{
	scoped(free_ptr) struct index_entry *page = calloc((size_t)f->limit + 1, sizeof *page);
	const char *owner = f->owner ? f->owner : c->owner;
	size_t looked = 0;

	ret_next[0] = '\0';
	if (!page)
		return -ENOMEM;
	for (;;) {
		int n = index_page(spool, owner, f->before, page, (size_t)f->limit + 1);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++) {
			int r;

			if (page[i].accepted_usec < f->since_usec)
				return 0;
			if (json_object_array_length(list) == f->limit || looked++ == SCAN_MAX) {
				(void)snprintf(ret_next, CURSOR_SIZE, "%" PRIu64 "-%s", f->before.accepted_usec, f->before.id);
				return 0;
			}
			r = take(x, c, f, page[i].id, list);
			if (r < 0 && r != -ENOENT)
				return r;
			f->before = page[i];
		}
		if ((uint64_t)n <= f->limit)
			return 0;
	}
}

int
native_get_jobs(struct exchange *x)
{
	scoped(caller_done) struct caller c = { .owner = "" };
	scoped(filter_done) struct filter f = { .until_usec = UINT64_MAX };
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *list = NULL;
	const struct spool *spool = NULL;
	json_object *obj = NULL;
	char next[CURSOR_SIZE];
	int r = auth_require(x, SCOPE_READ, &c);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	if (parse_filter(x, &c, &f) != 0)
		return HANDLED;
	r = gate_spool(x->gate, &spool);
	if (r == -ENOENT)
		return native_refusal(x, -ECONNREFUSED);
	list = json_object_new_array();
	if (r == 0)
		r = list ? collect(x, &c, &f, spool, list, next) : -ENOMEM;
	if (r < 0)
		return r;
	jsonw_add(&w, "jobs", take_ptr(list));
	jsonw_string(&w, "next", *next ? next : NULL);
	r = jsonw_finish(&w, &obj);
	return r < 0 ? r : native_answer(x, 200, obj);
}
