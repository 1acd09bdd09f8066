#include "config.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "basic/https_url.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

static const char *
parse_host(const char *authority, size_t len, struct https_url *ret, const char **ret_rest)
{
	const char *end;
	size_t n;

	if (authority[0] == '[') {
		struct in6_addr address;

		end = memchr(authority, ']', len);
		n = end ? (size_t)(end - authority) - 1 : 0;
		if (!end || n == 0 || n >= INET6_ADDRSTRLEN)
			return "its host is no IPv6 address";
		memcpy(ret->host, authority + 1, n);
		ret->host[n] = '\0';
		*ret_rest = end + 1;
		return inet_pton(AF_INET6, ret->host, &address) == 1 ? NULL : "its host is no IPv6 address";
	}
	n = strspn(authority, LETTERS DIGITS "-.");
	if (n == 0 || n > len || n >= HTTPS_HOST_SIZE || authority[0] == '.' || authority[0] == '-')
		return "its host is no name";
	memcpy(ret->host, authority, n);
	ret->host[n] = '\0';
	*ret_rest = authority + n;
	return strstr(ret->host, "..") ? "its host is no name" : NULL;
}

const char *
https_url_check(const char *url, struct https_url *ret)
{
	struct https_url u = { .port = 443 };
	const char *authority = url + 8, *rest = NULL, *why;
	size_t len;

	if (strlen(url) > HTTPS_URL_MAX)
		return "it is longer than 2000 bytes";
	if (strncasecmp(url, "https://", 8) != 0)
		return "it does not begin with https://";
	for (const char *c = url; *c; c++)
		if (*c < 0x21 || *c > 0x7e || strchr("\"<>\\^`{|}", *c))
			return "it has a character that no URL has";
	if (strchr(url, '#'))
		return "it has a fragment";
	len = strcspn(authority, "/?");
	if (memchr(authority, '@', len))
		return "it names a user";
	why = parse_host(authority, len, &u, &rest);
	if (why)
		return why;
	if (*rest == ':') {
		size_t digits = strspn(rest + 1, DIGITS);
		unsigned long port = digits > 0 && digits < 6 ? strtoul(rest + 1, NULL, 10) : 0;

		if (port < 1 || port > 65535)
			return "its port is none";
		u.port = (uint16_t)port;
		rest += 1 + digits;
	}
	if (rest != authority + len)
		return "its host is no name";
	*ret = u;
	return NULL;
}
