#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/address.h"

enum { TEXT_SIZE = INET6_ADDRSTRLEN + 4 };

static void
map_v4(const void *four, struct in6_addr *ret)
{
	*ret = (struct in6_addr){ 0 };
	ret->s6_addr[10] = ret->s6_addr[11] = 0xff;
	memcpy(&ret->s6_addr[12], four, 4);
}

int
network_parse(const char *text, struct network *ret)
{
	struct network n = { .bits = 128 };
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct in_addr four;
	char address[TEXT_SIZE];
	bool v4;

	if (len == 0 || len >= sizeof address)
		return -EINVAL;
	memcpy(address, text, len);
	address[len] = '\0';
	v4 = inet_pton(AF_INET, address, &four) == 1;
	if (v4)
		map_v4(&four, &n.address);
	else if (inet_pton(AF_INET6, address, &n.address) != 1)
		return -EINVAL;
	if (slash) {
		size_t digits = strspn(slash + 1, "0123456789");
		unsigned long bits = digits > 0 && digits < 4 && slash[1 + digits] == '\0' ? strtoul(slash + 1, NULL, 10) : 1000;

		if (bits > (v4 ? 32 : 128))
			return -EINVAL;
		n.bits = (unsigned)bits + (v4 ? 96 : 0);
	}
	for (unsigned bit = n.bits; bit < 128; bit++)
		if (n.address.s6_addr[bit / 8] & (0x80 >> bit % 8))
			return -EINVAL;
	*ret = n;
	return 0;
}

int
networks_parse(const char *text, struct network **ret, size_t *ret_n)
{
	static const char gap[] = ", \t";
	struct network *list = NULL;
	size_t n = 0;

	for (text += strspn(text, gap); *text; text += strspn(text, gap)) {
		size_t len = strcspn(text, gap);
		struct network *grown = reallocarray(list, n + 1, sizeof *grown);
		char one[TEXT_SIZE];
		int r = grown ? 0 : -ENOMEM;

		if (grown)
			list = grown;
		if (r == 0 && len >= sizeof one)
			r = -EINVAL;
		if (r == 0) {
			memcpy(one, text, len);
			one[len] = '\0';
			r = network_parse(one, &list[n++]);
		}
		if (r < 0) {
			free(list);
			return r;
		}
		text += len;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

bool
address_map(const struct sockaddr *address, struct in6_addr *ret)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, address, sizeof in);
		map_v4(&in.sin_addr, ret);
		return true;
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in;

		memcpy(&in, address, sizeof in);
		*ret = in.sin6_addr;
		return true;
	}
	return false;
}

bool
network_has(const struct network *n, const struct in6_addr *address)
{
	unsigned whole = n->bits / 8, rest = n->bits % 8;
	unsigned char mask = (unsigned char)(0xff00 >> rest);

	return memcmp(n->address.s6_addr, address->s6_addr, whole) == 0 &&
	    (rest == 0 || ((n->address.s6_addr[whole] ^ address->s6_addr[whole]) & mask) == 0);
}

static bool
is_in(const char *const *table, const struct in6_addr *address)
{
	struct network n;

	for (; *table; table++)
		if (network_parse(*table, &n) == 0 && network_has(&n, address))
			return true;
	return false;
}

bool
address_is_public(const struct in6_addr *address)
{
	static const char *const special[] = {
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10",
		"ff00::/8", NULL
	};
	static const struct { const char *prefix; unsigned at; } inside[] = {
		{ "64:ff9b::/96", 12 }, { "2002::/16", 2 }, { "::/96", 12 },
	};
	struct in6_addr four;
	struct network n;

	if (is_in(special, address))
		return false;
	for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
		if (network_parse(inside[i].prefix, &n) == 0 && network_has(&n, address)) {
			map_v4(&address->s6_addr[inside[i].at], &four);
			return address_is_public(&four);
		}
	return true;
}
