#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "cli/settings.h"
#include "config/ini_file.h"

enum { TOKEN_MAX = 4096 };

/* What one level (options, environment, file) says. */
struct level {
	char *url, *ca, *token, *token_file;
};

struct reader {
	struct level *level;
	struct faults *faults;
	const char *path;
};

static void
wipe(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

static void
level_done(struct level *l)
{
	free(l->url);
	free(l->ca);
	free(l->token_file);
	wipe(&l->token);
	*l = (struct level){ NULL, NULL, NULL, NULL };
}

static void
on_value(const char *section, const char *key, const char *value, unsigned line, bool first, void *ctx)
{
	const struct reader *r = ctx;
	char **place = NULL;

	if (strcmp(section, "server") != 0) {
		faults_add(r->faults, r->path, line, "there is no section [%s]: only [server]", section);
		return;
	}
	if (!key)
		return;
	if (strcmp(key, "url") == 0)
		place = &r->level->url;
	else if (strcmp(key, "ca") == 0)
		place = &r->level->ca;
	else if (strcmp(key, "token") == 0)
		place = &r->level->token;
	else if (strcmp(key, "token-file") == 0)
		place = &r->level->token_file;
	if (!place)
		faults_add(r->faults, r->path, line, "there is no key %s: only url, ca, token-file and token", key);
	else if (*place || !first)
		faults_add(r->faults, r->path, line, "%s stands there twice", key);
	else if (value[0] == '\0')
		faults_add(r->faults, r->path, line, "%s has no value", key);
	else if (!(*place = strdup(value)))
		faults_add(r->faults, r->path, line, "out of memory");
}

/* Whether nobody but its owner can read an open file, which is ours or root's. */
static bool
is_private(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_IRWXG | S_IRWXO)) == 0 &&
	    (st.st_uid == geteuid() || st.st_uid == 0);
}

/* The user's file. needed: it was named, so it has to be there. */
static void
read_file(const char *path, bool needed, struct faults *f, struct level *ret)
{
	scoped(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct reader r = { ret, f, path };
	char link[sizeof "/proc/self/fd/" + 3 * sizeof fd];

	if (fd < 0 && errno == ENOENT && !needed)
		return;
	if (fd < 0) {
		faults_add(f, path, 0, "%s", strerror(errno));
		return;
	}
	/* The very file that is judged below is read, whatever bears its name by then. */
	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	if (ini_file_read(AT_FDCWD, link, path, f, on_value, &r) < 0)
		return;
	if (ret->token && !is_private(fd))
		faults_add(f, path, 0, "others can read this file, and it holds a token: chmod 600 it");
	if (ret->token && ret->token_file)
		faults_add(f, path, 0, "both token and token-file");
}

/* A token is one word of printable ASCII; what ends the line of its file is not part of it. */
static char *
clean_token(const char *text, const char *from, struct faults *f)
{
	size_t skip = strspn(text, " \t\r\n"), len = strlen(text + skip);
	char *token;

	while (len > 0 && strchr(" \t\r\n", text[skip + len - 1]))
		len--;
	token = strndup(text + skip, len);
	if (!token) {
		faults_add(f, from, 0, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < len; i++) {
		if (token[i] > ' ' && token[i] < 0x7f)
			continue;
		faults_add(f, from, 0, "this is no token: it has blanks, or characters beyond ASCII");
		wipe(&token);
		return NULL;
	}
	if (len == 0) {
		faults_add(f, from, 0, "there is no token in it");
		wipe(&token);
	}
	return token;
}

static char *
read_token_file(const char *path, struct faults *f)
{
	scoped(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char text[TOKEN_MAX + 1];
	char *token = NULL;
	ssize_t n;

	if (fd < 0) {
		faults_add(f, path, 0, "%s", strerror(errno));
		return NULL;
	}
	if (!is_private(fd)) {
		faults_add(f, path, 0, "a token file must be a regular file of yours that nobody else can read: chmod 600 it");
		return NULL;
	}
	n = read_full(fd, text, TOKEN_MAX);
	if (n < 0 || n == TOKEN_MAX || memchr(text, '\0', (size_t)(n < 0 ? 0 : n))) {
		faults_add(f, path, 0, "%s", n < 0 ? strerror((int)-n) : "this is no token");
	} else {
		text[n] = '\0';
		token = clean_token(text, path, f);
	}
	explicit_bzero(text, sizeof text);
	return token;
}

static char *
copy_environment(const char *name, struct faults *f)
{
	const char *value = getenv(name);
	char *copy = value && value[0] ? strdup(value) : NULL;

	if (value && value[0] && !copy)
		faults_add(f, name, 0, "out of memory");
	return copy;
}

static char *
default_path(void)
{
	const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char *path = NULL;
	int r = -1;

	if (base && base[0] == '/')
		r = asprintf(&path, "%s/spoolgate/config", base);
	else if (home && home[0] == '/')
		r = asprintf(&path, "%s/.config/spoolgate/config", home);
	return r < 0 ? NULL : path;
}

/* The token of the first level that has one, and the server that the same level names. */
static void
choose_token(struct level levels[], size_t n, struct faults *f, struct settings *s)
{
	static const char *const names[] = { "--token-file", "the environment", "the settings file" };

	for (size_t i = 0; i < n && !s->token; i++) {
		if (!levels[i].token && !levels[i].token_file)
			continue;
		if (levels[i].token)
			s->token = clean_token(levels[i].token, names[i], f);
		else
			s->token = read_token_file(levels[i].token_file, f);
		s->token_from = names[i];
		s->token_server = take_ptr(levels[i].url);
		return;
	}
}

static char *
first_of(struct level levels[], size_t n, size_t offset)
{
	for (size_t i = 0; i < n; i++) {
		const char *value = *(char **)(void *)((char *)&levels[i] + offset);

		if (value)
			return strdup(value);
	}
	return NULL;
}

int
settings_load(const struct settings_options *options, struct faults *f, struct settings *ret)
{
	enum { OPTIONS, ENVIRONMENT, SETTINGS_FILE, LEVELS };
	struct level levels[LEVELS] = { 0 };
	scoped(free_ptr) char *path = NULL;
	struct settings s = { 0 };
	size_t before = f->n;

	levels[OPTIONS].url = options->server ? strdup(options->server) : NULL;
	levels[OPTIONS].ca = options->ca ? strdup(options->ca) : NULL;
	levels[OPTIONS].token_file = options->token_file ? strdup(options->token_file) : NULL;
	levels[ENVIRONMENT].url = copy_environment("SPOOLGATE_SERVER", f);
	levels[ENVIRONMENT].ca = copy_environment("SPOOLGATE_CA", f);
	levels[ENVIRONMENT].token = copy_environment("SPOOLGATE_TOKEN", f);
	levels[ENVIRONMENT].token_file = copy_environment("SPOOLGATE_TOKEN_FILE", f);
	path = options->config ? strdup(options->config) : default_path();
	if (path)
		read_file(path, options->config != NULL, f, &levels[SETTINGS_FILE]);
	s.server = first_of(levels, LEVELS, offsetof(struct level, url));
	s.ca = first_of(levels, LEVELS, offsetof(struct level, ca));
	if (f->n == before)
		choose_token(levels, LEVELS, f, &s);
	if (!s.server && f->n == before)
		faults_add(f, NULL, 0, "no server: name one with --server URL, SPOOLGATE_SERVER, or `url =` in section [server] of %s",
		    path ? path : "the settings file");
	for (size_t i = 0; i < LEVELS; i++)
		level_done(&levels[i]);
	if (f->n > before) {
		settings_done(&s);
		return -EINVAL;
	}
	*ret = s;
	return 0;
}

void
settings_done(struct settings *s)
{
	free(s->server);
	free(s->ca);
	free(s->token_server);
	wipe(&s->token);
	*s = (struct settings){ 0 };
}
