#include <config.h>	/* in angle brackets: config/config.h is another */

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#include "basic/scoped.h"
#include "cli/url.h"

static void
put_url(CURLU **url)
{
	curl_url_cleanup(*url);
}

static void
free_text(char **text)
{
	curl_free(*text);
}

/* The parsed URL, http or https. NULL: none. */
static CURLU *
parse_url(const char *text)
{
	scoped(free_text) char *scheme = NULL;
	CURLU *url = curl_url();

	if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0))
		return url;
	curl_url_cleanup(url);
	return NULL;
}

static bool
same_part(CURLU *a, CURLU *b, CURLUPart part)
{
	scoped(free_text) char *one = NULL;
	scoped(free_text) char *other = NULL;

	return curl_url_get(a, part, &one, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    curl_url_get(b, part, &other, CURLU_DEFAULT_PORT) == CURLUE_OK && strcasecmp(one, other) == 0;
}

bool
url_same_origin(const char *one, const char *other)
{
	scoped(put_url) CURLU *a = parse_url(one);
	scoped(put_url) CURLU *b = parse_url(other);

	return a && b && same_part(a, b, CURLUPART_SCHEME) && same_part(a, b, CURLUPART_HOST) && same_part(a, b, CURLUPART_PORT);
}

static bool
has_part(CURLU *url, CURLUPart part)
{
	scoped(free_text) char *text = NULL;

	return curl_url_get(url, part, &text, 0) == CURLUE_OK;
}

bool
url_is_loopback(const char *text)
{
	scoped(put_url) CURLU *url = parse_url(text);
	scoped(free_text) char *host = NULL;

	if (!url || curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		return false;
	return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	    (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == strlen(host));
}

const char *
url_server_fault(const char *text)
{
	scoped(put_url) CURLU *url = parse_url(text);

	if (!strstr(text, "://") || !url)
		return "the server must be an URL like https://spoolgate.example.org";
	if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
		return "the server's URL must not have a user or a password: name a token file instead";
	if (has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT))
		return "the server's URL must not have a query or a fragment";
	return NULL;
}
