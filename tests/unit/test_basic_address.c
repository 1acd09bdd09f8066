#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/address.h"
#include "basic/hash.h"
#include "basic/https_url.h"
#include "unit.h"

static bool
is_public(const char *text)
{
	struct network n;

	assert_int_equal(network_parse(text, &n), 0);
	assert_int_equal(n.bits, 128);
	return address_is_public(&n.address);
}

static void
test_address_public_or_not(void **state)
{
	static const char *const public[] = { "1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.0", "192.0.1.1", "100.63.0.1", "100.128.0.1",
		"198.17.0.1", "223.255.255.255", "2606:4700::1111", "2a00::1", "64:ff9b::8.8.8.8", "2002:808:808::1" };
	static const char *const special[] = { "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254",
		"172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.255.255", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
		"239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1",
		"100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "2002:a00:1::1", "fc00::1", "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1",
		"3fff::1" };

	(void)state;
	for (size_t i = 0; i < sizeof public / sizeof *public; i++)
		if (!is_public(public[i]))
			fail_msg("%s is public", public[i]);
	for (size_t i = 0; i < sizeof special / sizeof *special; i++)
		if (is_public(special[i]))
			fail_msg("%s is not public", special[i]);
}

static void
test_address_networks(void **state)
{
	static const char *const bad[] = { "", "x", "1.2.3", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/x", "1.2.3.4/24", "::1/129", "::1/64", "1.2.3.4/-1",
		"1.2.3.4/0x8", "127.0.0.1 /8", "1.2.3.4.5", "0001:0002:0003:0004:0005:0006:0007:0008:0009:0000:0000:0000" };
	struct network *list = NULL;
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201) };
	struct in6_addr mapped;
	size_t n = 9;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (network_parse(bad[i], &(struct network){ .bits = 0 }) != -EINVAL)
			fail_msg("\"%s\" is no network", bad[i]);
	assert_int_equal(networks_parse("", &list, &n), 0);
	assert_int_equal(n, 0);
	free(list);
	assert_int_equal(networks_parse(" 192.0.2.0/24,2001:db8::/33 ,::1", &list, &n), 0);
	assert_int_equal(n, 3);
	assert_true(address_map((const struct sockaddr *)(const void *)&in, &mapped));
	assert_true(network_has(&list[0], &mapped));
	assert_false(network_has(&list[1], &mapped));
	assert_int_equal(inet_pton(AF_INET6, "2001:db8:7fff::1", &mapped), 1);
	assert_true(network_has(&list[1], &mapped));
	assert_int_equal(inet_pton(AF_INET6, "2001:db8:8000::1", &mapped), 1);
	assert_false(network_has(&list[1], &mapped));
	free(list);
	assert_int_equal(networks_parse("::1, nonsense", &list, &n), -EINVAL);
	assert_false(address_map(&(const struct sockaddr){ .sa_family = AF_UNIX }, &mapped));
}

static void
test_https_url(void **state)
{
	static const char *const bad[] = { "", "https:/", "https://", "http://a/", "//a/", "https://:443/", "https://a:/", "https://a:0/", "https://a:65536/",
		"https://a:44a/", "https://a@b/", "https://a:b@c/", "https://.a/", "https://a..b/", "https://-a/", "https://a_b/", "https://a/#f", "https://a/ b",
		"https://a/\"", "https://a\\b/", "https://[::1", "https://[]/", "https://[1.2.3.4]/", "https://[::1]a/", "https://[::1%25eth0]/",
		"https://\xc3\xa4/", "https://a\n/" };
	struct https_url url;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (!https_url_check(bad[i], &url))
			fail_msg("\"%s\" is no URL", bad[i]);
	assert_null(https_url_check("https://hooks.example.org", &url));
	assert_string_equal(url.host, "hooks.example.org");
	assert_int_equal(url.port, 443);
	assert_null(https_url_check("HTTPS://[2001:db8::1]:8443/a?b=c%20d&e=@:/?", &url));
	assert_string_equal(url.host, "2001:db8::1");
	assert_int_equal(url.port, 8443);
	assert_null(https_url_check("https://192.0.2.1?x", &url));
	assert_string_equal(url.host, "192.0.2.1");
}

/* RFC 4231, test cases 1 and 6. */
static void
test_hmac(void **state)
{
	static const unsigned char wanted[] = { 0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b, 0xf1, 0x2b, 0x88,
		0x1d, 0xc2, 0x00, 0xc9, 0x83, 0x3d, 0xa7, 0x26, 0xe9, 0x37, 0x6c, 0x2e, 0x32, 0xcf, 0xf7 };
	static const unsigned char long_key_wanted[] = { 0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f, 0x0d, 0x8a, 0x26, 0xaa, 0xcb, 0xf5, 0xb7, 0x7f,
		0x8e, 0x0b, 0xc6, 0x21, 0x37, 0x28, 0xc5, 0x14, 0x05, 0x46, 0x04, 0x0f, 0x0e, 0xe3, 0x7f, 0x54 };
	static const char text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	unsigned char key[131], got[SHA256_LEN];

	(void)state;
	memset(key, 0x0b, 20);
	hmac_sha256(key, 20, "Hi There", 8, got);
	assert_memory_equal(got, wanted, sizeof wanted);
	memset(key, 0xaa, sizeof key);
	hmac_sha256(key, sizeof key, text, strlen(text), got);
	assert_memory_equal(got, long_key_wanted, sizeof long_key_wanted);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_public_or_not),
		cmocka_unit_test(test_address_networks),
		cmocka_unit_test(test_https_url),
		cmocka_unit_test(test_hmac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
