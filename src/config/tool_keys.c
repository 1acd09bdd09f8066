/* tool_keys.c - each key of a tool file: its value, into the tool. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "config/tool_internal.h"
#include "spool/layout.h"

/* What a tool file may say: sums of these and of the time or the disk's size stay within what JSON numbers hold. */
#define TIME_MAX (36500ULL * 86400 * USEC_PER_SEC)
#define BYTES_MAX (1ULL << 60)

int
tool_list_add(char ***list, const char *text)
{
	size_t n = 0;
	char **grown;

	while (*list && (*list)[n])
		n++;
	if (n >= TOOL_LIST_MAX)
		return -E2BIG;
	grown = reallocarray(*list, n + 2, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	*list = grown;
	grown[n + 1] = NULL;
	grown[n] = strdup(text);
	return grown[n] ? 0 : -ENOMEM;
}

static void
list_line(struct loading *l, char ***list, const char *value, unsigned line)
{
	/* "key =" alone opens a list; its items follow, indented. */
	if (value[0] != '\0' && tool_list_add(list, value) < 0)
		faults_add(l->faults, l->path, line, "the list is too long");
}

static bool
name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool
tool_name_valid(const char *name)
{
	size_t len = 0;

	while (name_char(name[len]))
		len++;
	return len > 0 && len <= 64 && name[len] == '\0' && name[0] != '-';
}

static void
yes_no(struct loading *l, const char *key, const char *value, unsigned line, bool *ret)
{
	if (strcmp(value, "yes") == 0)
		*ret = true;
	else if (strcmp(value, "no") == 0)
		*ret = false;
	else
		faults_add(l->faults, l->path, line, "%s must be yes or no", key);
}

static void
time_value(struct loading *l, const char *key, const char *value, unsigned line, uint64_t *ret)
{
	int r = time_parse(value, ret);

	if (r == -ERANGE || (r == 0 && *ret > TIME_MAX))
		faults_add(l->faults, l->path, line, "%s: %s is more than 36500 days", key, value);
	else if (r < 0)
		faults_add(l->faults, l->path, line, "%s: \"%s\" is no time (such as 90s)", key, value);
}

static void
size_value(struct loading *l, const char *key, const char *value, unsigned line, uint64_t *ret)
{
	int r = size_parse(value, ret);

	if (r == -ERANGE || (r == 0 && *ret > BYTES_MAX))
		faults_add(l->faults, l->path, line, "%s: %s is more than 1048576T", key, value);
	else if (r < 0)
		faults_add(l->faults, l->path, line, "%s: \"%s\" is no size (such as 16M)", key, value);
}

/* A text for people; one that goes over several lines is joined with blanks. */
static void
text_value(struct loading *l, const char *key, const char *value, unsigned line, char **ret)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(TOOL_TEXT_MAX);
	char *joined = NULL;

	if (!utf8_valid(value, strlen(value))) {
		faults_add(l->faults, l->path, line, "%s is no UTF-8", key);
		return;
	}
	if (*ret && **ret)
		strbuf_addf(&s, "%s ", *ret);
	strbuf_addstr(&s, value);
	if (strbuf_take(&s, &joined, NULL) < 0) {
		faults_add(l->faults, l->path, line, "%s is longer than %d bytes", key, TOOL_TEXT_MAX);
		return;
	}
	free(*ret);
	*ret = joined;
}

static void
command_line(struct loading *l, const char *value, unsigned line)
{
	size_t n = 0;

	while (l->tool->command && l->tool->command[n])
		n++;
	if (value[0] != '\0' && n < TOOL_LIST_MAX)
		l->command_lines[n] = line;
	list_line(l, &l->tool->command, value, line);
}

/* NAME /absolute/path */
static void
link_line(struct loading *l, const char *value, unsigned line)
{
	scoped(free_ptr) char *name = NULL;
	size_t len = strcspn(value, " \t");
	const char *target = value + len + strspn(value + len, " \t");
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(TOOL_TEXT_MAX);
	struct stat st;

	if (value[0] == '\0')
		return;
	name = strndup(value, len);
	if (!name || !input_name_valid(name)) {
		faults_add(l->faults, l->path, line, "link: \"%.*s\" is no file name", (int)len, value);
		return;
	}
	if (target[0] != '/' || target[strspn(target, "/")] == '\0' || path_has_dot_dot(target)) {
		faults_add(l->faults, l->path, line, "link: \"%s\" is no absolute path of a file or folder", target);
		return;
	}
	if (stat(target, &st) < 0) {
		faults_add(l->faults, l->path, line, "link: %s: %s", target, strerror(errno));
		return;
	}
	for (char **old = l->tool->links; old && *old; old++)
		if (strncmp(*old, name, len) == 0 && (*old)[len] == ' ')
			faults_add(l->faults, l->path, line, "link: %s stands here a second time", name);
	strbuf_addf(&s, "%s %s", name, target);
	list_line(l, &l->tool->links, strbuf_str(&s), line);
}

/* One of two words; *ret is whether it is the second. */
static void
word_value(struct loading *l, const char *key, const char *value, unsigned line, const char *const words[2], bool *ret)
{
	*ret = strcmp(value, words[1]) == 0;
	if (!*ret && strcmp(value, words[0]) != 0)
		faults_add(l->faults, l->path, line, "%s must be %s or %s", key, words[0], words[1]);
}

static void
durable_value(struct loading *l, const char *value, unsigned line)
{
	bool durable = true;

	yes_no(l, "durable", value, line, &durable);
	l->tool->transient = !durable;
}

static void
on_tool_value(struct loading *l, const char *key, const char *value, unsigned line)
{
	struct tool *t = l->tool;

	if (strcmp(key, "title") == 0) {
		text_value(l, key, value, line, &t->title);
	} else if (strcmp(key, "description") == 0) {
		text_value(l, key, value, line, &t->description);
	} else if (strcmp(key, "version") == 0) {
		text_value(l, key, value, line, &t->version);
	} else if (strcmp(key, "command") == 0) {
		command_line(l, value, line);
	} else if (strcmp(key, "environment") == 0) {
		if (value[0] != '\0' && (value[0] == '=' || !strchr(value, '=')))
			faults_add(l->faults, l->path, line, "environment: \"%s\" is not NAME=VALUE", value);
		list_line(l, &t->environment, value, line);
	} else if (strcmp(key, "folders") == 0) {
		if (value[0] != '\0' && value[0] != '/')
			faults_add(l->faults, l->path, line, "folders: \"%s\" is no absolute path", value);
		list_line(l, &t->folders, value, line);
	} else if (strcmp(key, "link") == 0) {
		link_line(l, value, line);
	} else if (strcmp(key, "network") == 0) {
		yes_no(l, key, value, line, &t->network);
	} else if (strcmp(key, "stdout") == 0) {
		if (strcmp(value, "apart") != 0 && strcmp(value, "log") != 0)
			faults_add(l->faults, l->path, line, "stdout must be apart or log");
		t->stdout_apart = strcmp(value, "apart") == 0;
	} else if (strcmp(key, "live") == 0) {
		if (!input_name_valid(value))
			faults_add(l->faults, l->path, line, "live: \"%s\" is no file name", value);
		free(t->live);
		t->live = strdup(value);
	} else if (strcmp(key, "after") == 0) {
		if (l->after_line == 0)
			l->after_line = line;
		list_line(l, &t->after, value, line);
	} else if (strcmp(key, "trust") == 0) {
		word_value(l, key, value, line, (const char *const[]){ "untrusted", "trusted" }, &t->trusted);
	} else if (strcmp(key, "jail") == 0) {
		word_value(l, key, value, line, (const char *const[]){ "bwrap", "none" }, &t->no_jail);
		l->jail_line = line;
	} else if (strcmp(key, "limits") == 0) {
		word_value(l, key, value, line, (const char *const[]){ "approximate", "strict" }, &t->strict);
	} else if (strcmp(key, "twice") == 0) {
		yes_no(l, key, value, line, &t->twice);
	} else if (strcmp(key, "durable") == 0) {
		durable_value(l, value, line);
	} else if (strcmp(key, "service") == 0) {
		if (!tool_name_valid(value))
			faults_add(l->faults, l->path, line, "service: \"%s\" is no name of a service", value);
		free(t->service);
		t->service = strdup(value);
	} else if (strcmp(key, "publish") == 0) {
		if (value[0] != '\0' && !input_name_valid(value))
			faults_add(l->faults, l->path, line, "publish: \"%s\" is no file name", value);
		list_line(l, &t->publish, value, line);
	} else if (strcmp(key, "serial") == 0) {
		yes_no(l, key, value, line, &t->serial);
	} else if (strcmp(key, "cache-key") == 0) {
		yes_no(l, key, value, line, &t->cache_key);
	} else if (strcmp(key, "kill-grace") == 0) {
		time_value(l, key, value, line, &t->kill_grace_usec);
	} else if (strcmp(key, "keep") == 0) {
		time_value(l, key, value, line, &t->keep_usec);
	} else if (strcmp(key, "keep-files") == 0) {
		time_value(l, key, value, line, &t->files_usec);
	} else if (strcmp(key, "volumes") == 0) {
		faults_add(l->faults, l->path, line, value[0] == '\0' ? "%s has no value" : "%s is not served by this version", key);
	} else {
		faults_add(l->faults, l->path, line, "[tool] has no key \"%s\"", key);
	}
}

static void
on_limit(struct loading *l, const char *key, const char *value, unsigned line)
{
	struct limits *m = &l->tool->limits;
	const struct { const char *key; uint64_t *time, *size; } table[] = {
		{ "wall", &m->wall_usec, NULL }, { "cpu", &m->cpu_usec, NULL },
		{ "memory", NULL, &m->memory_bytes }, { "address-space", NULL, &m->address_space_bytes },
		{ "processes", NULL, &m->processes }, { "file", NULL, &m->file_bytes },
		{ "open-files", NULL, &m->open_files }, { "log", NULL, &m->log_bytes },
		{ "stdout", NULL, &m->stdout_bytes }, { "output", NULL, &m->output_bytes },
		{ "output-files", NULL, &m->output_files },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (strcmp(table[i].key, key) != 0)
			continue;
		if (table[i].time)
			time_value(l, key, value, line, table[i].time);
		else
			size_value(l, key, value, line, table[i].size);
		return;
	}
	faults_add(l->faults, l->path, line, "[limits] has no key \"%s\"", key);
}

static struct parameter *
find_parameter(const struct tool *t, const char *name)
{
	for (size_t i = 0; i < t->n_parameters; i++)
		if (strcmp(t->parameters[i].name, name) == 0)
			return &t->parameters[i];
	return NULL;
}

static struct input *
find_input(const struct tool *t, const char *name)
{
	for (size_t i = 0; i < t->n_inputs; i++)
		if (strcmp(t->inputs[i].name, name) == 0)
			return &t->inputs[i];
	return NULL;
}

static struct parameter *
parameter_get(struct loading *l, const char *name, unsigned line)
{
	struct tool *t = l->tool;
	struct parameter *grown = find_parameter(t, name);

	if (grown)
		return grown;
	if (!tool_name_valid(name) || strcmp(name, "job") == 0) {
		faults_add(l->faults, l->path, line, "\"%s\" is no name for a parameter", name);
		return NULL;
	}
	grown = reallocarray(t->parameters, t->n_parameters + 1, sizeof *grown);
	if (!grown)
		return NULL;
	t->parameters = grown;
	grown[t->n_parameters] = (struct parameter){ .name = strdup(name), .type = PARAMETER_TEXT, .lines.section = line };
	return &grown[t->n_parameters++];
}

static void
variable_value(struct loading *l, const char *value, unsigned line, struct parameter *p)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	size_t len = strspn(value, letters);

	if (len == 0 || len > 64 || value[len] != '\0' || (value[0] >= '0' && value[0] <= '9')) {
		faults_add(l->faults, l->path, line, "environment: \"%s\" is no name for a variable", value);
		return;
	}
	free(p->variable);
	p->variable = strdup(value);
	p->lines.variable = line;
}

static void
on_parameter_value(struct loading *l, struct parameter *p, const char *key, const char *value, unsigned line)
{
	char *end;

	if (strcmp(key, "type") == 0) {
		if (strcmp(value, "text") == 0)
			p->type = PARAMETER_TEXT;
		else if (strcmp(value, "integer") == 0)
			p->type = PARAMETER_INTEGER;
		else if (strcmp(value, "number") == 0)
			p->type = PARAMETER_NUMBER;
		else if (strcmp(value, "boolean") == 0)
			p->type = PARAMETER_BOOLEAN;
		else if (strcmp(value, "choice") == 0)
			p->type = PARAMETER_CHOICE;
		else
			faults_add(l->faults, l->path, line, "type must be text, integer, number, boolean or choice");
	} else if (strcmp(key, "description") == 0) {
		text_value(l, key, value, line, &p->description);
	} else if (strcmp(key, "default") == 0) {
		text_value(l, key, value, line, &p->preset);
		p->lines.preset = line;
	} else if (strcmp(key, "true") == 0) {
		text_value(l, key, value, line, &p->on);
		p->lines.words = line;
	} else if (strcmp(key, "false") == 0) {
		text_value(l, key, value, line, &p->off);
		p->lines.words = line;
	} else if (strcmp(key, "choices") == 0) {
		list_line(l, &p->choices, value, line);
		if (p->lines.choices == 0)
			p->lines.choices = line;
	} else if (strcmp(key, "environment") == 0) {
		variable_value(l, value, line, p);
	} else if (strcmp(key, "secret") == 0) {
		yes_no(l, key, value, line, &p->secret);
		p->lines.secret = line;
	} else if (strcmp(key, "required") == 0) {
		yes_no(l, key, value, line, &p->required);
	} else if (strcmp(key, "min") == 0 || strcmp(key, "max") == 0) {
		bool is_min = key[1] == 'i';
		double number = strtod(value, &end);

		if (*value == '\0' || *end != '\0' || !isfinite(number)) {
			faults_add(l->faults, l->path, line, "%s: \"%s\" is no number", key, value);
			return;
		}
		*(is_min ? &p->min : &p->max) = number;
		*(is_min ? &p->has_min : &p->has_max) = true;
		p->lines.range = line;
	} else {
		faults_add(l->faults, l->path, line, "a parameter has no key \"%s\"", key);
	}
}

static struct input *
input_get(struct loading *l, const char *name, unsigned line)
{
	struct tool *t = l->tool;
	struct input *grown = find_input(t, name);

	if (grown)
		return grown;
	if (!input_name_valid(name) || t->n_inputs >= INPUTS_MAX) {
		faults_add(l->faults, l->path, line, "\"%s\" is no name for an input, or one too many", name);
		return NULL;
	}
	grown = reallocarray(t->inputs, t->n_inputs + 1, sizeof *grown);
	if (!grown)
		return NULL;
	t->inputs = grown;
	grown[t->n_inputs] = (struct input){ .name = strdup(name), .required = true, .max_bytes = 1 << 20 };
	return &grown[t->n_inputs++];
}

static struct output *
find_output(const struct tool *t, const char *name)
{
	for (size_t i = 0; i < t->n_outputs; i++)
		if (strcmp(t->outputs[i].name, name) == 0)
			return &t->outputs[i];
	return NULL;
}

static struct output *
output_get(struct loading *l, const char *name, unsigned line)
{
	struct tool *t = l->tool;
	struct output *grown = find_output(t, name);

	if (grown)
		return grown;
	if (!*name || *name == '/' || path_has_dot_dot(name) || !utf8_valid(name, strlen(name)) || t->n_outputs >= TOOL_LIST_MAX) {
		faults_add(l->faults, l->path, line, "\"%s\" is no name for an output, or one too many", name);
		return NULL;
	}
	grown = reallocarray(t->outputs, t->n_outputs + 1, sizeof *grown);
	if (!grown)
		return NULL;
	t->outputs = grown;
	grown[t->n_outputs] = (struct output){ .name = strdup(name) };
	return &grown[t->n_outputs++];
}

static void
on_output_value(struct loading *l, struct output *out, const char *key, const char *value, unsigned line)
{
	if (strcmp(key, "description") != 0)
		faults_add(l->faults, l->path, line, "an output has no key \"%s\"", key);
	else if (out)
		text_value(l, key, value, line, &out->description);
}

/* A section's header declares what it is about, also where nothing follows. */
static void
on_section(struct loading *l, const char *section, unsigned line)
{
	if (strncmp(section, "parameter ", 10) == 0)
		(void)parameter_get(l, section + 10, line);
	else if (strncmp(section, "input ", 6) == 0)
		(void)input_get(l, section + 6, line);
	else if (strncmp(section, "output ", 7) == 0)
		(void)output_get(l, section + 7, line);
	else if (strcmp(section, "tool") != 0 && strcmp(section, "limits") != 0)
		faults_add(l->faults, l->path, line, "there is no section [%s]", section);
}

static void
on_input_value(struct loading *l, struct input *in, const char *key, const char *value, unsigned line)
{
	if (strcmp(key, "max") == 0)
		size_value(l, key, value, line, &in->max_bytes);
	else if (strcmp(key, "required") == 0)
		yes_no(l, key, value, line, &in->required);
	else if (strcmp(key, "description") == 0)
		text_value(l, key, value, line, &in->description);
	else
		faults_add(l->faults, l->path, line, "an input has no key \"%s\"", key);
}

/* Whether this key stands here a second time, which is a fault: one of the two would not count. */
static bool
said_before(struct loading *l, const char *section, const char *key, unsigned line)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(TOOL_SEEN_MAX);
	const char *found;

	strbuf_addf(&s, "%s\x1f%s\n", section, key);
	found = strstr(strbuf_str(&l->seen), strbuf_str(&s));
	if (found && (found == l->seen.buf || found[-1] == '\n')) {
		faults_add(l->faults, l->path, line, "%s stands here a second time", key);
		return true;
	}
	strbuf_addstr(&l->seen, strbuf_str(&s));
	return false;
}

static bool
is_list(const char *section, const char *key)
{
	/* Of [tool] alone, then of any section; texts may be long. */
	static const char *const lists[] = { "command", "environment", "folders", "link", "after", "publish", "choices", "description" };

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (strcmp(lists[i], key) == 0)
			return i >= 6 || strcmp(section, "tool") == 0;
	return false;
}

void
tool_on_value(const char *section, const char *key, const char *value, unsigned line, bool first, void *ctx)
{
	struct loading *l = ctx;
	struct parameter *p;
	struct input *in;

	if (!key) {
		on_section(l, section, line);
	} else if (section[0] == '\0') {
		faults_add(l->faults, l->path, line, "\"%s\" stands before the first [section]", key);
	} else if (first && said_before(l, section, key, line)) {
		return;
	} else if (!first && !is_list(section, key)) {
		faults_add(l->faults, l->path, line, "%s has one value, not a list", key);
	} else if (strcmp(section, "tool") == 0) {
		on_tool_value(l, key, value, line);
	} else if (strcmp(section, "limits") == 0) {
		on_limit(l, key, value, line);
	} else if (strncmp(section, "parameter ", 10) == 0) {
		p = find_parameter(l->tool, section + 10);
		if (p)
			on_parameter_value(l, p, key, value, line);
	} else if (strncmp(section, "input ", 6) == 0) {
		in = find_input(l->tool, section + 6);
		if (in)
			on_input_value(l, in, key, value, line);
	} else if (strncmp(section, "output ", 7) == 0) {
		on_output_value(l, find_output(l->tool, section + 7), key, value, line);
	}
}
