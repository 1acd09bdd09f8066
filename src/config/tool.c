#include <config.h>	/* in angle brackets: config/config.h is another */

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "config/ini_file.h"
#include "config/tool.h"
#include "spool/layout.h"

enum { LIST_MAX = 256, TEXT_MAX = 4096, SEEN_MAX = 1024 * 1024 };

/* What a tool file may say: sums of these and of the time or the disk's size stay within what JSON numbers hold. */
#define TIME_MAX (36500ULL * 86400 * USEC_PER_SEC)
#define BYTES_MAX (1ULL << 60)

struct loading {
	struct tool *tool;
	struct faults *faults;
	const char *path;
	struct strbuf seen;	/* section, a unit separator, key and a newline for each value so far */
};

static int
list_add(char ***list, const char *text)
{
	size_t n = 0;
	char **grown;

	while (*list && (*list)[n])
		n++;
	if (n >= LIST_MAX)
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
	if (value[0] != '\0' && list_add(list, value) < 0)
		faults_add(l->faults, l->path, line, "the list is too long");
}

static bool
name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool
parameter_name_valid(const char *name)
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
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(TEXT_MAX);
	char *joined = NULL;

	if (!utf8_valid(value, strlen(value))) {
		faults_add(l->faults, l->path, line, "%s is no UTF-8", key);
		return;
	}
	if (*ret && **ret)
		strbuf_addf(&s, "%s ", *ret);
	strbuf_addstr(&s, value);
	if (strbuf_take(&s, &joined, NULL) < 0) {
		faults_add(l->faults, l->path, line, "%s is longer than %d bytes", key, TEXT_MAX);
		return;
	}
	free(*ret);
	*ret = joined;
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
		list_line(l, &t->command, value, line);
	} else if (strcmp(key, "environment") == 0) {
		if (value[0] != '\0' && (value[0] == '=' || !strchr(value, '=')))
			faults_add(l->faults, l->path, line, "environment: \"%s\" is not NAME=VALUE", value);
		list_line(l, &t->environment, value, line);
	} else if (strcmp(key, "folders") == 0) {
		if (value[0] != '\0' && value[0] != '/')
			faults_add(l->faults, l->path, line, "folders: \"%s\" is no absolute path", value);
		list_line(l, &t->folders, value, line);
	} else if (strcmp(key, "stdout") == 0) {
		if (strcmp(value, "apart") != 0 && strcmp(value, "log") != 0)
			faults_add(l->faults, l->path, line, "stdout must be apart or log");
		t->stdout_apart = strcmp(value, "apart") == 0;
	} else if (strcmp(key, "live") == 0) {
		if (!input_name_valid(value))
			faults_add(l->faults, l->path, line, "live: \"%s\" is no file name", value);
		free(t->live);
		t->live = strdup(value);
	} else if (strcmp(key, "twice") == 0) {
		yes_no(l, key, value, line, &t->twice);
	} else if (strcmp(key, "kill-grace") == 0) {
		time_value(l, key, value, line, &t->kill_grace_usec);
	} else if (strcmp(key, "keep") == 0) {
		time_value(l, key, value, line, &t->keep_usec);
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
	if (!parameter_name_valid(name) || strcmp(name, "job") == 0) {
		faults_add(l->faults, l->path, line, "\"%s\" is no name for a parameter", name);
		return NULL;
	}
	grown = reallocarray(t->parameters, t->n_parameters + 1, sizeof *grown);
	if (!grown)
		return NULL;
	t->parameters = grown;
	grown[t->n_parameters] = (struct parameter){ .name = strdup(name), .type = PARAMETER_TEXT };
	return &grown[t->n_parameters++];
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
	} else if (strcmp(key, "true") == 0) {
		text_value(l, key, value, line, &p->on);
	} else if (strcmp(key, "false") == 0) {
		text_value(l, key, value, line, &p->off);
	} else if (strcmp(key, "choices") == 0) {
		list_line(l, &p->choices, value, line);
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

/* A section's header declares what it is about, also where nothing follows. */
static void
on_section(struct loading *l, const char *section, unsigned line)
{
	if (strncmp(section, "parameter ", 10) == 0)
		(void)parameter_get(l, section + 10, line);
	else if (strncmp(section, "input ", 6) == 0)
		(void)input_get(l, section + 6, line);
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
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(SEEN_MAX);
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
	static const char *const lists[] = { "command", "environment", "folders", "choices", "description" };	/* texts may be long */

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (strcmp(lists[i], key) == 0)
			return i >= 3 || strcmp(section, "tool") == 0;
	return false;
}

static void
on_value(const char *section, const char *key, const char *value, unsigned line, bool first, void *ctx)
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
	}
}

/* command[0] as an absolute path. */
static void
find_program(struct loading *l)
{
	static const char *const folders[] = { PKGLIBEXECDIR, "/usr/local/bin", "/usr/bin", "/bin" };
	char **command = l->tool->command;
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(TEXT_MAX);
	struct stat st;
	char *path = NULL;

	if (strchr(command[0], '/')) {
		if (command[0][0] != '/')
			faults_add(l->faults, l->path, 0, "the program \"%s\" needs an absolute path or no slash", command[0]);
		else if (stat(command[0], &st) < 0 || access(command[0], X_OK) < 0)
			faults_add(l->faults, l->path, 0, "the program %s cannot be run: %s", command[0], strerror(errno));
		else if (!S_ISREG(st.st_mode))
			faults_add(l->faults, l->path, 0, "the program %s cannot be run: %s", command[0],
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
	faults_add(l->faults, l->path, 0, "the program \"%s\" is in no folder for programs", command[0]);
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
		if (!there && list_add(&t->environment, base[i]) < 0)
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
		faults_add(l->faults, l->path, 0, "parameter %s: true and false are keys of a boolean", p->name);
	if (p->choices && p->type != PARAMETER_CHOICE)
		faults_add(l->faults, l->path, 0, "parameter %s: choices is a key of a choice", p->name);
	if (p->type == PARAMETER_CHOICE && !p->choices)
		faults_add(l->faults, l->path, 0, "parameter %s: a choice needs choices", p->name);
	if ((p->has_min || p->has_max) && !number && p->type != PARAMETER_TEXT)
		faults_add(l->faults, l->path, 0, "parameter %s: min and max are keys of a text or a number", p->name);
	if (p->type == PARAMETER_BOOLEAN && !p->on && !p->off)
		faults_add(l->faults, l->path, 0, "parameter %s: a boolean needs true or false, the text that stands for it", p->name);
	if (!p->preset)
		return;
	if (p->required)
		faults_add(l->faults, l->path, 0, "parameter %s: what is required needs no default", p->name);
	if (number || p->type == PARAMETER_BOOLEAN)
		r = json_parse(p->preset, strlen(p->preset), &value);
	else
		value = json_object_new_string(p->preset);
	if (r == 0)
		r = tool_check_value(p, value, &refusal);
	if (r < 0)
		faults_add(l->faults, l->path, 0, "parameter %s: its default is refused: %s", p->name,
		    refusal.why[0] ? refusal.why : "it is no value of this type");
}

static void
check_parameters(struct loading *l)
{
	struct tool *t = l->tool;

	for (size_t i = 0; i < t->n_parameters; i++) {
		struct parameter *p = &t->parameters[i];

		if (p->type == PARAMETER_TEXT && !p->has_max) {
			p->has_max = true;
			p->max = TEXT_MAX;
		}
		check_kind(l, p);
		if (p->type == PARAMETER_TEXT && ((p->has_min && p->min < 0) || p->max < 0))
			faults_add(l->faults, l->path, 0, "parameter %s: a text has no negative length", p->name);
		else if (p->has_min && p->has_max && p->min > p->max)
			faults_add(l->faults, l->path, 0, "parameter %s: min is greater than max", p->name);
		if (p->type == PARAMETER_TEXT && p->max > TEXT_MAX)
			faults_add(l->faults, l->path, 0, "parameter %s: a text has at most %d bytes", p->name, TEXT_MAX);
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
				faults_add(l->faults, l->path, 0, "command: {%.*s} is neither a parameter nor an input",
				    (int)len, p + 1);
		}
	}
}

int
tool_load(int dir_fd, const char *file_name, const char *shown_path, struct faults *f, struct tool **ret)
{
	scoped(free_tool) struct tool *t = calloc(1, sizeof *t);
	struct loading l = { .tool = t, .faults = f, .path = shown_path, .seen = STRBUF_INIT(SEEN_MAX) };
	size_t before = f->n, len = strlen(file_name);
	int r;

	if (!t)
		return -ENOMEM;
	assert(len > 5);
	t->name = strndup(file_name, len - 5);
	if (!t->name)
		return -ENOMEM;
	t->limits = (struct limits){ .wall_usec = 3600 * USEC_PER_SEC, .log_bytes = 8 << 20, .open_files = 256,
		.stdout_bytes = 64 << 20, .output_bytes = 1ULL << 30, .output_files = 10000 };
	t->keep_usec = 7 * 86400 * USEC_PER_SEC;
	if (!parameter_name_valid(t->name))
		faults_add(f, shown_path, 0, "\"%s\" is no name for a tool", t->name);
	r = ini_file_read(dir_fd, file_name, shown_path, f, on_value, &l);
	strbuf_done(&l.seen);
	if (r < 0)
		return r;
	if (!t->command || !t->command[0]) {
		faults_add(f, shown_path, 0, "[tool] command is missing");
		return 0;
	}
	find_program(&l);
	check_parameters(&l);
	check_placeholders(&l);
	r = complete_environment(t);
	if (r < 0)
		return r;
	if (f->n == before)
		*ret = take_ptr(t);
	return 0;
}

struct tool *
tool_free(struct tool *t)
{
	if (!t)
		return NULL;
	free(t->name);
	free(t->title);
	free(t->description);
	free(t->version);
	argv_free(t->command);
	argv_free(t->environment);
	argv_free(t->folders);
	free(t->live);
	for (size_t i = 0; i < t->n_parameters; i++) {
		struct parameter *p = &t->parameters[i];

		free(p->name);
		free(p->description);
		free(p->preset);
		free(p->on);
		free(p->off);
		argv_free(p->choices);
	}
	free(t->parameters);
	for (size_t i = 0; i < t->n_inputs; i++) {
		free(t->inputs[i].name);
		free(t->inputs[i].description);
	}
	free(t->inputs);
	free(t);
	return NULL;
}

struct tools {
	struct tool **all;
	size_t n;
};

int
tools_load(const char *path, struct faults *f, struct tools **ret)
{
	scoped(free_tools) struct tools *tools = calloc(1, sizeof *tools);
	scoped(close_dir) DIR *dir = NULL;
	struct dirent *entry;
	int r;

	if (!tools)
		return -ENOMEM;
	dir = opendir(path);
	if (!dir) {
		faults_add(f, path, 0, "%s", strerror(errno));
		*ret = take_ptr(tools);
		return 0;
	}
	while ((entry = readdir(dir)) != NULL) {
		scoped(free_tool) struct tool *tool = NULL;
		scoped(strbuf_done) struct strbuf shown = STRBUF_INIT(TEXT_MAX);
		size_t len = strlen(entry->d_name);
		struct tool **grown;

		if (entry->d_name[0] == '.' || len <= 5 || strcmp(entry->d_name + len - 5, ".tool") != 0)
			continue;
		strbuf_addf(&shown, "%s/%s", path, entry->d_name);
		r = tool_load(dirfd(dir), entry->d_name, strbuf_str(&shown), f, &tool);
		if (r == -ENOMEM)
			return r;
		if (!tool)
			continue;
		grown = reallocarray(tools->all, tools->n + 1, sizeof(struct tool *));
		if (!grown)
			return -ENOMEM;
		tools->all = grown;
		grown[tools->n++] = take_ptr(tool);
	}
	*ret = take_ptr(tools);
	return 0;
}

struct tools *
tools_free(struct tools *t)
{
	if (!t)
		return NULL;
	for (size_t i = 0; i < t->n; i++)
		t->all[i] = tool_free(t->all[i]);
	free(t->all);
	free(t);
	return NULL;
}

const struct tool *
tools_find(const struct tools *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->all[i]->name, name) == 0)
			return t->all[i];
	return NULL;
}

const struct tool *
tools_after(const struct tools *t, const char *name)
{
	const struct tool *next = NULL;

	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->all[i]->name, name) > 0 && (!next || strcmp(t->all[i]->name, next->name) < 0))
			next = t->all[i];
	return next;
}

size_t
tools_count(const struct tools *t)
{
	return t->n;
}

uint64_t
tools_shortest_keep(const struct tools *t)
{
	uint64_t shortest = 0;

	for (size_t i = 0; i < t->n; i++)
		if (t->all[i]->keep_usec > 0 && (shortest == 0 || t->all[i]->keep_usec < shortest))
			shortest = t->all[i]->keep_usec;
	return shortest;
}
