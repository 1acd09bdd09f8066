#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/escape.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "cli/command.h"
#include "cli/input.h"

enum {
	PIECE_MAX = 4 * 1024 * 1024,	/* of an upload; smaller where the server finds that too large */
	PIECE_MIN = 64 * 1024,
	COPY_SIZE = 256 * 1024,
};

static int
temporary_file(void)
{
	const char *folder = getenv("TMPDIR");
	scoped(free_ptr) char *path = NULL;
	int fd;

	if (asprintf(&path, "%s/spoolgate-XXXXXX", folder && folder[0] == '/' ? folder : "/tmp") < 0)
		return -ENOMEM;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	(void)unlink(path);
	return fd;
}

static int
copy_stream(int from, uint64_t *ret_bytes)
{
	scoped(close_fd) int fd = temporary_file();
	scoped(free_ptr) char *buf = malloc(COPY_SIZE);
	ssize_t n;
	int r;

	if (fd < 0)
		return fd;
	if (!buf)
		return -ENOMEM;
	for (*ret_bytes = 0; (n = read_full(from, buf, COPY_SIZE)) > 0; *ret_bytes += (uint64_t)n) {
		r = write_all(fd, buf, (size_t)n);
		if (r < 0)
			return r;
	}
	return n < 0 ? (int)n : take_fd(fd);
}

int
input_open(struct session *s, const char *path, uint64_t *ret_bytes)
{
	bool standard = strcmp(path, "-") == 0;
	scoped(close_fd) int fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

	if (r == 0 && S_ISDIR(st.st_mode))
		r = -EISDIR;
	/* Standard input may be a file whose beginning somebody has read. */
	if (r == 0 && S_ISREG(st.st_mode) && (!standard || lseek(fd, 0, SEEK_CUR) == 0)) {
		*ret_bytes = (uint64_t)st.st_size;
		return take_fd(fd);
	}
	if (r == 0)
		r = copy_stream(fd, ret_bytes);
	if (r < 0)
		session_say(s, "%s: %s", standard ? "standard input" : path, strerror(-r));
	return r;
}

/* {"base64": ...} of a small file. */
static int
make_inline(struct session *s, const char *name, int fd, uint64_t bytes, json_object **ret)
{
	scoped(free_ptr) unsigned char *raw = malloc(bytes + 1), *text = malloc(bytes / 3 * 4 + 5);
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	ssize_t n;
	int len, r;

	if (!raw || !text)
		return session_broken(s, -ENOMEM);
	n = pread_full(fd, raw, bytes, 0);
	if (n < 0 || (uint64_t)n != bytes) {
		session_say(s, "%s: %s", name, n < 0 ? strerror((int)-n) : "the file has become shorter");
		return EXIT_FAILURE;
	}
	len = EVP_EncodeBlock(text, raw, (int)bytes);
	jsonw_add(&w, "base64", json_object_new_string_len((char *)text, len));
	r = jsonw_finish(&w, ret);
	return r < 0 ? session_broken(s, r) : EXIT_SUCCESS;
}

/* One upload on its way. */
struct upload {
	struct session *s;
	const char *name;
	char *url;
	int fd;
	uint64_t bytes, offset, piece, since_usec;
	uint64_t progress_mono;	/* when the server last had more than before */
};

static void
on_sent(uint64_t sent, void *ctx)
{
	struct upload *u = ctx;

	progress_bytes(&u->s->progress, u->name, u->offset + sent, u->bytes, u->since_usec, 0);
}

static int
begin_upload(struct upload *u, char **ret_id)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *asked = NULL, *answer = NULL;
	scoped(free_ptr) char *body = NULL;
	scoped(strbuf_done) struct strbuf url = STRBUF_INIT(1024);
	struct http_request q = { .method = "POST", .url = "/v1/uploads", .body_fd = -EBADF, .repeat = HTTP_ONCE,
		.headers = (const char *const[]){ "Content-Type: application/json", NULL } };
	const char *id;
	int r;

	jsonw_int(&w, "bytes", (int64_t)u->bytes);
	r = jsonw_finish(&w, &asked);
	if (r == 0)
		r = json_format(asked, &body, &q.body_len);
	if (r < 0)
		return session_broken(u->s, r);
	q.body = body;
	r = session_call(u->s, &q, &answer);
	if (r != EXIT_SUCCESS)
		return r;
	if (json_get_string(answer, "id", &id) < 0 || id[0] == '\0') {
		session_say(u->s, "%s: the server began an upload without an id", u->name);
		return EXIT_DAMAGED;
	}
	strbuf_addstr(&url, "/v1/uploads/");
	percent_encode(&url, id);
	*ret_id = strdup(id);
	r = strbuf_take(&url, &u->url, NULL);
	return r < 0 || !*ret_id ? session_broken(u->s, -ENOMEM) : EXIT_SUCCESS;
}

/* Asks where the server is, after a cut. */
static int
find_offset(struct upload *u)
{
	scoped(put_json) json_object *answer = NULL;
	const struct http_request q = HTTP_GET(u->url);
	uint64_t offset;
	int r = session_call(u->s, &q, &answer);

	if (r != EXIT_SUCCESS)
		return r;
	if (json_get_uint(answer, "offset", &offset) < 0 || offset > u->bytes) {
		session_say(u->s, "%s: the server does not say how much of it is there", u->name);
		return EXIT_DAMAGED;
	}
	if (offset > u->offset)
		u->progress_mono = clock_mono();
	u->offset = offset;
	return EXIT_SUCCESS;
}

/* Whether sending may go on after a piece that got no success; said where not. */
static int
after_piece(struct upload *u, int r, const struct http_answer *a)
{
	struct session *s = u->s;
	bool cut = r == -ECONNRESET || r == -ECONNREFUSED;
	uint64_t pause = 200 * USEC_PER_MSEC, sec = 0;

	if (r == 0 && a->status == 413 && u->piece > PIECE_MIN) {
		u->piece /= 2;
		return EXIT_SUCCESS;
	}
	if (r == 0 && a->status != 409 && a->status != 429 && (a->status < 502 || a->status > 504))
		return session_fault(s, a);
	if (r < 0 && !cut)
		return session_broken(s, r);
	if (r == 0 && http_header_number(a, "Retry-After", &sec) == 0 && sec < 86400)
		pause = sec * USEC_PER_SEC;
	if (clock_mono() + pause > u->progress_mono + s->retry_usec)
		return r < 0 ? session_broken(s, r) : session_fault(s, a);
	r = http_sleep(s->http, pause);
	return r < 0 ? session_broken(s, r) : find_offset(u);
}

static int
send_piece(struct upload *u)
{
	scoped(http_answer_done) struct http_answer a = { 0 };
	scoped(strbuf_done) struct strbuf line = STRBUF_INIT(64);
	uint64_t left = u->bytes - u->offset, next;
	struct http_request q = { .method = "PATCH", .url = u->url, .body_fd = u->fd, .body_offset = (off_t)u->offset,
		.body_fd_len = left < u->piece ? left : u->piece, .repeat = HTTP_NEVER, .on_sent = on_sent, .ctx = u };
	int r;

	http_answer_init(&a);
	strbuf_addf(&line, "Upload-Offset: %" PRIu64, u->offset);
	q.headers = (const char *const[]){ "Content-Type: application/octet-stream", strbuf_str(&line), NULL };
	r = http_do(u->s->http, &q, &a);
	if (r < 0 || a.status < 200 || a.status > 299)
		return after_piece(u, r, &a);
	if (http_header_number(&a, "Upload-Offset", &next) < 0 || next != u->offset + q.body_fd_len) {
		session_say(u->s, "%s: the server took another number of bytes than were sent", u->name);
		return EXIT_DAMAGED;
	}
	u->offset = next;
	u->progress_mono = clock_mono();
	return EXIT_SUCCESS;
}

static void
forget_upload(struct session *s, const char *url)
{
	scoped(http_answer_done) struct http_answer a = { 0 };
	const struct http_request q = { .method = "DELETE", .url = url, .body_fd = -EBADF, .repeat = HTTP_NEVER };

	http_answer_init(&a);
	(void)http_do(s->http, &q, &a);
}

static int
make_upload(struct session *s, const char *name, int fd, uint64_t bytes, json_object **ret)
{
	struct upload u = { .s = s, .name = name, .fd = fd, .bytes = bytes, .piece = PIECE_MAX, .since_usec = clock_mono(),
		.progress_mono = clock_mono() };
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(free_ptr) char *url = NULL, *id = NULL;
	int r = begin_upload(&u, &id);

	url = u.url;
	while (r == EXIT_SUCCESS && u.offset < bytes)
		r = send_piece(&u);
	progress_clear(&s->progress);
	if (r != EXIT_SUCCESS) {
		if (url && r != EXIT_CONNECTION && r != EXIT_TIMEOUT)
			forget_upload(s, url);
		return r;
	}
	jsonw_string(&w, "upload", id);
	r = jsonw_finish(&w, ret);
	return r < 0 ? session_broken(s, r) : EXIT_SUCCESS;
}

int
input_send(struct session *s, const char *name, int fd, uint64_t bytes, uint64_t *left, json_object **ret)
{
	if (bytes > *left)
		return make_upload(s, name, fd, bytes, ret);
	*left -= bytes;
	return make_inline(s, name, fd, bytes, ret);
}

void
input_forget(struct session *s, json_object *inputs)
{
	json_object_object_foreach(inputs, name, input) {
		scoped(strbuf_done) struct strbuf url = STRBUF_INIT(1024);
		const char *id;

		(void)name;
		if (json_get_string(input, "upload", &id) < 0)
			continue;
		strbuf_addstr(&url, "/v1/uploads/");
		percent_encode(&url, id);
		forget_upload(s, strbuf_str(&url));
	}
}
