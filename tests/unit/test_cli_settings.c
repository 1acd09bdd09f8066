#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "basic/scoped.h"
#include "cli/settings.h"
#include "unit.h"

/* A file of the test's folder; its path is static until the next call. */
static const char *
make_file(const struct temp_dir *dir, const char *name, const char *text, mode_t mode)
{
	static char path[700];
	int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	(void)close(fd);
	(void)snprintf(path, sizeof path, "%s/%s", dir->path, name);
	return path;
}

static int
clean(void **state)
{
	static const char *const names[] = { "SPOOLGATE_SERVER", "SPOOLGATE_TOKEN", "SPOOLGATE_TOKEN_FILE", "SPOOLGATE_CA",
		"HOME", "XDG_CONFIG_HOME" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_int_equal(unsetenv(names[i]), 0);
	return make_temp_dir(state);
}

static void
test_the_file_alone(void **state)
{
	scoped(faults_done) struct faults f = { NULL, 0 };
	scoped(settings_done) struct settings s = { 0 };
	const struct settings_options o = { .config = make_file(*state, "config",
	    "; mine\n[server]\nurl = https://a.example\nca = /ca.pem\ntoken = sgt_x\n", 0600) };

	assert_int_equal(settings_load(&o, &f, &s), 0);
	assert_string_equal(s.server, "https://a.example");
	assert_string_equal(s.ca, "/ca.pem");
	assert_string_equal(s.token, "sgt_x");
	assert_string_equal(s.token_server, "https://a.example");
}

static void
test_options_then_environment_then_file(void **state)
{
	scoped(faults_done) struct faults f = { NULL, 0 };
	scoped(settings_done) struct settings s = { 0 };
	scoped(free_ptr) char *config = strdup(make_file(*state, "config",
	    "[server]\nurl = https://file\nca = /file\ntoken = sgt_file\n", 0600));
	const struct settings_options o = { .config = config, .ca = "/option" };

	assert_int_equal(setenv("SPOOLGATE_SERVER", "https://environment", 1), 0);
	assert_int_equal(settings_load(&o, &f, &s), 0);
	assert_string_equal(s.server, "https://environment");
	assert_string_equal(s.ca, "/option");
	assert_string_equal(s.token, "sgt_file");
	assert_string_equal(s.token_server, "https://file");	/* so it is not for the other */
}

static void
test_a_token_file_without_a_server_beside_it_is_for_any(void **state)
{
	scoped(faults_done) struct faults f = { NULL, 0 };
	scoped(settings_done) struct settings s = { 0 };
	const struct settings_options o = { .token_file = make_file(*state, "token", " sgt_x \r\n", 0400) };

	assert_int_equal(setenv("SPOOLGATE_SERVER", "https://environment", 1), 0);
	assert_int_equal(settings_load(&o, &f, &s), 0);
	assert_string_equal(s.token, "sgt_x");
	assert_null(s.token_server);
}

static void
assert_fault(const struct settings_options *o, const char *part)
{
	scoped(faults_done) struct faults f = { NULL, 0 };
	struct settings s = { .server = NULL };
	bool found = false;

	assert_int_equal(settings_load(o, &f, &s), -EINVAL);
	assert_null(s.server);
	for (size_t i = 0; i < f.n; i++)
		found = found || strstr(f.texts[i], part);
	assert_true(found);
}

static void
test_what_others_can_read_is_refused(void **state)
{
	const struct settings_options token = { .server = "https://a", .token_file = make_file(*state, "token", "sgt_x\n", 0640) };

	assert_fault(&token, "nobody else can read");

	const struct settings_options config = { .config = make_file(*state, "config",
	    "[server]\nurl = https://a\ntoken = sgt_x\n", 0644) };

	assert_fault(&config, "others can read this file");
}

static void
test_a_file_without_a_token_may_be_open(void **state)
{
	scoped(faults_done) struct faults f = { NULL, 0 };
	scoped(settings_done) struct settings s = { 0 };
	const struct settings_options o = { .config = make_file(*state, "config", "[server]\nurl = https://a\n", 0644) };

	assert_int_equal(settings_load(&o, &f, &s), 0);
	assert_null(s.token);
}

static void
test_faults_of_the_file(void **state)
{
	static const struct { const char *text, *fault; } cases[] = {
		{ "[server]\nurl =\n", "has no value" }, { "[server]\nurl = a\n\tb\n", "twice" },
		{ "[servers]\nurl = a\n", "no section [servers]" },
		{ "url = a\n", "no section []" }, { "[server]\ntokens = a\n", "no key tokens" },
		{ "[server]\nurl = a\ntoken = x\ntoken-file = y\n", "both" }, { "[server]\nurl = a\ntoken = x y\n", "no token" },
		{ "[server]\n", "no server" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct settings_options o = { .config = make_file(*state, "config", cases[i].text, 0600) };

		assert_fault(&o, cases[i].fault);
	}
}

static void
test_a_named_file_has_to_be_there(void **state)
{
	const struct settings_options config = { .server = "https://a", .config = "/nonexistent/config" };
	const struct settings_options token = { .server = "https://a", .token_file = "/nonexistent/token" };

	(void)state;
	assert_fault(&config, "/nonexistent/config: No such file");
	assert_fault(&token, "/nonexistent/token: No such file");
}

#define CLEAN_TEST(fn) cmocka_unit_test_setup_teardown(fn, clean, drop_temp_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CLEAN_TEST(test_the_file_alone),
		CLEAN_TEST(test_options_then_environment_then_file),
		CLEAN_TEST(test_a_token_file_without_a_server_beside_it_is_for_any),
		CLEAN_TEST(test_what_others_can_read_is_refused),
		CLEAN_TEST(test_a_file_without_a_token_may_be_open),
		CLEAN_TEST(test_faults_of_the_file),
		CLEAN_TEST(test_a_named_file_has_to_be_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
