#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "basic/cgroup.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "helper/filter.h"
#include "helper/host.h"
#include "helper/probe.h"
#include "helper/probe_tables.h"
#include "helper/try.h"

enum { FACTS_MAX = 24, LINE_MAX_BYTES = 1024 };

struct probe {
	const struct config *config;
	const struct tools *tools;
	struct ground ground;
	bool jail;
	bool all_held;
	bool exact;	/* a cgroup keeps limits */
	bool shares;	/* that of the helper hands the CPU controller on */
};

static int
array_add(json_object *array, struct jsonw *w)
{
	json_object *obj = NULL;
	int r = jsonw_finish(w, &obj);

	if (r == 0 && json_object_array_add(array, obj) < 0) {
		json_object_put(obj);
		r = -ENOMEM;
	}
	return r;
}

/* ---- protections ---- */

/* The facts of the host for the mode walls: into text, which has to live as long as args. */
static int
collect_facts(const struct probe *p, struct strbuf *text, const char **args)
{
	static const char *const kinds[] = { "user", "mnt", "pid", "net", "ipc", "uts", "cgroup" };
	static const char *const env[] = { TRY_ENVIRONMENT };
	static const char *const hidden[][2] = { { "spool", "path" }, { "helper", "gate_socket" }, { "helper", "admin_socket" },
		{ "helper", "secrets" }, { "helper", "transient" }, { "helper", "tools" } };
	size_t starts[FACTS_MAX], n = 0;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		char path[32], link[64] = { 0 };

		(void)snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
		starts[n++] = text->len;
		if (readlink(path, link, sizeof link - 1) < 0)
			n--;	/* a kernel without */
		else
			strbuf_addf(text, "ns=%s%c", link, '\0');
	}
	for (size_t i = 0; i < sizeof env / sizeof *env; i++) {
		starts[n++] = text->len;
		strbuf_addf(text, "env=%s%c", env[i], '\0');
	}
	for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
		starts[n++] = text->len;
		strbuf_addf(text, "hide=%s%c", config_string(p->config, hidden[i][0], hidden[i][1]), '\0');
	}
	starts[n++] = text->len;
	strbuf_addf(text, "own=%s%c", p->ground.program, '\0');
	if (strbuf_err(text) < 0)
		return strbuf_err(text);
	for (size_t i = 0; i < n; i++)
		args[i] = text->buf + starts[i];
	args[n] = NULL;
	return 0;
}

/* The line of this name in what the probe printed: "name\theld\thow". False: there is none. */
static bool
find_line(const char *output, const char *name, char ret[LINE_MAX_BYTES], char **ret_word, char **ret_how)
{
	size_t len = strlen(name);

	for (const char *line = output; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (strncmp(line, name, len) != 0 || line[len] != '\t')
			continue;
		(void)snprintf(ret, LINE_MAX_BYTES, "%.*s", (int)strcspn(line + len + 1, "\n"), line + len + 1);
		*ret_word = ret;
		*ret_how = strchr(ret, '\t');
		if (!*ret_how)
			return false;
		*(*ret_how)++ = '\0';
		return true;
	}
	return false;
}

static int
add_protection(struct probe *p, json_object *array, const struct protection *one, const char *output, const char *ended)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	char line[LINE_MAX_BYTES], *word = NULL, *how = NULL;
	bool found = find_line(output, one->name, line, &word, &how), held = found && strcmp(word, "held") == 0;

	jsonw_string(&w, "name", one->name);
	jsonw_bool(&w, "held", held);
	jsonw_bool(&w, "required", one->required);
	jsonw_string(&w, "how", found ? how : ended);
	jsonw_string(&w, "means", one->means);
	/* A kernel that has no Landlock is no fault; one that has it and does not keep to it is. */
	if (!held && (one->required || (strcmp(one->name, "landlock") == 0 && host_landlock_abi() > 0)))
		p->all_held = false;
	return array_add(array, &w);
}

static void
describe_end(const struct job_result *result, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s%s%s", verdict_name(result->verdict), result->message[0] != '\0' ? ": " : "", result->message);
}

/* One mode, and its lines into the array. The first tells whether there is a jail at all. */
static int
try_mode(struct probe *p, const char *mode, bool filter, json_object *array, char *ret_end, size_t size)
{
	static const struct limits limits = { .wall_usec = 20000000, .log_bytes = 65536, .stdout_bytes = 65536, .memory_bytes = 64 << 20,
		.processes = 16 };
	scoped(strbuf_done) struct strbuf facts = STRBUF_INIT(64 * 1024);
	scoped(trial_done) struct trial t = { .output = NULL };
	const char *args[FACTS_MAX + 2] = { mode };
	int r = collect_facts(p, &facts, args + 1);

	if (r == 0)
		r = try_run(&p->ground, args, &limits, filter, true, &t);
	if (r < 0)
		return r;
	describe_end(&t.result, ret_end, size);
	p->jail = t.result.verdict != VERDICT_REFUSED && t.result.verdict != VERDICT_LOST;
	for (size_t i = 0; r == 0 && p->jail && i < n_protections; i++)
		if (strcmp(protections[i].mode, mode) == 0)
			r = add_protection(p, array, &protections[i], t.output, ret_end);
	return r;
}

static int
try_protections(struct probe *p, json_object *array, json_object **ret_jail)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *hints = json_object_new_array();
	char end[320];
	int r = hints ? try_mode(p, "walls", true, array, end, sizeof end) : -ENOMEM;

	if (r == 0 && p->jail)	/* without the filter, which would refuse it before the jail does */
		r = try_mode(p, "users", false, array, end, sizeof end);
	if (r == 0 && p->jail)
		r = try_mode(p, "calls", true, array, end, sizeof end);
	if (r == 0 && !p->jail)
		r = host_add_hints(p->config, hints);
	p->all_held = p->all_held && p->jail;
	jsonw_bool(&w, "held", p->jail);
	jsonw_string(&w, "how", p->jail ? "bubblewrap builds it" : end);
	jsonw_add(&w, "hints", hints);
	return r < 0 ? r : jsonw_finish(&w, ret_jail);
}

/* ---- limits ---- */

static const char *
kept_by(const struct limit_trial *one, const struct job_result *result)
{
	switch (one->keeper) {
	case KEEPER_TREE:
		return result->exact ? "cgroup" : "approximate";
	case KEEPER_PROCESSES:
		return result->exact ? "cgroup" : result->verdict == VERDICT_SIGNALLED ? "approximate" : "kernel";
	case KEEPER_KERNEL:
		return "kernel";
	case KEEPER_SUPERVISOR:
		break;
	}
	return "supervisor";
}

/* Whether it ended as it has to, and what tells. */
static bool
judge(const struct limit_trial *one, const struct trial *t, char *ret_how, size_t size)
{
	const struct job_result *result = &t->result;
	char line[LINE_MAX_BYTES], *amount = NULL, *err = NULL;
	bool counted = find_line(t->output, one->mode, line, &amount, &err), held;

	describe_end(result, ret_how, size);
	if (one->most >= 0 && counted)
		(void)snprintf(ret_how, size, "%s of at most %ld%s%s", amount, one->most, strcmp(err, "worked") == 0 ? "" : ", then ",
		    strcmp(err, "worked") == 0 ? "" : err);
	if (one->keeper == KEEPER_TREE)
		(void)snprintf(ret_how + strlen(ret_how), size - strlen(ret_how), ", with %llu MiB and %.2f s",
		    (unsigned long long)(result->peak_memory_bytes >> 20), (double)result->cpu_usec / 1e6);
	/* Where the kernel does not count root's processes, init does. */
	if (one->keeper == KEEPER_PROCESSES && result->verdict == VERDICT_SIGNALLED) {
		describe_end(result, ret_how, size);
		return strncmp(result->message, "more processes", 14) == 0;
	}
	held = result->verdict == one->verdict && (!one->message || strncmp(result->message, one->message, strlen(one->message)) == 0);
	if (one->most >= 0)
		held = held && counted && strtol(amount, NULL, 10) <= one->most &&
		    (strcmp(err, "worked") != 0 || one->verdict == VERDICT_SIGNALLED);
	return held && result->log_bytes <= one->limits.log_bytes && result->stdout_bytes <= one->limits.stdout_bytes &&
	    (one->verdict != VERDICT_SIGNALLED || result->output_files == 0);
}

static int
try_limit(struct probe *p, const struct limit_trial *one, json_object *array)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(trial_done) struct trial t = { .output = NULL };
	const char *args[] = { one->mode, NULL };
	char how[400];
	bool held;
	int r = try_run(&p->ground, args, &one->limits, true, one->apart, &t);

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		t.result = (struct job_result){ .verdict = VERDICT_LOST };
		(void)snprintf(t.result.message, sizeof t.result.message, "%s", strerror(-r));
	}
	held = r == 0 && judge(one, &t, how, sizeof how);
	if (r < 0)
		describe_end(&t.result, how, sizeof how);
	p->all_held = p->all_held && held;
	p->exact = p->exact || t.result.exact;
	jsonw_string(&w, "name", one->name);
	jsonw_bool(&w, "held", held);
	jsonw_bool(&w, "required", true);
	jsonw_string(&w, "by", kept_by(one, &t.result));
	jsonw_string(&w, "how", how);
	jsonw_string(&w, "means", one->means);
	return array_add(array, &w);
}

/* Told and not tried: it takes much time and other work to be seen. Where nothing keeps it a tool is slow to its neighbours, not free. */
static int
try_share(const struct probe *p, json_object *array)
{
	static const struct limits limits = { .wall_usec = 20000000, .log_bytes = 65536, .stdout_bytes = 65536 };
	static const char *const args[] = { "share", NULL };
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(trial_done) struct trial t = { .output = NULL };
	scoped(close_stream) FILE *file = fopen("/proc/self/autogroup", "re");
	char line[LINE_MAX_BYTES], own[64] = "", *enabled = NULL, *group = NULL;
	bool held = false, counted = p->exact && p->shares;
	int r = try_run(&p->ground, args, &limits, true, true, &t);

	if (r < 0)
		return r;
	if (file && fscanf(file, "%63s", own) == 1 && find_line(t.output, "share", line, &enabled, &group))
		held = strcmp(enabled, "1") == 0 && strcmp(group, "-") != 0 && strcmp(group, own) != 0;
	jsonw_string(&w, "name", "cpu-share");
	jsonw_bool(&w, "held", counted || held);
	jsonw_bool(&w, "required", false);
	jsonw_string(&w, "by", counted ? "cgroup" : "kernel");
	jsonw_string(&w, "how", counted ? "each job has the same cpu.weight" : held ? "each job is a session with a share of its own" :
	    "the scheduler counts processes, not jobs: sysctl kernel.sched_autogroup_enabled=1, or a delegated cgroup");
	jsonw_string(&w, "means", "many processes get no more of the CPUs than one");
	return array_add(array, &w);
}

/* Somebody has lost patience: what is there goes, and then so do we. */
static bool
is_interrupted(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 &&
	    (sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM) || sigismember(&pending, SIGHUP));
}

/* ---- the host, and its tools ---- */

static json_object *
describe_host(pid_t helper, const char *cgroup, const char *why)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *obj = NULL;
	struct utsname u = { 0 };
	int userns = host_user_namespaces();

	(void)uname(&u);
	jsonw_string(&w, "kernel", u.release);
	jsonw_int(&w, "uid", (int64_t)geteuid());
	jsonw_int(&w, "gid", (int64_t)getegid());
	jsonw_bool(&w, "user_namespaces", userns == 0);
	jsonw_int(&w, "landlock_abi", host_landlock_abi());
	jsonw_string(&w, "cgroup", cgroup);
	jsonw_string(&w, "cgroup_why", cgroup ? "" : why);
	if (helper > 0)
		jsonw_int(&w, "helper", helper);
	else
		jsonw_null(&w, "helper");
	return jsonw_finish(&w, &obj) < 0 ? NULL : obj;
}

static int
add_tool(const struct probe *p, const struct tool *tool, json_object *array)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	bool jailed = p->jail && !tool->no_jail;
	const char *note = "";

	if (!p->jail && !tool->trusted)
		note = "refused: there is no jail";
	else if (tool->strict && !p->exact)
		note = "refused: its limits are to be strict";
	else if (!jailed)
		note = "it runs without a jail";
	else if (tool->network)
		note = "it has the host's network";
	jsonw_string(&w, "name", tool->name);
	jsonw_string(&w, "trust", tool->trusted ? "trusted" : "untrusted");
	jsonw_bool(&w, "protected", jailed && p->all_held);
	jsonw_string(&w, "note", note);
	return array_add(array, &w);
}

/* ---- all of it ---- */

static int
try_all(struct probe *p, struct jsonw *w)
{
	json_object *walls = json_object_new_array(), *limits = json_object_new_array(), *tools = json_object_new_array(), *jail = NULL;
	int r = walls && limits && tools ? try_protections(p, walls, &jail) : -ENOMEM;

	for (size_t i = 0; r == 0 && p->jail && i < n_limit_trials; i++)
		r = is_interrupted() ? -EINTR : try_limit(p, &limit_trials[i], limits);
	if (r == 0 && p->jail)
		r = try_share(p, limits);
	for (const struct tool *tool = tools_after(p->tools, ""); r == 0 && tool; tool = tools_after(p->tools, tool->name))
		r = add_tool(p, tool, tools);
	jsonw_add(w, "jail", jail);
	jsonw_add(w, "protections", walls);
	jsonw_add(w, "limits", limits);
	jsonw_add(w, "tools", tools);
	jsonw_bool(w, "protected", p->all_held);
	return r;
}

static int
print(struct jsonw *w)
{
	scoped(put_json) json_object *obj = NULL;
	scoped(free_ptr) char *text = NULL;
	int r = jsonw_finish(w, &obj);

	if (r == 0)
		r = json_format(obj, &text, NULL);
	if (r == 0 && (puts(text) == EOF || fflush(stdout) == EOF))
		r = -EIO;
	return r;
}

static void
block_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static bool
has_shares(const char *cgroup)
{
	scoped(close_fd) int fd = cgroup ? open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -EBADF;

	return fd >= 0 && cgroup_has(fd, "cpu") > 0;
}

int
probe(const struct config *config, const struct tools *tools)
{
	scoped(free_ptr) char *filter = NULL, *cgroup = NULL;
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	struct probe p = { .config = config, .tools = tools, .all_held = true };
	pid_t helper = host_helper(config);
	const char *why = NULL;
	int r = filter_make(true, &filter);

	block_signals();
	host_join_cgroup(config, helper, &cgroup, &why);
	if (r == 0)
		r = host_become_owner(config);
	if (r < 0) {
		log_error("probe: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	r = ground_open(&p.ground, config, filter, cgroup);
	if (r == 0) {
		p.shares = has_shares(cgroup);
		jsonw_add(&w, "host", describe_host(helper, cgroup, why));
		r = try_all(&p, &w);
	} else {
		log_error("%s: %s", p.ground.program ? p.ground.program : "probe", strerror(-r));
	}
	ground_done(&p.ground);
	if (r == 0)
		r = print(&w);
	if (r < 0)
		log_error("probe: %s", strerror(-r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
