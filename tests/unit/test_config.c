/* test_config.c - spoolgate.conf: every fault with its file and line, all of them at once, and what is read where there is none. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#include "config_help.h"

struct loaded {
	char path[600];
	struct config *config;
	struct faults faults;
};

static void
done_loaded(struct loaded *l)
{
	l->config = config_free(l->config);
	faults_done(&l->faults);
}

static void
load_bytes(void **state, const void *data, size_t len, struct loaded *ret)
{
	const struct temp_dir *dir = *state;

	put_file_bytes(dir, "spoolgate.conf", data, len);
	memset(ret, 0, sizeof *ret);
	(void)snprintf(ret->path, sizeof ret->path, "%s/spoolgate.conf", dir->path);
	assert_int_equal(config_load(ret->path, &ret->faults, &ret->config), 0);
	assert_non_null(ret->config);
}

static void
load(void **state, const char *text, struct loaded *ret)
{
	load_bytes(state, text, strlen(text), ret);
}

/* The file has exactly this one fault. */
static void
assert_fault(void **state, const char *text, const char *fault)
{
	struct loaded l;
	const char *const wanted[] = { fault, NULL };

	load(state, text, &l);
	assert_faults(&l.faults, l.path, wanted);
	done_loaded(&l);
}

static void
test_an_empty_file_means_the_defaults(void **state)
{
	struct loaded l;

	load(state, "", &l);
	assert_faults(&l.faults, l.path, NO_FAULTS);
	assert_string_equal(config_string(l.config, "spool", "path"), LOCALSTATEDIR "/lib/spoolgate/spool");
	assert_string_equal(config_string(l.config, "helper", "bwrap"), BWRAP_PATH);
	assert_null(config_string(l.config, "helper", "gate_user"));
	assert_int_equal(config_number(l.config, "spool", "redo_bytes"), 32 << 20);
	assert_int_equal(config_number(l.config, "helper", "queue_max"), 1000);
	assert_int_equal(config_number(l.config, "gate", "drain"), 30 * 1000000);
	assert_true(config_bool(l.config, "stableconfigs", "enabled"));
	assert_string_equal(config_string(l.config, "stableconfigs", "status_words"), "documented");
	assert_false(config_is_set(l.config, "helper", "queue_max"));
	done_loaded(&l);
}

static void
test_values_of_every_type_are_read(void **state)
{
	struct loaded l;

	load(state, "\xef\xbb\xbf; a comment, behind a byte order mark\n"
	    "[spool]\npath = /srv/spool dir\nredo_bytes = 64M\ndisk_reserve=0\n"
	    "# another\n\n[helper]\r\nslots = 12\r\nqueue_max: 7   ; said beside it\n[stableconfigs]\nenabled = off\n"
	    "status_words = deployed\n[gate]\ndrain = 1500ms", &l);
	assert_faults(&l.faults, l.path, NO_FAULTS);
	assert_string_equal(config_string(l.config, "spool", "path"), "/srv/spool dir");
	assert_int_equal(config_number(l.config, "spool", "redo_bytes"), 64 << 20);
	assert_int_equal(config_number(l.config, "spool", "disk_reserve"), 0);
	assert_true(config_is_set(l.config, "spool", "disk_reserve"));
	assert_int_equal(config_number(l.config, "helper", "slots"), 12);
	assert_int_equal(config_number(l.config, "helper", "queue_max"), 7);
	assert_false(config_bool(l.config, "stableconfigs", "enabled"));
	assert_string_equal(config_string(l.config, "stableconfigs", "status_words"), "deployed");
	assert_int_equal(config_number(l.config, "gate", "drain"), 1500 * 1000);
	done_loaded(&l);
}

static void
test_all_faults_are_told_at_once_with_their_lines(void **state)
{
	struct loaded l;
	static const char *const wanted[] = {
		":1: \"early\" stands before the first [section]",
		":3: [spool] has no key \"pfad\"",
		":4: path must be an absolute path",
		":5: neither a [section], a \"key = value\" nor a comment",
		":7: there is no section [nowhere]",
		":10: slots: \"many\" is no number",
		":11: queue_max must lie between 1 and 1000000",
		":13: enabled must be yes or no",
		":14: status_words must be one of documented|deployed",
		":15: body_max: \"4X\" is no size (such as 16M)",
		":17: drain: \"soon\" is no time (such as 90s)",
		":18: a [section] without its ]",
		":19: neither a [section], a \"key = value\" nor a comment",
		NULL
	};

	load(state, "early = 1\n[spool]\npfad = x\npath = relative\nnonsense\n; a comment\n[nowhere]\nkey = value\n[helper]\n"
	    "slots = many\nqueue_max = 0\n[stableconfigs]\nenabled = perhaps\nstatus_words = doc\nbody_max = 4X\n[gate]\n"
	    "drain = soon\n[half\nagain nonsense\n", &l);
	assert_faults(&l.faults, l.path, wanted);
	done_loaded(&l);
}

static void
test_a_key_set_twice_is_a_fault_at_the_second_line(void **state)
{
	assert_fault(state, "[helper]\nslots = 1\n[spool]\n[helper]\nslots = 1\n", ":5: slots stands here a second time");
}

static void
test_a_value_that_goes_on_is_a_fault(void **state)
{
	assert_fault(state, "[spool]\npath = /a\n\t/b\n", ":3: path stands here a second time");
}

static void
test_a_long_line_is_a_fault_and_never_cut(void **state)
{
	char text[512];
	struct loaded l;
	const char *const wanted[] = { ":2: the line is longer than 198 bytes", NULL };

	(void)snprintf(text, sizeof text, "[spool]\npath = /%0*d\n", 198 - 8, 0);
	load(state, text, &l);
	assert_faults(&l.faults, l.path, NO_FAULTS);
	assert_int_equal(strlen(config_string(l.config, "spool", "path")), 198 - 7);
	done_loaded(&l);
	(void)snprintf(text, sizeof text, "[spool]\npath = /%0*d\nredo_bytes = 8M\n", 199 - 8, 0);
	load(state, text, &l);
	assert_faults(&l.faults, l.path, wanted);
	assert_int_equal(config_number(l.config, "spool", "redo_bytes"), 8 << 20);	/* it goes on behind it */
	assert_string_equal(config_string(l.config, "spool", "path"), LOCALSTATEDIR "/lib/spoolgate/spool");
	done_loaded(&l);
}

static void
test_a_very_long_line_does_not_become_several(void **state)
{
	size_t len = 100000;
	char *text = malloc(len + 1);
	struct loaded l;
	const char *const wanted[] = { ":2: the line is longer than 198 bytes", NULL };

	assert_non_null(text);
	memset(text, 'x', len);
	memcpy(text, "[helper]\n", 9);
	for (size_t i = 100; i + 20 < len; i += 150)
		memcpy(text + i, " slots = 3", 10);
	load_bytes(state, text, len, &l);
	assert_faults(&l.faults, l.path, wanted);
	assert_false(config_is_set(l.config, "helper", "slots"));
	done_loaded(&l);
	free(text);
}

static void
test_a_nul_byte_is_a_fault(void **state)
{
	static const char text[] = "[helper]\nslots = 3\0 and more\nqueue_max = 5\n";
	const char *const wanted[] = { ":2: the line has a NUL byte", NULL };
	struct loaded l;

	load_bytes(state, text, sizeof text - 1, &l);
	assert_faults(&l.faults, l.path, wanted);
	assert_int_equal(config_number(l.config, "helper", "queue_max"), 5);
	done_loaded(&l);
}

static void
test_bytes_that_are_no_utf8_are_a_fault(void **state)
{
	assert_fault(state, "[spool]\npath = /sp\xfc" "le\n", ":2: the line is not UTF-8");
}

static void
test_a_long_section_name_is_a_fault(void **state)
{
	char text[200];

	(void)snprintf(text, sizeof text, "[%050d]\nkey = 1\n", 0);
	assert_fault(state, text, ":1: the section's name is longer than 49 bytes");
}

static void
test_numbers_keep_within_their_range(void **state)
{
	assert_fault(state, "[helper]\nslots = 1025\n", ":2: slots must lie between 0 and 1024");
	assert_fault(state, "[helper]\nslots = -1\n", ":2: slots: \"-1\" is no number");
	assert_fault(state, "[helper]\nslots = 99999999999999999999\n", ":2: slots: \"99999999999999999999\" is no number");
	assert_fault(state, "[helper]\nslots = 1.5\n", ":2: slots: \"1.5\" is no number");
	assert_fault(state, "[helper]\nslots =\n", ":2: slots: \"\" is no number");
	assert_fault(state, "[spool]\nredo_bytes = 4095K\n", ":2: redo_bytes must lie between 4194304 and 1073741824");
	assert_fault(state, "[spool]\ndisk_reserve = 16777216T\n", ":2: disk_reserve: \"16777216T\" is no size (such as 16M)");
	assert_fault(state, "[spool]\ndisk_reserve = 16777215T\n",
	    ":2: disk_reserve must lie between 0 and 1152921504606846976");
}

static void
test_sizes_and_times_are_parsed(void **state)
{
	static const struct { const char *text; int r; uint64_t bytes; } sizes[] = {
		{ "0", 0, 0 }, { "1", 0, 1 }, { "3K", 0, 3072 }, { "16M", 0, 16 << 20 }, { "2G", 0, 2ULL << 30 },
		{ "1T", 0, 1ULL << 40 }, { "18446744073709551615", 0, UINT64_MAX }, { "18446744073709551616", -ERANGE, 0 },
		{ "16777216T", -ERANGE, 0 }, { "", -EINVAL, 0 }, { "M", -EINVAL, 0 }, { "1 M", -EINVAL, 0 }, { "1m", -EINVAL, 0 },
		{ "1MB", -EINVAL, 0 }, { "-1", -EINVAL, 0 }, { "+1", -EINVAL, 0 }, { " 1", -EINVAL, 0 }, { "0x10", -EINVAL, 0 },
	};
	static const struct { const char *text; int r; uint64_t usec; } times[] = {
		{ "0", 0, 0 }, { "7", 0, 7000000 }, { "90s", 0, 90000000 }, { "500ms", 0, 500000 }, { "3us", 0, 3 },
		{ "5m", 0, 300000000 }, { "2h", 0, 7200000000ULL }, { "7d", 0, 604800000000ULL }, { "1w", -EINVAL, 0 },
		{ "1.5s", -EINVAL, 0 }, { "s", -EINVAL, 0 }, { "", -EINVAL, 0 }, { "300000000d", -ERANGE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint64_t n = 0;

		assert_int_equal(size_parse(sizes[i].text, &n), sizes[i].r);
		if (sizes[i].r == 0)
			assert_int_equal(n, sizes[i].bytes);
	}
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		uint64_t n = 0;

		assert_int_equal(time_parse(times[i].text, &n), times[i].r);
		if (times[i].r == 0)
			assert_int_equal(n, times[i].usec);
	}
}

static void
test_a_choice_is_taken_whole(void **state)
{
	static const char *const wrong[] = { "", "deploy", "eployed", "documented|deployed", "|", "Deployed" };
	char text[200];

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		(void)snprintf(text, sizeof text, "[stableconfigs]\nstatus_words = %s\n", wrong[i]);
		assert_fault(state, text, ":2: status_words must be one of documented|deployed");
	}
}

static void
test_a_file_that_cannot_be_read_is_a_fault_of_the_whole(void **state)
{
	const struct temp_dir *dir = *state;
	struct loaded l = { .config = NULL };
	const char *const missing[] = { ": No such file or directory", NULL };
	const char *const folder[] = { ": not a regular file", NULL };

	(void)snprintf(l.path, sizeof l.path, "%s/none.conf", dir->path);
	assert_int_equal(config_load(l.path, &l.faults, &l.config), 0);
	assert_faults(&l.faults, l.path, missing);
	assert_non_null(l.config);	/* defaults */
	done_loaded(&l);
	assert_int_equal(mkdirat(dir->fd, "none.conf", 0700), 0);
	assert_int_equal(config_load(l.path, &l.faults, &l.config), 0);
	assert_faults(&l.faults, l.path, folder);
	done_loaded(&l);
	assert_int_equal(unlinkat(dir->fd, "none.conf", AT_REMOVEDIR), 0);
	assert_int_equal(mkfifoat(dir->fd, "none.conf", 0700), 0);	/* must not wait for a writer */
	assert_int_equal(config_load(l.path, &l.faults, &l.config), 0);
	assert_faults(&l.faults, l.path, folder);
	done_loaded(&l);
}

static void
test_accounts_become_numbers(void **state)
{
	struct loaded l;
	struct accounts a;
	const struct passwd *daemon = getpwnam("daemon");
	const struct group *mail = getgrnam("mail");
	const uid_t daemon_uid = daemon ? daemon->pw_uid : 0;	/* before the next look-up takes its place */
	const gid_t mail_gid = mail ? mail->gr_gid : 0;

	if (!daemon || !mail) {
		print_message("cannot: no account daemon, no group mail\n");
		skip();
	}
	load(state, "[helper]\ngate_user = daemon\nadmin_user = root\n[spool]\nread_group = mail\n", &l);
	assert_faults(&l.faults, l.path, NO_FAULTS);
	assert_int_equal(config_accounts(l.config, &l.faults, &a), 0);
	assert_int_equal(a.own_uid, geteuid());
	assert_int_equal(a.gate_uid, daemon_uid);
	assert_int_equal(a.admin_uid, 0);
	assert_int_equal(a.read_gid, mail_gid);
	assert_int_equal(a.gate_gid, (gid_t)-1);
	assert_int_equal(a.shared, geteuid() == daemon_uid);
	done_loaded(&l);
}

static void
test_unset_accounts_are_the_callers_own(void **state)
{
	struct loaded l;
	struct accounts a;

	load(state, "", &l);
	assert_int_equal(config_accounts(l.config, &l.faults, &a), 0);
	assert_true(a.shared);
	assert_int_equal(a.gate_uid, geteuid());
	assert_int_equal(a.admin_uid, geteuid());
	assert_int_equal(a.read_gid, (gid_t)-1);
	done_loaded(&l);
}

static void
test_every_unknown_account_is_a_fault(void **state)
{
	struct loaded l;
	struct accounts a = { .own_uid = 42 };
	static const char *const wanted[] = {
		"[helper] gate_user: there is no account \"no-such-account\"",
		"[helper] admin_user: there is no account \"nor-this\"",
		"[spool] gate_group: there is no group \"no-such-group\"", NULL
	};

	load(state, "[helper]\ngate_user = no-such-account\nadmin_user = nor-this\n[spool]\ngate_group = no-such-group\n", &l);
	assert_faults(&l.faults, l.path, NO_FAULTS);
	assert_int_equal(config_accounts(l.config, &l.faults, &a), -EINVAL);
	assert_faults(&l.faults, "", wanted);
	assert_int_equal(a.own_uid, 42);
	done_loaded(&l);
}

static void
test_faults_are_bounded(void **state)
{
	size_t len = 0, cap = 40000;
	char *text = malloc(cap);
	struct loaded l;

	assert_non_null(text);
	while (len + 2 < cap) {
		memcpy(text + len, "x\n", 2);
		len += 2;
	}
	load_bytes(state, text, len, &l);
	assert_int_equal(l.faults.n, 1000);
	done_loaded(&l);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEMP_DIR_TEST(test_an_empty_file_means_the_defaults),
		TEMP_DIR_TEST(test_values_of_every_type_are_read),
		TEMP_DIR_TEST(test_all_faults_are_told_at_once_with_their_lines),
		TEMP_DIR_TEST(test_a_key_set_twice_is_a_fault_at_the_second_line),
		TEMP_DIR_TEST(test_a_value_that_goes_on_is_a_fault),
		TEMP_DIR_TEST(test_a_long_line_is_a_fault_and_never_cut),
		TEMP_DIR_TEST(test_a_very_long_line_does_not_become_several),
		TEMP_DIR_TEST(test_a_nul_byte_is_a_fault),
		TEMP_DIR_TEST(test_bytes_that_are_no_utf8_are_a_fault),
		TEMP_DIR_TEST(test_a_long_section_name_is_a_fault),
		TEMP_DIR_TEST(test_numbers_keep_within_their_range),
		cmocka_unit_test(test_sizes_and_times_are_parsed),
		TEMP_DIR_TEST(test_a_choice_is_taken_whole),
		TEMP_DIR_TEST(test_a_file_that_cannot_be_read_is_a_fault_of_the_whole),
		TEMP_DIR_TEST(test_accounts_become_numbers),
		TEMP_DIR_TEST(test_unset_accounts_are_the_callers_own),
		TEMP_DIR_TEST(test_every_unknown_account_is_a_fault),
		TEMP_DIR_TEST(test_faults_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
