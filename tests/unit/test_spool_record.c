#include "config.h"

#include "spool_help.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "spool/record.h"
#include "spool/record_internal.h"

static const struct spool_groups nobody = { (gid_t)-1, (gid_t)-1 };

static const struct job_result some_result = {
	.attempt = 2, .verdict = VERDICT_FAILED, .exit_code = 3, .exact = true, .by = "", .message = "caf\xc3\xa9 \"quoted\"\n",
	.started_usec = 1, .ended_usec = 2, .wall_usec = 3, .cpu_usec = 4, .peak_memory_bytes = UINT64_C(1) << 40, .log_bytes = 6,
	.stdout_bytes = 7, .output_files = 8, .output_bytes = 9,
};

static void
assert_same_result(const struct job_result *a, const struct job_result *b)
{
	assert_int_equal(a->attempt, b->attempt);
	assert_int_equal(a->verdict, b->verdict);
	assert_int_equal(a->exit_code, b->exit_code);
	assert_int_equal(a->signal, b->signal);
	assert_int_equal(a->exact, b->exact);
	assert_string_equal(a->by, b->by);
	assert_string_equal(a->message, b->message);
	assert_int_equal(a->started_usec, b->started_usec);
	assert_int_equal(a->ended_usec, b->ended_usec);
	assert_int_equal(a->wall_usec, b->wall_usec);
	assert_int_equal(a->cpu_usec, b->cpu_usec);
	assert_int_equal(a->peak_memory_bytes, b->peak_memory_bytes);
	assert_int_equal(a->log_bytes, b->log_bytes);
	assert_int_equal(a->stdout_bytes, b->stdout_bytes);
	assert_int_equal(a->output_files, b->output_files);
	assert_int_equal(a->output_bytes, b->output_bytes);
}

/* Each test's own folder is the root of a spool: record.c knows no other names. */
static int
dir_of(void **state)
{
	const struct fixture *f = *state;

	return f->s->root_fd;
}

static void
test_verdict_names_go_both_ways(void **state)
{
	enum verdict v = VERDICT_LOST;

	(void)state;
	for (int i = VERDICT_PASSED; i <= VERDICT_REFUSED; i++) {
		assert_int_equal(verdict_parse(verdict_name((enum verdict)i), &v), 0);
		assert_int_equal(v, i);
	}
	assert_string_equal(verdict_name(VERDICT_OUT_OF_MEMORY), "out_of_memory");
	assert_int_equal(verdict_parse("Passed", &v), -EINVAL);
	assert_int_equal(verdict_parse("", &v), -EINVAL);
}

static void
test_want_comes_back(void **state)
{
	int dir = dir_of(state);
	struct job_want want = { WANT_KILL, 3, "11111111-2222-3333-4444-555555555555", "client", 1770000000000000 }, again;

	assert_int_equal(want_load(dir, &again), -ENOENT);
	assert_int_equal(want_store(dir, nobody, &want), 0);
	assert_int_equal(help_mode(dir, "state.json"), 0640);
	assert_int_equal(want_load(dir, &again), 0);
	assert_int_equal(again.want, WANT_KILL);
	assert_int_equal(again.attempt, 3);
	assert_string_equal(again.boot, want.boot);
	assert_string_equal(again.by, "client");
	assert_int_equal(again.at_usec, want.at_usec);
}

static void
test_want_refuses_damage(void **state)
{
	static const char *const bad[] = { "", "{}", "[]", "{\"v\":1}", "\"queued\"",
		"{\"v\":1,\"want\":\"started\",\"attempt\":0,\"boot\":\"\",\"by\":\"\",\"at_usec\":1}",
		"{\"v\":1,\"want\":\"start\",\"attempt\":0,\"boot\":\"\",\"by\":\"\",\"at_usec\":1}",
		"{\"v\":1,\"want\":\"queued\",\"attempt\":4294967296,\"boot\":\"\",\"by\":\"\",\"at_usec\":1}",
		"{\"v\":1,\"want\":\"queued\",\"attempt\":0,\"boot\":\"1234567890123456789012345678901234567\",\"by\":\"\",\"at_usec\":1}",
		"{\"v\":1,\"want\":\"queued\",\"attempt\":0,\"boot\":\"\",\"by\":\"\",\"at_usec\":1}x" };
	char big[SMALL_RECORD_MAX + 2];
	struct job_want want;
	int dir = dir_of(state);

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		help_write(dir, "state.json", bad[i]);
		assert_int_equal(want_load(dir, &want), -EBADMSG);
	}
	help_write(dir, "state.json", "{\"v\":2}");
	assert_int_equal(want_load(dir, &want), -EPROTONOSUPPORT);
	memset(big, ' ', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	help_write(dir, "state.json", big);
	assert_int_equal(want_load(dir, &want), -EBADMSG);
	assert_int_equal(unlinkat(dir, "state.json", 0), 0);
	assert_int_equal(symlinkat("format", dir, "state.json"), 0);
	assert_int_equal(want_load(dir, &want), -ELOOP);
}

static void
test_run_comes_back(void **state)
{
	int dir = dir_of(state);
	struct job_run run = { 2, 4194304, 123456, 77, 88, "11111111-2222-3333-4444-555555555555", true, true, "jobs/x", 5 }, again;

	assert_int_equal(run_load(dir, &again), -ENOENT);
	assert_int_equal(run_store(dir, nobody, &run), 0);
	assert_int_equal(help_mode(dir, "run.json"), 0640);
	assert_int_equal(run_load(dir, &again), 0);
	assert_int_equal(again.attempt, 2);
	assert_int_equal(again.pid, 4194304);
	assert_int_equal(again.start_ticks, 123456);
	assert_int_equal(again.init_pid, 77);
	assert_int_equal(again.init_ticks, 88);
	assert_string_equal(again.boot, run.boot);
	assert_string_equal(again.cgroup, "jobs/x");
	assert_true(again.no_jail && again.after);
	assert_int_equal(again.started_usec, 5);
	help_write(dir, "run.json", "{\"v\":1,\"attempt\":1}");
	assert_int_equal(run_load(dir, &again), -EBADMSG);
}

static void
test_ended_comes_back(void **state)
{
	int dir = dir_of(state);
	struct job_result again;

	assert_int_equal(ended_load(dir, &again), -ENOENT);
	assert_int_equal(ended_store(dir, nobody, &some_result), 0);
	assert_int_equal(ended_load(dir, &again), 0);
	assert_same_result(&again, &some_result);
	assert_int_equal(help_mode(dir, "ended.json"), 0640);
}

/* A message cut in a character, a counter gone wild: never a reason to lose the verdict. */
static void
test_result_format_always_makes_a_verdict(void **state)
{
	struct job_result res = some_result, again;
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;

	(void)state;
	memset(res.message, '\x01', sizeof res.message);	/* not even a NUL; each byte takes six */
	memset(res.by, '\xff', sizeof res.by);
	res.cpu_usec = UINT64_MAX;
	assert_int_equal(result_format(&res, &text, &len), 0);
	assert_true(len < 4096);
	assert_int_equal(result_parse(text, len, &again), 0);
	assert_int_equal(again.verdict, VERDICT_FAILED);
	assert_int_equal(again.cpu_usec, UINT64_MAX);
	assert_int_equal(again.by[0], '?');
	assert_int_equal(strlen(again.by), sizeof res.by - 1);
}

/* ---- the durable verdict ---- */

static int flushes;
static int fail_from, fail_to;	/* the numbers of the flushes that fail */
static ino_t flushed[16];

static int
count_flush(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_true(flushes < 16);
	flushed[flushes++] = st.st_ino;
	if (flushes >= fail_from && flushes <= fail_to) {
		errno = EIO;
		return -1;
	}
	return 0;
}

static void
set_failures(int from, int to)
{
	flushes = 0;
	fail_from = from;
	fail_to = to;
	result_flush = count_flush;
}

static void
test_result_is_reserved_flushed_and_renamed(void **state)
{
	int dir = dir_of(state);
	struct job_result again;
	struct stat st, dir_st;

	assert_int_equal(result_load(dir, &again), -ENOENT);
	assert_int_equal(result_reserve(dir, nobody), 0);
	assert_int_equal(fstatat(dir, "result.new", &st, 0), 0);
	assert_true(st.st_blocks * 512 >= 4096);
	assert_int_equal(result_recover(dir, &again), -ENOENT);	/* reserved is no verdict */
	set_failures(0, 0);
	assert_int_equal(result_store_durable(dir, nobody, &some_result), 0);
	assert_int_equal(fstat(dir, &dir_st), 0);
	assert_int_equal(flushes, 3);
	assert_int_equal(flushed[0], st.st_ino);
	assert_int_equal(flushed[1], dir_st.st_ino);
	assert_int_equal(flushed[2], dir_st.st_ino);
	assert_false(help_exists(dir, "result.new"));
	assert_int_equal(result_load(dir, &again), 0);
	assert_same_result(&again, &some_result);
	assert_int_equal(help_mode(dir, "result.json"), 0640);
	assert_int_equal(fstatat(dir, "result.json", &dir_st, 0), 0);
	assert_int_equal(dir_st.st_ino, st.st_ino);
	assert_true(dir_st.st_size < 4096);
}

static void
test_result_without_a_reservation(void **state)
{
	int dir = dir_of(state);
	struct job_result again;

	set_failures(0, 0);
	assert_int_equal(result_store_durable(dir, nobody, &some_result), 0);
	assert_int_equal(result_load(dir, &again), 0);
	assert_int_equal(help_mode(dir, "result.json"), 0640);
}

static void
test_result_failed_flush_goes_to_a_new_file(void **state)
{
	int dir = dir_of(state);
	struct job_result again;

	assert_int_equal(result_reserve(dir, nobody), 0);
	set_failures(1, 1);
	assert_int_equal(result_store_durable(dir, nobody, &some_result), 1);
	assert_int_equal(flushes, 4);
	assert_int_not_equal(flushed[0], flushed[1]);
	assert_int_equal(result_load(dir, &again), 0);
	assert_same_result(&again, &some_result);
	assert_int_equal(help_mode(dir, "result.json"), 0640);
}

static void
test_result_two_failed_flushes_are_an_error(void **state)
{
	int dir = dir_of(state);
	struct job_result again;

	assert_int_equal(result_reserve(dir, nobody), 0);
	set_failures(1, 2);
	assert_int_equal(result_store_durable(dir, nobody, &some_result), -EIO);
	assert_int_equal(flushes, 2);
	assert_int_equal(result_load(dir, &again), -ENOENT);	/* readers believe nothing */
	assert_int_equal(result_recover(dir, &again), 0);	/* recovery does */
	set_failures(0, 0);
	assert_int_equal(result_store_durable(dir, nobody, &again), 0);
	/* The file whose flush failed was not flushed again. */
	assert_int_equal(flushes, 3);
	assert_int_equal(result_load(dir, &again), 0);
	assert_same_result(&again, &some_result);
}

static void
test_result_failed_flush_of_the_folder_is_told(void **state)
{
	int dir = dir_of(state);
	struct job_result again;

	for (int at = 2; at <= 3; at++) {
		set_failures(at, at);
		assert_int_equal(result_store_durable(dir, nobody, &some_result), 1);
		assert_int_equal(flushes, at);	/* and not repeated */
		assert_int_equal(result_load(dir, &again), 0);
		assert_int_equal(unlinkat(dir, "result.json", 0), 0);
	}
}

static void
test_result_recover_takes_a_whole_result_new_only(void **state)
{
	int dir = dir_of(state);
	scoped(free_ptr) char *text = NULL;
	struct job_result again;
	size_t len = 0;

	assert_int_equal(result_recover(dir, &again), -ENOENT);
	assert_int_equal(result_format(&some_result, &text, &len), 0);
	help_write(dir, "result.new", text);
	assert_int_equal(result_recover(dir, &again), 0);
	assert_int_equal(result_load(dir, &again), -ENOENT);
	text[len - 1] = '\0';
	help_write(dir, "result.new", text);
	assert_int_equal(result_recover(dir, &again), -ENOENT);
	help_write(dir, "result.json", "");
	assert_int_equal(result_recover(dir, &again), -EBADMSG);
}

static void
test_result_reserve_anew_for_another_attempt(void **state)
{
	int dir = dir_of(state);
	struct job_result again;

	assert_int_equal(result_reserve(dir, nobody), 0);
	help_write(dir, "result.new", "{\"v\":1,\"attempt\":1, torn");
	assert_int_equal(result_reserve(dir, nobody), 0);
	set_failures(0, 0);
	assert_int_equal(result_store_durable(dir, nobody, &some_result), 0);
	assert_int_equal(flushes, 3);
	assert_int_equal(result_load(dir, &again), 0);
}

static bool
write_proc(const char *name, const char *text)
{
	scoped(close_fd) int fd = open(name, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* A mount namespace, by way of a user namespace for whoever is not root. */
static bool
new_mounts(void)
{
	char uids[64], gids[64];

	if (geteuid() == 0)
		return unshare(CLONE_NEWNS) == 0;
	(void)snprintf(uids, sizeof uids, "0 %u 1", (unsigned)geteuid());
	(void)snprintf(gids, sizeof gids, "0 %u 1", (unsigned)getegid());
	return unshare(CLONE_NEWNS | CLONE_NEWUSER) == 0 && write_proc("/proc/self/uid_map", uids) &&
	    write_proc("/proc/self/setgroups", "deny") && write_proc("/proc/self/gid_map", gids);
}

/* On a tmpfs of a few pages. */
static int
full_disk(const char *path)
{
	struct job_result again;
	int dir = -EBADF, fd = -EBADF;
	char page[4096] = { 0 };

	if (!new_mounts() || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("none", path, "tmpfs", 0, "size=64k") < 0)
		return 77;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || result_reserve(dir, nobody) < 0)
		return 1;
	fd = openat(dir, "filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, page, sizeof page) > 0)
		;
	if (errno != ENOSPC)
		return 2;
	if (want_store(dir, nobody, &(struct job_want){ .want = WANT_QUEUED }) != -ENOSPC)
		return 3;
	if (result_store_durable(dir, nobody, &some_result) != 0)
		return 4;
	if (result_load(dir, &again) < 0 || again.exit_code != 3)
		return 5;
	/* A supervisor wrote its verdict and died: recovery has no room for another file and needs none. */
	if (renameat(dir, "result.json", dir, "result.new") < 0 || result_recover(dir, &again) < 0)
		return 6;
	if (result_store_durable(dir, nobody, &again) != 0 || result_load(dir, &again) < 0)
		return 7;
	return faccessat(dir, ".result.new", F_OK, 0) == 0 ? 8 : 0;
}

static void
test_result_fits_on_a_full_disk(void **state)
{
	const struct fixture *f = *state;
	/* Not by the exit status, in which valgrind has its own word. */
	int *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int result = 0;
	pid_t pid = 0;

	assert_true(told != MAP_FAILED);
	*told = -1;
	result_flush = fsync;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		*told = full_disk(f->path);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	result = *told;
	assert_int_equal(munmap(told, sizeof *told), 0);
	if (result == 77) {
		print_message("cannot: no mount namespace here\n");
		skip();
	}
	assert_int_equal(result, 0);
}

static void
test_status_follows_a_job(void **state)
{
	int dir = dir_of(state);
	struct job_want want = { .want = WANT_QUEUED };
	struct job_run run = { .attempt = 1, .pid = 9, .started_usec = 42 };
	struct job_status status;

	assert_int_equal(status_load(dir, &status), -ENOENT);
	assert_int_equal(want_store(dir, nobody, &want), 0);
	assert_int_equal(status_load(dir, &status), 0);
	assert_int_equal(status.state, JOB_QUEUED);
	want = (struct job_want){ .want = WANT_START, .attempt = 1 };
	assert_int_equal(want_store(dir, nobody, &want), 0);
	assert_int_equal(status_load(dir, &status), 0);
	assert_int_equal(status.state, JOB_RUNNING);
	assert_int_equal(status.started_usec, 0);
	assert_int_equal(run_store(dir, nobody, &run), 0);
	assert_int_equal(status_load(dir, &status), 0);
	assert_int_equal(status.started_usec, 42);
	help_write(dir, "run.json", "");	/* torn by a power cut, before anybody recovered it */
	assert_int_equal(status_load(dir, &status), 0);
	assert_int_equal(status.state, JOB_RUNNING);
	assert_int_equal(run_store(dir, nobody, &run), 0);
	want.attempt = 2;	/* another attempt: that run.json is not its own */
	assert_int_equal(want_store(dir, nobody, &want), 0);
	assert_int_equal(status_load(dir, &status), 0);
	assert_int_equal(status.attempt, 2);
	assert_int_equal(status.started_usec, 0);
	want = (struct job_want){ .want = WANT_KILL, .attempt = 2, .by = "client" };
	assert_int_equal(want_store(dir, nobody, &want), 0);
	assert_int_equal(status_load(dir, &status), 0);
	assert_int_equal(status.state, JOB_KILLING);
	assert_string_equal(status.want.by, "client");
	set_failures(0, 0);
	assert_int_equal(result_reserve(dir, nobody), 0);
	assert_int_equal(status_load(dir, &status), 0);
	assert_int_equal(status.state, JOB_KILLING);
	assert_int_equal(result_store_durable(dir, nobody, &some_result), 0);
	assert_int_equal(status_load(dir, &status), 0);
	assert_int_equal(status.state, JOB_FINISHED);
	assert_same_result(&status.result, &some_result);
	assert_int_equal(status.started_usec, 1);
	help_write(dir, "result.json", "{");
	assert_int_equal(status_load(dir, &status), -EBADMSG);
}

static void
test_spool_status_by_id(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('c', "v1:token:x", NULL);
	struct job_status status;

	assert_int_equal(spool_status(f->s, job->id, &status), -ENOENT);
	assert_int_equal(spool_status(f->s, "../../../../../../../etc/passwd", &status), -EINVAL);
	help_accept(f, job, NULL);
	assert_int_equal(spool_status(f->s, job->id, &status), 0);
	assert_int_equal(status.state, JOB_QUEUED);
}

int
main(void)
{
#define IN_SPOOL(test) cmocka_unit_test_setup_teardown(test, spool_setup, spool_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdict_names_go_both_ways),
		IN_SPOOL(test_want_comes_back),
		IN_SPOOL(test_want_refuses_damage),
		IN_SPOOL(test_run_comes_back),
		IN_SPOOL(test_ended_comes_back),
		cmocka_unit_test(test_result_format_always_makes_a_verdict),
		IN_SPOOL(test_result_is_reserved_flushed_and_renamed),
		IN_SPOOL(test_result_without_a_reservation),
		IN_SPOOL(test_result_failed_flush_goes_to_a_new_file),
		IN_SPOOL(test_result_two_failed_flushes_are_an_error),
		IN_SPOOL(test_result_failed_flush_of_the_folder_is_told),
		IN_SPOOL(test_result_recover_takes_a_whole_result_new_only),
		IN_SPOOL(test_result_reserve_anew_for_another_attempt),
		IN_SPOOL(test_result_fits_on_a_full_disk),
		IN_SPOOL(test_status_follows_a_job),
		IN_SPOOL(test_spool_status_by_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
