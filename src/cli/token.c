/* token.c - `spoolgate token`: the tokens of the native API, in the gate's database. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "cli/command.h"
#include "config/config.h"
#include "store/token.h"

enum { TOOLS_TEXT_MAX = 8192 };

static void
usage(FILE *to)
{
	(void)fputs("usage: spoolgate token add NAME [--scope SCOPE[,SCOPE]...] [--tool TOOL]... [--expires TIME] [--json]\n"
	    "       spoolgate token list [--json]\n"
	    "       spoolgate token revoke NAME\n"
	    "  --config FILE   instead of " SYSCONFDIR "/spoolgate/spoolgate.conf; tells where the gate's state is\n"
	    "  --scope SCOPE   submit, read, kill, admin; submit,read,kill unless said\n"
	    "  --tool TOOL     may use this tool alone; repeatable\n"
	    "  --expires TIME  from now, such as 30d; never unless said\n"
	    "  --json          one JSON object\n\n"
	    "Exit status: 0 done; 1 it could not be done; 2 usage; 5 there is no such token.\n", to);
}

struct options {
	const char *config_path;
	unsigned scopes;
	struct strbuf tools;
	uint64_t expires_usec;	/* from now; 0: never */
	bool json;
};

/* 0, or an exit status with *ret_done. */
static int
parse(int argc, char *argv[], struct options *o, bool *ret_done)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "scope", required_argument, NULL, 's' },
		{ "tool", required_argument, NULL, 't' }, { "expires", required_argument, NULL, 'e' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	int c;

	*ret_done = true;
	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		unsigned more = 0;

		switch (c) {
		case 'c':
			o->config_path = optarg;
			break;
		case 's':
			if (scopes_parse(optarg, &more) < 0 || more == 0) {
				(void)fprintf(stderr, "spoolgate token: \"%s\" is no scope: submit, read, kill or admin\n", optarg);
				return EXIT_USAGE;
			}
			o->scopes |= more;
			break;
		case 't':
			if (!*optarg || strpbrk(optarg, "\n\r\t /")) {
				(void)fprintf(stderr, "spoolgate token: \"%s\" is no name of a tool\n", optarg);
				return EXIT_USAGE;
			}
			strbuf_addf(&o->tools, "%s%s\n", o->tools.len ? "" : "\n", optarg);
			break;
		case 'e':
			if (time_parse(optarg, &o->expires_usec) < 0 || o->expires_usec == 0) {
				(void)fprintf(stderr, "spoolgate token: \"%s\" is no time, such as 30d\n", optarg);
				return EXIT_USAGE;
			}
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	*ret_done = false;
	return 0;
}

/* Root becomes the gate, so that every file it makes is the gate's. */
static int
become(const char *user)
{
	const struct passwd *p = NULL;

	if (geteuid() != 0 || !user)
		return 0;
	errno = 0;
	p = getpwnam(user);
	if (!p) {
		(void)fprintf(stderr, "spoolgate token: there is no account %s\n", user);
		return -ENOENT;
	}
	if (initgroups(user, p->pw_gid) < 0 || setresgid(p->pw_gid, p->pw_gid, p->pw_gid) < 0 ||
	    setresuid(p->pw_uid, p->pw_uid, p->pw_uid) < 0) {
		int r = -errno;

		(void)fprintf(stderr, "spoolgate token: cannot become %s: %s\n", user, strerror(-r));
		return r;
	}
	return 0;
}

/* 0, or an exit status; what is wrong has been said. */
static int
open_database(const struct options *o, bool make, struct tokens **ret)
{
	scoped(faults_done) struct faults f = { NULL, 0 };
	scoped(free_config) struct config *config = NULL;
	const char *state = NULL;
	int r = config_load(o->config_path, &f, &config);

	for (size_t i = 0; i < f.n; i++)
		(void)fprintf(stderr, "%s\n", f.texts[i] ? f.texts[i] : "out of memory");
	if (r < 0 || f.n > 0)
		return EXIT_FAILURE;
	if (become(config_string(config, "helper", "gate_user")) < 0)
		return EXIT_FAILURE;
	state = config_string(config, "gate", "state");
	r = tokens_open(state, make, ret);
	if (r == -ENOENT && !make)
		return 0;	/* *ret stays NULL: there is none yet */
	if (r < 0) {
		(void)fprintf(stderr, "spoolgate token: %s/spoolgate.db: %s\n", state, r == -EPROTONOSUPPORT ?
		    "this database was made by a newer spoolgate" : r == -EBADMSG ? "this is damaged, or no database of spoolgate" :
		    strerror(-r));
		return EXIT_FAILURE;
	}
	return 0;
}

static int
failed(const char *what, int r)
{
	(void)fprintf(stderr, "spoolgate token: %s: %s\n", what, strerror(-r));
	return EXIT_FAILURE;
}

static int
print_json(json_object *obj)
{
	scoped(put_json) json_object *own = obj;
	scoped(free_ptr) char *text = NULL;

	if (!own || json_format(own, &text, NULL) < 0 || puts(text) == EOF || fflush(stdout) != 0)
		return failed("cannot write", -ENOMEM);
	return EXIT_SUCCESS;
}

static void
add_time(struct jsonw *w, const char *key, uint64_t usec)
{
	char text[CLOCK_TEXT_SIZE];

	if (usec)
		clock_format(usec, text);
	jsonw_string(w, key, usec ? text : NULL);
}

/* name, scopes, tools, created, expires; text where it is not NULL: the token itself. */
static json_object *
format_token(const struct token *t, const char *text)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *scopes = json_object_new_array();
	json_object *tools = t->tools ? json_object_new_array() : NULL;
	json_object *obj = NULL;
	char words[SCOPES_TEXT_SIZE];
	char *save = NULL;

	scopes_format(t->scopes, words);
	for (char *p = strtok_r(words, ",", &save); p; p = strtok_r(NULL, ",", &save))
		(void)json_object_array_add(scopes, json_object_new_string(p));
	for (const char *p = t->tools ? t->tools + 1 : ""; *p; p += strcspn(p, "\n") + 1)
		(void)json_object_array_add(tools, json_object_new_string_len(p, (int)strcspn(p, "\n")));
	jsonw_string(&w, "name", t->name);
	jsonw_add(&w, "scopes", scopes);
	if (tools)
		jsonw_add(&w, "tools", tools);
	else
		jsonw_null(&w, "tools");
	add_time(&w, "created", t->created_usec);
	add_time(&w, "expires", t->expires_usec);
	if (text)
		jsonw_string(&w, "token", text);
	return jsonw_finish(&w, &obj) < 0 ? NULL : obj;
}

static int
add(const struct options *o, const char *name)
{
	scoped(close_tokens) struct tokens *all = NULL;
	struct token t = { .scopes = o->scopes ? o->scopes : SCOPE_SUBMIT | SCOPE_READ | SCOPE_KILL };
	char text[TOKEN_TEXT_SIZE];
	int r;

	if (!token_name_valid(name)) {
		(void)fprintf(stderr, "spoolgate token: \"%s\" is no name: 1 to %d of a-z 0-9 . _ -, not beginning with . or -\n", name,
		    TOKEN_NAME_MAX);
		return EXIT_USAGE;
	}
	if (strbuf_err(&o->tools) < 0)
		return failed("too many tools", strbuf_err(&o->tools));
	(void)snprintf(t.name, sizeof t.name, "%s", name);
	t.tools = o->tools.len ? o->tools.buf : NULL;
	t.expires_usec = o->expires_usec ? clock_wall() + o->expires_usec : 0;
	r = open_database(o, true, &all);
	if (r != 0)
		return r;
	r = tokens_add(all, &t, text);
	if (r == -EEXIST) {
		(void)fprintf(stderr, "spoolgate token: there is a token %s already: revoke it first\n", name);
		return EXIT_FAILURE;
	}
	if (r < 0)
		return failed("cannot add", r);
	if (o->json)
		return print_json(format_token(&t, text));
	if (puts(text) == EOF || fflush(stdout) != 0)
		return failed("cannot write", -EIO);
	return EXIT_SUCCESS;
}

static int
print_row(const struct token *t, void *ctx)
{
	char words[SCOPES_TEXT_SIZE], created[CLOCK_TEXT_SIZE], expires[CLOCK_TEXT_SIZE] = "never";

	(void)ctx;
	scopes_format(t->scopes, words);
	clock_format(t->created_usec, created);
	if (t->expires_usec)
		clock_format(t->expires_usec, expires);
	(void)printf("%-20s %-22s %.19sZ  %-20.19s ", t->name, words, created, expires);
	if (!t->tools)
		(void)fputs("all tools", stdout);
	for (const char *p = t->tools ? t->tools + 1 : ""; *p; p += strcspn(p, "\n") + 1)
		(void)printf("%.*s ", (int)strcspn(p, "\n"), p);
	(void)putchar('\n');
	return 0;
}

static int
collect_row(const struct token *t, void *ctx)
{
	json_object *obj = format_token(t, NULL);

	return obj && json_object_array_add(ctx, obj) == 0 ? 0 : -ENOMEM;
}

static int
list(const struct options *o)
{
	scoped(close_tokens) struct tokens *all = NULL;
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *rows = json_object_new_array();
	json_object *obj = NULL;
	int r = open_database(o, false, &all);

	jsonw_add(&w, "tokens", rows);
	if (r != 0)
		return r;
	if (!o->json)
		(void)printf("%-20s %-22s %-21s %-20s %s\n", "NAME", "SCOPES", "CREATED", "EXPIRES", "TOOLS");
	if (all)
		r = tokens_each(all, o->json ? collect_row : print_row, rows);
	if (r < 0)
		return failed("cannot list", r);
	if (o->json)
		return print_json(jsonw_finish(&w, &obj) < 0 ? NULL : obj);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : failed("cannot write", -errno);
}

static int
remove_token(const struct options *o, const char *name)
{
	scoped(close_tokens) struct tokens *all = NULL;
	int r = open_database(o, false, &all);

	if (r != 0)
		return r;
	r = all ? tokens_revoke(all, name) : -ENOENT;
	if (r == -ENOENT) {
		(void)fprintf(stderr, "spoolgate token: there is no token %s\n", name);
		return EXIT_NOT_FOUND;
	}
	return r < 0 ? failed("cannot revoke", r) : EXIT_SUCCESS;
}

int
command_token(int argc, char *argv[])
{
	struct options o = { .config_path = NULL, .tools = STRBUF_INIT(TOOLS_TEXT_MAX) };
	bool done;
	int status = parse(argc, argv, &o, &done);
	int n = argc - optind;
	char **words = argv + optind;

	if (!done) {
		if (n == 2 && strcmp(words[0], "add") == 0) {
			status = add(&o, words[1]);
		} else if (n == 1 && strcmp(words[0], "list") == 0) {
			status = list(&o);
		} else if (n == 2 && strcmp(words[0], "revoke") == 0) {
			status = remove_token(&o, words[1]);
		} else {
			usage(stderr);
			status = EXIT_USAGE;
		}
	}
	strbuf_done(&o.tools);
	return status;
}
