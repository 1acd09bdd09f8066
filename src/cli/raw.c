/* raw.c - `spoolgate get` and `post`: any URL, with the connection, the token and the care of the other subcommands. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "cli/command.h"
#include "cli/input.h"

static const char get_usage[] =
    "usage: spoolgate get PATH|URL\n"
    "Prints the body of a GET's answer. A PATH begins with / and is below the server's URL; only the server gets the token.\n";

static const char post_usage[] =
    "usage: spoolgate post PATH|URL [--data FILE] [--type TYPE]\n"
    "Sends a file and prints the body of the answer. A PATH begins with / and is below the server's URL; only the server gets\n"
    "the token.\n\n"
    "  --data FILE         what is sent; - is standard input; nothing without it\n"
    "  --type TYPE         its media type (application/json)\n";

static int
print_body(const struct http_answer *a, const char *data, size_t len, void *ctx)
{
	(void)a, (void)ctx;
	return write_all(STDOUT_FILENO, data, len);
}

/* The body as JSON where it is that, as text where it is UTF-8, else in base64. */
static void
add_body(struct jsonw *w, const struct http_answer *a)
{
	scoped(free_ptr) unsigned char *text = NULL;
	json_object *body = NULL;

	if (a->body.len > 0 && json_parse(a->body.buf, a->body.len, &body) == 0) {
		if (body)
			jsonw_add(w, "body", body);
		else
			jsonw_null(w, "body");
		return;
	}
	if (utf8_valid(strbuf_str(&a->body), a->body.len)) {
		jsonw_add(w, "body", json_object_new_string_len(strbuf_str(&a->body), (int)a->body.len));
		return;
	}
	text = malloc(a->body.len / 3 * 4 + 5);
	jsonw_add(w, "base64", text ? json_object_new_string_len((char *)text,
	    EVP_EncodeBlock(text, (unsigned char *)a->body.buf, (int)a->body.len)) : NULL);
}

/* {"status", "headers", "body"} */
static int
print_answer(struct session *s, const struct http_answer *a)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new(), headers = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	int r;

	for (size_t i = 0; i < a->headers.len; i += strlen(a->headers.buf + i) + 1) {
		char *line = a->headers.buf + i, *colon = strchr(line, ':');
		scoped(free_ptr) char *name = colon ? strndup(line, (size_t)(colon - line)) : NULL;
		const char *value = colon ? colon + 1 + strspn(colon + 1, " \t") : NULL;

		if (!name || !utf8_valid(line, strlen(line)))
			continue;	/* not a header field of ours to show */
		for (char *p = name; *p; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p = (char)(*p + ('a' - 'A'));
		jsonw_string(&headers, name, value);
	}
	jsonw_int(&w, "status", a->status);
	jsonw_add(&w, "headers", json_object_get(headers.obj));
	add_body(&w, a);
	r = headers.err < 0 ? headers.err : jsonw_finish(&w, &obj);
	return r < 0 ? session_broken(s, r) : session_print_json(s, obj);
}

static int
ask(struct session *s, struct http_request *q)
{
	scoped(http_answer_done) struct http_answer a = { 0 };
	int r;

	if (!s->json)
		q->sink = print_body;
	http_answer_init(&a);
	r = http_do(s->http, q, &a);
	if (r < 0)
		return session_broken(s, r);
	if (a.status < 200 || a.status > 299) {
		if (!s->json && a.body.len > 0 && write_all(STDOUT_FILENO, a.body.buf, a.body.len) < 0)
			return EXIT_FAILURE;
		r = session_fault(s, &a);
		if (s->json)
			(void)print_answer(s, &a);
		return r;
	}
	return s->json ? print_answer(s, &a) : EXIT_SUCCESS;
}

/* What get and post have in common once the options are read. */
static int
raw(struct session *s, int n, char *words[], struct http_request *q, const char *data)
{
	scoped(close_fd) int fd = -EBADF;
	int r;

	if (n != 1)
		return session_usage(s, "one path or URL has to be named");
	q->url = words[0];
	if (q->url[0] != '/' && strncmp(q->url, "https://", 8) != 0 && strncmp(q->url, "http://", 7) != 0)
		return session_usage(s, "%s: neither a path that begins with / nor an URL of http or https", q->url);
	r = session_open(s);
	if (r != EXIT_SUCCESS)
		return r;
	if (data) {
		fd = input_open(s, data, &q->body_fd_len);
		if (fd < 0)
			return EXIT_FAILURE;
		q->body_fd = fd;
	}
	return ask(s, q);
}

int
command_get(int argc, char *argv[])
{
	static const struct option options[] = { COMMON_OPTIONS };
	scoped(session_done) struct session s = SESSION_INIT("get");
	struct http_request q = HTTP_GET(NULL);
	int c, r;

	while ((c = getopt_long(argc, argv, "qh", options, NULL)) != -1)
		if ((r = session_option(&s, c, get_usage)) >= 0)
			return r;
	return raw(&s, argc - optind, argv + optind, &q, NULL);
}

int
command_post(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "data", required_argument, NULL, 'd' }, { "type", required_argument, NULL, 't' }, COMMON_OPTIONS
	};
	scoped(session_done) struct session s = SESSION_INIT("post");
	scoped(strbuf_done) struct strbuf line = STRBUF_INIT(1024);
	const char *data = NULL, *type = "application/json";
	const char *lines[] = { NULL, NULL };
	struct http_request q = { .method = "POST", .headers = lines, .body_fd = -EBADF, .repeat = HTTP_ONCE };
	int c, r;

	while ((c = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
		if (c == 'd')
			data = optarg;
		else if (c == 't')
			type = optarg;
		else if ((r = session_option(&s, c, post_usage)) >= 0)
			return r;
	}
	strbuf_addf(&line, "Content-Type: %s", type);
	if (strbuf_err(&line) < 0 || strpbrk(type, "\r\n") || type[0] == '\0')
		return session_usage(&s, "--type: not a media type");
	lines[0] = data ? strbuf_str(&line) : "Content-Type:";
	return raw(&s, argc - optind, argv + optind, &q, data);
}
