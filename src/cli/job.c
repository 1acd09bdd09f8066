/* job.c - what a Job of the API says, in words; session.h has the manual. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <inttypes.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/scoped.h"
#include "cli/session.h"

const char *
job_string(json_object *job, const char *member)
{
	const char *text = "";

	(void)json_get_string(job, member, &text);
	return text;
}

bool
job_is_finished(json_object *job)
{
	return strcmp(job_string(job, "state"), "finished") == 0;
}

bool
job_has_passed(json_object *job)
{
	return strcmp(job_string(job, "verdict"), "passed") == 0;
}

uint64_t
job_elapsed(json_object *job)
{
	uint64_t from, to = clock_wall();

	if (clock_parse(job_string(job, "started"), &from) < 0)
		return 0;
	if (job_is_finished(job) && clock_parse(job_string(job, "ended"), &to) < 0)
		return 0;
	return to > from ? to - from : 0;
}

void
job_state(struct strbuf *s, json_object *job)
{
	const char *verdict = job_string(job, "verdict"), *by = job_string(job, "killed_by");
	const char *signal_name = job_string(job, "signal");
	int64_t code;

	strbuf_addstr(s, verdict[0] ? verdict : job_string(job, "state"));
	if (strcmp(verdict, "failed") == 0 && json_get_int(job, "exit_code", &code) == 0)
		strbuf_addf(s, " (exit code %" PRId64 ")", code);
	else if (strcmp(verdict, "signalled") == 0 && signal_name[0])
		strbuf_addf(s, " (%s)", signal_name);
	else if (strcmp(verdict, "killed") == 0 && by[0])
		strbuf_addf(s, " (by %s)", by);
}

/* The members of an object as "name value, name value", anything else as it is. */
void
job_progress(struct strbuf *s, json_object *job)
{
	json_object *live = NULL;
	bool first = true;

	if (!json_object_object_get_ex(job, "progress", &live) || !live)
		return;
	if (!json_object_is_type(live, json_type_object)) {
		strbuf_addstr(s, json_object_is_type(live, json_type_string) ? json_object_get_string(live) :
		    json_object_to_json_string_ext(live, JSON_C_TO_STRING_PLAIN));
		return;
	}
	json_object_object_foreach(live, name, value) {
		bool plain = json_object_is_type(value, json_type_string);

		strbuf_addf(s, "%s%s %s", first ? "" : ", ", name, plain ? json_object_get_string(value) :
		    json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
		first = false;
	}
}
