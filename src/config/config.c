#include <config.h>	/* in angle brackets: config/config.h is another */

#include <assert.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/scoped.h"
#include "config/config.h"
#include "config/ini_file.h"

enum key_type { KEY_STRING, KEY_PATH, KEY_COUNT, KEY_SIZE, KEY_TIME, KEY_BOOL, KEY_CHOICE };

#define BYTES_MAX (1ULL << 60)	/* two of them can be added */

/* All keys. spoolgate.conf(5) has the same list, in words. */
static const struct key {
	const char *section;
	const char *name;
	enum key_type type;
	uint64_t min, max;
	const char *value;	/* the default as the file would have it; NULL: unset */
	const char *choices;	/* KEY_CHOICE: "one|other"; of a KEY_PATH what it may be instead */
} keys[] = {
	{ "spool", "path", KEY_PATH, 0, 0, LOCALSTATEDIR "/lib/spoolgate/spool", NULL },
	{ "spool", "read_group", KEY_STRING, 0, 0, NULL, NULL },
	{ "spool", "gate_group", KEY_STRING, 0, 0, NULL, NULL },
	{ "spool", "redo_bytes", KEY_SIZE, 4 << 20, 1 << 30, "32M", NULL },
	{ "spool", "disk_reserve", KEY_SIZE, 0, BYTES_MAX, "256M", NULL },
	{ "spool", "results_max", KEY_SIZE, 0, BYTES_MAX, "0", NULL },
	{ "helper", "gate_socket", KEY_PATH, 0, 0, "/run/spoolgate/gate.sock", NULL },
	{ "helper", "admin_socket", KEY_PATH, 0, 0, "/run/spoolgate/admin.sock", NULL },
	{ "helper", "gate_user", KEY_STRING, 0, 0, NULL, NULL },
	{ "helper", "admin_user", KEY_STRING, 0, 0, NULL, NULL },
	{ "helper", "secrets", KEY_PATH, 0, 0, "/run/spoolgate/secrets", NULL },
	{ "helper", "transient", KEY_PATH, 0, 0, "/run/spoolgate/transient", NULL },
	{ "helper", "tools", KEY_PATH, 0, 0, SYSCONFDIR "/spoolgate/tools", NULL },
	{ "helper", "slots", KEY_COUNT, 0, 1024, "0", NULL },
	{ "helper", "queue_max", KEY_COUNT, 1, 1000000, "1000", NULL },
	{ "helper", "owner_queued", KEY_COUNT, 0, 1000000, "0", NULL },
	{ "helper", "owner_running", KEY_COUNT, 0, 1024, "0", NULL },
	{ "helper", "uploads_max", KEY_SIZE, 1 << 20, BYTES_MAX, "1G", NULL },
	{ "helper", "attempts_max", KEY_COUNT, 1, 100, "3", NULL },
	{ "helper", "run_program", KEY_PATH, 0, 0, PKGLIBEXECDIR "/spoolgate-run", NULL },
	{ "helper", "init_program", KEY_PATH, 0, 0, PKGLIBEXECDIR "/spoolgate-init", NULL },
	{ "helper", "pack_program", KEY_PATH, 0, 0, PKGLIBEXECDIR "/spoolgate-pack", NULL },
	{ "helper", "packs_max", KEY_SIZE, 0, BYTES_MAX, "4G", NULL },
	{ "helper", "cgroup", KEY_PATH, 0, 0, "auto", "auto|none" },
	{ "helper", "bwrap", KEY_PATH, 0, 0, BWRAP_PATH, NULL },
	{ "callbacks", "secret_file", KEY_PATH, 0, 0, NULL, NULL },
	{ "callbacks", "allow", KEY_STRING, 0, 0, NULL, NULL },
	{ "callbacks", "ca_file", KEY_PATH, 0, 0, NULL, NULL },
	{ "callbacks", "attempts", KEY_COUNT, 1, 100, "12", NULL },
	{ "callbacks", "pause", KEY_TIME, USEC_PER_MSEC, 3600 * USEC_PER_SEC, "10s", NULL },
	{ "callbacks", "send_program", KEY_PATH, 0, 0, PKGLIBEXECDIR "/spoolgate-send", NULL },
	{ "gate", "workers", KEY_COUNT, 0, 256, "0", NULL },
	{ "gate", "threads", KEY_COUNT, 1, 256, "4", NULL },
	{ "gate", "state", KEY_PATH, 0, 0, LOCALSTATEDIR "/lib/spoolgate/gate", NULL },
	{ "gate", "waits_max", KEY_COUNT, 1, 4096, "1024", NULL },	/* CLIENT_WATCH_MAX */
	{ "gate", "waits_owner_max", KEY_COUNT, 1, 4096, "32", NULL },
	{ "gate", "drain", KEY_TIME, 0, 3600 * USEC_PER_SEC, "30s", NULL },
	{ "metrics", "open", KEY_BOOL, 0, 0, "no", NULL },
	{ "metrics", "token_file", KEY_PATH, 0, 0, NULL, NULL },
	{ "v1", "enabled", KEY_BOOL, 0, 0, "yes", NULL },
	{ "v1", "queued_max", KEY_COUNT, 0, 1000000, "0", NULL },
	{ "v1", "running_max", KEY_COUNT, 0, 1024, "0", NULL },
	{ "v1", "body_max", KEY_SIZE, 1 << 20, BYTES_MAX, "256M", NULL },
	{ "v1", "uploads_max", KEY_SIZE, 0, BYTES_MAX, "16G", NULL },
	{ "v1", "anonymous", KEY_CHOICE, 0, 0, "nothing", "nothing|read|submit,read|submit,read,kill" },
	{ "stableconfigs", "enabled", KEY_BOOL, 0, 0, "yes", NULL },
	{ "stableconfigs", "status_words", KEY_CHOICE, 0, 0, "documented", "documented|deployed" },
	{ "stableconfigs", "queued_max", KEY_COUNT, 0, 1000000, "0", NULL },
	{ "stableconfigs", "running_max", KEY_COUNT, 0, 1024, "0", NULL },
	{ "stableconfigs", "body_max", KEY_SIZE, 1024, 256 << 20, "4M", NULL },
	{ "stan", "tinystan", KEY_PATH, 0, 0, NULL, NULL },
	{ "stan", "path", KEY_STRING, 0, 0, NULL, NULL },
	{ "stan", "passcode_file", KEY_PATH, 0, 0, NULL, NULL },
	{ "stan", "restart_token_file", KEY_PATH, 0, 0, NULL, NULL },
	{ "stan", "salt_file", KEY_PATH, 0, 0, NULL, "compiler" },
	{ "stan", "origins", KEY_STRING, 0, 0, NULL, NULL },
	{ "stan", "job_dir", KEY_PATH, 0, 0, NULL, NULL },
	{ "stan", "cache", KEY_PATH, 0, 0, NULL, NULL },
	{ "stan", "cache_max", KEY_SIZE, 1 << 20, BYTES_MAX, "10G", NULL },
	{ "stan", "cache_keep", KEY_TIME, 0, 36500ULL * 86400 * USEC_PER_SEC, "365d", NULL },
	{ "stan", "timeout", KEY_TIME, USEC_PER_SEC, 86400 * USEC_PER_SEC, "300s", NULL },
	{ "stan", "failures_kept", KEY_TIME, 0, 86400 * USEC_PER_SEC, "5m", NULL },
	{ "stan", "queued_max", KEY_COUNT, 0, 1000000, "0", NULL },
	{ "stan", "running_max", KEY_COUNT, 0, 1024, "0", NULL },
};
enum { N_KEYS = sizeof keys / sizeof *keys };

struct config {
	struct value {
		char *text;	/* KEY_STRING, KEY_PATH, KEY_CHOICE */
		uint64_t number;	/* the others */
		bool set;	/* by the file */
	} values[N_KEYS];
};

/* "12M" and the like: a decimal number and one of the suffixes, with its factor. */
static int
number_parse(const char *text, const char *const *suffixes, const uint64_t *factors, size_t n, uint64_t *ret)
{
	uint64_t number;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0)
		return -ERANGE;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(end, suffixes[i]) != 0)
			continue;
		if (__builtin_mul_overflow(number, factors[i], ret))
			return -ERANGE;
		return 0;
	}
	return -EINVAL;
}

int
size_parse(const char *text, uint64_t *ret_bytes)
{
	static const char *const suffixes[] = { "", "K", "M", "G", "T" };
	static const uint64_t factors[] = { 1, 1ULL << 10, 1ULL << 20, 1ULL << 30, 1ULL << 40 };

	return number_parse(text, suffixes, factors, 5, ret_bytes);
}

int
time_parse(const char *text, uint64_t *ret_usec)
{
	static const char *const suffixes[] = { "s", "ms", "us", "m", "h", "d", "" };
	static const uint64_t factors[] = { USEC_PER_SEC, USEC_PER_MSEC, 1, 60 * USEC_PER_SEC, 3600 * USEC_PER_SEC,
		86400 * USEC_PER_SEC, USEC_PER_SEC };

	return number_parse(text, suffixes, factors, 7, ret_usec);
}

static int
count_parse(const char *text, uint64_t *ret)
{
	static const char *const suffixes[] = { "" };
	static const uint64_t factors[] = { 1 };

	return number_parse(text, suffixes, factors, 1, ret);
}

static int
bool_parse(const char *text, uint64_t *ret)
{
	if (strcmp(text, "yes") == 0 || strcmp(text, "true") == 0 || strcmp(text, "on") == 0 || strcmp(text, "1") == 0)
		*ret = 1;
	else if (strcmp(text, "no") == 0 || strcmp(text, "false") == 0 || strcmp(text, "off") == 0 || strcmp(text, "0") == 0)
		*ret = 0;
	else
		return -EINVAL;
	return 0;
}

static bool
is_choice(const char *choices, const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || strchr(text, '|'))
		return false;
	for (const char *p = choices; (p = strstr(p, text)) != NULL; p++)
		if ((p == choices || p[-1] == '|') && (p[len] == '|' || p[len] == '\0'))
			return true;
	return false;
}

/* Sets one value from its text; a fault names the file and line. */
static void
value_set(struct value *v, const struct key *key, const char *text, struct faults *f, const char *file, unsigned line)
{
	char *copy;
	int r = 0;

	switch (key->type) {
	case KEY_COUNT:
		r = count_parse(text, &v->number);
		break;
	case KEY_SIZE:
		r = size_parse(text, &v->number);
		break;
	case KEY_TIME:
		r = time_parse(text, &v->number);
		break;
	case KEY_BOOL:
		if (bool_parse(text, &v->number) < 0)
			faults_add(f, file, line, "%s must be yes or no", key->name);
		return;
	case KEY_PATH:
		if (text[0] != '/' && !(key->choices && is_choice(key->choices, text))) {
			faults_add(f, file, line, "%s must be an absolute path", key->name);
			return;
		}
		break;
	case KEY_CHOICE:
		if (!is_choice(key->choices, text)) {
			faults_add(f, file, line, "%s must be one of %s", key->name, key->choices);
			return;
		}
		break;
	case KEY_STRING:
		break;
	}
	if (key->type == KEY_STRING || key->type == KEY_PATH || key->type == KEY_CHOICE) {
		copy = strdup(text);
		if (!copy) {
			faults_add(f, file, line, "out of memory");
			return;
		}
		free(v->text);
		v->text = copy;
	} else if (r < 0) {
		faults_add(f, file, line, "%s: \"%s\" is no %s", key->name, text,
		    key->type == KEY_COUNT ? "number" : key->type == KEY_SIZE ? "size (such as 16M)" : "time (such as 90s)");
	} else if (v->number < key->min || v->number > key->max) {
		faults_add(f, file, line, "%s must lie between %" PRIu64 " and %" PRIu64, key->name, key->min, key->max);
	}
}

struct loading {
	struct config *config;
	struct faults *faults;
	const char *path;
};

/* A text may go on in further lines: a blank stands between them. */
static void
add_line(struct value *v, const char *text, struct loading *l)
{
	char *joined = NULL;

	if (asprintf(&joined, "%s%s%s", v->text, *v->text ? " " : "", text) < 0) {
		faults_add(l->faults, l->path, 0, "out of memory");
		return;
	}
	free(v->text);
	v->text = joined;
}

static void
on_value(const char *section, const char *name, const char *value, unsigned line, bool first, void *ctx)
{
	struct loading *l = ctx;
	bool section_known = false;

	for (size_t i = 0; i < N_KEYS; i++) {
		if (strcmp(keys[i].section, section) != 0)
			continue;
		section_known = true;
		if (!name || strcmp(keys[i].name, name) != 0)
			continue;
		if (l->config->values[i].set && !first && keys[i].type == KEY_STRING) {
			add_line(&l->config->values[i], value, l);
			return;
		}
		if (l->config->values[i].set) {
			faults_add(l->faults, l->path, line, "%s stands here a second time", name);
			return;
		}
		l->config->values[i].set = true;
		value_set(&l->config->values[i], &keys[i], value, l->faults, l->path, line);
		return;
	}
	if (!name) {
		if (!section_known)
			faults_add(l->faults, l->path, line, "there is no section [%s]", section);
	} else if (section_known) {
		faults_add(l->faults, l->path, line, "[%s] has no key \"%s\"", section, name);
	} else if (section[0] == '\0') {
		faults_add(l->faults, l->path, line, "\"%s\" stands before the first [section]", name);
	}
}

int
config_load(const char *path, struct faults *f, struct config **ret)
{
	scoped(free_config) struct config *c = calloc(1, sizeof *c);
	struct loading l = { .config = c, .faults = f };
	int r;

	if (!c)
		return -ENOMEM;
	l.path = path ? path : SYSCONFDIR "/spoolgate/spoolgate.conf";
	for (size_t i = 0; i < N_KEYS; i++)
		if (keys[i].value)
			value_set(&c->values[i], &keys[i], keys[i].value, f, NULL, 0);
	r = ini_file_read(AT_FDCWD, l.path, l.path, f, on_value, &l);
	if (r == -ENOMEM)
		return r;
	*ret = take_ptr(c);
	return 0;
}

struct config *
config_free(struct config *c)
{
	if (!c)
		return NULL;
	for (size_t i = 0; i < N_KEYS; i++)
		free(c->values[i].text);
	free(c);
	return NULL;
}

static const struct value *
find(const struct config *c, const char *section, const char *name, const struct key **ret_key)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0) {
			*ret_key = &keys[i];
			return &c->values[i];
		}
	assert(0 && "a key that stands in the table");
	abort();
}

const char *
config_string(const struct config *c, const char *section, const char *key)
{
	const struct key *k = NULL;
	const struct value *v = find(c, section, key, &k);

	assert(k->type == KEY_STRING || k->type == KEY_PATH || k->type == KEY_CHOICE);
	return v->text;
}

uint64_t
config_number(const struct config *c, const char *section, const char *key)
{
	const struct key *k = NULL;
	const struct value *v = find(c, section, key, &k);

	assert(k->type == KEY_COUNT || k->type == KEY_SIZE || k->type == KEY_TIME);
	return v->number;
}

uint64_t
config_service_number(const struct config *c, const char *service, const char *key)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (strcmp(keys[i].section, service) == 0 && strcmp(keys[i].name, key) == 0)
			return config_number(c, service, key);
	return 0;
}

bool
config_bool(const struct config *c, const char *section, const char *key)
{
	const struct key *k = NULL;
	const struct value *v = find(c, section, key, &k);

	assert(k->type == KEY_BOOL);
	return v->number != 0;
}

bool
config_is_set(const struct config *c, const char *section, const char *key)
{
	const struct key *k = NULL;

	return find(c, section, key, &k)->set;
}

bool
config_section_is_set(const struct config *c, const char *section)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (strcmp(keys[i].section, section) == 0 && c->values[i].set)
			return true;
	return false;
}

static void
user_number(const struct config *c, const char *key, struct faults *f, unsigned *uid)
{
	const char *name = config_string(c, "helper", key);
	const struct passwd *pw;

	if (!name)
		return;
	pw = getpwnam(name);
	if (pw)
		*uid = pw->pw_uid;
	else
		faults_add(f, NULL, 0, "[helper] %s: there is no account \"%s\"", key, name);
}

static void
group_number(const struct config *c, const char *key, struct faults *f, unsigned *gid)
{
	const char *name = config_string(c, "spool", key);
	const struct group *gr;

	if (!name)
		return;
	gr = getgrnam(name);
	if (gr)
		*gid = gr->gr_gid;
	else
		faults_add(f, NULL, 0, "[spool] %s: there is no group \"%s\"", key, name);
}

int
config_accounts(const struct config *c, struct faults *f, struct accounts *ret)
{
	struct accounts a = { .own_uid = geteuid(), .read_gid = (gid_t)-1, .gate_gid = (gid_t)-1 };
	size_t before = f->n;

	a.gate_uid = a.admin_uid = a.own_uid;
	user_number(c, "gate_user", f, &a.gate_uid);
	user_number(c, "admin_user", f, &a.admin_uid);
	group_number(c, "read_group", f, &a.read_gid);
	group_number(c, "gate_group", f, &a.gate_gid);
	a.shared = a.gate_uid == a.own_uid;
	if (f->n > before)
		return -EINVAL;
	*ret = a;
	return 0;
}
