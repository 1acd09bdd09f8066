/* address.h - which addresses belong to everybody's Internet, and which to this host or its neighbours: what a stranger names must not lead
 * to the latter. */
#ifndef SPOOLGATE_ADDRESS_H
#define SPOOLGATE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/* An address as 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
struct network {
	struct in6_addr address;
	unsigned bits;	/* of the prefix, of 128 */
};

/* "192.0.2.0/24", "2001:db8::/32", or an address alone. -EINVAL: it is none, or has bits beyond its prefix. */
int network_parse(const char *text, struct network *ret);
/* A list with ',' or blanks between. *ret is the caller's to free. -EINVAL; -ENOMEM. */
int networks_parse(const char *text, struct network **ret, size_t *ret_n);

/* false: of no family that has a mapping. */
bool address_map(const struct sockaddr *address, struct in6_addr *ret);
bool network_has(const struct network *n, const struct in6_addr *address);
/* Whether it is globally reachable unicast: none of the special-purpose blocks of RFC 6890 and its registries (loopback, private, shared,
 * link-local, unique local, documentation, benchmarking, multicast, reserved), also where it stands inside an IPv6 address that
 * translates or tunnels (64:ff9b::/96, 2002::/16, ::/96). */
bool address_is_public(const struct in6_addr *address);

#endif
