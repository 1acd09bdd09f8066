/* list.c - `spoolgate list`. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/escape.h"
#include "basic/scoped.h"
#include "cli/command.h"
#include "cli/session.h"

enum { PAGE_MAX = 1000, LIMIT = 100, TEXT_MAX = 64 * 1024 };
enum { OPTION_STATE = 1, OPTION_TOOL, OPTION_NAME, OPTION_SINCE, OPTION_UNTIL, OPTION_LIST_LIMIT, OPTION_ALL,
	OPTION_IDS, OPTION_OWNER };

static const char list_usage[] =
    "usage: spoolgate list [OPTION]...\n"
    "Lists your jobs, newest first.\n\n"
    "  --state STATE       only those queued, running, killing or finished\n"
    "  --tool TOOL         only those of this tool\n"
    "  --name NAME         only those of this name\n"
    "  --since WHEN        only those submitted at this moment or later: a date (2026-11-26), a date and a time\n"
    "                      (\"2026-11-26 16:50\", local; or RFC 3339), or an age (90s, 5m, 2h, 7d)\n"
    "  --until WHEN        only those submitted before this moment\n"
    "  --limit N           at most so many (100)\n"
    "  --all               all of them\n"
    "  --ids               the ids alone, one a line\n"
    "  --owner OWNER       somebody else's; for administrators\n";

struct filter {
	struct strbuf query;	/* "&state=running..." */
	uint64_t limit;	/* UINT64_MAX: all */
	bool ids;
};

static void
filter_done(struct filter *f)
{
	strbuf_done(&f->query);
}

static void
add_query(struct filter *f, const char *name, const char *value)
{
	strbuf_addf(&f->query, "&%s=", name);
	percent_encode(&f->query, value);
}

static int
add_moment(struct session *s, struct filter *f, const char *name, const char *text)
{
	char moment[CLOCK_TEXT_SIZE];
	uint64_t usec;

	if (when_parse(text, clock_wall(), &usec) < 0)
		return session_usage(s, "--%s %s: neither a date, a date and a time, nor an age like 90s, 5m, 2h, 7d", name, text);
	clock_format(usec, moment);
	add_query(f, name, moment);
	return -1;
}

static int
set_limit(struct session *s, struct filter *f, const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > 9 || strspn(text, "0123456789") != len || atoi(text) == 0)
		return session_usage(s, "--limit %s: not a number from 1 on", text);
	f->limit = strtoull(text, NULL, 10);
	return -1;
}

/* An option of ours: -1, or an exit status. */
static int
on_option(struct session *s, struct filter *f, int c)
{
	switch (c) {
	case OPTION_STATE:
		add_query(f, "state", optarg);
		return -1;
	case OPTION_TOOL:
		add_query(f, "tool", optarg);
		return -1;
	case OPTION_NAME:
		add_query(f, "name", optarg);
		return -1;
	case OPTION_OWNER:
		add_query(f, "owner", optarg);
		return -1;
	case OPTION_SINCE:
		return add_moment(s, f, "since", optarg);
	case OPTION_UNTIL:
		return add_moment(s, f, "until", optarg);
	case OPTION_LIST_LIMIT:
		return set_limit(s, f, optarg);
	case OPTION_ALL:
		f->limit = UINT64_MAX;
		return -1;
	case OPTION_IDS:
		f->ids = true;
		return -1;
	default:
		return session_option(s, c, list_usage);
	}
}

/* Asks for page after page and puts the jobs into one array; *ret_next is where the server would go on, or null. */
static int
collect(struct session *s, const struct filter *f, json_object *jobs, json_object **ret_next)
{
	scoped(strbuf_done) struct strbuf cursor = STRBUF_INIT(TEXT_MAX);

	for (;;) {
		scoped(put_json) json_object *page = NULL;
		scoped(strbuf_done) struct strbuf following = STRBUF_INIT(TEXT_MAX);
		uint64_t have = json_object_array_length(jobs), left = f->limit - have;
		json_object *list = NULL, *next = NULL;
		int r = session_get(s, &page, "/v1/jobs?limit=%" PRIu64 "%s%s", left < PAGE_MAX ? left : PAGE_MAX,
		    strbuf_str(&f->query), strbuf_str(&cursor));

		if (r != EXIT_SUCCESS)
			return r;
		if (json_get_array(page, "jobs", &list) < 0) {
			session_say(s, "the answer of %s has no jobs; is it a spoolgate server?", http_server(s->http));
			return EXIT_DAMAGED;
		}
		for (size_t i = 0; i < json_object_array_length(list); i++)
			if (json_object_array_add(jobs, json_object_get(json_object_array_get_idx(list, i))) < 0)
				return session_broken(s, -ENOMEM);
		(void)json_object_object_get_ex(page, "next", &next);
		have = json_object_array_length(jobs);
		if (!json_object_is_type(next, json_type_string) || have >= f->limit) {
			*ret_next = json_object_get(next);
			return EXIT_SUCCESS;
		}
		strbuf_addstr(&following, "&cursor=");
		percent_encode(&following, json_object_get_string(next));
		if (strcmp(strbuf_str(&following), strbuf_str(&cursor)) == 0) {
			session_say(s, "%s goes round in circles with its list", http_server(s->http));
			return EXIT_DAMAGED;
		}
		strbuf_reset(&cursor);
		strbuf_addstr(&cursor, strbuf_str(&following));
	}
}

static int
print_table(struct session *s, json_object *jobs)
{
	scoped(table_done) struct table t = { .columns = 6 };
	static const char *const heads[] = { "JOB", "STATE", "TOOL", "CREATED", "TIME", "NAME" };
	int r;

	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
		table_add(&t, heads[i]);
	for (size_t i = 0; i < json_object_array_length(jobs); i++) {
		scoped(strbuf_done) struct strbuf state = STRBUF_INIT(TEXT_MAX), created = STRBUF_INIT(64), took = STRBUF_INIT(64);
		json_object *job = json_object_array_get_idx(jobs, i);
		uint64_t usec;

		job_state(&state, job);
		if (clock_parse(job_string(job, "created"), &usec) == 0)
			show_time(&created, usec);
		if (job_string(job, "started")[0])
			show_duration(&took, job_elapsed(job));
		table_add(&t, job_string(job, "id"));
		table_add(&t, strbuf_str(&state));
		table_add(&t, job_string(job, "tool"));
		table_add(&t, strbuf_str(&created));
		table_add(&t, strbuf_str(&took));
		table_add(&t, job_string(job, "name"));
	}
	if (json_object_array_length(jobs) == 0)	/* a head above nothing helps nobody */
		return EXIT_SUCCESS;
	r = table_print(&t, stdout);
	return r < 0 ? session_broken(s, r) : session_flush(s);
}

static int
print_list(struct session *s, const struct filter *f, json_object *jobs, json_object *next)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	int r;

	if (s->json) {
		jsonw_add(&w, "jobs", json_object_get(jobs));
		if (next)
			jsonw_add(&w, "next", json_object_get(next));
		else
			jsonw_null(&w, "next");
		r = jsonw_finish(&w, &obj);
		return r < 0 ? session_broken(s, r) : session_print_json(s, obj);
	}
	if (!f->ids) {
		r = print_table(s, jobs);
		if (r == EXIT_SUCCESS && next && !s->quiet && s->progress.on)
			(void)fprintf(stderr, "There are more: --all, or --limit N.\n");
		return r;
	}
	for (size_t i = 0; i < json_object_array_length(jobs); i++) {
		scoped(strbuf_done) struct strbuf out = STRBUF_INIT(TEXT_MAX);
		const char *id = job_string(json_object_array_get_idx(jobs, i), "id");

		show_text(&out, id, strlen(id));
		(void)printf("%s\n", strbuf_str(&out));
	}
	return session_flush(s);
}

int
command_list(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "state", required_argument, NULL, OPTION_STATE }, { "tool", required_argument, NULL, OPTION_TOOL },
		{ "name", required_argument, NULL, OPTION_NAME }, { "owner", required_argument, NULL, OPTION_OWNER },
		{ "since", required_argument, NULL, OPTION_SINCE }, { "until", required_argument, NULL, OPTION_UNTIL },
		{ "limit", required_argument, NULL, OPTION_LIST_LIMIT }, { "all", no_argument, NULL, OPTION_ALL },
		{ "ids", no_argument, NULL, OPTION_IDS }, COMMON_OPTIONS
	};
	scoped(session_done) struct session s = SESSION_INIT("list");
	scoped(filter_done) struct filter f = { .query = STRBUF_INIT(TEXT_MAX), .limit = LIMIT };
	scoped(put_json) json_object *jobs = json_object_new_array(), *next = NULL;
	int c, r;

	while ((c = getopt_long(argc, argv, "qh", options, NULL)) != -1)
		if ((r = on_option(&s, &f, c)) >= 0)
			return r;
	if (optind < argc)
		return session_usage(&s, "%s: list takes options alone", argv[optind]);
	if (f.ids && s.json)
		return session_usage(&s, "--ids does not go with --json");
	r = session_open(&s);
	if (r != EXIT_SUCCESS)
		return r;
	if (!jobs || strbuf_err(&f.query) < 0)
		return session_broken(&s, jobs ? strbuf_err(&f.query) : -ENOMEM);
	r = collect(&s, &f, jobs, &next);
	return r == EXIT_SUCCESS ? print_list(&s, &f, jobs, next) : r;
}
