/* tool.c - tool files, one and a folder of them. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "config/ini_file.h"
#include "config/tool_internal.h"

/* A file that cannot be read is the reader's fault to tell. */
static int
hash_file(int dir_fd, const char *name, char ret[SHA256_HEX_SIZE])
{
	scoped(close_fd) int fd = open_regular_at(dir_fd, name, NULL);
	int64_t n = fd < 0 ? fd : sha256_fd(fd, INT64_MAX, ret);

	return n < 0 ? (int)n : 0;
}

static uint64_t
half_of_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size / 2 : 1ULL << 30;
}

int
tool_load(int dir_fd, const char *file_name, const char *shown_path, struct faults *f, struct tool **ret)
{
	scoped(free_tool) struct tool *t = calloc(1, sizeof *t);
	struct loading l = { .tool = t, .faults = f, .path = shown_path, .seen = STRBUF_INIT(TOOL_SEEN_MAX) };
	size_t before = f->n, len = strlen(file_name);
	int r;

	if (!t)
		return -ENOMEM;
	assert(len > 5);
	t->name = strndup(file_name, len - 5);
	if (!t->name)
		return -ENOMEM;
	/* What a file does not say must not take the host down. */
	t->limits = (struct limits){ .processes = 512, .memory_bytes = half_of_memory(), .wall_usec = 3600 * USEC_PER_SEC,
		.log_bytes = 8 << 20, .open_files = 256, .stdout_bytes = 64 << 20, .output_bytes = 1ULL << 30, .output_files = 10000 };
	t->keep_usec = 7 * 86400 * USEC_PER_SEC;
	r = hash_file(dir_fd, file_name, t->sha256);
	if (r == -ENOMEM)
		return r;
	if (!tool_name_valid(t->name))
		faults_add(f, shown_path, 0, "\"%s\" is no name for a tool", t->name);
	r = ini_file_read(dir_fd, file_name, shown_path, f, tool_on_value, &l);
	strbuf_done(&l.seen);
	if (r < 0)
		return r;
	if (!t->command || !t->command[0]) {
		faults_add(f, shown_path, 0, "[tool] command is missing");
		return 0;
	}
	r = tool_check_whole(&l);
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
	argv_free(t->links);
	argv_free(t->after);
	argv_free(t->publish);
	free(t->service);
	free(t->cache);
	free(t->scratch);
	free(t->live);
	for (size_t i = 0; i < t->n_parameters; i++) {
		struct parameter *p = &t->parameters[i];

		free(p->name);
		free(p->description);
		free(p->preset);
		free(p->on);
		free(p->off);
		argv_free(p->choices);
		free(p->variable);
	}
	free(t->parameters);
	for (size_t i = 0; i < t->n_inputs; i++) {
		free(t->inputs[i].name);
		free(t->inputs[i].description);
	}
	free(t->inputs);
	for (size_t i = 0; i < t->n_outputs; i++) {
		free(t->outputs[i].name);
		free(t->outputs[i].description);
	}
	free(t->outputs);
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
		scoped(strbuf_done) struct strbuf shown = STRBUF_INIT(TOOL_TEXT_MAX);
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

struct tool *
tools_get(const struct tools *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->all[i]->name, name) == 0)
			return t->all[i];
	return NULL;
}

const struct tool *
tools_find(const struct tools *t, const char *name)
{
	return tools_get(t, name);
}

int
tools_place(struct tools *t, const char *spool_path)
{
	for (size_t i = 0; i < t->n; i++) {
		struct tool *tool = t->all[i];

		if (tool->publish && !tool->cache && asprintf(&tool->cache, "%s/cache/%s", spool_path, tool->name) < 0)
			return -ENOMEM;
		if (tool->publish && !tool->scratch && asprintf(&tool->scratch, "%s/scratch/%s", spool_path, tool->name) < 0)
			return -ENOMEM;
	}
	return 0;
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

bool
tools_have_transient(const struct tools *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->all[i]->transient)
			return true;
	return false;
}

uint64_t
tools_shortest_keep(const struct tools *t)
{
	uint64_t shortest = 0;

	for (size_t i = 0; i < t->n; i++) {
		const uint64_t times[] = { t->all[i]->keep_usec, t->all[i]->files_usec };

		for (size_t j = 0; j < 2; j++)
			if (times[j] > 0 && (shortest == 0 || times[j] < shortest))
				shortest = times[j];
	}
	return shortest;
}
