/* fetch.c - `spoolgate fetch`. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/escape.h"
#include "basic/scoped.h"
#include "cli/command.h"
#include "cli/download.h"
#include "cli/save.h"

enum { URL_MAX = 16 * 1024 };

static const char fetch_usage[] =
    "usage: spoolgate fetch JOB [FILE]... [-o DIR] [--zip] [--log] [--stdout] [--receipt] [--force]\n"
    "Fetches what a finished job has left: all its files, into a folder that bears its id, or what is named. A FILE that is a\n"
    "folder of the job means everything in it. What was cut is gone on with at the next call.\n\n"
    "  -o, --output DIR    into this folder; - is standard output, for one thing alone\n"
    "  --zip               everything as one archive, JOB.zip\n"
    "  --log               its log, as JOB.log\n"
    "  --stdout            its standard output where the tool keeps that apart, as JOB.stdout\n"
    "  --receipt           its receipt, as JOB.receipt.json\n"
    "  --force             replace files that are there\n";

enum { WANT_ZIP = 1, WANT_LOG = 2, WANT_STDOUT = 4, WANT_RECEIPT = 8 };

/* The things of a job that are no output files: where the API has them, and what they are called here. */
static const struct extra {
	unsigned want;
	const char *place, *suffix;
} extras[] = {
	{ WANT_ZIP, "zip", "zip" }, { WANT_LOG, "log", "log" }, { WANT_STDOUT, "stdout", "stdout" },
	{ WANT_RECEIPT, "receipt", "receipt.json" },
};

struct fetch {
	struct session *s;
	const char *id, *output;
	char **files;	/* named ones; n_files 0: all */
	size_t n_files;
	bool *found;	/* which of them there are */
	unsigned want;
	bool force, to_stdout;
	json_object *report;	/* of --json: what was fetched */
	uint64_t count, bytes;
	int worst;
};

static void
fetch_done(struct fetch *f)
{
	free(f->found);
	json_object_put(f->report);
}

/* What ends the whole command, where other faults go on with the next file. */
static bool
is_final(int r)
{
	return r == EXIT_CONNECTION || r == EXIT_TIMEOUT || r == EXIT_UNAUTHORIZED || r == EXIT_UNAVAILABLE;
}

static int
note_fetched(struct fetch *f, const struct download *d)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *one = NULL;
	int r;

	f->count++;
	f->bytes += d->got_bytes;
	if (!f->s->json)
		return EXIT_SUCCESS;
	jsonw_string(&w, "name", d->shown);
	jsonw_int(&w, "bytes", (int64_t)d->got_bytes);
	jsonw_string(&w, "sha256", d->got_sha256);
	jsonw_bool(&w, "was_there", d->was_there);
	r = jsonw_finish(&w, &one);
	if (r == 0 && json_object_array_add(f->report, one) < 0) {
		json_object_put(one);
		r = -ENOMEM;
	}
	return r < 0 ? session_broken(f->s, r) : EXIT_SUCCESS;
}

/* One thing to its place; path is below folder_fd, and good. */
static int
fetch_one(struct fetch *f, int folder_fd, const char *path, struct download *d)
{
	scoped(close_fd) int dir_fd = -EBADF;
	int r;

	d->force = f->force;
	if (!f->to_stdout) {
		dir_fd = save_open_parent(folder_fd, path, &d->name);
		if (dir_fd < 0) {
			session_say(f->s, "%s: %s", d->shown, dir_fd == -ELOOP || dir_fd == -ENOTDIR ?
			    "a link or a file is in the way, where its folder should be" : strerror(-dir_fd));
			return EXIT_FAILURE;
		}
		d->dir_fd = dir_fd;
	}
	r = download(f->s, d);
	if (r == EXIT_SUCCESS)
		r = note_fetched(f, d);
	return r;
}

/* Whether a file of the job was asked for; remembers by what. */
static bool
is_wanted(struct fetch *f, const char *name)
{
	bool wanted = f->n_files == 0;

	for (size_t i = 0; i < f->n_files; i++) {
		size_t len = strlen(f->files[i]);

		while (len > 0 && f->files[i][len - 1] == '/')
			len--;
		if (strncmp(name, f->files[i], len) != 0 || (name[len] != '\0' && name[len] != '/'))
			continue;
		f->found[i] = true;
		wanted = true;
	}
	return wanted;
}

/* The path of a file: its address has every byte of it, where its name in JSON has to be UTF-8. NULL: none, or no memory. */
static char *
file_path(const struct fetch *f, json_object *entry)
{
	scoped(strbuf_done) struct strbuf prefix = STRBUF_INIT(256);
	const char *href = job_string(entry, "href");
	char *path = NULL;

	strbuf_addf(&prefix, "/v1/jobs/%s/files/", f->id);
	if (href[0] == '\0')
		return strdup(job_string(entry, "name"));
	if (strncmp(href, strbuf_str(&prefix), prefix.len) != 0 ||
	    percent_decode(href + prefix.len, strlen(href + prefix.len), &path) < 0)
		return NULL;
	return path;
}

static int
add_path(struct strbuf *url, const char *path)
{
	for (const char *p = path;;) {	/* the slashes stay */
		size_t len = strcspn(p, "/");
		scoped(free_ptr) char *component = strndup(p, len);

		if (!component)
			return -ENOMEM;
		strbuf_addch(url, '/');
		percent_encode(url, component);
		if (p[len] == '\0')
			return strbuf_err(url);
		p += len + 1;
	}
}

static int
fetch_file(struct fetch *f, int folder_fd, json_object *entry)
{
	scoped(strbuf_done) struct strbuf url = STRBUF_INIT(URL_MAX);
	scoped(free_ptr) char *path = file_path(f, entry);
	struct download d = { .dir_fd = -EBADF, .shown = job_string(entry, "name") };
	const char *fault = path ? save_name_fault(path) : "the server does not say where it is";
	int r;

	if (path && !is_wanted(f, path))
		return EXIT_SUCCESS;
	if (fault) {
		session_say(f->s, "%s: not fetched, %s", d.shown, fault);
		return EXIT_DAMAGED;
	}
	d.sha256 = job_string(entry, "sha256");
	if (strlen(d.sha256) != 64 || json_get_uint(entry, "bytes", &d.bytes) < 0) {
		session_say(f->s, "%s: the server does not say its size and its SHA-256", d.shown);
		return EXIT_DAMAGED;
	}
	strbuf_addf(&url, "/v1/jobs/%s/files", f->id);
	r = add_path(&url, path);
	if (r < 0)
		return session_broken(f->s, r);
	d.url = strbuf_str(&url);
	return fetch_one(f, folder_fd, path, &d);
}

static int
open_folder(struct fetch *f, const char *path)
{
	int fd = save_open_folder(path);

	if (fd < 0)
		session_say(f->s, "%s: %s", path, strerror(-fd));
	return fd;
}

/* One page of the list, and its files; *cursor is where the next begins, 0 at the end. The folder is made once there is a list. */
static int
fetch_page(struct fetch *f, int *folder_fd, uint64_t *cursor)
{
	scoped(put_json) json_object *answer = NULL;
	json_object *files = NULL;
	uint64_t next = 0;
	int r = *cursor == 0 ? session_get(f->s, &answer, "/v1/jobs/%s/files", f->id) :
	    session_get(f->s, &answer, "/v1/jobs/%s/files?cursor=%" PRIu64, f->id, *cursor);

	if (r != EXIT_SUCCESS)
		return r;
	(void)json_get_uint(answer, "next", &next);
	if (json_get_array(answer, "files", &files) < 0 || (next > 0 && next <= *cursor)) {
		session_say(f->s, "the answer of %s is no list of files; is it a spoolgate server?", http_server(f->s->http));
		return EXIT_DAMAGED;
	}
	*cursor = next;
	if (!f->to_stdout && *folder_fd < 0 && (*folder_fd = open_folder(f, f->output ? f->output : f->id)) < 0)
		return EXIT_FAILURE;
	for (size_t i = 0; i < json_object_array_length(files); i++) {
		r = fetch_file(f, *folder_fd, json_object_array_get_idx(files, i));
		if (r != EXIT_SUCCESS)
			f->worst = r;
		if (is_final(r))
			return r;
	}
	return EXIT_SUCCESS;
}

static int
fetch_files(struct fetch *f)
{
	scoped(close_fd) int folder_fd = -EBADF;
	uint64_t cursor = 0;
	int r;

	do {
		r = fetch_page(f, &folder_fd, &cursor);
		if (r != EXIT_SUCCESS)
			return r;
	} while (cursor > 0);
	for (size_t i = 0; i < f->n_files; i++) {
		if (f->found[i])
			continue;
		session_say(f->s, "the job has no file %s", f->files[i]);
		f->worst = EXIT_NOT_FOUND;
	}
	return f->worst;
}

static int
fetch_extra(struct fetch *f, const struct extra *extra)
{
	scoped(strbuf_done) struct strbuf url = STRBUF_INIT(URL_MAX), name = STRBUF_INIT(256);
	scoped(close_fd) int folder_fd = -EBADF;
	struct download d = { .dir_fd = -EBADF };

	strbuf_addf(&url, "/v1/jobs/%s/%s", f->id, extra->place);
	strbuf_addf(&name, "%s.%s", f->id, extra->suffix);
	if (!f->to_stdout && (folder_fd = open_folder(f, f->output ? f->output : ".")) < 0)
		return EXIT_FAILURE;
	d.url = strbuf_str(&url);
	d.shown = strbuf_str(&name);
	return fetch_one(f, folder_fd, strbuf_str(&name), &d);
}

static int
fetch(struct fetch *f)
{
	int r = EXIT_SUCCESS;

	if (f->want == 0 || f->n_files > 0)
		r = fetch_files(f);
	for (size_t i = 0; i < sizeof extras / sizeof *extras && !is_final(r); i++) {
		if (!(f->want & extras[i].want))
			continue;
		r = fetch_extra(f, &extras[i]);
		if (r != EXIT_SUCCESS)
			f->worst = r;
	}
	return r != EXIT_SUCCESS ? r : f->worst;
}

/* What was fetched, also where not all of it was. */
static int
report(struct fetch *f, int r)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	scoped(strbuf_done) struct strbuf size = STRBUF_INIT(64);
	int err;

	if (f->to_stdout || f->s->quiet)
		return r;
	if (f->s->json) {
		jsonw_string(&w, "job", f->id);
		jsonw_add(&w, "fetched", json_object_get(f->report));
		err = jsonw_finish(&w, &obj);
		if (err < 0)
			return session_broken(f->s, err);
		err = session_print_json(f->s, obj);
		return r != EXIT_SUCCESS ? r : err;
	}
	if (f->s->progress.on) {
		show_bytes(&size, f->bytes);
		(void)fprintf(stderr, "%" PRIu64 " file%s, %s\n", f->count, f->count == 1 ? "" : "s", strbuf_str(&size));
	}
	return r;
}

static int
run(struct fetch *f, int n, char *words[])
{
	struct session *s = f->s;
	int r = n > 0 ? session_job_argument(s, words[0], &f->id) : session_usage(s, "no job is named");
	size_t things;

	if (r != EXIT_SUCCESS)
		return r;
	f->files = words + 1;
	f->n_files = (size_t)n - 1;
	for (size_t i = 0; i < f->n_files; i++)
		if (f->files[i][strspn(f->files[i], "/")] == '\0')
			return session_usage(s, "\"%s\" is no file of a job", f->files[i]);
	f->found = calloc(f->n_files + 1, sizeof *f->found);
	f->report = json_object_new_array();
	things = f->n_files + (f->want & WANT_ZIP ? 1 : 0) + (f->want & WANT_LOG ? 1 : 0) + (f->want & WANT_STDOUT ? 1 : 0) +
	    (f->want & WANT_RECEIPT ? 1 : 0);
	f->to_stdout = f->output && strcmp(f->output, "-") == 0;
	if (f->to_stdout && (things != 1 || s->json))
		return session_usage(s, "-o - takes one file, --zip, --log, --stdout or --receipt, and no --json");
	r = session_open(s);
	if (r != EXIT_SUCCESS)
		return r;
	if (!f->found || !f->report)
		return session_broken(s, -ENOMEM);
	if (f->to_stdout && isatty(STDOUT_FILENO))
		s->progress.on = false;	/* two cannot write on one terminal */
	http_catch_signals();
	return report(f, fetch(f));
}

int
command_fetch(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' }, { "zip", no_argument, NULL, WANT_ZIP }, { "log", no_argument, NULL, WANT_LOG },
		{ "stdout", no_argument, NULL, WANT_STDOUT }, { "receipt", no_argument, NULL, WANT_RECEIPT },
		{ "force", no_argument, NULL, 'f' }, COMMON_OPTIONS
	};
	scoped(session_done) struct session s = SESSION_INIT("fetch");
	scoped(fetch_done) struct fetch f = { .s = &s, .worst = EXIT_SUCCESS };
	int c, r;

	while ((c = getopt_long(argc, argv, "o:qh", options, NULL)) != -1) {
		if (c == 'o')
			f.output = optarg;
		else if (c == 'f')
			f.force = true;
		else if (c == WANT_ZIP || c == WANT_LOG || c == WANT_STDOUT || c == WANT_RECEIPT)
			f.want |= (unsigned)c;
		else if ((r = session_option(&s, c, fetch_usage)) >= 0)
			return r;
	}
	return run(&f, argc - optind, argv + optind);
}
