#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/json.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "cli/command.h"
#include "cli/doctor_host.h"
#include "cli/show.h"

enum { DOCUMENT_MAX = 4 * 1024 * 1024, LINE_MAX_BYTES = 4096 };

extern char **environ;

/* ---- asking ---- */

/* ../sbin/spoolgated of the folder that we were executed from; else where this build is installed. */
static void
find_helper(char ret[PATH_MAX + 32])
{
	char own[PATH_MAX] = { 0 }, *slash = NULL;

	if (readlink("/proc/self/exe", own, sizeof own - 1) > 0 && (slash = strrchr(own, '/')) != NULL) {
		*slash = '\0';
		slash = strrchr(own, '/');
		if (slash) {
			(void)snprintf(ret, PATH_MAX + 32, "%.*s/sbin/spoolgated", (int)(slash - own), own);
			if (access(ret, X_OK) == 0)
				return;
		}
	}
	(void)snprintf(ret, PATH_MAX + 32, "%s", SBINDIR "/spoolgated");
}

/* Its whole output, to the end. */
static int
read_all(int fd, struct strbuf *s)
{
	char buf[16 * 1024];

	for (;;) {
		ssize_t n = read(fd, buf, sizeof buf);

		if (n == 0)
			return strbuf_err(s);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			strbuf_add(s, buf, (size_t)n);
	}
}

/* 0: *ret is what it says. */
static int
ask(const char *config_path, json_object **ret)
{
	static char probe[] = "--probe", config[] = "--config";
	char path[PATH_MAX + 32], *argv[] = { path, probe, NULL, NULL, NULL };
	scoped(strbuf_done) struct strbuf text = STRBUF_INIT(DOCUMENT_MAX);
	scoped(close_fd) int ours = -EBADF, theirs = -EBADF;
	int fds[2], status = 0, r;
	pid_t pid = -1;

	find_helper(path);
	if (config_path) {
		argv[2] = config;
		argv[3] = (char *)(uintptr_t)config_path;
	}
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	ours = fds[0];
	theirs = fds[1];
	r = process_spawn(argv, environ, theirs, 2, 0, &pid);
	if (r < 0) {
		(void)fprintf(stderr, "spoolgate doctor: %s: %s\n", path, strerror(-r));
		return r;
	}
	close_fd(&theirs);
	r = read_all(ours, &text);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
		(void)fprintf(stderr, "spoolgate doctor: %s --probe could not find out\n", path);
		return -EIO;	/* it has said why */
	}
	if (r == 0)
		r = json_parse(strbuf_str(&text), text.len, ret);
	if (r < 0)
		(void)fprintf(stderr, "spoolgate doctor: %s --probe: %s\n", path, strerror(-r));
	return r;
}

/* ---- what it says ---- */

static const char *
text_of(json_object *obj, const char *name)
{
	const char *text = "";

	(void)json_get_string(obj, name, &text);
	return text;
}

static bool
is(json_object *obj, const char *name)
{
	bool yes = false;

	(void)json_get_bool(obj, name, &yes);
	return yes;
}

/* The array of this name; NULL, which has no items, where it is not there. */
static json_object *
list_of(json_object *obj, const char *name)
{
	json_object *array = NULL;

	(void)json_get_array(obj, name, &array);
	return array;
}

static size_t
items(json_object *array)
{
	return array ? json_object_array_length(array) : 0;
}

static json_object *
item(json_object *array, size_t i)
{
	return json_object_array_get_idx(array, i);
}

/* One line, made harmless: names of tools and messages of programs are in it. */
static void
say(const char *format, const char *a, const char *b)
{
	scoped(strbuf_done) struct strbuf one = STRBUF_INIT(LINE_MAX_BYTES), two = STRBUF_INIT(LINE_MAX_BYTES);

	show_text(&one, a, strlen(a));
	show_text(&two, b, strlen(b));
	for (const char *c = format; *c != '\0'; c++) {
		if (*c == '1' || *c == '2')
			(void)fputs(strbuf_str(*c == '1' ? &one : &two), stdout);
		else
			(void)putchar(*c);
	}
}

static void
say_host(json_object *host)
{
	int64_t uid = -1, abi = 0, helper = 0;

	(void)json_get_int(host, "uid", &uid);
	(void)json_get_int(host, "landlock_abi", &abi);
	(void)json_get_int(host, "helper", &helper);
	say("Linux 1", text_of(host, "kernel"), "");
	(void)printf(", tried with uid %" PRId64 ", ", uid);
	if (helper > 0)
		(void)printf("beside the helper %" PRId64 "\n", helper);
	else
		(void)puts("no helper runs");
	(void)printf("user namespaces: %s\nLandlock: ", is(host, "user_namespaces") ? "yes" : "no");
	if (abi > 0)
		(void)printf("ABI %" PRId64 "\n", abi);
	else
		(void)puts("no");
	if (text_of(host, "cgroup")[0] != '\0')
		say("cgroup: 1\n", text_of(host, "cgroup"), "");
	else
		say("cgroup: no (1)\n", text_of(host, "cgroup_why"), "");
}

static int
say_protections(json_object *doc, json_object *jail)
{
	scoped(table_done) struct table t = { .columns = 3 };
	json_object *list = list_of(doc, "protections");

	table_add(&t, "PROTECTION");
	table_add(&t, "IS");
	table_add(&t, "HOW");
	table_add(&t, "jail");
	table_add(&t, is(jail, "held") ? "on" : "off");
	table_add(&t, text_of(jail, "how"));
	for (size_t i = 0; i < items(list); i++) {
		json_object *one = item(list, i);

		table_add(&t, text_of(one, "name"));
		table_add(&t, is(one, "held") ? "on" : "off");
		table_add(&t, text_of(one, "how"));
	}
	(void)putchar('\n');
	return table_print(&t, stdout);
}

static int
say_limits(json_object *doc)
{
	scoped(table_done) struct table t = { .columns = 4 };
	json_object *list = list_of(doc, "limits");

	if (items(list) == 0)
		return 0;
	table_add(&t, "LIMIT");
	table_add(&t, "IS");
	table_add(&t, "KEPT BY");
	table_add(&t, "HOW");
	for (size_t i = 0; i < items(list); i++) {
		json_object *one = item(list, i);

		table_add(&t, text_of(one, "name"));
		table_add(&t, is(one, "held") ? "on" : "off");
		table_add(&t, text_of(one, "by"));
		table_add(&t, text_of(one, "how"));
	}
	(void)putchar('\n');
	return table_print(&t, stdout);
}

static int
say_tools(json_object *doc)
{
	scoped(table_done) struct table t = { .columns = 4 };
	json_object *list = list_of(doc, "tools");

	if (items(list) == 0)
		return 0;
	table_add(&t, "TOOL");
	table_add(&t, "TRUST");
	table_add(&t, "PROTECTED");
	table_add(&t, "NOTE");
	for (size_t i = 0; i < items(list); i++) {
		json_object *one = item(list, i);

		table_add(&t, text_of(one, "name"));
		table_add(&t, text_of(one, "trust"));
		table_add(&t, is(one, "protected") ? "yes" : "no");
		table_add(&t, text_of(one, "note"));
	}
	(void)putchar('\n');
	return table_print(&t, stdout);
}

/* What is off, and what a tool could do. */
static void
say_faults(json_object *list)
{
	for (size_t i = 0; i < items(list); i++) {
		json_object *one = item(list, i);

		if (is(one, "held"))
			continue;
		say("off: 1: 2", text_of(one, "name"), text_of(one, "means"));
		say(" (1)\n", text_of(one, "how"), "");
	}
}

static bool
is_approximate(json_object *list)
{
	for (size_t i = 0; i < items(list); i++)
		if (strcmp(text_of(item(list, i), "by"), "approximate") == 0)
			return true;
	return false;
}

static int
say_all(json_object *doc, bool exposed)
{
	json_object *jail = NULL, *host = NULL, *tools = list_of(doc, "tools"), *hints;
	int r;

	(void)json_get_object(doc, "host", &host);
	(void)json_get_object(doc, "jail", &jail);
	hints = list_of(jail, "hints");
	say_host(host);
	r = say_protections(doc, jail);
	if (r == 0)
		r = say_limits(doc);
	if (r == 0)
		r = say_tools(doc);
	if (r < 0)
		return r;
	(void)putchar('\n');
	if (!is(jail, "held"))
		say("off: jail: there is none here (1)\n", text_of(jail, "how"), "");
	say_faults(list_of(doc, "protections"));
	say_faults(list_of(doc, "limits"));
	for (size_t i = 0; i < items(hints); i++)
		say("To do: 1\n", json_object_get_string(item(hints, i)), "");
	if (is_approximate(list_of(doc, "limits")))
		(void)puts("Limits of memory and CPU time are approximate: no cgroup counts them. Exact ones need a delegated cgroup v2, "
		    "[helper] cgroup in spoolgate.conf(5).");
	for (size_t i = 0; exposed && i < items(tools); i++)
		if (strcmp(text_of(item(tools, i), "trust"), "trusted") != 0)
			say("1 is not trusted and would not be protected.\n", text_of(item(tools, i), "name"), "");
	if (is(doc, "protected"))
		(void)puts("Every protection and every limit that an untrusted tool needs holds on this host.");
	else
		(void)puts(exposed ? "Untrusted tools are not protected on this host." :
		    "Untrusted tools would not be protected on this host; there are only trusted ones.");
	return 0;
}

/* Whether a tool that nobody vouches for, or the first one to come, would be unprotected. */
static bool
is_exposed(json_object *doc)
{
	json_object *tools = list_of(doc, "tools");

	if (is(doc, "protected"))
		return false;
	for (size_t i = 0; i < items(tools); i++)
		if (strcmp(text_of(item(tools, i), "trust"), "trusted") != 0)
			return true;
	return items(tools) == 0;
}

int
doctor_host(const char *config_path, bool json)
{
	scoped(put_json) json_object *doc = NULL;
	scoped(free_ptr) char *text = NULL;
	int r = ask(config_path, &doc);
	bool exposed;

	if (r < 0)
		return EXIT_USAGE;
	exposed = is_exposed(doc);
	if (!json)
		r = say_all(doc, exposed);
	else if ((r = json_format(doc, &text, NULL)) == 0)
		(void)puts(text);
	if (r == 0 && (fflush(stdout) == EOF || ferror(stdout)))
		r = -EIO;
	if (r < 0) {
		(void)fprintf(stderr, "spoolgate doctor: %s\n", strerror(-r));
		return EXIT_USAGE;
	}
	return exposed ? EXIT_FAILURE : EXIT_SUCCESS;
}
