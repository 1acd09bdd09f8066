/* Whole attempts: spoolgate-run with a real tool, in the jail and without one. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "unit.h"

#include "basic/clock.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "run_case.h"

/* Each test runs with both kinds of jail. */
static enum jail_kind kind;

static void
run_script(const char *script, struct run_case *c, struct job_result *ret)
{
	run_case_init(c, kind, script);
	run_case_run(c, ret);
}

static mode_t
mode_of(const struct run_case *c, const char *path)
{
	struct stat st = { 0 };

	assert_return_code(fstatat(c->job_fd, path, &st, AT_SYMLINK_NOFOLLOW), errno);
	return st.st_mode & 07777;
}

static void
assert_text(const struct run_case *c, const char *path, const char *expected)
{
	scoped(free_ptr) char *text = run_case_text(c, path);

	assert_string_equal(text, expected);
}

static void
assert_contains(const struct run_case *c, const char *path, const char *part)
{
	scoped(free_ptr) char *text = run_case_text(c, path);

	if (!strstr(text, part))
		fail_msg("%s has no %s: %s", path, part, text);
}

static void
test_passed(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };
	struct job_run run = { 0 };
	uint64_t before = clock_wall();

	(void)state;
	run_case_init(&c, kind, "echo out; echo err >&2; mkdir d; cat in.txt > d/copy");
	run_case_input(&c, "in.txt", "hello\n");
	run_case_run(&c, &res);
	assert_int_equal(res.verdict, VERDICT_PASSED);
	assert_int_equal(res.exit_code, 0);
	assert_int_equal(res.signal, 0);
	assert_string_equal(res.message, "");
	assert_true(res.started_usec >= before && res.ended_usec >= res.started_usec && res.ended_usec <= clock_wall());
	assert_true(res.cpu_usec > 0 && res.peak_memory_bytes > 0);
	assert_int_equal(res.log_bytes, 8);
	assert_int_equal(res.output_files, 2);
	assert_int_equal(res.output_bytes, 12);
	assert_text(&c, "log", "out\nerr\n");
	assert_text(&c, "work/d/copy", "hello\n");
	assert_text(&c, "manifest",
	    "---------------------------------------------------------------- 0 2750 d/\n"
	    "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 6 0640 d/copy\n"
	    "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 6 0640 in.txt\n");
	assert_contains(&c, "receipt.json", "\"verdict\":\"passed\"");
	assert_contains(&c, "receipt.json", "\"name\":\"in.txt\"");
	assert_true(run_case_has(&c, "ended.json"));
	assert_false(run_case_has(&c, "result.new"));
	assert_int_equal(mode_of(&c, "log"), 0640);
	assert_int_equal(mode_of(&c, "work"), 02750);
	assert_int_equal(mode_of(&c, "work/d"), 02750);
	assert_int_equal(mode_of(&c, "work/d/copy"), 0640);
	assert_return_code(run_load(c.job_fd, &run), 0);
	assert_int_equal(run.attempt, 1);
	assert_true(run.init_pid > 0 && run.pid > 0 && run.init_pid != run.pid);
	assert_int_equal(process_open(run.init_pid, run.init_ticks), -ESRCH);
	run_case_done(&c);
}

static void
test_failed(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_script("exit 42", &c, &res);
	assert_int_equal(res.verdict, VERDICT_FAILED);
	assert_int_equal(res.exit_code, 42);
	run_case_done(&c);
}

static void
test_signalled(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_script("kill -SEGV $$", &c, &res);
	assert_int_equal(res.verdict, VERDICT_SIGNALLED);
	assert_int_equal(res.signal, SIGSEGV);
	assert_int_equal(res.exit_code, -1);
	run_case_done(&c);
}

static void
test_timeout(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "exec sleep 1000");
	c.plan->limits.wall_usec = 200 * USEC_PER_MSEC;
	run_case_run(&c, &res);
	assert_int_equal(res.verdict, VERDICT_TIMEOUT);
	assert_int_equal(res.signal, SIGKILL);
	assert_true(res.wall_usec >= 200 * USEC_PER_MSEC);
	run_case_done(&c);
}

static void
test_timeout_with_exit_in_its_grace(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "trap 'echo bye; exit 0' TERM; while :; do sleep 0.02; done");
	c.plan->limits.wall_usec = 100 * USEC_PER_MSEC;
	c.plan->kill_grace_usec = 20 * USEC_PER_SEC;
	run_case_run(&c, &res);
	assert_int_equal(res.verdict, VERDICT_TIMEOUT);
	assert_int_equal(res.exit_code, 0);
	assert_true(res.wall_usec < 20 * USEC_PER_SEC);
	assert_contains(&c, "log", "bye\n");
	run_case_done(&c);
}

static void
test_cpu_limit(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "while :; do :; done");
	c.plan->limits.cpu_usec = USEC_PER_SEC;
	run_case_run(&c, &res);
	assert_int_equal(res.verdict, VERDICT_TIMEOUT);
	assert_true(res.signal == SIGXCPU || res.signal == SIGKILL);	/* by the kernel, or by init, which counts the whole tree */
	assert_string_equal(res.message, "CPU time limit");
	run_case_done(&c);
}

/* A cgroup that cannot be made: approximate limits will do, or not. */
static void
test_strict_limits(void **state)
{
	(void)state;
	for (int strict = 0; strict <= 1; strict++) {
		struct run_case c;
		struct job_result res = { 0 };

		run_case_init(&c, kind, "echo ran");
		c.plan->cgroup = strdup("/sys/fs/cgroup/no-such");
		c.plan->strict = strict;
		assert_non_null(c.plan->cgroup);
		run_case_run(&c, &res);
		assert_int_equal(res.verdict, strict ? VERDICT_REFUSED : VERDICT_PASSED);
		assert_false(res.exact);
		if (strict)
			assert_non_null(strstr(res.message, "its cgroup cannot be made"));
		run_case_done(&c);
	}
}

static void
test_killed(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "echo begun; exec sleep 1000");
	run_case_start(&c);
	run_case_go(&c);
	run_case_wait_text(&c, "log", "begun");
	run_case_kill(&c, "client");
	(void)pidfd_signal(c.pidfd, SIGTERM);	/* twice is harmless */
	assert_int_equal(run_case_wait(&c), 0);
	assert_return_code(result_load(c.job_fd, &res), 0);
	assert_int_equal(res.verdict, VERDICT_KILLED);
	assert_string_equal(res.by, "client");
	assert_int_equal(res.signal, SIGKILL);
	run_case_done(&c);
}

static void
test_killed_with_exit_in_its_grace(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "trap 'echo bye; exit 0' TERM; echo begun; while :; do sleep 0.02; done");
	c.plan->kill_grace_usec = 20 * USEC_PER_SEC;
	run_case_start(&c);
	run_case_go(&c);
	run_case_wait_text(&c, "log", "begun");
	run_case_kill(&c, "owner");
	assert_int_equal(run_case_wait(&c), 0);
	assert_return_code(result_load(c.job_fd, &res), 0);
	assert_int_equal(res.verdict, VERDICT_KILLED);
	assert_string_equal(res.by, "owner");
	assert_int_equal(res.exit_code, 0);
	assert_contains(&c, "log", "bye\n");
	run_case_done(&c);
}

static void
test_killed_after_a_grace_it_ignores(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "trap '' TERM; echo begun; while :; do sleep 0.02; done");
	c.plan->kill_grace_usec = 200 * USEC_PER_MSEC;
	run_case_start(&c);
	run_case_go(&c);
	run_case_wait_text(&c, "log", "begun");
	run_case_kill(&c, "client");
	assert_int_equal(run_case_wait(&c), 0);
	assert_return_code(result_load(c.job_fd, &res), 0);
	assert_int_equal(res.verdict, VERDICT_KILLED);
	assert_int_equal(res.signal, SIGKILL);
	assert_true(res.wall_usec >= 200 * USEC_PER_MSEC);
	run_case_done(&c);
}

static void
test_killed_before_it_began(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "echo begun");
	run_case_start(&c);
	run_case_kill(&c, "client");
	assert_int_equal(run_case_wait(&c), 0);
	assert_return_code(result_load(c.job_fd, &res), 0);
	assert_int_equal(res.verdict, VERDICT_KILLED);
	assert_string_equal(res.by, "client");
	assert_int_equal(res.started_usec, 0);
	assert_int_equal(res.exit_code, -1);
	assert_text(&c, "log", "");
	assert_false(run_case_has(&c, "run.json"));
	run_case_done(&c);
}

static void
test_ends_without_a_trace_when_the_helper_goes_before_the_start(void **state)
{
	struct run_case c;
	int status = 0;

	(void)state;
	run_case_init(&c, kind, "echo begun");
	run_case_start(&c);
	close_fd(&c.control_fd);
	status = run_case_wait(&c);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_false(run_case_has(&c, "run.json"));
	assert_false(run_case_has(&c, "result.json"));
	assert_text(&c, "log", "");
	run_case_done(&c);
}

static void
test_outlives_the_helper_after_the_start(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "echo done");
	run_case_start(&c);
	run_case_go(&c);
	close_fd(&c.control_fd);
	assert_int_equal(run_case_wait(&c), 0);
	assert_return_code(result_load(c.job_fd, &res), 0);
	assert_int_equal(res.verdict, VERDICT_PASSED);
	run_case_done(&c);
}

static void
test_more_stdout_than_allowed(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "echo to the log >&2; exec yes");
	c.plan->stdout_apart = true;
	c.plan->limits.stdout_bytes = 100001;
	run_case_run(&c, &res);
	assert_int_equal(res.verdict, VERDICT_OUTPUT_LIMIT);
	assert_int_equal(res.stdout_bytes, 100001);
	assert_text(&c, "log", "to the log\n");
	run_case_done(&c);
}

static void
test_stdout_apart_within_its_limit(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "printf 12345; echo err >&2");
	c.plan->stdout_apart = true;
	c.plan->limits.stdout_bytes = 5;
	run_case_run(&c, &res);
	assert_int_equal(res.verdict, VERDICT_PASSED);
	assert_text(&c, "stdout", "12345");
	assert_text(&c, "log", "err\n");
	assert_int_equal(mode_of(&c, "stdout"), 0640);
	run_case_done(&c);
}

/* Half an answer must not pass for a whole one: a client would be given it as the result. */
static void
test_stdout_that_cannot_be_written_is_lost(void **state)
{
	struct rlimit small = { 0 };
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "head -c 100000 /dev/zero; echo done >&2");
	c.plan->stdout_apart = true;
	c.plan->limits.stdout_bytes = 1000000;
	run_case_start(&c);
	assert_return_code(prlimit(c.pid, RLIMIT_FSIZE, NULL, &small), errno);
	small.rlim_cur = 32 * 1024;
	assert_return_code(prlimit(c.pid, RLIMIT_FSIZE, &small, NULL), errno);
	run_case_go(&c);
	assert_int_equal(run_case_wait(&c), 0);
	assert_return_code(result_load(c.job_fd, &res), 0);
	assert_int_equal(res.verdict, VERDICT_LOST);
	assert_non_null(strstr(res.message, "standard output"));
	assert_text(&c, "log", "done\n");
	run_case_done(&c);
}

static void
test_more_output_than_allowed(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "echo 1234567 > a; head -c 100000 /dev/zero > b");
	run_case_input(&c, "in.txt", "an input does not count\n");
	c.plan->limits.output_bytes = 8;
	run_case_run(&c, &res);
	assert_int_equal(res.verdict, VERDICT_OUTPUT_LIMIT);
	assert_int_equal(res.exit_code, 0);
	assert_true(run_case_has(&c, "work/a"));
	assert_true(run_case_has(&c, "work/in.txt"));
	assert_false(run_case_has(&c, "work/b"));
	run_case_done(&c);
}

static void
test_file_size_limit(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "exec head -c 100000 /dev/zero > a");
	c.plan->limits.file_bytes = 1000;
	run_case_run(&c, &res);
	assert_int_equal(res.verdict, VERDICT_OUTPUT_LIMIT);
	assert_int_equal(res.signal, SIGXFSZ);
	run_case_done(&c);
}

static void
test_refused_without_such_a_program(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "");
	run_case_argv(&c, (const char *const[]){ "/nowhere/tool", NULL });
	run_case_run(&c, &res);
	assert_int_equal(res.verdict, VERDICT_REFUSED);
	assert_int_equal(res.exit_code, -1);
	assert_int_equal(res.started_usec, 0);
	assert_non_null(strstr(res.message, "cannot be executed"));
	run_case_done(&c);
}

static void
test_refused_when_an_input_is_missing(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "echo begun");
	run_case_input(&c, "in.txt", "x");
	assert_return_code(unlinkat(c.job_fd, "in/in.txt", 0), errno);
	run_case_run(&c, &res);
	assert_int_equal(res.verdict, VERDICT_REFUSED);
	assert_non_null(strstr(res.message, "inputs"));
	assert_text(&c, "log", "");
	run_case_done(&c);
}

/* The cap is kept to the byte and the supervisor does not grow with what is printed. */
static void
test_flood_of_the_log(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };
	struct stat st = { 0 };

	(void)state;
	run_case_init(&c, kind, "echo first; head -c 300M /dev/zero; echo last");
	c.plan->limits.log_bytes = 700001;
	run_case_run(&c, &res);
	assert_int_equal(res.verdict, VERDICT_PASSED);
	assert_return_code(fstatat(c.job_fd, "log", &st, 0), errno);
	assert_int_equal(st.st_size, 700001);
	assert_int_equal(res.log_bytes, 700001);
#ifndef __SANITIZE_ADDRESS__
	assert_true(c.usage.ru_maxrss < 16 * 1024);	/* kilobytes; head's own are in it */
#endif
	run_case_done(&c);
}

static void
test_ends_what_the_tool_left_running(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };
	struct job_run run = { 0 };

	(void)state;
	/* The descendants hold the log: a supervisor that missed one would read for ever. */
	run_script("setsid sh -c 'setsid sleep 1000 & exec sleep 1000' & (sleep 1000 &) ; echo done", &c, &res);
	assert_int_equal(res.verdict, VERDICT_PASSED);
	assert_return_code(run_load(c.job_fd, &run), 0);
	assert_int_equal(process_open(run.init_pid, run.init_ticks), -ESRCH);
	assert_int_equal(pidfd_open_pid(run.pid), -ESRCH);
	run_case_done(&c);
}

static void
test_tool_gets_its_environment_and_descriptors_only(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "");
	/* Reading a folder needs a descriptor itself. */
	run_case_argv(&c, (const char *const[]){ "/bin/ls", "-1", "/proc/self/fd", NULL });
	run_case_run(&c, &res);
	assert_text(&c, "log", "0\n1\n2\n3\n");
	run_case_done(&c);
	run_case_init(&c, kind, "");
	run_case_argv(&c, (const char *const[]){ "/usr/bin/env", "-u", "PWD", NULL });
	run_case_run(&c, &res);
	assert_text(&c, "log", "PATH=/usr/bin:/bin\nLC_ALL=C\n");
	run_case_done(&c);
}

static void
test_second_attempt_finds_a_fresh_work(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_script("mkdir -p deep/er; echo x > deep/er/f; chmod 0 deep; echo one", &c, &res);
	assert_return_code(unlinkat(c.job_fd, "result.json", 0), errno);
	c.plan->attempt = 2;
	run_case_argv(&c, (const char *const[]){ "/bin/sh", "-c", "ls -A; echo two", NULL });
	run_case_run(&c, &res);
	assert_int_equal(res.attempt, 2);
	assert_text(&c, "log", "two\n");
	assert_false(run_case_has(&c, "work/deep"));
	run_case_done(&c);
}

/* A supervisor that died in the walk: another one lists the outputs, and a kill does not change how it ended. */
static void
test_finish_after_the_supervisor_died(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_script("echo x > f; exit 3", &c, &res);
	assert_return_code(unlinkat(c.job_fd, "result.json", 0), errno);
	assert_return_code(unlinkat(c.job_fd, "manifest", 0), errno);
	assert_return_code(symlinkat("/etc/passwd", c.job_fd, "work/link"), errno);
	c.plan->mode = PLAN_FINISH;
	run_case_start(&c);
	run_case_kill(&c, "client");
	assert_int_equal(run_case_wait(&c), 0);
	assert_return_code(result_load(c.job_fd, &res), 0);
	assert_int_equal(res.verdict, VERDICT_FAILED);
	assert_int_equal(res.exit_code, 3);
	assert_int_equal(res.output_files, 1);
	assert_false(run_case_has(&c, "work/link"));
	assert_contains(&c, "manifest", " f\n");
	run_case_done(&c);
}

static void
test_finish_refuses_the_end_of_another_attempt(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };
	int status = 0;

	(void)state;
	run_script("exit 3", &c, &res);
	assert_return_code(unlinkat(c.job_fd, "result.json", 0), errno);
	c.plan->mode = PLAN_FINISH;
	c.plan->attempt = 2;
	run_case_start(&c);
	status = run_case_wait(&c);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_false(run_case_has(&c, "result.json"));
	run_case_done(&c);
}

static void
test_many_outputs(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_script("i=0; while [ $i -lt 1100 ]; do echo $i > $i; i=$((i + 1)); done", &c, &res);
	assert_int_equal(res.verdict, VERDICT_PASSED);
	assert_int_equal(res.output_files, 1100);
	assert_text(&c, "work/1099", "1099\n");
	run_case_done(&c);
}

/* A folder where a record of ours goes stands for whatever makes it fail, a full disk above all. */
static void
test_outputs_that_cannot_be_listed_are_given_up(void **state)
{
	static const char *const records[] = { "manifest", "receipt.json" };

	(void)state;
	for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
		struct run_case c;
		struct job_result res = { 0 };
		int status = 0;

		run_case_init(&c, kind, "echo x > f");
		assert_return_code(mkdirat(c.job_fd, records[i], 0700), errno);
		run_case_start(&c);
		run_case_go(&c);
		status = run_case_wait(&c);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
		assert_return_code(result_load(c.job_fd, &res), 0);
		assert_int_equal(res.verdict, VERDICT_LOST);
		assert_int_equal(res.exit_code, 0);
		assert_int_equal(res.output_files, 0);
		assert_non_null(strstr(res.message, "outputs could not be kept"));
		assert_false(run_case_has(&c, "work/f"));
		run_case_done(&c);
	}
}

static void
test_killed_while_stopped(void **state)
{
	struct run_case c;
	struct job_result res = { 0 };

	(void)state;
	run_case_init(&c, kind, "echo begun; kill -STOP $$; echo went on");
	c.plan->kill_grace_usec = 50 * USEC_PER_MSEC;
	run_case_start(&c);
	run_case_go(&c);
	run_case_wait_text(&c, "log", "begun");
	run_case_kill(&c, "client");
	assert_int_equal(run_case_wait(&c), 0);
	assert_return_code(result_load(c.job_fd, &res), 0);
	assert_int_equal(res.verdict, VERDICT_KILLED);
	assert_text(&c, "log", "begun\n");
	run_case_done(&c);
}

static void
test_jail_goes_with_its_supervisor(void **state)
{
	struct run_case c;
	struct job_run run = { 0 };
	scoped(close_fd) int init_fd = -EBADF;

	(void)state;
	run_case_init(&c, kind, "echo begun; exec sleep 1000");
	run_case_start(&c);
	run_case_go(&c);
	run_case_wait_text(&c, "log", "begun");
	assert_return_code(run_load(c.job_fd, &run), 0);
	init_fd = process_open(run.init_pid, run.init_ticks);
	assert_true(init_fd >= 0);
	assert_return_code(pidfd_signal(c.pidfd, SIGKILL), 0);
	assert_true(WIFSIGNALED(run_case_wait(&c)));
	assert_int_equal(pidfd_wait(init_fd, RUN_CASE_MSEC), 1);
	assert_false(run_case_has(&c, "result.json"));
	run_case_done(&c);
}


static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_passed),
	cmocka_unit_test(test_failed),
	cmocka_unit_test(test_signalled),
	cmocka_unit_test(test_timeout),
	cmocka_unit_test(test_timeout_with_exit_in_its_grace),
	cmocka_unit_test(test_cpu_limit),
	cmocka_unit_test(test_strict_limits),
	cmocka_unit_test(test_killed),
	cmocka_unit_test(test_killed_with_exit_in_its_grace),
	cmocka_unit_test(test_killed_after_a_grace_it_ignores),
	cmocka_unit_test(test_killed_before_it_began),
	cmocka_unit_test(test_ends_without_a_trace_when_the_helper_goes_before_the_start),
	cmocka_unit_test(test_outlives_the_helper_after_the_start),
	cmocka_unit_test(test_more_stdout_than_allowed),
	cmocka_unit_test(test_stdout_apart_within_its_limit),
	cmocka_unit_test(test_stdout_that_cannot_be_written_is_lost),
	cmocka_unit_test(test_more_output_than_allowed),
	cmocka_unit_test(test_file_size_limit),
	cmocka_unit_test(test_refused_without_such_a_program),
	cmocka_unit_test(test_refused_when_an_input_is_missing),
	cmocka_unit_test(test_flood_of_the_log),
	cmocka_unit_test(test_ends_what_the_tool_left_running),
	cmocka_unit_test(test_tool_gets_its_environment_and_descriptors_only),
	cmocka_unit_test(test_second_attempt_finds_a_fresh_work),
	cmocka_unit_test(test_finish_after_the_supervisor_died),
	cmocka_unit_test(test_finish_refuses_the_end_of_another_attempt),
	cmocka_unit_test(test_many_outputs),
	cmocka_unit_test(test_outputs_that_cannot_be_listed_are_given_up),
	cmocka_unit_test(test_killed_while_stopped),
	cmocka_unit_test(test_jail_goes_with_its_supervisor),
};

int
main(void)
{
	int failed = 0;

	kind = JAIL_NONE;
	failed += cmocka_run_group_tests_name("without a jail", tests, NULL, NULL);
	kind = JAIL_BWRAP;
	failed += cmocka_run_group_tests_name("in the jail", tests, NULL, NULL);
	return failed;
}
