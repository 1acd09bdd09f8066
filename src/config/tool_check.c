/* tool_check.c - what can be judged of a tool file when all of it is read. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "config/tool_internal.h"

/* command[0], of the tool or of its `after`, as an absolute path. */
static void
find_program(struct loading *l, char **command, unsigned line)
{
	static const char *const folders[] = { PKGLIBEXECDIR, "/usr/local/bin", "/usr/bin", "/bin" };
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(TOOL_TEXT_MAX);
	struct stat st;
	char *path = NULL;

	if (strchr(command[0], '/')) {
		if (command[0][0] != '/')
			faults_add(l->faults, l->path, line, "the program \"%s\" needs an absolute path or no slash", command[0]);
		else if (stat(command[0], &st) < 0 || access(command[0], X_OK) < 0)
			faults_add(l->faults, l->path, line, "the program %s cannot be run: %s", command[0], strerror(errno));
		else if (!S_ISREG(st.st_mode))
			faults_add(l->faults, l->path, line, "the program %s cannot be run: %s", command[0],
			    strerror(S_ISDIR(st.st_mode) ? EISDIR : EACCES));
		return;
	}
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		strbuf_reset(&s);
		strbuf_addf(&s, "%s/%s", folders[i], command[0]);
		if (access(strbuf_str(&s), X_OK) < 0)
			continue;
		if (strbuf_take(&s, &path, NULL) == 0) {
			free(command[0]);
			command[0] = path;
		}
		return;
	}
	faults_add(l->faults, l->path, line, "the program \"%s\" is in no folder for programs", command[0]);
}

/* The environment is the tool's list, and what every program may count on where the list does not say. */
static int
complete_environment(struct tool *t)
{
	static const char *const base[] = { "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/job", "LANG=C.UTF-8" };

	for (size_t i = 0; i < sizeof base / sizeof *base; i++) {
		size_t len = (size_t)(strchr(base[i], '=') - base[i]) + 1;
		bool there = false;

		for (char **e = t->environment; e && *e; e++)
			there = there || strncmp(*e, base[i], len) == 0;
		if (!there && tool_list_add(&t->environment, base[i]) < 0)
			return -ENOMEM;
	}
	if (!t->folders) {
		t->folders = calloc(1, sizeof *t->folders);
		if (!t->folders)
			return -ENOMEM;
	}
	return 0;
}

/* Keys that belong to one type; a default that a submission could not give. */
static void
check_kind(struct loading *l, const struct parameter *p)
{
	bool number = p->type == PARAMETER_INTEGER || p->type == PARAMETER_NUMBER;
	scoped(put_json) json_object *value = NULL;
	struct tool_refusal refusal = { .why = "" };
	int r = 0;

	if ((p->on || p->off) && p->type != PARAMETER_BOOLEAN)
		faults_add(l->faults, l->path, p->lines.words, "parameter %s: true and false are keys of a boolean", p->name);
	if (p->choices && p->type != PARAMETER_CHOICE)
		faults_add(l->faults, l->path, p->lines.choices, "parameter %s: choices is a key of a choice", p->name);
	if (p->type == PARAMETER_CHOICE && !p->choices)
		faults_add(l->faults, l->path, p->lines.section, "parameter %s: a choice needs choices", p->name);
	if ((p->has_min || p->has_max) && !number && p->type != PARAMETER_TEXT)
		faults_add(l->faults, l->path, p->lines.range, "parameter %s: min and max are keys of a text or a number", p->name);
	if (p->type == PARAMETER_BOOLEAN && !p->on && !p->off)
		faults_add(l->faults, l->path, p->lines.section, "parameter %s: a boolean needs true or false, the text that stands "
		    "for it", p->name);
	if (!p->preset)
		return;
	if (p->required)
		faults_add(l->faults, l->path, p->lines.preset, "parameter %s: what is required needs no default", p->name);
	if (number || p->type == PARAMETER_BOOLEAN)
		r = json_parse(p->preset, strlen(p->preset), &value);
	else
		value = json_object_new_string(p->preset);
	if (r == 0)
		r = tool_check_value(p, value, &refusal);
	if (r < 0)
		faults_add(l->faults, l->path, p->lines.preset, "parameter %s: its default is refused: %s", p->name,
		    refusal.why[0] ? refusal.why : "it is no value of this type");
}

/* Each variable has one origin. */
static void
check_variable(struct loading *l, const struct parameter *p)
{
	const struct tool *t = l->tool;
	size_t len = p->variable ? strlen(p->variable) : 0;

	if (!p->variable)
		return;
	for (char **e = t->environment; e && *e; e++)
		if (strncmp(*e, p->variable, len) == 0 && (*e)[len] == '=')
			faults_add(l->faults, l->path, p->lines.variable, "environment: [tool] sets %s already", p->variable);
	for (const struct parameter *other = t->parameters; other < p; other++)
		if (other->variable && strcmp(other->variable, p->variable) == 0)
			faults_add(l->faults, l->path, p->lines.variable, "environment: parameter %s sets %s already", other->name,
			    p->variable);
}

/* A secret is found in the environment and nowhere else. */
static void
check_secret(struct loading *l, const struct parameter *p)
{
	scoped(strbuf_done) struct strbuf place = STRBUF_INIT(TOOL_TEXT_MAX);

	if (!p->secret)
		return;
	if (!p->variable)
		faults_add(l->faults, l->path, p->lines.secret, "parameter %s: a secret needs environment, the variable that has it", p->name);
	if (p->preset)
		faults_add(l->faults, l->path, p->lines.preset, "parameter %s: a default is no secret", p->name);
	if (l->tool->cache_key)
		faults_add(l->faults, l->path, p->lines.secret, "parameter %s: work with a secret is never equal: no cache-key", p->name);
	strbuf_addf(&place, "{%s}", p->name);
	for (char **item = l->tool->command + 1; *item; item++)
		if (strstr(*item, strbuf_str(&place)))
			faults_add(l->faults, l->path, l->command_lines[item - l->tool->command],
			    "command: %s is a secret, which everybody could read in the argument vector", strbuf_str(&place));
}

static void
check_parameters(struct loading *l)
{
	struct tool *t = l->tool;

	for (size_t i = 0; i < t->n_parameters; i++) {
		struct parameter *p = &t->parameters[i];

		if (p->type == PARAMETER_TEXT && !p->has_max) {
			p->has_max = true;
			p->max = TOOL_TEXT_MAX;
		}
		check_kind(l, p);
		check_variable(l, p);
		check_secret(l, p);
		if (p->type == PARAMETER_TEXT && ((p->has_min && p->min < 0) || p->max < 0))
			faults_add(l->faults, l->path, p->lines.range, "parameter %s: a text has no negative length", p->name);
		else if (p->has_min && p->has_max && p->min > p->max)
			faults_add(l->faults, l->path, p->lines.range, "parameter %s: min is greater than max", p->name);
		if (p->type == PARAMETER_TEXT && p->max > TOOL_TEXT_MAX)
			faults_add(l->faults, l->path, p->lines.range, "parameter %s: a text has at most %d bytes", p->name, TOOL_TEXT_MAX);
	}
}

/* A {name} that nothing declares would leave its line out for ever. */
static void
check_placeholders(struct loading *l)
{
	for (char **item = l->tool->command + 1; *item; item++) {
		for (const char *p = *item; (p = strchr(p, '{')) != NULL; p++) {
			const char *end = strchr(p, '}');
			size_t len = end ? (size_t)(end - p) - 1 : 0;
			bool known = len == 3 && strncmp(p + 1, "job", 3) == 0;

			if (!end)
				break;
			for (size_t i = 0; i < l->tool->n_parameters; i++)
				known = known || (strlen(l->tool->parameters[i].name) == len &&
				    strncmp(l->tool->parameters[i].name, p + 1, len) == 0);
			for (size_t i = 0; i < l->tool->n_inputs; i++)
				known = known || (strlen(l->tool->inputs[i].name) == len &&
				    strncmp(l->tool->inputs[i].name, p + 1, len) == 0);
			if (!known)
				faults_add(l->faults, l->path, l->command_lines[item - l->tool->command], "command: {%.*s} is neither a parameter nor an input",
				    (int)len, p + 1);
		}
	}
}

/* A link, an input and the live file share the working folder. */
static void
check_names(struct loading *l)
{
	const struct tool *t = l->tool;

	for (char **link = t->links; link && *link; link++) {
		size_t len = strcspn(*link, " ");
		bool taken = t->live && strlen(t->live) == len && strncmp(t->live, *link, len) == 0;

		for (size_t i = 0; i < t->n_inputs; i++)
			taken = taken || (strlen(t->inputs[i].name) == len && strncmp(t->inputs[i].name, *link, len) == 0);
		if (taken)
			faults_add(l->faults, l->path, 0, "link: %.*s is the name of an input or of the live file", (int)len, *link);
	}
}

/* Without a jail nothing is kept from the network, and a path is where it is on the host. */
static void
check_trust(struct loading *l)
{
	const struct tool *t = l->tool;

	if (t->after && !t->no_jail)
		faults_add(l->faults, l->path, l->after_line, "after needs jail = none, for of a jail nothing is left");
	if (!t->no_jail)
		return;
	if (!t->trusted)
		faults_add(l->faults, l->path, l->jail_line, "jail = none needs trust = trusted");
	if (!t->network)
		faults_add(l->faults, l->path, l->jail_line, "jail = none needs network = yes, for nothing keeps it from the network");
}

int
tool_check_whole(struct loading *l)
{
	int r = complete_environment(l->tool);

	find_program(l, l->tool->command, l->command_lines[0]);
	if (l->tool->after)
		find_program(l, l->tool->after, l->after_line);
	check_parameters(l);
	check_placeholders(l);
	check_names(l);
	check_trust(l);
	if (l->tool->serial && l->tool->cache_key)
		faults_add(l->faults, l->path, 0, "serial and cache-key exclude each other");
	if (l->tool->publish && (l->tool->transient || l->tool->cache_key || l->tool->live))
		faults_add(l->faults, l->path, 0, "publish excludes durable = no, cache-key and live");
	if (l->tool->transient && l->tool->cache_key)
		faults_add(l->faults, l->path, 0, "durable = no and cache-key exclude each other");
	return r;
}
