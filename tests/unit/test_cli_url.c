#include "config.h"

#include "cli/url.h"
#include "unit.h"

static void
test_the_same_origin(void **state)
{
	(void)state;
	assert_true(url_same_origin("https://a.example", "https://a.example:443/x?y#z"));
	assert_true(url_same_origin("HTTPS://A.example/", "https://a.EXAMPLE"));
	assert_true(url_same_origin("http://a:80", "http://a"));
	assert_true(url_same_origin("https://[::1]:8443/", "https://[::1]:8443/v1"));
}

static void
test_another_origin(void **state)
{
	static const char *const others[] = { "http://a.example", "https://a.example:444", "https://b.example", "https://a.example.b",
		"https://a.example@b/", "https://a.example:443@b/", "https://b/https://a.example",
		"https://b#@a.example", "https://b?@a.example",
		"ftp://a.example", "//a.example", "", "https://", "https://a.example:x", "https://a.example\\@b", "https://b\\@a.example.c",
		"https://a.example\n.b" };

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_false(url_same_origin(others[i], "https://a.example"));
}

static void
test_what_is_this_machine(void **state)
{
	static const char *const ours[] = { "http://localhost", "http://LOCALHOST:80/x", "http://127.0.0.1", "http://127.1.2.3:1/",
		"https://[::1]:8443" };
	static const char *const others[] = { "http://localhost.example", "http://127.0.0.1.example", "http://127.0.0.1@b/", "http://[::2]",
		"http://128.0.0.1", "" };

	(void)state;
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		assert_true(url_is_loopback(ours[i]));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_false(url_is_loopback(others[i]));
}

static void
test_what_can_be_a_server(void **state)
{
	static const char *const good[] = { "https://a", "http://localhost:8080", "https://a/below/here/" };
	static const char *const bad[] = { "", "a", "a:443", "localhost:8443", "ftp://a", "file:///etc/passwd", "https://",
		"https://u@a", "https://u:p@a",
		"https://a?b", "https://a#b", "https://a:99999" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_null(url_server_fault(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_non_null(url_server_fault(bad[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_origin),
		cmocka_unit_test(test_another_origin),
		cmocka_unit_test(test_what_is_this_machine),
		cmocka_unit_test(test_what_can_be_a_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
