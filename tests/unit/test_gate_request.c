#include "config.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

#include "gate/request.h"
#include "gate/router.h"

static int
parse(const char *uri, const char *prefix, struct request *ret)
{
	static char uri_param[20000], prefix_param[200];
	static const char *envp[8];

	(void)snprintf(uri_param, sizeof uri_param, "REQUEST_URI=%s", uri);
	(void)snprintf(prefix_param, sizeof prefix_param, "SPOOLGATE_PREFIX=%s", prefix);
	envp[0] = "REQUEST_METHOD=GET";
	envp[1] = uri_param;
	envp[2] = prefix_param;
	envp[3] = NULL;
	return request_parse(envp, ret);
}

static void
test_path_is_split_and_decoded_below_the_prefix(void **state)
{
	struct request r;

	(void)state;
	assert_int_equal(parse("/stable/status/a%20b%C3%A9?x=%2F&y", "/stable", &r), 0);
	assert_true(r.below_prefix);
	assert_int_equal(r.n_segments, 2);
	assert_string_equal(r.segments[0].text, "status");
	assert_string_equal(r.segments[1].text, "a b\xc3\xa9");
	assert_false(r.segments[1].has_slash);
	assert_string_equal(r.query, "x=%2F&y");
	assert_false(r.trailing_slash);
	request_done(&r);
	assert_int_equal(parse("/%73table/status/", "/stable", &r), 0);
	assert_true(r.below_prefix);
	assert_int_equal(r.n_segments, 1);
	assert_true(r.trailing_slash);
	request_done(&r);
	assert_int_equal(parse("/other/status", "/stable", &r), 0);
	assert_false(r.below_prefix);
	request_done(&r);
	assert_int_equal(parse("/stable%2Fstatus", "/stable", &r), 0);
	assert_false(r.below_prefix);
	request_done(&r);
	assert_int_equal(parse("/", "", &r), 0);
	assert_int_equal(r.n_segments, 0);
	request_done(&r);
	assert_int_equal(parse("/a/b", "/a/b", &r), 0);
	assert_true(r.below_prefix);
	assert_int_equal(r.n_segments, 0);
	request_done(&r);
}

static void
test_an_escaped_slash_separates_nothing(void **state)
{
	struct request r;

	(void)state;
	assert_int_equal(parse("/status/a%2Fb", "", &r), 0);
	assert_int_equal(r.n_segments, 2);
	assert_true(r.segments[1].has_slash);
	request_done(&r);
}

static void
test_broken_paths_are_refused(void **state)
{
	static const char *const bad[] = { "/a%0", "/a%zz", "/a%00b", "*", "", "a/b", "/a\tb\x01" };
	struct request r;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(parse(bad[i], "", &r), 400);
		request_done(&r);
	}
}

static void
test_bounds_hold(void **state)
{
	static char uri[16000], long_param[16000];
	static const char *many[REQUEST_PARAMS_MAX + 4];
	struct request r;
	size_t n = 0;

	(void)state;
	memset(uri, 'a', REQUEST_URI_MAX + 1);
	uri[0] = '/';
	assert_int_equal(parse(uri, "", &r), 414);
	request_done(&r);
	uri[REQUEST_URI_MAX] = '\0';
	assert_int_equal(parse(uri, "", &r), 0);
	request_done(&r);
	for (size_t i = 0; i <= REQUEST_SEGMENTS_MAX; i++) {
		uri[n++] = '/';
		uri[n++] = 'a';
	}
	uri[n] = '\0';
	assert_int_equal(parse(uri, "", &r), 414);
	request_done(&r);
	uri[n - 2] = '\0';
	assert_int_equal(parse(uri, "", &r), 0);
	request_done(&r);
	for (n = 0; n <= REQUEST_PARAMS_MAX; n++)
		many[n] = "HTTP_X=1";
	assert_int_equal(request_parse(many, &r), 431);
	request_done(&r);
	memset(long_param, 'x', REQUEST_VALUE_MAX + 100);
	memcpy(long_param, "CONTENT_TYPE=", 13);
	many[0] = "REQUEST_METHOD=POST";
	many[1] = "REQUEST_URI=/a";
	many[2] = long_param;
	many[3] = NULL;
	assert_int_equal(request_parse(many, &r), 431);
	assert_string_equal(r.content_type, "");
	request_done(&r);
	many[0] = NULL;
	assert_int_equal(request_parse(many, &r), 400);
	request_done(&r);
	assert_int_equal(request_parse(NULL, &r), 400);
	request_done(&r);
}

static void
test_lengths_and_ids_are_checked(void **state)
{
	static const struct {
		const char *text;
		int status;
		int64_t length;
	} cases[] = {
		{ "CONTENT_LENGTH=", 0, -1 }, { "CONTENT_LENGTH=0", 0, 0 }, { "CONTENT_LENGTH=12", 0, 12 },
		{ "CONTENT_LENGTH=-1", 400, -1 }, { "CONTENT_LENGTH=+1", 400, -1 }, { "CONTENT_LENGTH=1x", 400, -1 },
		{ "CONTENT_LENGTH=99999999999999999999", 400, -1 },
	};
	struct request r;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *envp[] = { "REQUEST_METHOD=POST", "REQUEST_URI=/a", cases[i].text, NULL };

		assert_int_equal(request_parse(envp, &r), cases[i].status);
		assert_int_equal(r.content_length, cases[i].length);
		assert_int_equal(strlen(r.id), 32);
		request_done(&r);
	}
	{
		const char *envp[] = { "REQUEST_METHOD=POST", "REQUEST_URI=/a",
			"SPOOLGATE_REQUEST_ID=00112233445566778899aabbccddeeff", NULL };

		assert_int_equal(request_parse(envp, &r), 0);
		assert_string_equal(r.id, "00112233445566778899aabbccddeeff");
		request_done(&r);
	}
}

static void
test_query_members_are_decoded(void **state)
{
	struct request r;
	char *text = NULL;

	(void)state;
	assert_int_equal(parse("/a?x=1&na%6de=a+b%2B&empty&bad=%zz", "", &r), 0);
	assert_int_equal(request_query(&r, "name", &text), 0);
	assert_string_equal(text, "a b+");
	free(text);
	assert_int_equal(request_query(&r, "empty", &text), 0);
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(request_query(&r, "bad", &text), -EINVAL);
	assert_int_equal(request_query(&r, "nam", &text), -ENOENT);
	request_done(&r);
}

static void
test_json_media_types(void **state)
{
	static const char *const good[] = { "application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json",
		"application/json;a=b", " application/json" };
	static const char *const bad[] = { "", "text/plain", "application/jsonx", "application/+json", "application/", "json",
		"application/json-seq", "text/json" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_true(media_type_is_json(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(media_type_is_json(bad[i]));
}

static void
test_addresses_become_owners(void **state)
{
	static const char *const cases[][2] = {
		{ "192.0.2.7", "192.0.2.7" }, { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" }, { "::1", "::/64" },
		{ "::ffff:192.0.2.7", "192.0.2.7" }, { "unix:", "unknown" }, { "", "unknown" },
	};
	char name[ADDRESS_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		address_name(cases[i][0], name);
		assert_string_equal(name, cases[i][1]);
	}
}

static int
handle_a(struct exchange *x)
{
	(void)x;
	return 0;
}

static int
handle_b(struct exchange *x)
{
	(void)x;
	return 0;
}

static const struct route routes[] = {
	{ "/", "GET", { { METHOD_GET, handle_a } } },
	{ "/task", "POST", { { METHOD_POST, handle_a } } },
	{ "/task/{}", "GET, HEAD, DELETE", { { METHOD_GET | METHOD_HEAD, handle_a }, { METHOD_DELETE, handle_b } } },
	{ "/task/{}/file/{}", "GET", { { METHOD_GET, handle_b } } },
};
static const struct service strict = { .name = "strict", .routes = routes, .n_routes = 4 };
static const struct service lenient = { .name = "lenient", .routes = routes, .n_routes = 4, .slash_too = true };

static const struct route *
match(const struct service *s, const char *uri, const char *args[ROUTE_ARGS_MAX], size_t *n)
{
	static struct request r;

	request_done(&r);
	assert_int_equal(parse(uri, "", &r), 0);
	return router_match(s, &r, args, n);
}

static void
test_routes_match_whole_paths(void **state)
{
	const char *args[ROUTE_ARGS_MAX];
	size_t n = 99;

	(void)state;
	assert_ptr_equal(match(&strict, "/", args, &n), &routes[0]);
	assert_int_equal(n, 0);
	assert_ptr_equal(match(&strict, "/task", args, &n), &routes[1]);
	assert_ptr_equal(match(&strict, "/task/x%20y", args, &n), &routes[2]);
	assert_int_equal(n, 1);
	assert_string_equal(args[0], "x y");
	assert_ptr_equal(match(&strict, "/task/a/file/b", args, &n), &routes[3]);
	assert_int_equal(n, 2);
	assert_string_equal(args[1], "b");
	assert_null(match(&strict, "/tas", args, &n));
	assert_null(match(&strict, "/tasks", args, &n));
	assert_null(match(&strict, "/task/", args, &n));
	assert_null(match(&strict, "/task/a/", args, &n));
	assert_null(match(&strict, "/task/a%2Fb", args, &n));
	assert_null(match(&strict, "//task", args, &n));
	assert_null(match(&strict, "/task//file/b", args, &n));
	assert_null(match(&strict, "/task/a/file", args, &n));
	assert_ptr_equal(match(&lenient, "/task/", args, &n), &routes[1]);
	assert_ptr_equal(match(&lenient, "/task/a/", args, &n), &routes[2]);
	assert_null(match(&lenient, "/task//", args, &n));
	assert_null(match(&strict, "/x", args, &n));
}

static void
test_routes_choose_handlers_by_method(void **state)
{
	(void)state;
	assert_ptr_equal(router_handler(&routes[2], METHOD_HEAD), handle_a);
	assert_ptr_equal(router_handler(&routes[2], METHOD_DELETE), handle_b);
	assert_null(router_handler(&routes[2], METHOD_POST));
	assert_null(router_handler(&routes[2], METHOD_OTHER));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_is_split_and_decoded_below_the_prefix),
		cmocka_unit_test(test_an_escaped_slash_separates_nothing),
		cmocka_unit_test(test_broken_paths_are_refused),
		cmocka_unit_test(test_bounds_hold),
		cmocka_unit_test(test_lengths_and_ids_are_checked),
		cmocka_unit_test(test_query_members_are_decoded),
		cmocka_unit_test(test_json_media_types),
		cmocka_unit_test(test_addresses_become_owners),
		cmocka_unit_test(test_routes_match_whole_paths),
		cmocka_unit_test(test_routes_choose_handlers_by_method),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
