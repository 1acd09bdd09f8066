/* spoolgate tool check: every fault of tool files, and what a sound one will be. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "cli/command.h"
#include "cli/show.h"
#include "config/tool.h"

enum { LINE_MAX_BYTES = 64 * 1024 };

static void
usage(FILE *to)
{
	(void)fputs("usage: spoolgate tool check [--json] FILE...\n"
	    "  Reads tool files (NAME.tool, spoolgate-tool(5)) as the helper would, and tells every fault with its line, or what\n"
	    "  the tool will be.\n"
	    "  --json  one object: {\"files\":[{\"file\",\"faults\":[{\"line\",\"detail\"}],\"tool\"}]}\n\n"
	    "Exit status: 0 all are sound; 78 one has a fault; 1 out of memory, or nothing can be written; 2 usage.\n", to);
}

/* One line, made harmless: faults and values hold what the file holds. */
static void
say(const char *indent, const char *text)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(LINE_MAX_BYTES);

	show_text(&s, text, strlen(text));
	(void)printf("%s%s\n", indent, strbuf_str(&s));
}

static void
say_list(const char *title, char *const *list)
{
	if (!list || !*list)
		return;
	(void)printf("%s:\n", title);
	for (; *list; list++)
		say("    ", *list);
}

static const char *
type_name(enum parameter_type type)
{
	switch (type) {
	case PARAMETER_TEXT:
		return "text";
	case PARAMETER_INTEGER:
		return "integer";
	case PARAMETER_NUMBER:
		return "number";
	case PARAMETER_BOOLEAN:
		return "boolean";
	case PARAMETER_CHOICE:
		return "choice";
	}
	return "?";
}

static void
say_parameter(const struct parameter *p)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(LINE_MAX_BYTES);
	const char *unit = p->type == PARAMETER_TEXT ? " bytes" : "";

	strbuf_addf(&s, "%s: %s", p->name, type_name(p->type));
	if (p->has_min && p->has_max)
		strbuf_addf(&s, ", %g to %g%s", p->min, p->max, unit);
	else if (p->has_min || p->has_max)
		strbuf_addf(&s, ", at %s %g%s", p->has_min ? "least" : "most", p->has_min ? p->min : p->max, unit);
	for (char **c = p->choices; c && *c; c++)
		strbuf_addf(&s, "%s%s", c == p->choices ? ", one of: " : " | ", *c);
	if (p->on)
		strbuf_addf(&s, ", true is \"%s\"", p->on);
	if (p->off)
		strbuf_addf(&s, ", false is \"%s\"", p->off);
	if (p->required)
		strbuf_addstr(&s, ", required");
	if (p->preset)
		strbuf_addf(&s, ", default \"%s\"", p->preset);
	if (p->variable)
		strbuf_addf(&s, ", in the variable %s", p->variable);
	say("    ", strbuf_str(&s));
}

static void
say_inputs(const struct tool *t)
{
	if (t->n_inputs)
		(void)puts("inputs:");
	for (size_t i = 0; i < t->n_inputs; i++) {
		scoped(strbuf_done) struct strbuf s = STRBUF_INIT(64);

		show_bytes(&s, t->inputs[i].max_bytes);
		(void)printf("    %s: at most %s%s\n", t->inputs[i].name, strbuf_str(&s), t->inputs[i].required ? ", required" : "");
	}
}

static void
say_limits(const struct limits *m)
{
	const struct { const char *name; uint64_t value; bool time, size; } table[] = {
		{ "wall", m->wall_usec, true, false }, { "cpu", m->cpu_usec, true, false }, { "memory", m->memory_bytes, false, true },
		{ "address-space", m->address_space_bytes, false, true }, { "processes", m->processes, false, false },
		{ "file", m->file_bytes, false, true }, { "open-files", m->open_files, false, false }, { "log", m->log_bytes, false, true },
		{ "stdout", m->stdout_bytes, false, true }, { "output", m->output_bytes, false, true },
		{ "output-files", m->output_files, false, false },
	};

	(void)puts("limits:");
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		scoped(strbuf_done) struct strbuf s = STRBUF_INIT(64);

		if (table[i].value == 0)
			continue;
		if (table[i].time)
			show_duration(&s, table[i].value);
		else if (table[i].size)
			show_bytes(&s, table[i].value);
		else
			strbuf_addf(&s, "%" PRIu64, table[i].value);
		(void)printf("    %s: %s\n", table[i].name, strbuf_str(&s));
	}
}

static void
say_tool(const struct tool *t)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(64);

	(void)printf("tool: %s\n", t->name);
	if (t->title)
		say("title: ", t->title);
	if (t->description)
		say("description: ", t->description);
	if (t->version)
		say("version: ", t->version);
	say_list("command (a line is left out where what it names is not given)", t->command);
	say_list("environment", t->environment);
	if (t->n_parameters)
		(void)puts("parameters:");
	for (size_t i = 0; i < t->n_parameters; i++)
		say_parameter(&t->parameters[i]);
	say_inputs(t);
	say_list("folders, read-only", t->folders);
	say_list("links", t->links);
	say_list("command at its end", t->after);
	say_list("publishes", t->publish);
	if (t->service)
		(void)printf("for the service: %s\n", t->service);
	(void)printf("trust: %s\njail: %s\nlimits: %s\n", t->trusted ? "trusted" : "untrusted",
	    t->no_jail ? "none" : t->trusted ? "bubblewrap where it works, else none" : "bubblewrap", t->strict ? "strict" : "approximate will do");
	(void)printf("network: %s\nstandard output: %s\nmay run twice: %s\ndurable: %s\none at a time: %s\nequal work: %s\n", t->network ? "the host's" : "none",
	    t->stdout_apart ? "apart" : "in the log", t->twice ? "yes" : "no", t->transient ? "no" : "yes", t->serial ? "yes" : "no",
	    t->cache_key ? "done once" : "done by each job");
	strbuf_addstr(&s, "kept: ");
	if (t->keep_usec)
		show_duration(&s, t->keep_usec);
	else
		strbuf_addstr(&s, "for ever");
	(void)printf("%s\n", strbuf_str(&s));
	say_limits(&t->limits);
}

/* "path:line: what" as {"line","detail"}; a fault that could not be put in words was short of memory. */
static json_object *
format_fault(const char *path, const char *text)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(LINE_MAX_BYTES);
	size_t len = strlen(path);
	json_object *obj = NULL;
	unsigned long line = 0;
	char *rest = NULL;

	if (!text)
		text = "out of memory";
	else if (strncmp(text, path, len) == 0 && text[len] == ':') {
		text += len + 1;
		line = strtoul(text, &rest, 10);
		if (rest != text && *rest == ':')
			text = rest + 1;
		else
			line = 0;
		text += *text == ' ';
	}
	if (line > 0)
		jsonw_int(&w, "line", (int64_t)line);
	else
		jsonw_null(&w, "line");
	show_text(&s, text, strlen(text));	/* what is no UTF-8 cannot stand in JSON */
	jsonw_string(&w, "detail", strbuf_str(&s));
	return jsonw_finish(&w, &obj) < 0 ? NULL : obj;
}

static json_object *
format_tool(const struct tool *t)
{
	json_object *obj = tool_describe(t);
	scoped(jsonw_done) struct jsonw w = { obj, obj ? 0 : -ENOMEM };
	json_object *ret = NULL;

	jsonw_strings(&w, "command", t->command);
	jsonw_strings(&w, "environment", t->environment);
	jsonw_strings(&w, "folders", t->folders);
	jsonw_strings(&w, "links", t->links);
	jsonw_strings(&w, "after", t->after);
	jsonw_strings(&w, "publish", t->publish);
	if (t->service)
		jsonw_string(&w, "service", t->service);
	jsonw_bool(&w, "trusted", t->trusted);
	jsonw_bool(&w, "jail", !t->no_jail);
	jsonw_bool(&w, "strict", t->strict);
	jsonw_bool(&w, "network", t->network);
	jsonw_bool(&w, "twice", t->twice);
	jsonw_bool(&w, "durable", !t->transient);
	jsonw_bool(&w, "serial", t->serial);
	jsonw_bool(&w, "cache_key", t->cache_key);
	jsonw_string(&w, "sha256", t->sha256);
	return jsonw_finish(&w, &ret) < 0 ? NULL : ret;
}

static int
add_file(json_object *files, const char *path, const struct faults *f, const struct tool *tool)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *list = json_object_new_array(), *obj = NULL;
	int r = 0;

	for (size_t i = 0; list && r == 0 && i < f->n; i++) {
		json_object *one = format_fault(path, f->texts[i]);

		r = one && json_object_array_add(list, one) == 0 ? 0 : -ENOMEM;
	}
	jsonw_string(&w, "file", path);
	jsonw_add(&w, "faults", list);
	if (tool)
		jsonw_add(&w, "tool", format_tool(tool));
	else
		jsonw_null(&w, "tool");
	if (r == 0)
		r = jsonw_finish(&w, &obj);
	if (r == 0 && json_object_array_add(files, obj) < 0)
		r = -ENOMEM;
	return r;
}

/* The file by itself: its folder, and its name there. */
static int
load(const char *path, struct faults *f, struct tool **ret)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	scoped(free_ptr) char *folder = slash == path ? strdup("/") : slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
	scoped(close_fd) int dir_fd = -EBADF;
	size_t len = strlen(name);
	int r;

	if (!folder)
		return -ENOMEM;
	if (len <= 5 || strcmp(name + len - 5, ".tool") != 0) {
		faults_add(f, path, 0, "a tool file is called NAME.tool");
		return 0;
	}
	dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0) {
		faults_add(f, path, 0, "%s", strerror(errno));
		return 0;
	}
	r = tool_load(dir_fd, name, path, f, ret);
	return r == -ENOMEM ? r : 0;
}

/* 0: sound; 1: it has faults. */
static int
check_file(const char *path, bool first, json_object *files)
{
	scoped(faults_done) struct faults f = { NULL, 0 };
	scoped(free_tool) struct tool *tool = NULL;
	int r = load(path, &f, &tool);

	if (r == 0 && files)
		r = add_file(files, path, &f, tool);
	if (r < 0)
		return r;
	if (files)
		return tool ? 0 : 1;
	for (size_t i = 0; i < f.n; i++)
		say("", f.texts[i] ? f.texts[i] : "out of memory");
	if (tool) {
		(void)printf("%s", first ? "" : "\n");
		say_tool(tool);
	}
	return tool ? 0 : 1;
}

static int
print_json(json_object *files)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	scoped(free_ptr) char *text = NULL;
	int r;

	jsonw_add(&w, "files", files);
	r = jsonw_finish(&w, &obj);
	if (r == 0)
		r = json_format(obj, &text, NULL);
	if (r == 0)
		(void)puts(text);
	return r;
}

static int
check(int n, char *paths[], bool json)
{
	json_object *files = json ? json_object_new_array() : NULL;
	bool faulty = false;
	int r = json && !files ? -ENOMEM : 0;

	for (int i = 0; r >= 0 && i < n; i++) {
		r = check_file(paths[i], i == 0, files);
		faulty = faulty || r > 0;
	}
	if (r < 0)
		json_object_put(files);
	else if (json)
		r = print_json(files);
	if (r >= 0 && (fflush(stdout) == EOF || ferror(stdout)))
		r = errno ? -errno : -EIO;
	if (r < 0) {
		(void)fprintf(stderr, "spoolgate tool: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	return faulty ? EXIT_FAULTY : EXIT_SUCCESS;
}

int
command_tool(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			return EXIT_SUCCESS;
		}
		if (c != 'j') {
			usage(stderr);
			return EXIT_USAGE;
		}
		json = true;
	}
	if (argc - optind < 2 || strcmp(argv[optind], "check") != 0) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return check(argc - optind - 1, argv + optind + 1, json);
}
