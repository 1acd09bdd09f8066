/* What a tool sees and reaches inside the jail, and what is said when there is none. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "unit.h"

#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "run/bwrap.h"
#include "run_case.h"

static void
run_script(const char *script, struct run_case *c, struct job_result *ret)
{
	run_case_init(c, JAIL_BWRAP, script);
	run_case_run(c, ret);
}

static void
assert_log(const struct run_case *c, const char *expected)
{
	scoped(free_ptr) char *text = run_case_text(c, "log");

	assert_string_equal(text, expected);
}

static void
set_text(char **member, const char *text)
{
	free(*member);
	assert_non_null(*member = strdup(text));
}

static void
add_folder(struct run_case *c, const char *path)
{
	free(c->plan->folders[0]);
	free(c->plan->folders);
	assert_non_null(c->plan->folders = calloc(2, sizeof *c->plan->folders));
	assert_non_null(c->plan->folders[0] = strdup(path));
}

static void
assert_refused(struct run_case *c, const char *part)
{
	struct job_result res = { 0 };

	run_case_run(c, &res);
	assert_int_equal(res.verdict, VERDICT_REFUSED);
	assert_int_equal(res.started_usec, 0);
	if (!strstr(res.message, part))
		fail_msg("the message does not say %s: %s", part, res.message);
	assert_log(c, "");
	run_case_done(c);
}

static void
test_refused_when_bubblewrap_fails(void **state)
{
	struct run_case c;

	(void)state;
	run_case_init(&c, JAIL_BWRAP, "echo begun");
	set_text(&c.plan->bwrap, "/bin/false");
	assert_refused(&c, "the jail could not be set up");
	run_case_init(&c, JAIL_BWRAP, "echo begun");
	set_text(&c.plan->bwrap, "/nowhere/bwrap");
	assert_refused(&c, "cannot start the jail: No such file");
	run_case_init(&c, JAIL_BWRAP, "echo begun");
	set_text(&c.plan->init, "/nowhere/init");
	assert_refused(&c, "/nowhere/init");
}

static void
test_refused_when_a_folder_is_missing_or_bad(void **state)
{
	static const char *const bad[] = { "/", "//", "relative", "/opt/../etc" };
	struct run_case c;

	(void)state;
	run_case_init(&c, JAIL_BWRAP, "echo begun");
	add_folder(&c, "/nowhere/folder");
	assert_refused(&c, "/nowhere/folder");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		run_case_init(&c, JAIL_BWRAP, "echo begun");
		add_folder(&c, bad[i]);
		assert_refused(&c, "cannot start the jail");
	}
}

/* An account whose init is some other program, or a jail that shows another folder as /job. */
static void
test_refused_when_init_is_another_program(void **state)
{
	struct run_case c;

	(void)state;
	run_case_init(&c, JAIL_BWRAP, "echo begun");
	set_text(&c.plan->init, "/bin/true");
	assert_refused(&c, "the jail could not be set up");
}

static void
test_nothing_but_job_and_tmp_can_be_written(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_script("for d in / /usr /etc /run /dev /proc /proc/sys/kernel /dev/pts /tmp /dev/shm /job; do\n"
	    "(: > $d/x) 2>/dev/null && echo $d; done", &c, &res);
	assert_int_equal(res.verdict, VERDICT_PASSED);
	assert_log(&c, "/tmp\n/dev/shm\n/job\n");
	run_case_done(&c);
}

static void
test_tool_sees_no_other_process_and_no_network(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_script("for p in /proc/[0-9]*; do echo ${p#/proc/}; done; tail -n +3 /proc/net/dev | cut -d: -f1; "
	    "readlink /proc/1/fd/3 2>/dev/null; cat /proc/1/environ 2>/dev/null | wc -c; uname -n", &c, &res);
	assert_log(&c, "1\n2\n    lo\n0\nspoolgate\n");
	run_case_done(&c);
}

static void
test_tool_has_no_capability_and_makes_no_user_namespace(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_script("grep -c '^Cap.*:\t0000000000000000$' /proc/self/status; grep NoNewPrivs /proc/self/status; "
	    "unshare -U true 2>/dev/null && echo namespace; umask; true", &c, &res);
	assert_log(&c, "5\nNoNewPrivs:\t1\n0027\n");
	run_case_done(&c);
}

static void
test_folders_are_read_only_at_their_own_place(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };
	struct temp_dir *dir = *state;
	scoped(strbuf_done) struct strbuf script = STRBUF_INIT(4096);

	strbuf_addf(&script, "ls %s; (: > %s/y) 2>/dev/null && echo written; true", dir->path, dir->path);
	assert_return_code(mkdirat(dir->fd, "x", 0755), errno);
	run_case_init(&c, JAIL_BWRAP, strbuf_str(&script));
	add_folder(&c, dir->path);	/* beneath /tmp, which is a private one: the folder shows all the same */
	run_case_run(&c, &res);
	assert_int_equal(res.verdict, VERDICT_PASSED);
	assert_log(&c, "x\n");
	run_case_done(&c);
}

static void
test_process_limit(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, JAIL_BWRAP, "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done 2>/dev/null; echo all");
	c.plan->limits.processes = 4;
	run_case_become_nobody(&c);
	run_case_run(&c, &res);
	assert_int_equal(res.verdict, VERDICT_FAILED);
	assert_log(&c, "");
	run_case_done(&c);
}

/* The kernel is to choose the tool when memory runs out; init, whose files of /proc nobody may open, does not keep it from that. */
static void
test_tool_is_offered_to_the_oom_killer(void **state)
{
	static const enum jail_kind kinds[] = { JAIL_BWRAP, JAIL_NONE };
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		run_case_init(&c, kinds[i], "read -r adj < /proc/self/oom_score_adj; test $adj -ge 500 && echo offered");
		run_case_become_nobody(&c);
		run_case_run(&c, &res);
		assert_log(&c, "offered\n");
		run_case_done(&c);
	}
}

static void
test_tmp_is_within_the_memory_limit(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, JAIL_BWRAP, "head -c 9000000 /dev/zero > /tmp/x 2>/dev/null; stat -c %s /tmp/x; rm /tmp/x; "
	    "head -c 9000000 /dev/zero > /dev/shm/x 2>/dev/null; stat -c %s /dev/shm/x");
	c.plan->limits.memory_bytes = 16 * 1024 * 1024;
	run_case_run(&c, &res);
	assert_log(&c, "8388608\n8388608\n");
	run_case_done(&c);
}

static void
test_options_hold_the_environment_and_refuse_a_broken_one(void **state)
{
	scoped(free_plan) struct plan *plan = plan_new();
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(64 * 1024);
	char good[] = "NAME=a=b", bad[] = "NAME", *env[] = { good, NULL }, init[] = "/i";
	static const char expected[] = "--setenv\0NAME\0a=b";

	(void)state;
	assert_non_null(plan);
	plan->env = env;
	plan->init = init;
	assert_return_code(bwrap_options(plan, "/spool/work", &s), 0);
	assert_non_null(memmem(s.buf, s.len, expected, sizeof expected));
	strbuf_reset(&s);
	env[0] = bad;
	assert_int_equal(bwrap_options(plan, "/spool/work", &s), -EINVAL);
	plan->env = NULL;
	plan->init = NULL;
}

static void
test_options_give_the_network_and_links_only_where_asked(void **state)
{
	scoped(free_plan) struct plan *plan = plan_new();
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(64 * 1024);
	char good[] = "data /opt/a b", system[] = "x /usr/share", no_path[] = "data", up[] = "data /a/../b", root[] = "data /";
	char init[] = "/i", *links[] = { good, system, NULL };
	static const char share[] = "--share-net", bound[] = "--ro-bind\0/opt/a b\0/opt/a b", usr[] = "/usr/share", hosts[] = "/etc/hosts";

	(void)state;
	assert_non_null(plan);
	plan->init = init;
	assert_return_code(bwrap_options(plan, "/spool/work", &s), 0);
	assert_null(memmem(s.buf, s.len, share, sizeof share));
	assert_null(memmem(s.buf, s.len, hosts, sizeof hosts));
	strbuf_reset(&s);
	plan->network = true;
	plan->links = links;
	assert_return_code(bwrap_options(plan, "/spool/work", &s), 0);
	assert_non_null(memmem(s.buf, s.len, share, sizeof share));
	assert_non_null(memmem(s.buf, s.len, hosts, sizeof hosts));
	assert_non_null(memmem(s.buf, s.len, bound, sizeof bound));
	assert_null(memmem(s.buf, s.len, usr, sizeof usr));	/* it can be seen anyway */
	for (size_t i = 0; i < 3; i++) {
		links[0] = i == 0 ? no_path : i == 1 ? up : root;
		strbuf_reset(&s);
		assert_int_equal(bwrap_options(plan, "/spool/work", &s), -EINVAL);
	}
	plan->links = NULL;
	plan->init = NULL;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_when_bubblewrap_fails),
		cmocka_unit_test(test_refused_when_a_folder_is_missing_or_bad),
		cmocka_unit_test(test_refused_when_init_is_another_program),
		cmocka_unit_test(test_nothing_but_job_and_tmp_can_be_written),
		cmocka_unit_test(test_tool_sees_no_other_process_and_no_network),
		cmocka_unit_test(test_tool_has_no_capability_and_makes_no_user_namespace),
		TEMP_DIR_TEST(test_folders_are_read_only_at_their_own_place),
		cmocka_unit_test(test_process_limit),
		cmocka_unit_test(test_tool_is_offered_to_the_oom_killer),
		cmocka_unit_test(test_tmp_is_within_the_memory_limit),
		cmocka_unit_test(test_options_hold_the_environment_and_refuse_a_broken_one),
		cmocka_unit_test(test_options_give_the_network_and_links_only_where_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
