/* A URL that is taken has a host that is a name or an address and nothing else, and a port; a network that is taken holds its own
 * address. */
#include "config.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "basic/address.h"
#include "basic/https_url.h"
#include "basic/scoped.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(free_ptr) char *text = malloc(size + 1);
	struct network *list = NULL;
	struct https_url url;
	struct in6_addr six;
	size_t n = 0;

	MUST(text);
	memcpy(text, data, size);
	text[size] = '\0';
	if (!https_url_check(text, &url)) {
		MUST(url.port > 0 && strlen(url.host) > 0);
		MUST(inet_pton(AF_INET6, url.host, &six) == 1 ||
		    strspn(url.host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(url.host));
		MUST(strcasestr(text, url.host) && !strchr(text, '#') && !strchr(text, ' '));
	}
	if (networks_parse(text, &list, &n) == 0)
		for (size_t i = 0; i < n; i++) {
			MUST(list[i].bits <= 128 && network_has(&list[i], &list[i].address));
			(void)address_is_public(&list[i].address);
		}
	free(list);
	return 0;
}
