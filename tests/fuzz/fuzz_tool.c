/* A tool file of any bytes either has faults, each in words, or gives a tool that holds what tool.h promises, and from which
 * argument vectors can be built. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "config/tool.h"
#include "fuzz.h"
#include "spool/layout.h"

static void
check_list(char *const *list)
{
	MUST(list != NULL);
	for (; *list; list++)
		MUST(utf8_valid(*list, strlen(*list)) == 1);
}

static void
check_tool(const struct tool *t)
{
	check_list(t->command);
	check_list(t->environment);
	check_list(t->folders);
	MUST(t->command[0][0] == '/');
	for (char *const *folder = t->folders; *folder; folder++)
		MUST(**folder == '/');
	for (char *const *link = t->links; link && *link; link++)
		MUST(strstr(*link, " /") != NULL);
	for (char *const *item = t->environment; *item; item++)
		MUST(strchr(*item, '=') > *item);
	MUST(t->keep_usec < INT64_MAX / 2 && t->kill_grace_usec < INT64_MAX / 2 && t->limits.output_bytes < INT64_MAX / 2);
	MUST(!t->live || input_name_valid(t->live));
	for (size_t i = 0; i < t->n_parameters; i++) {
		const struct parameter *p = &t->parameters[i];

		MUST(p->name[0] != '\0' && (!p->has_min || !p->has_max || p->min <= p->max));
	}
	for (size_t i = 0; i < t->n_inputs; i++)
		MUST(input_name_valid(t->inputs[i].name));
}

/* A value for each parameter: the smallest that it takes. */
static json_object *
make_params(const struct tool *t)
{
	json_object *params = json_object_new_object();

	MUST(params != NULL);
	for (size_t i = 0; i < t->n_parameters; i++) {
		const struct parameter *p = &t->parameters[i];
		double low = p->has_min ? p->min : p->has_max && p->max < 0 ? p->max : 0;
		char text[4097] = "";
		json_object *value;

		if (p->type == PARAMETER_TEXT) {
			memset(text, '{', low > 4096 ? 4096 : (size_t)low);
			value = json_object_new_string(text);
		} else if (p->type == PARAMETER_BOOLEAN) {
			value = json_object_new_boolean(i % 2);
		} else if (p->type == PARAMETER_CHOICE) {
			value = json_object_new_string(p->choices[0]);
		} else if (p->type == PARAMETER_INTEGER) {
			value = json_object_new_int64(low > 1e15 ? 1000000000000000 : low < -1e15 ? -1000000000000000 : (int64_t)low);
		} else {
			value = json_object_new_double(low);
		}
		MUST(value && json_object_object_add(params, p->name, value) == 0);
	}
	return params;
}

static void
build(const struct tool *t)
{
	scoped(put_json) json_object *params = make_params(t);
	scoped(free_argv) char **argv = NULL, **env = NULL;
	struct tool_refusal refusal = { .why = "" };
	const char *names[INPUTS_MAX];
	size_t n = 0;
	int r;

	for (size_t i = 0; i < t->n_inputs && i < INPUTS_MAX; i++)
		names[i] = t->inputs[i].name;
	r = tool_build_argv(t, params, names, t->n_inputs, &argv, &refusal);
	MUST(r == 0 || (r == -EINVAL && refusal.why[0]));
	if (r == 0) {
		MUST(tool_build_env(t, params, false, &env) == 0);
		for (char **item = env; *item; item++)
			MUST(strchr(*item, '=') > *item);
	}
	if (r == 0) {
		for (; argv[n]; n++)
			MUST(t->command[n] != NULL);	/* never more of them than lines */
		MUST(strcmp(argv[0], t->command[0]) == 0);
	}
}

/* tool_load wants a folder and a name: one folder for all inputs of this process. */
static char folder[] = "/tmp/spoolgate-fuzz-XXXXXX";

static void
remove_folder(void)
{
	(void)remove_tree_at(AT_FDCWD, folder);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int dir_fd = -EBADF;
	scoped(close_fd) int fd = -EBADF;
	scoped(free_tool) struct tool *tool = NULL;
	scoped(faults_done) struct faults faults = { NULL, 0 };

	if (dir_fd < 0) {
		MUST(mkdtemp(folder) && atexit(remove_folder) == 0);
		dir_fd = open_dir_at(AT_FDCWD, folder);
	}
	fd = openat(dir_fd, "x.tool", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd >= 0 && write_all(fd, data, size) == 0);
	MUST(tool_load(dir_fd, "x.tool", "x.tool", &faults, &tool) == 0);
	for (size_t i = 0; i < faults.n; i++)
		MUST(faults.texts[i] != NULL);
	MUST((tool != NULL) == (faults.n == 0));
	if (tool) {
		check_tool(tool);
		build(tool);
	}
	return 0;
}
