/* /uploads: inputs in pieces. Offsets as in the tus protocol's core, so that what was cut goes on where it was. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "gate/api_native.h"
#include "gate/exchange.h"
#include "gate/problem.h"
#include "gate/uploads.h"

enum { BODY_MAX = 4096, BUFFER = 64 * 1024 };

static int
answer_upload(struct exchange *x, int status, const struct upload *u)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *obj = NULL;
	char expires[CLOCK_TEXT_SIZE];
	int r;

	clock_format(u->expires_usec, expires);
	jsonw_string(&w, "id", u->id);
	jsonw_add(&w, "offset", json_object_new_uint64(u->offset));
	jsonw_add(&w, "bytes", json_object_new_uint64(u->bytes));
	jsonw_string(&w, "expires", expires);
	r = jsonw_finish(&w, &obj);
	if (r < 0)
		return r;
	response_headerf(&x->res, "Upload-Offset", "%" PRIu64, u->offset);
	return native_answer(x, status, obj);
}

static int
answer_failure(struct exchange *x, int err)
{
	if (err == -ENOENT)
		return native_problem(x, 404, PLACE_NONE, NULL, "There is no such upload.");
	if (err == -EDQUOT)
		return native_problem_retry(x, 429, 60, "You have %d unfinished uploads: submit or delete some.", UPLOADS_OWNER_MAX);
	if (err == -ENOSPC)
		return native_problem_retry(x, 507, 60, "There is no room for this upload, please try again later.");
	return err;
}

/* {"bytes":N}. 0, 1: the answer is set, or a negative errno. */
static int
read_size(struct exchange *x, uint64_t *ret)
{
	scoped(put_json) json_object *obj = NULL;
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r;

	if (!media_type_is_json(x->req.content_type)) {
		native_problem(x, 415, PLACE_HEADER, "Content-Type", "The body must be application/json.");
		return 1;
	}
	if (exchange_read_body(x, BODY_MAX, &text, &len) != 0)
		return 1;
	r = json_parse(text, len, &obj);
	if (r == -EBADMSG || r == -E2BIG) {
		native_problem(x, 400, PLACE_NONE, NULL, "This is no JSON (RFC 8259).");
		return 1;
	}
	if (r < 0)
		return r;
	if (!json_object_is_type(obj, json_type_object)) {
		native_problem(x, 422, PLACE_POINTER, "", "The body must be a JSON object.");
		return 1;
	}
	json_object_object_foreach(obj, name, value) {
		(void)value;
		if (strcmp(name, "bytes") != 0) {
			native_problem(x, 422, PLACE_NONE, NULL, "An upload has the member bytes alone.");
			return 1;
		}
	}
	if (json_get_uint(obj, "bytes", ret) < 0 || *ret > NATIVE_NUMBER_MAX) {
		native_problem(x, 422, PLACE_POINTER, "/bytes", "This is the input's size: a whole number.");
		return 1;
	}
	return 0;
}

int
native_post_uploads(struct exchange *x)
{
	const struct native_settings *s = x->state;
	scoped(caller_done) struct caller c = { .owner = "" };
	struct upload u;
	uint64_t bytes = 0;
	int r = auth_require(x, SCOPE_SUBMIT, &c);

	if (r == 0)
		r = read_size(x, &bytes);
	if (r != 0)
		return r < 0 ? r : HANDLED;
	if (bytes > s->uploads_max)
		return native_problem(x, 413, PLACE_POINTER, "/bytes", "An upload has at most %" PRIu64 " bytes here.", s->uploads_max);
	r = upload_begin(x->gate, c.owner, bytes, s->uploads_max, &u);
	if (r < 0)
		return answer_failure(x, r);
	response_headerf(&x->res, "Location", "/v1/uploads/%s", u.id);
	return answer_upload(x, 201, &u);
}

int
native_get_upload(struct exchange *x)
{
	scoped(caller_done) struct caller c = { .owner = "" };
	struct upload u;
	int r = auth_require(x, SCOPE_SUBMIT, &c);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	r = upload_find(x->gate, c.owner, x->args[0], &u);
	response_header(&x->res, "Cache-Control", "no-store");
	return r < 0 ? answer_failure(x, r) : answer_upload(x, 200, &u);
}

int
native_delete_upload(struct exchange *x)
{
	scoped(caller_done) struct caller c = { .owner = "" };
	int r = auth_require(x, SCOPE_SUBMIT, &c);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	r = upload_forget(x->gate, c.owner, x->args[0]);
	if (r < 0)
		return answer_failure(x, r);
	response_empty(&x->res, 204);
	return HANDLED;
}

/* The body behind what is there. What came of a piece counts, also where the rest of it did not. */
static int
append_body(struct exchange *x, struct upload *u, int fd)
{
	scoped(free_ptr) char *buf = malloc(BUFFER);
	int n;

	if (!buf)
		return -ENOMEM;
	while ((n = FCGX_GetStr(buf, BUFFER, x->fcgx.in)) > 0) {
		int r;

		if ((uint64_t)n > u->bytes - u->offset)
			return native_problem(x, 413, PLACE_NONE, NULL, "This is more than the %" PRIu64 " bytes that were announced.", u->bytes);
		r = write_all(fd, buf, (size_t)n);
		if (r < 0)
			return answer_failure(x, r == -EDQUOT ? -ENOSPC : r);
		u->offset += (uint64_t)n;
	}
	if (FCGX_GetError(x->fcgx.in) != 0)
		return native_problem(x, 400, PLACE_NONE, NULL, "The body is not as long as declared.");
	response_headerf(&x->res, "Upload-Offset", "%" PRIu64, u->offset);
	response_empty(&x->res, 204);
	return HANDLED;
}

int
native_patch_upload(struct exchange *x)
{
	scoped(caller_done) struct caller c = { .owner = "" };
	scoped(close_fd) int fd = -EBADF;
	const char *header = request_header(&x->req, "HTTP_UPLOAD_OFFSET");
	uint64_t offset = 0;
	char *end = NULL;
	struct upload u = { .id = "" };
	int r = auth_require(x, SCOPE_SUBMIT, &c);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	errno = 0;
	offset = header && *header >= '0' && *header <= '9' ? strtoull(header, &end, 10) : 0;
	if (!end || *end || errno || offset > NATIVE_NUMBER_MAX)
		return native_problem(x, 400, PLACE_HEADER, "Upload-Offset", "A piece says by this header where it begins.");
	if (strncasecmp(x->req.content_type, "application/octet-stream", 24) != 0)
		return native_problem(x, 415, PLACE_HEADER, "Content-Type", "The body must be application/octet-stream.");
	r = upload_append(x->gate, c.owner, x->args[0], offset, &u, &fd);
	if (r == -ESTALE) {
		response_headerf(&x->res, "Upload-Offset", "%" PRIu64, u.offset);
		return native_problem(x, 409, PLACE_HEADER, "Upload-Offset", "The upload has %" PRIu64 " bytes by now.", u.offset);
	}
	return r < 0 ? answer_failure(x, r) : append_body(x, &u, fd);
}
