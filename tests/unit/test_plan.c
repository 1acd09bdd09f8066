/* test_plan.c - the plan of an attempt: what is formatted is read again, and nothing damaged is. */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <string.h>

#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "proto/message.h"
#include "proto/plan.h"

static char *
copy_of(const char *text)
{
	char *copy = strdup(text);

	assert_non_null(copy);
	return copy;
}

static char **
list(const char *const *items)
{
	size_t n = 0;
	char **copy;

	while (items[n])
		n++;
	copy = calloc(n + 1, sizeof *copy);
	assert_non_null(copy);
	for (size_t i = 0; i < n; i++)
		copy[i] = copy_of(items[i]);
	return copy;
}
#define LIST(...) list((const char *const[]){ __VA_ARGS__, NULL })

static struct plan *
whole_plan(void)
{
	struct plan *p = plan_new();

	assert_non_null(p);
	memset(p->id, 'a', ID_LEN);
	p->attempt = 4294967295u;
	p->mode = PLAN_FINISH;
	p->jail = JAIL_NONE;
	p->argv = LIST("/bin/sh", "-c", "echo \"$@\"; \\ \xc3\xa4 \t\n", "");
	p->env = LIST("A=1", "EMPTY=", "U=\xe2\x82\xac");
	p->folders = LIST("/opt/a b", "/x");
	p->inputs = LIST("data.txt", "more");
	p->links = LIST("data /usr/share/x y", "b /b");
	p->publish = LIST("main.js", "main.wasm");
	p->scratch = strdup("/var/spool/scratch/stan");
	p->cache = strdup("/var/spool/cache/stan");
	p->entry = strdup("0123");
	p->after = LIST("/bin/rm", "-f", "x");
	p->network = p->strict = true;
	p->live = copy_of("progress.json");
	p->filter = copy_of("0011223344556677");
	p->cgroup = copy_of("/sys/fs/cgroup/spoolgate");
	p->stdout_apart = true;
	p->limits = (struct limits){ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, INT64_MAX };
	p->kill_grace_usec = 500000;
	p->groups.read_gid = 123;
	p->groups.gate_gid = 4294967294u;
	p->bwrap = copy_of("/usr/bin/bwrap");
	p->init = copy_of("/libexec/init");
	return p;
}

static void
assert_lists_equal(char *const *a, char *const *b)
{
	size_t i = 0;

	for (; a[i]; i++) {
		assert_non_null(b[i]);
		assert_string_equal(a[i], b[i]);
	}
	assert_null(b[i]);
}

static void
assert_plans_equal(const struct plan *a, const struct plan *b)
{
	assert_string_equal(a->id, b->id);
	assert_int_equal(a->attempt, b->attempt);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->jail, b->jail);
	assert_lists_equal(a->argv, b->argv);
	assert_lists_equal(a->env, b->env);
	assert_lists_equal(a->folders, b->folders);
	assert_lists_equal(a->inputs, b->inputs);
	assert_true((a->scratch == NULL) == (b->scratch == NULL));
	if (a->scratch) {
		assert_lists_equal(a->publish, b->publish);
		assert_string_equal(a->scratch, b->scratch);
		assert_string_equal(a->cache, b->cache);
		assert_string_equal(a->entry, b->entry);
	}
	assert_true((a->links == NULL) == (b->links == NULL));
	if (a->links)
		assert_lists_equal(a->links, b->links);
	assert_true((a->after == NULL) == (b->after == NULL));
	if (a->after)
		assert_lists_equal(a->after, b->after);
	assert_int_equal(a->network, b->network);
	assert_int_equal(a->strict, b->strict);
	assert_true((a->live == NULL) == (b->live == NULL));
	if (a->live)
		assert_string_equal(a->live, b->live);
	assert_true((a->filter == NULL) == (b->filter == NULL));
	if (a->filter)
		assert_string_equal(a->filter, b->filter);
	assert_true((a->cgroup == NULL) == (b->cgroup == NULL));
	if (a->cgroup)
		assert_string_equal(a->cgroup, b->cgroup);
	assert_int_equal(a->stdout_apart, b->stdout_apart);
	assert_memory_equal(&a->limits, &b->limits, sizeof a->limits);
	assert_int_equal(a->kill_grace_usec, b->kill_grace_usec);
	assert_int_equal(a->groups.read_gid, b->groups.read_gid);
	assert_int_equal(a->groups.gate_gid, b->groups.gate_gid);
	assert_string_equal(a->bwrap, b->bwrap);
	assert_string_equal(a->init, b->init);
}

static void
test_a_plan_is_read_as_it_was_written(void **state)
{
	scoped(free_plan) struct plan *plan = whole_plan(), *again = NULL;
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(plan_format(plan, &text, &len), 0);
	assert_int_equal(strlen(text), len);
	assert_int_equal(plan_parse(text, len, &again), 0);
	assert_plans_equal(plan, again);
}

static void
test_a_small_plan_too(void **state)
{
	scoped(free_plan) struct plan *plan = plan_new(), *again = NULL;
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;

	(void)state;
	memset(plan->id, '0', ID_LEN);
	plan->argv = LIST("/bin/true");
	plan->env = list((const char *const[]){ NULL });
	plan->folders = list((const char *const[]){ NULL });
	plan->inputs = list((const char *const[]){ NULL });
	plan->bwrap = copy_of("/b");
	plan->init = copy_of("/i");
	assert_int_equal(plan_format(plan, &text, &len), 0);
	assert_int_equal(plan_parse(text, len, &again), 0);
	assert_plans_equal(plan, again);
	assert_int_equal(again->groups.read_gid, (gid_t)-1);
	assert_int_equal(again->jail, JAIL_BWRAP);
	assert_int_equal(again->mode, PLAN_RUN);
}

static void
test_text_that_is_not_utf8_is_no_plan(void **state)
{
	scoped(free_plan) struct plan *plan = whole_plan();
	char *text = NULL;

	(void)state;
	free(plan->argv[1]);
	plan->argv[1] = copy_of("\xff");
	assert_int_equal(plan_format(plan, &text, NULL), -EBADMSG);
	assert_null(text);
}

/* The whole plan with one member changed: value is JSON, NULL takes it out. */
static int
parse_changed(const char *name, const char *value)
{
	scoped(free_plan) struct plan *plan = whole_plan(), *again = NULL;
	scoped(free_ptr) char *text = NULL, *changed = NULL;
	scoped(put_json) json_object *obj = NULL;
	size_t len = 0;
	int r;

	assert_int_equal(plan_format(plan, &text, &len), 0);
	assert_int_equal(json_parse(text, len, &obj), 0);
	json_object_object_del(obj, name);
	if (value) {
		json_object *val = NULL;

		assert_int_equal(json_parse(value, strlen(value), &val), 0);
		assert_int_equal(json_object_object_add(obj, name, val), 0);
	}
	assert_int_equal(json_format(obj, &changed, &len), 0);
	r = plan_parse(changed, len, &again);
	assert_true((r == 0) == (again != NULL));
	return r;
}

static void
test_every_member_is_needed(void **state)
{
	static const char *const names[] = { "v", "id", "attempt", "mode", "jail", "argv", "env", "folders", "inputs", "stdout_apart",
		"limits", "kill_grace_usec", "read_gid", "gate_gid", "bwrap", "init" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (parse_changed(names[i], NULL) != -EBADMSG)
			fail_msg("without %s", names[i]);
		if (parse_changed(names[i], "null") != -EBADMSG)
			fail_msg("with %s null", names[i]);
	}
	assert_int_equal(parse_changed("live", NULL), 0);
	assert_int_equal(parse_changed("links", NULL), 0);
	assert_int_equal(parse_changed("network", NULL), 0);
	assert_int_equal(parse_changed("more", "1"), 0);	/* a later release may say more */
}

static void
test_damaged_members_are_refused(void **state)
{
	static const struct { const char *name, *value; } bad[] = {
		{ "v", "\"1\"" }, { "v", "1.5" }, { "id", "\"\"" }, { "id", "\"../../etc/passwd\"" }, { "id", "7" },
		{ "id", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"" }, { "id", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"" }, { "attempt", "-1" },
		{ "attempt", "4294967296" }, { "attempt", "\"1\"" }, { "attempt", "1.0" }, { "mode", "\"walk\"" }, { "mode", "\"\"" },
		{ "mode", "1" }, { "jail", "\"docker\"" }, { "jail", "false" }, { "argv", "[]" }, { "argv", "\"/bin/sh\"" },
		{ "argv", "[1]" }, { "argv", "[null]" }, { "argv", "[\"/bin/sh\",[]]" }, { "argv", "{}" }, { "argv", "[\"/bin/sh\",\"a\\u0000b\"]" },
		{ "env", "[{}]" }, { "env", "[\"A=\\u0000\"]" }, { "folders", "[true]" }, { "inputs", "[7]" }, { "live", "7" }, { "live", "null" },
		{ "publish", "1" }, { "cache", "null" }, { "scratch", "1" }, { "entry", "[]" }, { "links", "[1]" }, { "links", "null" }, { "network", "1" }, { "network", "\"yes\"" },
		{ "stdout_apart", "1" }, { "stdout_apart", "\"true\"" }, { "limits", "[]" }, { "limits", "{}" },
		{ "limits", "{\"wall_usec\":\"1\"}" }, { "kill_grace_usec", "-1" }, { "kill_grace_usec", "18446744073709551616" },
		{ "read_gid", "-2" }, { "read_gid", "4294967295" }, { "read_gid", "1e3" }, { "gate_gid", "\"0\"" }, { "bwrap", "[]" },
		{ "bwrap", "\"/b\\u0000\"" }, { "init", "0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (parse_changed(bad[i].name, bad[i].value) != -EBADMSG)
			fail_msg("%s: %s", bad[i].name, bad[i].value);
}

static void
test_other_versions_are_refused_by_name(void **state)
{
	(void)state;
	assert_int_equal(parse_changed("v", "2"), -EPROTONOSUPPORT);
	assert_int_equal(parse_changed("v", "0"), -EPROTONOSUPPORT);
	assert_int_equal(parse_changed("v", "-1"), -EPROTONOSUPPORT);
	assert_int_equal(parse_changed("v", "1"), 0);
}

static void
test_a_cut_plan_is_refused_wherever_it_is_cut(void **state)
{
	scoped(free_plan) struct plan *plan = whole_plan();
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(plan_format(plan, &text, &len), 0);
	for (size_t i = 0; i < len; i++) {
		struct plan *again = NULL;
		char *cut = malloc(i + 1);	/* so that reading on shows */

		assert_non_null(cut);
		memcpy(cut, text, i);
		assert_int_equal(plan_parse(cut, i, &again), -EBADMSG);
		assert_null(again);
		free(cut);
	}
}

static void
test_what_is_no_object_is_refused(void **state)
{
	static const char *const texts[] = { "", "x", "[]", "null", "1", "\"v\"", "{}" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct plan *again = NULL;

		assert_int_equal(plan_parse(texts[i], strlen(texts[i]), &again), -EBADMSG);
	}
}

static void
test_a_plan_is_received_from_a_descriptor(void **state)
{
	scoped(free_plan) struct plan *plan = whole_plan(), *again = NULL, *twice = NULL;
	scoped(free_ptr) char *text = NULL;
	scoped(close_fd) int fd = -EBADF;
	size_t len = 0;

	(void)state;
	assert_int_equal(plan_format(plan, &text, &len), 0);
	fd = memory_file_sealed("plan", text, len);
	assert_true(fd >= 0);
	assert_int_equal(plan_receive(fd, &again), 0);
	assert_plans_equal(plan, again);
	assert_int_equal(plan_receive(fd, &twice), 0);	/* its position does not matter */
}

static void
test_a_descriptor_that_holds_no_plan_is_refused(void **state)
{
	struct plan *plan = NULL;
	int pipe_fds[2];
	scoped(close_fd) int large = memory_file("large");
	scoped(close_fd) int empty = memory_file("empty");
	scoped(close_fd) int folder = open_dir_at(AT_FDCWD, "/");

	(void)state;
	assert_int_equal(ftruncate(large, MESSAGE_MAX + 1), 0);
	assert_int_equal(plan_receive(large, &plan), -EBADMSG);
	assert_int_equal(plan_receive(empty, &plan), -EBADMSG);
	assert_int_equal(plan_receive(folder, &plan), -EBADMSG);
	assert_int_equal(plan_receive(-EBADF, &plan), -EBADF);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(plan_receive(pipe_fds[0], &plan), -EBADMSG);	/* and does not wait for a writer */
	close_fd(&pipe_fds[0]);
	close_fd(&pipe_fds[1]);
	assert_null(plan);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plan_is_read_as_it_was_written),
		cmocka_unit_test(test_a_small_plan_too),
		cmocka_unit_test(test_text_that_is_not_utf8_is_no_plan),
		cmocka_unit_test(test_every_member_is_needed),
		cmocka_unit_test(test_damaged_members_are_refused),
		cmocka_unit_test(test_other_versions_are_refused_by_name),
		cmocka_unit_test(test_a_cut_plan_is_refused_wherever_it_is_cut),
		cmocka_unit_test(test_what_is_no_object_is_refused),
		cmocka_unit_test(test_a_plan_is_received_from_a_descriptor),
		cmocka_unit_test(test_a_descriptor_that_holds_no_plan_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
