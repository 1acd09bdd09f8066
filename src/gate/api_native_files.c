/* What a finished job left: its files, its answer, its receipt. The manifest tells which files there are; each leaves through
 * nginx. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/escape.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "gate/api_native.h"
#include "gate/exchange.h"
#include "gate/problem.h"
#include "gate/waiting.h"
#include "proto/client.h"
#include "spool/manifest.h"
#include "spool/pack.h"

enum {
	PAGE_FILES = 1000, PAGE_BYTES = 512 * 1024,	/* of one answer */
	LOCATION_MAX = 32 * 1024,
	RECEIPT_MAX = 20 * 1024 * 1024,	/* above what a manifest at its bound makes */
};

/* The job, if it is finished and has files; receipt: that alone is wanted. 0, 1: the answer is set, or a negative errno. */
static int
open_finished(struct exchange *x, bool receipt, struct native_job *ret)
{
	int r = native_open_job(x, SCOPE_READ, ret);

	if (r != 0 || ret->status.state == JOB_FINISHED)
		return r != 0 || receipt ? r : native_check_files(x, ret);
	native_problem(x, 409, PLACE_NONE, NULL, "The job is not finished: what it writes may still change.");
	return 1;
}

/* Each component encoded, the slashes kept. */
static void
add_path(struct strbuf *s, const char *path)
{
	for (const char *p = path; *p;) {
		size_t len = strcspn(p, "/");
		scoped(free_ptr) char *part = strndup(p, len);

		if (!part) {
			s->err = s->err ? s->err : -ENOMEM;
			return;
		}
		percent_encode(s, part);
		p += len;
		if (*p == '/') {
			strbuf_addch(s, '/');
			p++;
		}
	}
}

/* GET /jobs/{}/files */

struct listing {
	const char *id;
	json_object *list;
	uint64_t skip;	/* entries before the page */
	uint64_t seen;
	size_t bytes;	/* of the page, about */
	bool full;
};

/* A name as text: bytes that are no UTF-8 become U+FFFD; `href` has them all. */
static json_object *
name_text(const char *path)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(64 * 1024);

	utf8_add(&s, path, strlen(path));
	return strbuf_err(&s) < 0 ? NULL : json_object_new_string(strbuf_str(&s));
}

static int
list_entry(const struct manifest_entry *e, void *ctx)
{
	struct listing *l = ctx;
	scoped(strbuf_done) struct strbuf href = STRBUF_INIT(LOCATION_MAX);
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *obj = NULL;
	int r;

	if (!e->sha256[0] || l->full)	/* folders show in the names of what they hold */
		return 0;
	if (l->seen < l->skip) {
		l->seen++;
		return 0;
	}
	if (json_object_array_length(l->list) == PAGE_FILES || l->bytes > PAGE_BYTES) {
		l->full = true;
		return 0;
	}
	strbuf_addf(&href, "/v1/jobs/%s/files/", l->id);
	add_path(&href, e->path);
	r = strbuf_err(&href);
	if (r < 0)
		return r;
	jsonw_add(&w, "name", name_text(e->path));
	jsonw_add(&w, "bytes", json_object_new_uint64(e->size));
	jsonw_string(&w, "sha256", e->sha256);
	jsonw_string(&w, "href", strbuf_str(&href));
	r = jsonw_finish(&w, &obj);
	if (r == 0 && json_object_array_add(l->list, obj) < 0) {
		json_object_put(obj);
		r = -ENOMEM;
	}
	l->seen++;
	l->bytes += 200 + href.len + 3 * strlen(e->path);
	return r;
}

int
native_get_files(struct exchange *x)
{
	static const char *const known[] = { "cursor", NULL };
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *list = NULL;
	struct listing l = { .skip = 0 };
	json_object *obj = NULL;
	int r = open_finished(x, false, &j);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	if (native_query_check(x, known) != 0 || native_query_number(x, "cursor", 1, NATIVE_NUMBER_MAX, 0, &l.skip) != 0)
		return HANDLED;
	l.id = j.id;
	l.list = list = json_object_new_array();
	r = list ? manifest_each(j.job_fd, MANIFEST_MAX, list_entry, &l) : -ENOMEM;
	if (r < 0 && r != -ENOENT)	/* a job that never ran has none */
		return r;
	jsonw_add(&w, "files", take_ptr(list));
	if (l.full)
		jsonw_add(&w, "next", json_object_new_uint64(l.seen));
	else
		jsonw_null(&w, "next");
	r = jsonw_finish(&w, &obj);
	return r < 0 ? r : native_answer(x, 200, obj);
}

/* GET /jobs/{}/files/{*} */

struct search {
	const char *path;
	bool found;
};

static int
find_entry(const struct manifest_entry *e, void *ctx)
{
	struct search *s = ctx;

	s->found = s->found || (e->sha256[0] && strcmp(e->path, s->path) == 0);
	return 0;
}

/* Content-Disposition of RFC 6266: a plain name for old programs, and the exact one where it is UTF-8. */
static void
add_disposition(struct response *res, const char *path)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(RESPONSE_HEADERS_MAX / 4);
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	strbuf_addstr(&s, "attachment; filename=\"");
	for (const char *c = name; *c; c++)
		strbuf_addch(&s, *c < 0x20 || *c > 0x7e || *c == '"' || *c == '\\' || *c == '%' ? '_' : *c);
	strbuf_addstr(&s, "\"");
	if (utf8_valid(name, strlen(name))) {
		strbuf_addstr(&s, "; filename*=UTF-8''");
		percent_encode(&s, name);
	}
	if (strbuf_err(&s) < 0)
		res->err = res->err ? res->err : strbuf_err(&s);
	else
		response_header(res, "Content-Disposition", strbuf_str(&s));
}

int
native_get_file(struct exchange *x)
{
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	scoped(strbuf_done) struct strbuf location = STRBUF_INIT(LOCATION_MAX);
	scoped(free_ptr) char *path = NULL;
	struct search s;
	int r = open_finished(x, false, &j);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	path = request_rest(&x->req, 3);	/* behind jobs, the id and files */
	if (!path)
		return -ENOMEM;
	s = (struct search){ .path = path };
	r = manifest_each(j.job_fd, MANIFEST_MAX, find_entry, &s);
	if (r < 0 && r != -ENOENT)
		return r;
	if (!s.found)
		return native_problem(x, 404, PLACE_NONE, NULL, "The job left no such file.");
	strbuf_addf(&location, "/-/%s/jobs/%.2s/%s/" JOB_WORK "/", j.root, j.id, j.id);
	add_path(&location, path);
	r = strbuf_err(&location);
	if (r < 0)
		return r;
	add_disposition(&x->res, path);
	response_redirect(&x->res, "application/octet-stream", strbuf_str(&location));
	return HANDLED;
}

/* GET /jobs/{}/stdout */

int
native_get_stdout(struct exchange *x)
{
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	scoped(close_fd) int fd = -EBADF;
	char location[64];
	int r = open_finished(x, false, &j);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	fd = open_regular_at(j.job_fd, JOB_STDOUT, NULL);
	if (fd == -ENOENT)
		return native_problem(x, 404, PLACE_NONE, NULL, "This job's standard output is in its log.");
	if (fd < 0)
		return fd;
	(void)snprintf(location, sizeof location, "/-/%s/jobs/%.2s/%s/" JOB_STDOUT, j.root, j.id, j.id);
	response_redirect(&x->res, "application/octet-stream", location);
	return HANDLED;
}

/* GET /jobs/{}/receipt */

int
native_get_receipt(struct exchange *x)
{
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = open_finished(x, true, &j);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	r = read_file_at(j.job_fd, JOB_RECEIPT, RECEIPT_MAX, &text, &len);
	if (r == -ENOENT)
		return native_problem(x, 404, PLACE_NONE, NULL, "This job has no receipt: the disk was full when it ended.");
	if (r < 0)
		return r;
	response_body(&x->res, 200, "application/json", take_ptr(text), len);
	return HANDLED;
}

/* GET /jobs/{}/zip */

#define ZIP_LOOK_USEC (USEC_PER_SEC)	/* `changed` tells earlier, unless the helper was restarted meanwhile */
#define ZIP_MAX_USEC (3600 * USEC_PER_SEC)

struct zip_wait {
	char id[ID_SIZE];
	char name[PACK_NAME_SIZE];
	uint64_t end_mono_usec;
};

static void
answer_zip(struct exchange *x, const char *id, const char *name)
{
	char location[sizeof "/-/spool/packs/.zip" + PACK_NAME_SIZE];

	(void)snprintf(location, sizeof location, "/-/spool/packs/%s.zip", name);
	response_headerf(&x->res, "Content-Disposition", "attachment; filename=\"%s.zip\"", id);
	response_redirect(&x->res, "application/zip", location);
}

static enum wait_verdict
look_for_zip(struct exchange *x, enum wait_event event, void *ctx)
{
	const struct zip_wait *z = ctx;
	const struct spool *spool = NULL;
	uint64_t now = clock_mono();
	int r = gate_spool(x->gate, &spool), gone = 0;

	if (r == 0)
		r = pack_state(spool, z->name);
	if (r == 1) {
		answer_zip(x, z->id, z->name);
		return WAIT_DONE;
	}
	if (r == 0)
		gone = job_is_pruned(spool, z->id);
	if (gone == 1 || gone == -ENOENT) {	/* nobody makes it any more, or it was removed again */
		if (gone == 1)
			(void)native_problem(x, 410, PLACE_NONE, NULL, "The job's files have been removed.");
		else
			(void)native_problem(x, 404, PLACE_NONE, NULL, "The job has been deleted.");
		return WAIT_DONE;
	}
	if (r < 0)
		(void)native_problem_retry(x, 503, 60, "The zip could not be made, please try again later.");
	else if (event == WAIT_DRAIN || now >= z->end_mono_usec)
		(void)native_problem_retry(x, 503, 1, "The zip is not there yet, please come again.");
	else
		exchange_wait_until(x, now + ZIP_LOOK_USEC);
	return r < 0 || event == WAIT_DRAIN || now >= z->end_mono_usec ? WAIT_DONE : WAIT_ON;
}

int
native_get_zip(struct exchange *x)
{
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	struct wait_for what = { .answer = look_for_zip, .free_ctx = free, .follow_fd = -EBADF };
	struct zip_wait *z = NULL;
	char name[PACK_NAME_SIZE];
	int r = open_finished(x, false, &j);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	if (native_is_transient(&j))
		return native_problem(x, 404, PLACE_NONE, NULL, "A job of this tool is not kept long enough for a zip.");
	r = client_pack(x->helper, j.id, name);
	if (r == -ENOENT && native_reload(&j) < 0)
		return native_problem(x, 404, PLACE_NONE, NULL, "The job has been deleted.");
	if (r < 0)
		return native_refusal(x, r);
	if (r == 1) {
		answer_zip(x, j.id, name);
		return HANDLED;
	}
	z = calloc(1, sizeof *z);
	if (!z)
		return -ENOMEM;
	memcpy(z->id, j.id, sizeof z->id);
	memcpy(z->name, name, sizeof z->name);
	z->end_mono_usec = clock_mono() + ZIP_MAX_USEC;
	what.ctx = z;
	what.owner = j.job->owner;
	what.deadline_mono_usec = clock_mono() + ZIP_LOOK_USEC;
	memcpy(what.id, j.id, ID_SIZE);
	r = exchange_wait(x, &what);
	return r < 0 ? native_wait_refused(x, r) : HANDLED_WAITING;
}
