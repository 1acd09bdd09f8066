/* tools.c - `spoolgate tools`. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/escape.h"
#include "basic/scoped.h"
#include "cli/command.h"
#include "cli/session.h"

enum { TEXT_MAX = 256 * 1024, OPTION_NAMES = 1 };

static const char tools_usage[] =
    "usage: spoolgate tools [TOOL]\n"
    "Lists the tools that you may use, or describes one: its parameters, inputs and limits.\n\n"
    "  --names             the names alone, one a line\n";

static void
print_harmless(const char *before, const char *text)
{
	scoped(strbuf_done) struct strbuf out = STRBUF_INIT(TEXT_MAX);

	show_text(&out, text, strlen(text));
	(void)printf("%s%s\n", before, strbuf_str(&out));
}

/* The type of a parameter with its range or choices. */
static void
describe_type(struct strbuf *out, json_object *parameter)
{
	json_object *minimum = NULL, *maximum = NULL, *choices = NULL;
	const char *type = job_string(parameter, "type");
	bool text = strcmp(type, "text") == 0;

	if (json_get_array(parameter, "choices", &choices) == 0) {
		for (size_t i = 0; i < json_object_array_length(choices); i++)
			strbuf_addf(out, "%s%s", i > 0 ? "|" : "", json_object_get_string(json_object_array_get_idx(choices, i)));
		return;
	}
	strbuf_addstr(out, type);
	(void)json_object_object_get_ex(parameter, "minimum", &minimum);
	(void)json_object_object_get_ex(parameter, "maximum", &maximum);
	if (minimum && maximum)
		strbuf_addf(out, " %s to %s", json_object_get_string(minimum), json_object_get_string(maximum));
	else if (minimum)
		strbuf_addf(out, " from %s", json_object_get_string(minimum));
	else if (maximum)
		strbuf_addf(out, " up to %s", json_object_get_string(maximum));
	if (text && (minimum || maximum))
		strbuf_addstr(out, " bytes");
}

/* "required", "optional", or the default. */
static void
describe_need(struct strbuf *out, json_object *one)
{
	json_object *value = NULL;
	bool required = false;

	if (json_get_bool(one, "required", &required) < 0)
		return;	/* an output */
	if (json_object_object_get_ex(one, "default", &value) && value)
		strbuf_addf(out, "default %s", json_object_get_string(value));
	else
		strbuf_addstr(out, required ? "required" : "optional");
}

static int
print_list(json_object *tool, const char *list, const char *title)
{
	scoped(table_done) struct table t = { .columns = 4 };
	json_object *array = NULL;
	uint64_t bytes;

	if (json_get_array(tool, list, &array) < 0 || json_object_array_length(array) == 0)
		return 0;
	(void)printf("\n%s\n", title);
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		scoped(strbuf_done) struct strbuf type = STRBUF_INIT(TEXT_MAX), need = STRBUF_INIT(TEXT_MAX), name = STRBUF_INIT(TEXT_MAX);
		json_object *one = json_object_array_get_idx(array, i);

		strbuf_addf(&name, "  %s", job_string(one, "name"));
		if (job_string(one, "type")[0])
			describe_type(&type, one);
		else if (json_get_uint(one, "max_bytes", &bytes) == 0) {
			strbuf_addstr(&type, "up to ");
			show_bytes(&type, bytes);
		}
		describe_need(&need, one);
		table_add(&t, strbuf_str(&name));
		table_add(&t, strbuf_str(&type));
		table_add(&t, strbuf_str(&need));
		table_add(&t, job_string(one, "description"));
	}
	return table_print(&t, stdout);
}

static void
print_limits(json_object *tool)
{
	json_object *limits = NULL;

	if (json_get_object(tool, "limits", &limits) < 0)
		return;
	(void)printf("\nlimits\n");
	json_object_object_foreach(limits, name, value) {
		scoped(strbuf_done) struct strbuf line = STRBUF_INIT(TEXT_MAX);
		size_t len = strlen(name);

		if (len > 6 && strcmp(name + len - 6, "_bytes") == 0) {
			strbuf_addf(&line, "%.*s ", (int)len - 6, name);
			show_bytes(&line, json_object_get_uint64(value));
		} else if (len > 8 && strcmp(name + len - 8, "_seconds") == 0) {
			strbuf_addf(&line, "%.*s %s s", (int)len - 8, name, json_object_get_string(value));
		} else {
			strbuf_addf(&line, "%s %s", name, json_object_get_string(value));
		}
		print_harmless("  ", strbuf_str(&line));
	}
}

static int
print_tool(struct session *s, json_object *tool)
{
	scoped(strbuf_done) struct strbuf head = STRBUF_INIT(TEXT_MAX);
	const char *title = job_string(tool, "title"), *version = job_string(tool, "version");
	int r;

	strbuf_addstr(&head, job_string(tool, "name"));
	if (title[0])
		strbuf_addf(&head, " - %s", title);
	if (version[0])
		strbuf_addf(&head, " (%s)", version);
	print_harmless("", strbuf_str(&head));
	if (job_string(tool, "description")[0])
		print_harmless("  ", job_string(tool, "description"));
	r = print_list(tool, "parameters", "parameters (-p NAME=VALUE)");
	if (r == 0)
		r = print_list(tool, "inputs", "inputs (-i NAME=FILE)");
	if (r == 0)
		r = print_list(tool, "outputs", "outputs");
	print_limits(tool);
	return r < 0 ? session_broken(s, r) : session_flush(s);
}

static int
list_tools(struct session *s, bool names)
{
	scoped(put_json) json_object *answer = NULL;
	scoped(table_done) struct table t = { .columns = 2 };
	json_object *tools = NULL;
	int r = session_get(s, &answer, "/v1/tools");

	if (r != EXIT_SUCCESS)
		return r;
	if (s->json)
		return session_print_json(s, answer);
	if (json_get_array(answer, "tools", &tools) < 0) {
		session_say(s, "the answer of %s has no tools; is it a spoolgate server?", http_server(s->http));
		return EXIT_DAMAGED;
	}
	for (size_t i = 0; i < json_object_array_length(tools); i++) {
		json_object *tool = json_object_array_get_idx(tools, i);
		const char *title = job_string(tool, "title");

		if (names) {
			print_harmless("", job_string(tool, "name"));
			continue;
		}
		table_add(&t, job_string(tool, "name"));
		table_add(&t, title[0] ? title : job_string(tool, "description"));
	}
	r = table_print(&t, stdout);
	return r < 0 ? session_broken(s, r) : session_flush(s);
}

int
command_tools(int argc, char *argv[])
{
	static const struct option options[] = { { "names", no_argument, NULL, OPTION_NAMES }, COMMON_OPTIONS };
	scoped(session_done) struct session s = SESSION_INIT("tools");
	scoped(strbuf_done) struct strbuf name = STRBUF_INIT(4096);
	scoped(put_json) json_object *tool = NULL;
	bool names = false;
	int c, r;

	while ((c = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
		if (c == OPTION_NAMES)
			names = true;
		else if ((r = session_option(&s, c, tools_usage)) >= 0)
			return r;
	}
	if (argc - optind > 1 || (optind < argc && (argv[optind][0] == '\0' || names)) || (names && s.json))
		return session_usage(&s, names ? "--names goes with neither a tool nor --json" : "one tool, or none");
	r = session_open(&s);
	if (r != EXIT_SUCCESS)
		return r;
	if (optind == argc)
		return list_tools(&s, names);
	percent_encode(&name, argv[optind]);
	r = session_get(&s, &tool, "/v1/tools/%s", strbuf_str(&name));
	if (r != EXIT_SUCCESS)
		return r;
	return s.json ? session_print_json(&s, tool) : print_tool(&s, tool);
}
