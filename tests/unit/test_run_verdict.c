#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "unit.h"

#include "run/verdict.h"

enum { CODE = 8 };	/* W_EXITCODE(code, 0) is code << 8; W_EXITCODE(0, sig) is sig */

static struct job_result
judge(struct run_facts f)
{
	struct job_result res = { 0 };

	if (f.has_status)
		f.began = true;
	verdict_judge(&f, &res);
	return res;
}

static void
test_ends_by_itself(void **state)
{
	struct job_result res = judge((struct run_facts){ .has_status = true, .status = 0 });

	(void)state;
	assert_int_equal(res.verdict, VERDICT_PASSED);
	assert_int_equal(res.exit_code, 0);
	res = judge((struct run_facts){ .has_status = true, .status = 1 << CODE });
	assert_int_equal(res.verdict, VERDICT_FAILED);
	assert_int_equal(res.exit_code, 1);
	res = judge((struct run_facts){ .has_status = true, .status = SIGABRT });
	assert_int_equal(res.verdict, VERDICT_SIGNALLED);
	assert_int_equal(res.signal, SIGABRT);
	assert_int_equal(res.exit_code, -1);
	res = judge((struct run_facts){ .has_status = true, .status = 137 << CODE });	/* an exit code, no signal */
	assert_int_equal(res.verdict, VERDICT_FAILED);
	assert_int_equal(res.exit_code, 137);
}

static void
test_first_reason_to_end_it_counts_whatever_its_status(void **state)
{
	static const int statuses[] = { 0, 1 << CODE, SIGKILL, SIGTERM };
	struct job_result res = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
		struct run_facts f = { .has_status = true, .status = statuses[i], .stop = STOP_KILL, .by = "client" };

		res = judge(f);
		assert_int_equal(res.verdict, VERDICT_KILLED);
		assert_string_equal(res.by, "client");
		f.stop = STOP_WALL;
		res = judge(f);
		assert_int_equal(res.verdict, VERDICT_TIMEOUT);
		assert_string_equal(res.by, "");
		f.stop = STOP_STDOUT;
		assert_int_equal(judge(f).verdict, VERDICT_OUTPUT_LIMIT);
	}
	/* Wall and CPU limit at once: the wall limit ended it. */
	res = judge((struct run_facts){ .has_status = true, .status = SIGKILL, .stop = STOP_WALL, .cpu_limit_usec = 1,
	    .cpu_usec = 2 });
	assert_int_equal(res.verdict, VERDICT_TIMEOUT);
	assert_string_equal(res.message, "wall time limit");
}

static void
test_cpu_time_of_the_tree(void **state)
{
	struct run_facts f = { .has_status = true, .status = 0, .cpu_limit_usec = 1000, .cpu_usec = 1000 };

	(void)state;
	assert_int_equal(judge(f).verdict, VERDICT_PASSED);
	f.cpu_usec = 1001;
	assert_int_equal(judge(f).verdict, VERDICT_TIMEOUT);
	f.status = SIGKILL;
	assert_int_equal(judge(f).verdict, VERDICT_TIMEOUT);
	f.cpu_limit_usec = 0;
	assert_int_equal(judge(f).verdict, VERDICT_SIGNALLED);
	f.status = SIGXCPU;
	assert_int_equal(judge(f).verdict, VERDICT_TIMEOUT);
	f.status = SIGXFSZ;
	assert_int_equal(judge(f).verdict, VERDICT_OUTPUT_LIMIT);
}

static void
test_never_a_word_about_a_tool_that_did_not_begin(void **state)
{
	struct job_result res = judge((struct run_facts){ .refusal = "bwrap: no" });

	(void)state;
	assert_int_equal(res.verdict, VERDICT_REFUSED);
	assert_string_equal(res.message, "bwrap: no");
	assert_int_equal(res.exit_code, -1);
	res = judge((struct run_facts){ .refusal = "" });
	assert_int_equal(res.verdict, VERDICT_REFUSED);
	assert_true(strlen(res.message) > 0);
	res = judge((struct run_facts){ .stop = STOP_KILL, .by = "admin", .refusal = "" });
	assert_int_equal(res.verdict, VERDICT_KILLED);
	assert_string_equal(res.by, "admin");
}

static void
test_status_that_nobody_told_is_lost(void **state)
{
	struct job_result res = judge((struct run_facts){ .began = true });

	(void)state;
	assert_int_equal(res.verdict, VERDICT_LOST);
	assert_int_equal(res.exit_code, -1);
	assert_true(strlen(res.message) > 0);
	assert_int_equal(judge((struct run_facts){ .began = true, .stop = STOP_KILL }).verdict, VERDICT_KILLED);
}

static void
test_too_much_output_fails_only_who_passed(void **state)
{
	struct job_result res = { .verdict = VERDICT_PASSED };

	(void)state;
	verdict_outputs_over(&res, "too much");
	assert_int_equal(res.verdict, VERDICT_OUTPUT_LIMIT);
	assert_string_equal(res.message, "too much");
	for (enum verdict v = VERDICT_FAILED; v <= VERDICT_REFUSED; v++) {
		res = (struct job_result){ .verdict = v, .message = "first" };
		verdict_outputs_over(&res, "too much");
		assert_int_equal(res.verdict, v);
		assert_string_equal(res.message, "first; too much");
	}
}

static void
test_lost_outputs(void **state)
{
	struct job_result res = { .verdict = VERDICT_PASSED };

	(void)state;
	verdict_outputs_lost(&res, "outputs", -ENOSPC);
	assert_int_equal(res.verdict, VERDICT_LOST);
	assert_string_equal(res.message, "outputs: No space left on device");
	res = (struct job_result){ .verdict = VERDICT_REFUSED, .message = "no jail" };
	verdict_outputs_lost(&res, "outputs", -EIO);
	assert_int_equal(res.verdict, VERDICT_REFUSED);
	assert_string_equal(res.message, "no jail; outputs: Input/output error");
}

static void
test_message_is_bounded(void **state)
{
	struct job_result res = { .verdict = VERDICT_FAILED };

	(void)state;
	for (int i = 0; i < 100; i++)
		verdict_note(&res, "0123456789");
	assert_int_equal(strlen(res.message), sizeof res.message - 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends_by_itself),
		cmocka_unit_test(test_first_reason_to_end_it_counts_whatever_its_status),
		cmocka_unit_test(test_cpu_time_of_the_tree),
		cmocka_unit_test(test_never_a_word_about_a_tool_that_did_not_begin),
		cmocka_unit_test(test_status_that_nobody_told_is_lost),
		cmocka_unit_test(test_too_much_output_fails_only_who_passed),
		cmocka_unit_test(test_lost_outputs),
		cmocka_unit_test(test_message_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
