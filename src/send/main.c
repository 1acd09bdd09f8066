/* spoolgate-send - the only program that connects to other hosts: one attempt of one call. It runs in a bubblewrap of its own, which has
 * network, the resolver's files and CA certificates, and nothing of the spool.
 *
 * Standard input: {"url", "headers": ["Name: value"], "body", "allow": "networks", "ca_file", "seconds"}; ca_file may be null.
 * Standard output: {"status": N} or {"error": "..."}, a line. The name is resolved once, and what is connected to is one of those
 * addresses, none of which is private unless it is allowed; no proxy, no redirect, no other protocol. */
#include "config.h"

#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "basic/address.h"
#include "basic/fd.h"
#include "basic/https_url.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"

enum { REQUEST_MAX = 256 * 1024, ANSWER_MAX = 64 * 1024, CONNECT_SECONDS = 10, ADDRESSES_MAX = 8, PIN_MAX = 2048 };

struct call {
	const char *url, *body, *ca_file;	/* ca_file may be NULL */
	uint64_t seconds;
	struct https_url parsed;
	struct network *allowed;
	size_t n_allowed;
	struct curl_slist *headers;
	uint64_t answer;	/* bytes of it so far */
};

static int
tell(const char *error, long status)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;

	if (error)
		jsonw_string(&w, "error", error);
	else
		jsonw_int(&w, "status", status);
	if (jsonw_finish(&w, &obj) < 0 || json_format(obj, &text, &len) < 0 || write_all(STDOUT_FILENO, text, len) < 0)
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

static bool
is_permitted(const struct call *c, const struct sockaddr *address)
{
	struct in6_addr mapped;

	if (!address_map(address, &mapped))
		return false;
	for (size_t i = 0; i < c->n_allowed; i++)
		if (network_has(&c->allowed[i], &mapped))
			return true;
	return address_is_public(&mapped);
}

/* Whatever libcurl is about to connect to. */
static curl_socket_t
open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	const struct call *c = ctx;

	if (purpose != CURLSOCKTYPE_IPCXN || !is_permitted(c, &address->addr))
		return CURL_SOCKET_BAD;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t
drop_answer(char *data, size_t size, size_t n, void *ctx)
{
	struct call *c = ctx;

	(void)data;
	c->answer += size * n;
	return c->answer > ANSWER_MAX ? 0 : size * n;	/* its status is known, which is all that counts */
}

/* "host:port:address,address", for libcurl to ask nobody else. An error in words, or NULL. */
static const char *
resolve(const struct call *c, struct strbuf *pin)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	size_t n = 0;
	int r = getaddrinfo(c->parsed.host, NULL, &hints, &found);

	if (r != 0)
		return gai_strerror(r);
	strbuf_addf(pin, "%s:%u:", c->parsed.host, (unsigned)c->parsed.port);
	for (const struct addrinfo *a = found; a && n < ADDRESSES_MAX; a = a->ai_next) {
		char text[NI_MAXHOST];

		if (!is_permitted(c, a->ai_addr) ||
		    getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
			continue;
		strbuf_addf(pin, a->ai_family == AF_INET6 ? "%s[%s]" : "%s%s", n++ > 0 ? "," : "", text);
	}
	freeaddrinfo(found);
	return n > 0 ? NULL : "its address is private";
}

static int
perform(struct call *c)
{
	scoped(strbuf_done) struct strbuf pin = STRBUF_INIT(PIN_MAX);
	char words[CURL_ERROR_SIZE] = "";
	struct curl_slist *pins = NULL;
	const char *why = resolve(c, &pin);
	long status = 0;
	CURLcode code;
	CURL *curl;

	if (why)
		return tell(why, 0);
	curl = curl_easy_init();
	pins = curl_slist_append(NULL, strbuf_str(&pin));
	if (!curl || !pins || strbuf_err(&pin) < 0)
		return EXIT_FAILURE;	/* the process ends here, and with it all of that */
	(void)curl_easy_setopt(curl, CURLOPT_URL, c->url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	(void)curl_easy_setopt(curl, CURLOPT_RESOLVE, pins);
	(void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	(void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, c);
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	(void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (c->ca_file)
		(void)curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca_file);
	(void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(c->body));
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, c->body);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, c->headers);
	(void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "spoolgate/" PACKAGE_VERSION);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop_answer);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)c->seconds);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
	code = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(pins);
	curl_easy_cleanup(curl);
	if (status > 0 && (code == CURLE_OK || code == CURLE_WRITE_ERROR))
		return tell(NULL, status);
	return tell(words[0] ? words : curl_easy_strerror(code), 0);
}

static int
parse(json_object *obj, struct call *c)
{
	json_object *headers = NULL;
	const char *allow = "";

	if (json_get_string(obj, "url", &c->url) < 0 || json_get_string(obj, "body", &c->body) < 0 ||
	    json_get_uint(obj, "seconds", &c->seconds) < 0 || c->seconds > 300 || json_get_array(obj, "headers", &headers) < 0 ||
	    json_get_string(obj, "allow", &allow) < 0 || https_url_check(c->url, &c->parsed) ||
	    networks_parse(allow, &c->allowed, &c->n_allowed) < 0)
		return -EINVAL;
	(void)json_get_string(obj, "ca_file", &c->ca_file);
	for (size_t i = 0; i < json_object_array_length(headers); i++) {
		const char *line = json_object_get_string(json_object_array_get_idx(headers, i));
		struct curl_slist *more = line ? curl_slist_append(c->headers, line) : NULL;

		if (!more)
			return -ENOMEM;
		c->headers = more;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	scoped(put_json) json_object *obj = NULL;
	scoped(free_ptr) char *text = malloc(REQUEST_MAX);
	struct call c = { .url = NULL };
	ssize_t n;
	int r;

	(void)argv;
	if (argc != 1) {
		(void)fputs("usage: spoolgate-send\nIt is started by spoolgated; spoolgate-send(8).\n", stderr);
		return EX_USAGE;
	}
	n = text ? read_full(STDIN_FILENO, text, REQUEST_MAX) : -ENOMEM;
	r = n < 0 ? (int)n : json_parse(text, (size_t)n, &obj);
	if (r == 0)
		r = parse(obj, &c);
	if (r == 0 && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		r = -EIO;
	if (r < 0) {
		(void)fprintf(stderr, "spoolgate-send: what is asked for cannot be read: %s\n", strerror(-r));
		r = EX_DATAERR;
	} else {
		(void)alarm((unsigned)c.seconds + CONNECT_SECONDS);	/* a resolver may take its time */
		r = perform(&c);
		curl_global_cleanup();
	}
	curl_slist_free_all(c.headers);
	free(c.allowed);
	return r;
}
