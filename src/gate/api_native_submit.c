/* POST /jobs: a submission as JSON or as multipart/form-data. */
#include "config.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/json.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "gate/api_native.h"
#include "gate/exchange.h"
#include "gate/input_file.h"
#include "gate/multipart.h"
#include "gate/problem.h"
#include "gate/uploads.h"
#include "proto/client.h"
#include "proto/message.h"
#include "spool/index.h"
#include "spool/job.h"

enum {
	JSON_BODY_MAX = 4 * 1024 * 1024,
	FIELD_MAX = 256 * 1024,	/* of a part that is no input */
	NAME_MAX_CHARS = 200,
	ASK_FIRST_BYTES = 64 * 1024,	/* bodies up to this are read without asking: they cost less than the question */
	POINTER_SIZE = 300,
};

struct input {
	char name[MULTIPART_NAME_MAX + 1];
	struct input_file file;
	char upload[ID_SIZE];	/* which it was; "": none */
};

struct request_job {
	const char *owner;	/* whose uploads it may name */
	char once[IDEMPOTENCY_KEY_SIZE];	/* "": none */
	bool upload_gone;	/* one that it names is not there */
	json_object *tool, *name, *callback, *parameters;	/* NULL: not given */
	struct input inputs[INPUTS_MAX];
	size_t n_inputs;
};

static void
request_job_done(struct request_job *q)
{
	json_object_put(q->tool);
	json_object_put(q->name);
	json_object_put(q->callback);
	json_object_put(q->parameters);
	for (size_t i = 0; i < q->n_inputs; i++)
		input_file_done(&q->inputs[i].file);
}

/* How a member or a part is named in a problem: by a JSON pointer, or by its part. */
struct place {
	enum problem_place place;
	const char *name;
};

/* A JSON pointer (RFC 6901) to a member; one that is longer than any good name is cut. */
static void
point_to(char ret[POINTER_SIZE], const char *parent, const char *name)
{
	size_t n = strlen(parent);

	memcpy(ret, parent, n);
	for (; *name && n + 3 < POINTER_SIZE; name++) {
		if (*name == '~' || *name == '/')
			ret[n++] = '~';
		ret[n++] = *name == '~' ? '0' : *name == '/' ? '1' : *name;
	}
	ret[n] = '\0';
}

/* A place for another input, or 1 with the answer set. */
static int
add_input(struct exchange *x, struct request_job *q, const char *name, struct place at, struct input **ret)
{
	if (!input_name_valid(name)) {
		native_problem(x, 422, at.place, at.name, "This is no name of an input: 1 to 100 of A-Z a-z 0-9 . _ -, "
		    "not beginning with . or -.");
		return 1;
	}
	for (size_t i = 0; i < q->n_inputs; i++)
		if (strcmp(q->inputs[i].name, name) == 0) {
			native_problem(x, 422, at.place, at.name, "This input is given twice.");
			return 1;
		}
	if (q->n_inputs == INPUTS_MAX) {
		native_problem(x, 422, at.place, at.name, "A job has at most %d inputs.", INPUTS_MAX);
		return 1;
	}
	*ret = &q->inputs[q->n_inputs];
	(void)snprintf((*ret)->name, sizeof (*ret)->name, "%s", name);
	return 0;
}

/* Answers a failure while an input was stored, or returns it. */
static int
input_failed(struct exchange *x, int r)
{
	if (r != -ENOSPC)
		return r;
	native_problem_retry(x, 507, 60, "There is no room for another job, please try again later.");
	return 1;
}

/* JSON */

/* RFC 4648 section 4, with padding and nothing else in it. The caller frees. */
static int
base64_decode(const char *text, size_t len, char **ret, size_t *ret_len)
{
	scoped(free_ptr) unsigned char *data = malloc(len / 4 * 3 + 1);
	size_t padding = 0;

	if (!data)
		return -ENOMEM;
	if (len % 4 != 0)
		return -EINVAL;
	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < len - padding; i++)
		if (!((text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9') ||
		    text[i] == '+' || text[i] == '/'))
			return -EINVAL;
	if (len > 0 && EVP_DecodeBlock(data, (const unsigned char *)text, (int)len) < 0)
		return -EINVAL;
	*ret_len = len / 4 * 3 - padding;
	*ret = (char *)take_ptr(data);
	return 0;
}

static int
store_input(struct exchange *x, struct request_job *q, struct input *in, const char *data, size_t len)
{
	int r = input_file_begin(&in->file, in->name);

	if (r < 0)
		return r;
	q->n_inputs++;
	r = input_file_add(&in->file, x->gate, data, len);
	if (r == 0)
		r = input_file_finish(&in->file);
	return r < 0 ? input_failed(x, r) : 0;
}

/* 0, 1: the answer is set, or a negative errno. */
static int
upload_input(struct exchange *x, struct request_job *q, struct input *in, struct place at, json_object *upload)
{
	const char *id = json_object_get_string(upload);
	int r = upload_take(x->gate, q->owner, id, &in->file);

	q->upload_gone = r == -ENOENT;
	if (r == -ENOENT)
		native_problem(x, 422, at.place, at.name, "There is no such upload.");
	else if (r == -EAGAIN)
		native_problem(x, 422, at.place, at.name, "This upload is not whole yet.");
	else if (r < 0)
		return input_failed(x, r);
	if (r < 0)
		return 1;
	q->n_inputs++;
	memcpy(in->upload, id, ID_SIZE);
	return 0;
}

/* Nothing came of the submission: what was uploaded for it can be submitted again. */
static void
put_uploads_back(struct exchange *x, const struct request_job *q)
{
	for (size_t i = 0; i < q->n_inputs; i++) {
		const struct input *in = &q->inputs[i];
		int r = in->upload[0] ? upload_put_back(x->gate, q->owner, in->upload, &in->file) : 0;

		if (r < 0)
			log_error("%s: upload %s is lost: %s", x->req.id, in->upload, strerror(-r));
	}
}

/* One member of `inputs`: {"text":...}, {"base64":...} or {"upload":...}. */
static int
json_input(struct exchange *x, struct request_job *q, const char *name, json_object *obj)
{
	scoped(free_ptr) char *decoded = NULL;
	char pointer[POINTER_SIZE];
	struct place at = { PLACE_POINTER, pointer };
	struct input *in = NULL;
	json_object *text = NULL, *base64 = NULL, *upload = NULL;
	size_t len = 0;
	int r;

	point_to(pointer, "/inputs/", name);
	r = add_input(x, q, name, at, &in);
	if (r != 0)
		return r;
	if (!json_object_is_type(obj, json_type_object) || json_object_object_length(obj) != 1 ||
	    (!json_object_object_get_ex(obj, "text", &text) && !json_object_object_get_ex(obj, "base64", &base64) &&
	    !json_object_object_get_ex(obj, "upload", &upload)) ||
	    !json_object_is_type(text ? text : base64 ? base64 : upload, json_type_string)) {
		native_problem(x, 422, at.place, at.name, "An input is an object with one member: text, base64 or upload, a string.");
		return 1;
	}
	if (upload)
		return upload_input(x, q, in, at, upload);
	if (text)
		return store_input(x, q, in, json_object_get_string(text), (size_t)json_object_get_string_len(text));
	r = base64_decode(json_object_get_string(base64), (size_t)json_object_get_string_len(base64), &decoded, &len);
	if (r == -EINVAL) {
		native_problem(x, 422, at.place, at.name, "This is no base64 (RFC 4648 section 4, with padding).");
		return 1;
	}
	return r < 0 ? r : store_input(x, q, in, decoded, len);
}

/* Where a member of this name goes; NULL: it is none of these. */
static json_object **
member_place(struct request_job *q, const char *name)
{
	const struct { const char *name; json_object **to; } table[] = {
		{ "tool", &q->tool }, { "name", &q->name }, { "callback", &q->callback }, { "parameters", &q->parameters },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (strcmp(name, table[i].name) == 0)
			return table[i].to;
	return NULL;
}

/* The object of a submission. 0, 1: the answer is set, or a negative errno. */
static int
take_object(struct exchange *x, struct request_job *q, json_object *obj)
{
	if (!json_object_is_type(obj, json_type_object)) {
		native_problem(x, 422, PLACE_POINTER, "", "The body must be a JSON object.");
		return 1;
	}
	json_object_object_foreach(obj, key, val) {
		char pointer[POINTER_SIZE];
		json_object **to = member_place(q, key);

		point_to(pointer, "/", key);
		if (to && *to) {
			native_problem(x, 422, PLACE_POINTER, pointer, "This is given twice.");
			return 1;
		}
		if (to) {
			*to = json_object_get(val);
			continue;
		}
		if (strcmp(key, "inputs") != 0) {
			native_problem(x, 422, PLACE_POINTER, pointer, "A submission has no such member.");
			return 1;
		}
		if (!json_object_is_type(val, json_type_object)) {
			native_problem(x, 422, PLACE_POINTER, pointer, "This must be an object.");
			return 1;
		}
		json_object_object_foreach(val, name, input) {
			int r = json_input(x, q, name, input);

			if (r != 0)
				return r;
		}
	}
	return 0;
}

static int
parse_json_text(struct exchange *x, const char *text, size_t len, const char *part, json_object **ret)
{
	size_t offset = 0;
	int r = json_scan(text, len, JSON_DEPTH_MAX, &offset);

	if (r == 0)
		r = json_parse(text, len, ret);
	if (r == -EBADMSG)
		native_problem(x, 400, part ? PLACE_PART : PLACE_NONE, part, "This is no JSON (RFC 8259), from byte %zu on.", offset);
	else if (r == -E2BIG)
		native_problem(x, 400, part ? PLACE_PART : PLACE_NONE, part, "The JSON is nested too deeply.");
	else
		return r;
	return 1;
}

static int
read_json(struct exchange *x, struct request_job *q)
{
	scoped(put_json) json_object *obj = NULL;
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r;

	if (exchange_read_body(x, JSON_BODY_MAX, &text, &len) != 0)
		return 1;
	r = parse_json_text(x, text, len, NULL, &obj);
	return r != 0 ? r : take_object(x, q, obj);
}

/* multipart/form-data */

struct body {
	struct exchange *x;
	uint64_t left;	/* that may still come */
	bool too_large;
};

static ssize_t
read_body(void *ctx, char *buf, size_t len)
{
	struct body *b = ctx;
	int n = FCGX_GetStr(buf, (int)len, b->x->fcgx.in);

	if (n == 0)
		return FCGX_GetError(b->x->fcgx.in) != 0 ? -EPIPE : 0;
	if ((uint64_t)n > b->left) {
		b->too_large = true;
		return -EFBIG;
	}
	b->left -= (uint64_t)n;
	return n;
}

/* A part that is no input, whole. 0, 1: the answer is set, or a negative errno. */
static int
read_field(struct exchange *x, struct multipart *m, const char *name, char **ret, size_t *ret_len)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(FIELD_MAX);
	char buf[4096];
	ssize_t n;
	int r;

	while ((n = multipart_read(m, buf, sizeof buf)) > 0)
		strbuf_add(&s, buf, (size_t)n);
	if (n < 0)
		return (int)n;
	strbuf_add(&s, "", 0);
	r = strbuf_err(&s);
	if (r == -EFBIG) {
		native_problem(x, 413, PLACE_PART, name, "This part has more than %d bytes.", FIELD_MAX);
		return 1;
	}
	return r < 0 ? r : strbuf_take(&s, ret, ret_len);
}

static int
take_field(struct exchange *x, struct request_job *q, struct multipart *m, const char *name)
{
	scoped(put_json) json_object *obj = NULL;
	scoped(free_ptr) char *text = NULL;
	json_object **to = member_place(q, name);
	size_t len = 0;
	int r = read_field(x, m, name, &text, &len);

	if (r != 0)
		return r;
	if (to && *to) {
		native_problem(x, 422, PLACE_PART, name, "This is given twice.");
		return 1;
	}
	if (to && to != &q->parameters) {
		if (!utf8_valid(text ? text : "", len)) {
			native_problem(x, 400, PLACE_PART, name, "This is no UTF-8.");
			return 1;
		}
		*to = json_object_new_string_len(text ? text : "", (int)len);
		return *to ? 0 : -ENOMEM;
	}
	r = parse_json_text(x, text ? text : "", len, name, &obj);
	if (r != 0)
		return r;
	if (!to)
		return take_object(x, q, obj);
	*to = take_ptr(obj);
	return 0;
}

static int
take_input_part(struct exchange *x, struct request_job *q, struct multipart *m, const char *name)
{
	struct place at = { PLACE_PART, name };
	struct input *in = NULL;
	char buf[16 * 1024];
	ssize_t n;
	int r = add_input(x, q, name, at, &in);

	if (r != 0)
		return r;
	r = input_file_begin(&in->file, name);
	if (r < 0)
		return r;
	q->n_inputs++;
	while ((n = multipart_read(m, buf, sizeof buf)) > 0) {
		r = input_file_add(&in->file, x->gate, buf, (size_t)n);
		if (r < 0)
			return input_failed(x, r);
	}
	return n < 0 ? (int)n : input_file_finish(&in->file);
}

static int
read_parts(struct exchange *x, struct request_job *q, struct multipart *m)
{
	struct part part;
	int r;

	while ((r = multipart_next(m, &part)) > 0) {
		static const char *const fields[] = { "tool", "name", "callback", "parameters", "job" };
		bool field = false;

		for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
			field = field || strcmp(part.name, fields[i]) == 0;
		r = field && !part.has_file_name ? take_field(x, q, m, part.name) : take_input_part(x, q, m, part.name);
		if (r != 0)
			break;
	}
	return r;
}

static int
read_multipart(struct exchange *x, struct request_job *q)
{
	const struct native_settings *s = x->state;
	scoped(free_multipart) struct multipart *m = NULL;
	struct body body = { .x = x, .left = s->body_max };
	int r = multipart_new(x->req.content_type, read_body, &body, &m);

	if (r == -EINVAL)
		native_problem(x, 400, PLACE_HEADER, "Content-Type", "multipart/form-data needs a boundary (RFC 2046).");
	if (r < 0)
		return r == -EINVAL ? 1 : r;
	if (x->req.content_length > 0 && (uint64_t)x->req.content_length > s->body_max)
		body.too_large = true;
	else
		r = read_parts(x, q, m);
	if (body.too_large)
		native_problem(x, 413, PLACE_NONE, NULL, "The body is too large: at most %zu bytes.", s->body_max);
	else if (r == -EBADMSG || r == -EPIPE)
		native_problem(x, 400, PLACE_NONE, NULL, "The body is no whole multipart/form-data (RFC 7578).");
	else if (r == -E2BIG)
		native_problem(x, 400, PLACE_NONE, NULL, "A part's headers have more than %d bytes.", MULTIPART_HEADERS_MAX);
	else if (r == -EINVAL)
		native_problem(x, 400, PLACE_NONE, NULL, "A part has no name (Content-Disposition: form-data; name=\"...\"), or one that is "
		    "no UTF-8, has control characters or more than %d bytes.", MULTIPART_NAME_MAX);
	else
		return r;
	return 1;
}

/* Both kinds */

/* Characters, not bytes; none of them a control character. */
static bool
name_valid(json_object *name)
{
	const unsigned char *c = (const unsigned char *)json_object_get_string(name);
	size_t chars = 0;

	if (!json_object_is_type(name, json_type_string) || strlen((const char *)c) != (size_t)json_object_get_string_len(name))
		return false;
	for (; *c; c++) {
		if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0))
			return false;
		chars += (*c & 0xc0) != 0x80;
	}
	return chars >= 1 && chars <= NAME_MAX_CHARS;
}

/* What the gate can say itself; the helper knows the tools. 0, or 1: the answer is set. */
static int
check(struct exchange *x, const struct caller *c, const struct request_job *q)
{
	const char *tool = NULL;

	if (!q->tool || !json_object_is_type(q->tool, json_type_string)) {
		native_problem(x, 422, PLACE_POINTER, "/tool", "A submission names its tool: a string.");
		return 1;
	}
	tool = json_object_get_string(q->tool);
	if (!caller_may_use(c, tool)) {
		native_problem(x, 403, PLACE_POINTER, "/tool", "This token may not use this tool.");
		return 1;
	}
	if (q->name && !name_valid(q->name)) {
		native_problem(x, 422, PLACE_POINTER, "/name", "A name has 1 to %d characters, none of them a control character.",
		    NAME_MAX_CHARS);
		return 1;
	}
	if (q->callback && !json_object_is_type(q->callback, json_type_string)) {
		native_problem(x, 422, PLACE_POINTER, "/callback", "This must be an https URL.");
		return 1;
	}
	if (q->parameters && !json_object_is_type(q->parameters, json_type_object)) {
		native_problem(x, 422, PLACE_POINTER, "/parameters", "This must be an object.");
		return 1;
	}
	return 0;
}

static int
submit(struct exchange *x, const struct caller *c, const char *ticket, const struct request_job *q, char ret_id[ID_SIZE])
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *note = NULL;
	struct submit_input inputs[INPUTS_MAX];
	struct submission s = { .service = x->service->name, .tool = json_object_get_string(q->tool), .owner = c->owner,
		.ticket = ticket, .params = q->parameters, .inputs = inputs, .n_inputs = q->n_inputs };
	int r;

	for (size_t i = 0; i < q->n_inputs; i++)
		inputs[i] = (struct submit_input){ q->inputs[i].name, q->inputs[i].file.fd, q->inputs[i].file.size };
	if (q->name)
		jsonw_add(&w, "name", json_object_get(q->name));
	r = jsonw_finish(&w, &note);
	if (r < 0)
		return r;
	s.note = note;
	if (q->once[0])
		s.once = q->once;
	if (q->callback)
		s.callback = json_object_get_string(q->callback);
	return client_submit(x->helper, &s, ret_id);
}

/* The job that was submitted under this Idempotency-Key, whatever it was. -ENOENT, or another errno. */
static int
find_once(struct exchange *x, const struct request_job *q, char ret_id[ID_SIZE])
{
	char once[SHA256_HEX_SIZE], name[ONCE_NAME_SIZE];
	int r = q->once[0] ? once_hash(q->owner, q->once, once) : -ENOENT;

	if (r < 0)
		return r;
	once_name(once, name);
	return gate_key_get(x->gate, x->service->name, name, ret_id);
}

static int
answer_accepted(struct exchange *x, const struct caller *c, const char *id)
{
	scoped(native_job_done) struct native_job j = NATIVE_JOB_NONE;
	int r = native_load_job(x, c, id, &j);

	if (r < 0)
		return r;
	response_headerf(&x->res, "Location", "/v1/jobs/%s", id);
	return native_answer_job(x, 202, &j);
}

int
native_post_jobs(struct exchange *x)
{
	scoped(caller_done) struct caller c = { .owner = "" };
	scoped(request_job_done) struct request_job q = { .n_inputs = 0 };
	char ticket[ID_SIZE] = "";
	char id[ID_SIZE];
	bool json = media_type_is_json(x->req.content_type);
	int r = auth_require(x, SCOPE_SUBMIT, &c);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	if (!json && strncasecmp(x->req.content_type, "multipart/form-data", 19) != 0)
		return native_problem(x, 415, PLACE_HEADER, "Content-Type", "The body must be application/json or multipart/form-data.");
	if (request_idempotency_key(&x->req, q.once) < 0)
		return native_problem(x, 400, PLACE_HEADER, "Idempotency-Key", "An Idempotency-Key has 1 to 255 visible ASCII characters.");
	q.owner = c.owner;
	/* One that is there already needs no room. */
	if (x->req.content_length > ASK_FIRST_BYTES && find_once(x, &q, id) < 0)
		r = client_may(x->helper, x->service->name, c.owner, (uint64_t)x->req.content_length, ticket);
	if (r < 0)
		return native_refusal(x, r);
	r = json ? read_json(x, &q) : read_multipart(x, &q);
	/* Its uploads went into the job that is there. */
	if (r == 1 && q.upload_gone && find_once(x, &q, id) == 0)
		return answer_accepted(x, &c, id);
	if (r == 0)
		r = check(x, &c, &q);
	if (r == 0) {
		r = submit(x, &c, ticket, &q, id);
		if (r >= 0)
			return answer_accepted(x, &c, id);
		r = native_refusal(x, r);
	}
	put_uploads_back(x, &q);
	return r < 0 ? r : HANDLED;
}
