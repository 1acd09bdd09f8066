#include "config.h"

#include "spool_help.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "basic/json.h"
#include "basic/scoped.h"

static const char *const two_inputs[] = { "problem.txt", "a b\n", "o,p_t-1.json", "{}", NULL };

static char *
text_of(const struct job *job)
{
	char *text = NULL;
	size_t len = 0;

	assert_int_equal(job_format(job, &text, &len), 0);
	assert_int_equal(strlen(text), len);
	return text;
}

static void
test_job_comes_back_as_it_was(void **state)
{
	scoped(free_job) struct job *job = help_job('a', "stamina:ip:2001:db8::", two_inputs), *again = NULL;
	scoped(free_ptr) char *text = NULL;

	(void)state;
	job->limits = (struct limits){ 1, 2, 3, 4, 5, 6, 7, 8, 9, UINT64_C(1) << 63, UINT64_MAX };
	job->kill_grace_usec = 500000;
	job->keep_usec = 1;
	job->twice = true;
	job->env = calloc(3, sizeof *job->env);
	assert_non_null(job->env);
	job->env[0] = strdup("A=x=y");
	job->env[1] = strdup("B=");
	job->tool_version = strdup("1.2");
	memset(job->tool_sha256, 'a', SHA256_HEX_SIZE - 1);
	memset(job->program_sha256, '0', SHA256_HEX_SIZE - 1);
	assert_int_equal(json_parse("{\"n\":[1,null,\"\\u0000\"]}", 23, &job->note), 0);
	text = text_of(job);
	assert_int_equal(job_parse(text, strlen(text), &again), 0);
	assert_string_equal(again->id, job->id);
	assert_string_equal(again->service, "v1");
	assert_string_equal(again->tool, "tool");
	assert_string_equal(again->owner, "stamina:ip:2001:db8::");
	assert_int_equal(again->accepted_usec, job->accepted_usec);
	assert_string_equal(again->argv[0], job->argv[0]);
	assert_string_equal(again->argv[1], job->argv[1]);
	assert_null(again->argv[2]);
	assert_int_equal(again->n_inputs, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(again->inputs[i].name, job->inputs[i].name);
		assert_string_equal(again->inputs[i].sha256, job->inputs[i].sha256);
		assert_int_equal(again->inputs[i].size, job->inputs[i].size);
	}
	assert_memory_equal(&again->limits, &job->limits, sizeof job->limits);
	assert_int_equal(again->kill_grace_usec, 500000);
	assert_int_equal(again->keep_usec, 1);
	assert_true(again->twice);
	assert_string_equal(again->env[0], "A=x=y");
	assert_string_equal(again->env[1], "B=");
	assert_null(again->env[2]);
	assert_string_equal(again->tool_version, "1.2");
	assert_string_equal(again->tool_sha256, job->tool_sha256);
	assert_string_equal(again->program_sha256, job->program_sha256);
	assert_true(json_object_equal(again->note, job->note));
}

static void
test_job_without_note_or_inputs(void **state)
{
	scoped(free_job) struct job *job = help_job('a', "v1:token:x", NULL), *again = NULL;
	scoped(free_ptr) char *text = text_of(job);

	(void)state;
	assert_null(strstr(text, "note"));
	assert_int_equal(job_parse(text, strlen(text), &again), 0);
	assert_int_equal(again->n_inputs, 0);
	assert_null(again->note);
	assert_null(again->env);	/* a record of an earlier version has none of these */
	assert_null(again->tool_version);
	assert_string_equal(again->tool_sha256, "");
	assert_string_equal(again->program_sha256, "");
}

static void
test_job_format_refuses_what_parse_would(void **state)
{
	scoped(free_job) struct job *job = help_job('a', "v1:token:x", two_inputs);
	char *text = NULL;
	size_t len = 0;

	(void)state;
	job->inputs[1].name[0] = '.';
	assert_int_equal(job_format(job, &text, &len), -EINVAL);
	memcpy(job->inputs[1].name, "problem.txt", 12);	/* "o,p_t-1.json" is longer */
	assert_int_equal(job_format(job, &text, &len), -EINVAL);	/* twice the same */
	memcpy(job->inputs[1].name, "problem.tx2", 12);
	job->argv[0][0] = 'u';
	assert_int_equal(job_format(job, &text, &len), -EINVAL);
	job->argv[0][0] = '/';
	job->argv[1][0] = '\xff';
	assert_int_equal(job_format(job, &text, &len), -EINVAL);
	job->argv[1][0] = '-';
	memset(job->program_sha256, 'g', SHA256_HEX_SIZE - 1);
	assert_int_equal(job_format(job, &text, &len), -EINVAL);
	job->program_sha256[0] = '\0';
	job->env = calloc(2, sizeof *job->env);
	assert_non_null(job->env);
	job->env[0] = strdup("=x");
	assert_int_equal(job_format(job, &text, &len), -EINVAL);
	job->env[0][0] = 'A';
	assert_int_equal(job_format(job, &text, &len), -EINVAL);
	job->env[0][1] = '=';
	job->id[0] = 'A';
	assert_int_equal(job_format(job, &text, &len), -EINVAL);
}

static json_object *
nested(unsigned depth)
{
	json_object *obj = json_object_new_object();

	for (unsigned i = 1; i < depth; i++) {
		json_object *outer = json_object_new_object();

		json_object_object_add(outer, "x", obj);
		obj = outer;
	}
	return obj;
}

static void
test_job_format_bounds_the_record_and_the_note(void **state)
{
	static char big[JOB_RECORD_MAX];
	scoped(free_job) struct job *job = help_job('a', "v1:token:x", NULL);
	char *text = NULL;
	size_t len = 0;

	(void)state;
	memset(big, 'x', sizeof big - 1);
	job->note = json_object_new_string_len(big, NOTE_MAX - 2);
	assert_int_equal(job_format(job, &text, &len), 0);
	free(text);
	json_object_put(job->note);
	job->note = json_object_new_string_len(big, NOTE_MAX - 1);
	assert_int_equal(job_format(job, &text, &len), -E2BIG);
	json_object_put(job->note);
	job->note = nested(JSON_DEPTH_MAX);
	assert_int_equal(job_format(job, &text, &len), -E2BIG);
	json_object_put(job->note);
	job->note = nested(JSON_DEPTH_MAX - 2);
	assert_int_equal(job_format(job, &text, &len), 0);
	free(text);
	json_object_put(job->note);
	job->note = NULL;
	free(job->argv[1]);
	job->argv[1] = strdup(big);
	assert_int_equal(job_format(job, &text, &len), -E2BIG);
}

/* The text with the first occurrence of one part replaced. */
static char *
replaced(const char *text, const char *part, const char *by)
{
	const char *at = strstr(text, part);
	char *out = malloc(strlen(text) + strlen(by) + 1);

	assert_non_null(at);
	assert_non_null(out);
	memcpy(out, text, (size_t)(at - text));
	strcpy(out + (at - text), by);
	strcat(out, at + strlen(part));
	return out;
}

static void
test_job_parse_refuses_damage(void **state)
{
	static const char *const changes[][2] = {
		{ "\"v\":1", "\"v\":0" }, { "\"v\":1,", "" }, { "\"v\":1", "\"v\":\"1\"" }, { "\"id\":\"a", "\"id\":\"g" },
		{ "\"id\":\"a", "\"id\":\"aa" }, { "\"service\":\"v1\"", "\"service\":\"\"" }, { "\"service\":\"v1\"", "\"service\":1" },
		{ "\"owner\"", "\"Owner\"" }, { "v1:token:x", "v1" }, { "v1:token:x", "key:x" }, { "\"accepted_usec\":1", "\"accepted_usec\":-1" },
		{ "\"argv\":[\"/usr/bin/true\",", "\"argv\":[" }, { "\"argv\":[\"/usr", "\"argv\":[7,\"/usr" },
		{ "\"argv\":[\"/usr", "\"argv\":[\"/\\u0000usr" }, { "\"inputs\":[", "\"inputs\":[1," },
		{ "\"inputs\":[", "\"inputs\":[{}," }, { "problem.txt", "../problem" }, { "\"size\":4", "\"size\":4.5" },
		{ "\"sha256\":\"", "\"sha256\":\"0" }, { "\"limits\":{", "\"limits\":{},\"x\":{" }, { "\"twice\":false", "\"twice\":0" },
		{ "\"wall_usec\":0", "\"wall_usec\":18446744073709551616" }, { "}", "" },
	};
	scoped(free_job) struct job *job = help_job('a', "v1:token:x", two_inputs), *again = NULL;
	scoped(free_ptr) char *text = text_of(job);

	(void)state;
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		scoped(free_ptr) char *bad = replaced(text, changes[i][0], changes[i][1]);

		assert_int_equal(job_parse(bad, strlen(bad), &again), -EBADMSG);
	}
	for (size_t cut = 0; cut < strlen(text); cut++)
		assert_int_equal(job_parse(text, cut, &again), -EBADMSG);
}

static void
test_job_parse_tells_a_newer_version(void **state)
{
	scoped(free_job) struct job *job = help_job('a', "v1:token:x", NULL), *again = NULL;
	scoped(free_ptr) char *text = text_of(job), *newer = replaced(text, "\"v\":1", "\"v\":2");

	(void)state;
	assert_int_equal(job_parse(newer, strlen(newer), &again), -EPROTONOSUPPORT);
	assert_int_equal(job_parse("{\"v\":2}", 7, &again), -EPROTONOSUPPORT);
}

static void
test_job_load_of_a_folder(void **state)
{
	const struct fixture *f = *state;
	struct job *job = NULL;

	assert_int_equal(job_load(f->s->root_fd, &job), -ENOENT);
	help_write(f->s->root_fd, "job.json", "");
	assert_int_equal(job_load(f->s->root_fd, &job), -EBADMSG);
	help_write(f->s->root_fd, "job.json", "{\"v\":1}");
	assert_int_equal(job_load(f->s->root_fd, &job), -EBADMSG);
}

static void
test_input_name_valid(void **state)
{
	static const char *const good[] = { "a", "A.b", "x_1-2,3.txt", "0" };
	static const char *const bad[] = { "", ".", "..", ".a", "-a", "a/b", "a b", "\xc3\xa9", "a\n", "a%" };
	char name[102];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(input_name_valid(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(input_name_valid(bad[i]));
	memset(name, 'x', sizeof name);
	name[101] = '\0';
	assert_false(input_name_valid(name));
	assert_true(input_name_valid(name + 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_job_comes_back_as_it_was),
		cmocka_unit_test(test_job_without_note_or_inputs),
		cmocka_unit_test(test_job_format_refuses_what_parse_would),
		cmocka_unit_test(test_job_format_bounds_the_record_and_the_note),
		cmocka_unit_test(test_job_parse_refuses_damage),
		cmocka_unit_test(test_job_parse_tells_a_newer_version),
		cmocka_unit_test_setup_teardown(test_job_load_of_a_folder, spool_setup, spool_teardown),
		cmocka_unit_test(test_input_name_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
