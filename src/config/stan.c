#include <config.h>	/* in angle brackets: config/config.h is another */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "config/stan.h"

enum { SECRET_MAX = 4096, SALT_MAX = 64 * 1024, FINGERPRINT_MAX = 64 * 1024, TIMEOUT_DIGITS = 9 };

static const char default_origins[] =
    "https://stan-playground.flatironinstitute.org https://stan-playground.vercel.app https://stan-playground-staging.vercel.app "
    "http://127.0.0.1:3000 http://127.0.0.1:4173";
static const char default_path[] = "/usr/local/bin:/usr/bin:/bin";

extern char **environ;

struct reading {
	const struct config *config;
	struct faults *faults;
	struct stan_settings *s;
	bool whole;	/* the helper's, which looks at the compiler and has no use for the secrets */
	bool out_of_memory;
};

/* The value of a variable, its name in any case as the old server takes it; one that is set and empty is a fault. NULL: not set. */
static const char *
variable(struct reading *r, const char *name)
{
	size_t len = strlen(name);

	for (char **e = environ; *e; e++)
		if (strncasecmp(*e, name, len) == 0 && (*e)[len] == '=') {
			const char *value = *e + len + 1;

			r->s->on = true;
			if (!*value)
				faults_add(r->faults, NULL, 0, "%s is set, but empty", name);
			return value;
		}
	return NULL;
}

static void
set_text(struct reading *r, char **ret, const char *text)
{
	free(*ret);
	*ret = text ? strdup(text) : NULL;
	r->out_of_memory |= text && !*ret;
}

/* From the environment, else from the file; NULL: neither says it. */
static const char *
setting(struct reading *r, const char *name, const char *key)
{
	const char *value = variable(r, name);

	return value ? value : config_string(r->config, "stan", key);
}

/* A path may be relative in the environment, as it always could. It is a place in the jail too, where no ".." can be made. */
static void
set_path(struct reading *r, char **ret, const char *text)
{
	scoped(free_ptr) char *folder = NULL, *whole = NULL, *real = NULL;

	if (!text || !*text)
		return;
	folder = *text == '/' ? strdup("") : getcwd(NULL, 0);
	if (!folder || asprintf(&whole, "%s%s%s", folder, *text == '/' ? "" : "/", text) < 0) {
		r->out_of_memory = true;
		return;
	}
	if (path_has_dot_dot(whole))
		real = realpath(whole, NULL);	/* what is not there is a fault later */
	set_text(r, ret, real ? real : whole);
}

/* A folder that is made where it is missing ends up in a make goal. */
static void
set_folder(struct reading *r, char **ret, const char *name, const char *key)
{
	set_path(r, ret, setting(r, name, key));
	if (*ret && strpbrk(*ret, "$#:%;'\"\\ \t\r\n"))
		faults_add(r->faults, NULL, 0, "%s: %s must have no blank and none of $ # : %% ; ' \" \\", name, *ret);
}

/* The bytes of a file without blanks at its ends. */
static void
set_from_file(struct reading *r, char **ret, const char *key, size_t max, bool may_be_empty)
{
	const char *path = config_string(r->config, "stan", key);
	scoped(free_ptr) char *text = NULL;
	size_t len = 0, skip = 0;
	int n;

	if (!path)
		return;
	n = read_file_at(AT_FDCWD, path, max, &text, &len);
	if (n == -EACCES && !may_be_empty && r->whole)
		return;	/* a secret is the gate's, which reads it and would say so */
	if (n < 0) {
		faults_add(r->faults, NULL, 0, "[stan] %s: %s: %s", key, path, strerror(-n));
		return;
	}
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	while (skip < len && isspace((unsigned char)text[skip]))
		skip++;
	text[len] = '\0';
	if (strlen(text + skip) != len - skip)
		faults_add(r->faults, NULL, 0, "[stan] %s: %s has a NUL in it", key, path);
	else if (len == skip && !may_be_empty)
		faults_add(r->faults, NULL, 0, "[stan] %s: %s is empty", key, path);
	set_text(r, ret, text + skip);
}

/* With another compiler a model should have another name, so that nobody's browser joins parts of both. */
static void
read_salt(struct reading *r)
{
	const char *path = config_string(r->config, "stan", "salt_file");
	char fingerprint[SHA1_HEX_SIZE];

	set_text(r, &r->s->salt, "");
	if (path && strcmp(path, "compiler") == 0) {
		if (stan_fingerprint(r->s, fingerprint) < 0)
			r->out_of_memory = true;
		else
			set_text(r, &r->s->salt, fingerprint);
	} else {
		set_from_file(r, &r->s->salt, "salt_file", SALT_MAX, true);
	}
}

static void
read_secrets(struct reading *r)
{
	const char *passcode = variable(r, "SWS_PASSCODE"), *token = variable(r, "SWS_RESTART_TOKEN");
	bool by_file = config_is_set(r->config, "stan", "passcode_file");

	if (passcode)
		set_text(r, &r->s->passcode, passcode);
	else
		set_from_file(r, &r->s->passcode, "passcode_file", SECRET_MAX, false);
	if (token)
		set_text(r, &r->s->restart_token, token);
	else
		set_from_file(r, &r->s->restart_token, "restart_token_file", SECRET_MAX, false);
	if (r->s->on && !passcode && !by_file)
		faults_add(r->faults, NULL, 0, "SWS_PASSCODE is missing (or [stan] passcode_file)");
}

static void
read_timeout(struct reading *r)
{
	const char *text = variable(r, "SWS_COMPILATION_TIMEOUT");
	size_t digits = text ? strspn(text, "0123456789") : 0;

	r->s->timeout_usec = config_number(r->config, "stan", "timeout");
	if (!text || !*text)
		return;
	r->s->timeout_usec = digits > 0 && digits <= TIMEOUT_DIGITS && !text[digits] ? strtoull(text, NULL, 10) * USEC_PER_SEC : 0;
	if (r->s->timeout_usec == 0)
		faults_add(r->faults, NULL, 0, "SWS_COMPILATION_TIMEOUT: \"%s\" is no whole number of seconds above 0", text);
}

static void
read_log_level(struct reading *r)
{
	static const struct { const char *name; int priority; } levels[] = { { "DEBUG", LOG_DEBUG }, { "INFO", LOG_INFO },
		{ "WARNING", LOG_WARNING }, { "ERROR", LOG_ERR }, { "CRITICAL", LOG_CRIT } };
	const char *text = variable(r, "SWS_LOG_LEVEL");

	r->s->log_priority = LOG_INFO;
	if (!text || !*text)
		return;
	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
		if (strcasecmp(levels[i].name, text) == 0) {
			r->s->log_priority = levels[i].priority;
			return;
		}
	faults_add(r->faults, NULL, 0, "SWS_LOG_LEVEL: \"%s\" is none of DEBUG, INFO, WARNING, ERROR, CRITICAL", text);
}

static void
read_origins(struct reading *r)
{
	const char *text = config_string(r->config, "stan", "origins");

	for (const char *p = text ? text : default_origins; *p;) {
		size_t len = strcspn(p, " \t\n");
		scoped(free_ptr) char *one = strndup(p, len);

		if (!one || (len > 0 && tool_list_add(&r->s->origins, one) < 0))
			r->out_of_memory = true;
		p += len;
		p += strspn(p, " \t\n");
	}
}

/* Of the environment: what emscripten and the locale go by, and no more. */
static void
read_variables(struct reading *r)
{
	static const char *const begins[] = { "EMSDK", "EM_", "LC_", "LANG=" };
	int n = tool_list_add(&r->s->variables, "HOME=/tmp");

	for (char **e = environ; n == 0 && *e; e++)
		for (size_t i = 0; n == 0 && i < sizeof begins / sizeof *begins; i++)
			if (strncmp(*e, begins[i], strlen(begins[i])) == 0)
				n = tool_list_add(&r->s->variables, *e);
	r->out_of_memory |= n < 0;
}

/* Whether a program of that name lies in a folder of the path. */
static bool
find_program(const char *path, const char *name, struct strbuf *ret)
{
	for (const char *p = path; *p;) {
		size_t len = strcspn(p, ":");

		strbuf_reset(ret);
		strbuf_addf(ret, "%.*s/%s", (int)len, p, name);
		if (len > 0 && strbuf_err(ret) == 0 && access(strbuf_str(ret), X_OK) == 0)
			return true;
		p += len;
		p += *p == ':';
	}
	return false;
}

static bool
is_kind(const char *folder, const char *name, mode_t kind)
{
	scoped(free_ptr) char *path = NULL;
	struct stat st;

	return asprintf(&path, "%s/%s", folder, name) >= 0 && stat(path, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

static void
look_at_compiler(struct reading *r)
{
	static const char *const programs[] = { "emmake", "make", "emstrip" };
	scoped(strbuf_done) struct strbuf found = STRBUF_INIT(8192);
	const struct stan_settings *s = r->s;

	if (!s->tinystan)
		faults_add(r->faults, NULL, 0, "TINYSTAN is missing (or [stan] tinystan)");
	else if (!is_kind(s->tinystan, "Makefile", S_IFREG) || !is_kind(s->tinystan, "stan", S_IFDIR))
		faults_add(r->faults, NULL, 0, "Tinystan path '%s' does not appear to contain a working installation.%s", s->tinystan,
		    access(s->tinystan, X_OK) < 0 && errno == EACCES ? " (This account may not enter it.)" : "");
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
		if (!find_program(s->path, programs[i], &found))
			faults_add(r->faults, NULL, 0, "the program %s is in no folder of PATH: %s", programs[i], s->path);
}

int
stan_load(const struct config *config, bool whole, struct faults *f, struct stan_settings *ret)
{
	struct reading r = { .config = config, .faults = f, .s = ret, .whole = whole };
	const char *text, *path;

	*ret = (struct stan_settings){ .on = config_section_is_set(config, "stan") };
	/* TINYSTAN_DIR counts alone only, but is one of the service's own in any case. */
	text = setting(&r, "TINYSTAN_DIR", "tinystan");
	path = variable(&r, "TINYSTAN");
	set_path(&r, &ret->tinystan, path ? path : text);
	set_path(&r, &ret->emsdk, getenv("EMSDK") && *getenv("EMSDK") ? getenv("EMSDK") : NULL);
	path = getenv("PATH");
	text = config_string(config, "stan", "path");
	set_text(&r, &ret->path, text ? text : path && *path ? path : default_path);
	set_folder(&r, &ret->job_dir, "SWS_JOB_DIR", "job_dir");
	set_folder(&r, &ret->cache, "SWS_BUILT_MODEL_DIR", "cache");
	read_timeout(&r);
	read_log_level(&r);
	read_secrets(&r);
	read_origins(&r);
	read_variables(&r);
	read_salt(&r);	/* which may be made of the others */
	if (ret->on && whole)
		look_at_compiler(&r);
	return r.out_of_memory ? -ENOMEM : 0;
}

void
stan_done(struct stan_settings *s)
{
	free(s->tinystan);
	free(s->emsdk);
	free(s->path);
	free(s->passcode);
	free(s->restart_token);
	free(s->job_dir);
	free(s->cache);
	free(s->salt);
	argv_free(s->origins);
	argv_free(s->variables);
	*s = (struct stan_settings){ .on = false };
}

static void
add_file(struct strbuf *s, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
		strbuf_addf(s, "%s %" PRIu64 " %" PRIu64 " %lld.%09ld\n", path, (uint64_t)st.st_ino, (uint64_t)st.st_size,
		    (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	else
		strbuf_addf(s, "%s -\n", path);
}

int
stan_fingerprint(const struct stan_settings *s, char ret_hex[SHA1_HEX_SIZE])
{
	static const char *const parts[] = { "Makefile", "make/local", "bin/stanc", "src/tinystan_serial.o" };
	static const char *const programs[] = { "emmake", "make", "emstrip", "emcc", "em++", "wasm-ld", "clang++" };
	scoped(strbuf_done) struct strbuf all = STRBUF_INIT(FINGERPRINT_MAX), path = STRBUF_INIT(8192);
	scoped(free_sha1) struct sha1 *hash = sha1_new();

	if (!hash)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		strbuf_reset(&path);
		strbuf_addf(&path, "%s/%s", s->tinystan ? s->tinystan : "", parts[i]);
		add_file(&all, strbuf_str(&path));
	}
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
		if (find_program(s->path, programs[i], &path))
			add_file(&all, strbuf_str(&path));
	for (char **v = s->variables; v && *v; v++)
		strbuf_addf(&all, "%s\n", *v);
	sha1_add(hash, all.buf, all.len);
	sha1_finish(hash, ret_hex);
	return strbuf_err(&all);
}

/* What a jail shows anyway. */
static bool
is_of_the_system(const char *path, size_t len)
{
	static const char *const system[] = { "/usr", "/bin", "/sbin", "/lib", "/lib64" };

	for (size_t i = 0; i < sizeof system / sizeof *system; i++) {
		size_t n = strlen(system[i]);

		if (len >= n && strncmp(path, system[i], n) == 0 && (len == n || path[n] == '/'))
			return true;
	}
	return false;
}

static int
add_folder(struct tool *t, const char *path, size_t len)
{
	scoped(free_ptr) char *one = strndup(path, len);
	struct stat st;

	if (!one)
		return -ENOMEM;
	/* Relative parts of a PATH, and what is not there, mean nothing in the jail. */
	if (*one != '/' || is_of_the_system(one, len) || strspn(one, "/") == len || path_has_dot_dot(one) || stat(one, &st) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	for (char **f = t->folders; f && *f; f++)
		if (strcmp(*f, one) == 0)
			return 0;
	return tool_list_add(&t->folders, one);
}

/* NAME=VALUE, in the place of what the tool file or a default says. */
static int
set_variable(struct tool *t, const char *text)
{
	size_t len = strcspn(text, "=") + 1;

	for (char **e = t->environment; e && *e; e++)
		if (strncmp(*e, text, len) == 0) {
			free(*e);
			*e = strdup(text);
			return *e ? 0 : -ENOMEM;
		}
	return tool_list_add(&t->environment, text);
}

static int
add_variable(struct tool *t, const char *name, const char *value)
{
	scoped(free_ptr) char *text = NULL;

	if (asprintf(&text, "%s=%s", name, value) < 0)
		return -ENOMEM;
	return set_variable(t, text);
}

int
stan_fill_tool(const struct stan_settings *s, struct tools *tools, struct faults *f)
{
	struct tool *t = tools_get(tools, STAN_TOOL);
	int r = 0;

	if (!s->on || !s->tinystan)
		return 0;
	if (!t) {
		faults_add(f, NULL, 0, "the Stan service is on, but there is no tool file " STAN_TOOL ".tool");
		return 0;
	}
	r = add_folder(t, s->tinystan, strlen(s->tinystan));
	if (r == 0 && s->emsdk)
		r = add_folder(t, s->emsdk, strlen(s->emsdk));
	for (const char *p = s->path; r == 0 && *p;) {
		size_t len = strcspn(p, ":");

		r = add_folder(t, p, len);
		p += len;
		p += *p == ':';
	}
	if (r == 0)
		r = add_variable(t, "TINYSTAN", s->tinystan);
	if (r == 0)
		r = add_variable(t, "PATH", s->path);
	for (char **v = s->variables; r == 0 && v && *v; v++)
		r = set_variable(t, *v);
	t->limits.wall_usec = s->timeout_usec;
	if (s->cache && !(t->cache = strdup(s->cache)))
		r = -ENOMEM;
	if (s->job_dir && !(t->scratch = strdup(s->job_dir)))
		r = -ENOMEM;
	return r;
}
