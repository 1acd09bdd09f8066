/* https_url.h - whether a text is an https URL that somebody else may name: RFC 3986 section 3 without what has no business there. */
#ifndef SPOOLGATE_HTTPS_URL_H
#define SPOOLGATE_HTTPS_URL_H

#include <stdint.h>

enum { HTTPS_URL_MAX = 2000, HTTPS_HOST_SIZE = 256 };

struct https_url {
	char host[HTTPS_HOST_SIZE];	/* a name or an address, without the brackets of an IPv6 one */
	uint16_t port;	/* 443 where it says none */
};

/* "https://HOST[:PORT][/PATH][?QUERY]" of visible ASCII, without user, fragment, backslash or quote; HOST is letters, digits, '-' and '.', or
 * an IPv6 address in brackets. NULL: it is one, and *ret is filled in; else a sentence that says why not. */
const char *https_url_check(const char *url, struct https_url *ret);

#endif
