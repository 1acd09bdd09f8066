/* spoolgate verify: whether a downloaded job is what its receipt says. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/escape.h"
#include "basic/hash.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "cli/bundle.h"
#include "cli/command.h"
#include "cli/show.h"
#include "cli/told.h"

enum {
	RECEIPT_MAX = 20 * 1024 * 1024,	/* as the server's */
	SHOWN_MAX = 512 * 1024,	/* of a name that is found: 64 KiB in a zip, and what makes it harmless */
	PIECE = 64 * 1024,
	STOP = 1,
};

struct verify {
	char *receipt;	/* its text; NULL: not found yet */
	size_t receipt_len;
	struct told_list told;
	size_t good;	/* files that are as told */
	size_t n_faults;
	json_object *faults;	/* of --json; NULL: they are printed */
};

static void
verify_done(struct verify *v)
{
	told_done(&v->told);
	free(v->receipt);
	json_object_put(v->faults);
}

static void
usage(FILE *to)
{
	(void)fputs("usage: spoolgate verify [--json] FILE.zip | FOLDER\n"
	    "  Checks a zip of `spoolgate fetch --zip`, or the folder that it was unpacked to, against the receipt in it: every file\n"
	    "  that is missing, changed or superfluous is told.\n"
	    "  --json  one object: {\"id\",\"tool\",\"verdict\",\"files\",\"faults\":[{\"fault\",\"name\",\"detail\"}]}\n\n"
	    "Exit status: 0 it is what the receipt says; 10 it is not; 1 it cannot be read, or has no receipt that can; 2 usage.\n", to);
}

/* A name that JSON cannot hold goes percent-encoded, as in a receipt. */
static int
add_name(struct jsonw *w, const char *name)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(SHOWN_MAX);

	if (utf8_valid(name, strlen(name))) {
		jsonw_string(w, "name", name);
		return 0;
	}
	percent_encode(&s, name);
	jsonw_string(w, "encoded", strbuf_str(&s));
	return strbuf_err(&s);
}

static int
blame(struct verify *v, const char *fault, const char *name, const char *detail)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(SHOWN_MAX);
	json_object *obj = NULL;
	int r;

	v->n_faults++;
	if (!v->faults) {
		show_text(&s, name, strlen(name));
		(void)printf("%s: %s%s%s\n", fault, strbuf_str(&s), detail ? ": " : "", detail ? detail : "");
		return 0;
	}
	jsonw_string(&w, "fault", fault);
	r = add_name(&w, name);
	jsonw_string(&w, "detail", detail);
	if (r == 0)
		r = jsonw_finish(&w, &obj);
	if (r == 0 && json_object_array_add(v->faults, obj) < 0) {
		json_object_put(obj);
		r = -ENOMEM;
	}
	return r;
}

/* ---- the receipt ---- */

static int
read_receipt(const char *name, struct bundle_file *file, void *ctx)
{
	struct verify *v = ctx;
	ssize_t n = 0;

	if (strcmp(name, "receipt.json") != 0)
		return 0;
	v->receipt = malloc(RECEIPT_MAX + 1);
	if (!v->receipt)
		return -ENOMEM;
	while (v->receipt_len <= RECEIPT_MAX &&
	    (n = bundle_read(file, v->receipt + v->receipt_len, RECEIPT_MAX + 1 - v->receipt_len)) > 0)
		v->receipt_len += (size_t)n;
	if (n < 0)
		return (int)n;
	return v->receipt_len > RECEIPT_MAX ? -EFBIG : STOP;
}

/* ---- the files ---- */

/* Reads no more than is told and one byte, whatever a zip unpacks to. */
static int
check_content(struct verify *v, const struct told *t, struct bundle_file *file)
{
	scoped(free_sha256) struct sha256 *hash = sha256_new();
	scoped(free_ptr) unsigned char *piece = malloc(PIECE);
	char sha256[SHA256_HEX_SIZE];
	uint64_t bytes = 0;
	ssize_t n = 0;

	if (!hash || !piece)
		return -ENOMEM;
	while (bytes <= t->bytes && (n = bundle_read(file, piece, PIECE)) > 0) {
		sha256_add(hash, piece, (size_t)n);
		bytes += (uint64_t)n;
	}
	if (n == -ENOMEM)
		return -ENOMEM;
	if (n < 0)
		return blame(v, "changed", t->name, n == -EINVAL ? "it is no regular file" : n == -EBADMSG ? "the zip is damaged there" :
		    strerror((int)-n));
	if (bytes != t->bytes)
		return blame(v, "changed", t->name, bytes > t->bytes ? "it is longer" : "it is shorter");
	sha256_finish(hash, sha256);
	if (strcmp(sha256, t->sha256) != 0)
		return blame(v, "changed", t->name, "its bytes are others");
	v->good++;
	return 0;
}

static int
check_file(const char *name, struct bundle_file *file, void *ctx)
{
	struct verify *v = ctx;
	struct told *t;

	if (strcmp(name, "receipt.json") == 0)
		return 0;
	t = told_find(&v->told, name);
	if (!t)
		return blame(v, "superfluous", name, NULL);
	if (t->seen)
		return blame(v, "superfluous", name, "it is there twice");
	t->seen = true;
	return check_content(v, t, file);
}

static int
check_all(struct verify *v, const char *path)
{
	int r = bundle_each(path, check_file, v);

	for (size_t i = 0; r == 0 && i < v->told.n; i++)
		if (!v->told.files[i].seen)
			r = blame(v, "missing", v->told.files[i].name, NULL);
	return r;
}

static void
add_member(struct jsonw *w, json_object *receipt, const char *name)
{
	json_object *value = NULL;

	if (json_object_object_get_ex(receipt, name, &value) && value)
		jsonw_add(w, name, json_object_get(value));
	else
		jsonw_null(w, name);
}

static int
print_json(struct verify *v)
{
	static const char *const members[] = { "id", "tool", "tool_version", "fingerprint", "verdict" };
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	scoped(free_ptr) char *text = NULL;
	int r;

	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		add_member(&w, v->told.receipt, members[i]);
	jsonw_int(&w, "files", (int64_t)v->good);
	jsonw_add(&w, "faults", json_object_get(v->faults));
	r = jsonw_finish(&w, &obj);
	if (r == 0)
		r = json_format(obj, &text, NULL);
	if (r == 0)
		(void)puts(text);
	return r;
}

static const char *
why(int r)
{
	switch (r) {
	case -EBADMSG:
		return "neither a zip nor a folder of a job, or damaged";
	case -EFBIG:
		return "its receipt is too large to be one";
	case -EPROTONOSUPPORT:
		return "its receipt was made by a later version";
	case -ENODATA:
		return "its receipt was made by a version that did not list the files";
	case -EILSEQ:
		return "its receipt is damaged, or none";
	case -ENOMSG:
		return "there is no receipt.json in it";
	default:
		return strerror(-r);
	}
}

static int
verify(const char *path, bool json)
{
	scoped(verify_done) struct verify v = { .faults = json ? json_object_new_array() : NULL };
	int r = json && !v.faults ? -ENOMEM : bundle_each(path, read_receipt, &v);

	if (r >= 0)
		r = r == STOP ? told_parse(v.receipt, v.receipt_len, &v.told) : -ENOMSG;
	if (v.receipt_len > 0 && r == -EBADMSG)
		r = -EILSEQ;
	if (r == 0)
		r = check_all(&v, path);
	if (r == 0 && json)
		r = print_json(&v);
	else if (r == 0 && v.n_faults == 0)
		(void)printf("%zu files are what the receipt says\n", v.good);
	if (r == 0 && (fflush(stdout) == EOF || ferror(stdout)))
		r = errno ? -errno : -EIO;
	if (r < 0) {
		(void)fprintf(stderr, "spoolgate verify: %s: %s\n", path, why(r));
		return EXIT_FAILURE;
	}
	return v.n_faults ? EXIT_DAMAGED : EXIT_SUCCESS;
}

int
command_verify(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			return EXIT_SUCCESS;
		}
		if (c != 'j') {
			usage(stderr);
			return EXIT_USAGE;
		}
		json = true;
	}
	if (argc - optind != 1) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return verify(argv[optind], json);
}
