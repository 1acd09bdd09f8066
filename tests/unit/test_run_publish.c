/* What a tool that publishes leaves: run/publish.h, by whole runs of the supervisor. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "basic/scoped.h"
#include "run_case.h"
#include "unit.h"

#define ENTRY "0123456789012345678901234567890123456789"

static void
set(char **member, const char *folder, const char *name)
{
	free(*member);
	assert_true(asprintf(member, "%s%s%s", folder, name ? "/" : "", name ? name : "") > 0);
}

/* A run of script with a cache and a scratch folder in the job's own. */
static void
begin(struct run_case *c, const char *script)
{
	run_case_init(c, JAIL_BWRAP, script);
	assert_int_equal(mkdirat(c->job_fd, "cache", 0755), 0);
	assert_int_equal(mkdirat(c->job_fd, "scratch", 0755), 0);
	set(&c->plan->cache, c->path, "cache");
	set(&c->plan->scratch, c->path, "scratch");
	set(&c->plan->entry, ENTRY, NULL);
	assert_non_null(c->plan->publish = calloc(3, sizeof(char *)));
	assert_non_null(c->plan->publish[0] = strdup("a"));
	assert_non_null(c->plan->publish[1] = strdup("b"));
}

static void
assert_file(const struct run_case *c, const char *name, const char *expected)
{
	scoped(free_ptr) char *path = NULL, *text = NULL;

	assert_true(asprintf(&path, "cache/" ENTRY "/%s", name) > 0);
	assert_int_equal(run_case_has(c, path), expected != NULL);
	if (expected) {
		text = run_case_text(c, path);
		assert_string_equal(text, expected);
	}
}

/* Runs it; nothing may be left beside the entry. */
static void
run(struct run_case *c, enum verdict verdict, const char *word)
{
	struct job_result result = { 0 };
	scoped(free_ptr) char *work = NULL, *new = NULL;

	run_case_run(c, &result);
	assert_int_equal(result.verdict, verdict);
	if (!strstr(result.message, word))
		fail_msg("the message does not say %s: %s", word, result.message);
	assert_true(asprintf(&work, "scratch/%s", c->plan->id) > 0);
	assert_true(asprintf(&new, "cache/" PUBLISH_NEW "%s", c->plan->id) > 0);
	assert_false(run_case_has(c, work));
	assert_false(run_case_has(c, new));
	assert_false(run_case_has(c, "work"));
	assert_int_equal(result.output_files, 0);
}

static void
test_the_files_and_their_forms_are_published(void **state)
{
	struct run_case c;

	(void)state;
	begin(&c, "echo 1 >a; echo 2 >b; echo 3 >b.gz; echo 4 >a.br; echo 5 >c; mkdir d; pwd");
	run(&c, VERDICT_PASSED, "");
	assert_file(&c, "a", "1\n");
	assert_file(&c, "b", "2\n");
	assert_file(&c, "b.gz", "3\n");
	assert_file(&c, "a.br", "4\n");
	assert_file(&c, "c", NULL);
	assert_file(&c, "d", NULL);
	run_case_done(&c);
}

static void
test_all_or_nothing(void **state)
{
	static const struct { const char *script, *word; enum verdict verdict; } cases[] = {
		{ "echo 1 >a", "published", VERDICT_LOST },
		{ "echo 1 >a; ln -s a b", "published", VERDICT_LOST },
		{ "echo 1 >a; mkfifo b", "published", VERDICT_LOST },
		{ "echo 1 >a; mkdir b", "published", VERDICT_LOST },
		{ "echo 1 >a; ln -s /etc/passwd b", "published", VERDICT_LOST },
		{ "echo 1 >a; echo 2 >b; chmod 0 .; exit 3", "", VERDICT_FAILED },
	};
	struct run_case c;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		begin(&c, cases[i].script);
		run(&c, cases[i].verdict, cases[i].word);
		assert_false(run_case_has(&c, "cache/" ENTRY));
		run_case_done(&c);
	}
}

static void
test_no_more_than_the_limit(void **state)
{
	struct run_case c;

	(void)state;
	/* Below what the look at a running tool would end. */
	begin(&c, "head -c 900000 /dev/zero >a; head -c 100 /dev/zero >b; cp a a.gz");
	c.plan->limits.output_bytes = 1 << 20;
	run(&c, VERDICT_LOST, "published");
	assert_false(run_case_has(&c, "cache/" ENTRY));
	run_case_done(&c);
}

static void
test_no_entry_no_publication(void **state)
{
	static const char *const names[] = { NULL, "", ".", "..", "a/b", ".hidden" };
	struct run_case c;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		begin(&c, "echo 1 >a; echo 2 >b");
		free(c.plan->entry);
		c.plan->entry = names[i] ? strdup(names[i]) : NULL;
		run(&c, names[i] ? VERDICT_LOST : VERDICT_PASSED, "");
		run_case_done(&c);
	}
}

/* What was there: half an entry is replaced, a whole one stays, and so does what is no folder of ours. */
static void
test_an_entry_that_is_there(void **state)
{
	struct run_case c;
	int fd;

	(void)state;
	for (int i = 0; i < 3; i++) {
		begin(&c, "echo new >a; echo new >b");
		assert_int_equal(mkdirat(c.job_fd, "cache/" ENTRY, 0755), 0);
		for (int j = 0; j < i; j++) {
			assert_true((fd = openat(c.job_fd, j == 0 ? "cache/" ENTRY "/b" : "cache/" ENTRY "/a", O_WRONLY | O_CREAT, 0644)) >= 0);
			(void)close(fd);
		}
		run(&c, VERDICT_PASSED, "");
		assert_file(&c, "a", i < 2 ? "new\n" : "");
		assert_file(&c, "b", i < 2 ? "new\n" : "");
		run_case_done(&c);
	}
}

static void
test_an_end_that_is_done_again(void **state)
{
	struct run_case c;
	struct job_result result = { 0 };

	(void)state;
	begin(&c, "echo 1 >a; echo 2 >b");
	run(&c, VERDICT_PASSED, "");
	/* Its supervisor was killed between the publication and the verdict. */
	assert_int_equal(unlinkat(c.job_fd, "result.json", 0), 0);
	c.plan->mode = PLAN_FINISH;
	run_case_run(&c, &result);
	assert_int_equal(result.verdict, VERDICT_PASSED);
	assert_file(&c, "a", "1\n");
	/* And where nothing is there any more it is no success. */
	assert_int_equal(unlinkat(c.job_fd, "result.json", 0), 0);
	assert_int_equal(unlinkat(c.job_fd, "cache/" ENTRY "/a", 0), 0);
	run_case_run(&c, &result);
	assert_int_equal(result.verdict, VERDICT_LOST);
	run_case_done(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_files_and_their_forms_are_published),
		cmocka_unit_test(test_all_or_nothing),
		cmocka_unit_test(test_no_more_than_the_limit),
		cmocka_unit_test(test_no_entry_no_publication),
		cmocka_unit_test(test_an_entry_that_is_there),
		cmocka_unit_test(test_an_end_that_is_done_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
