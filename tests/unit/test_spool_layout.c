#include "config.h"

#include "spool_help.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "spool/accept.h"
#include "spool/index.h"
#include "spool/record.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static const char id_a[] = ID_A;
static const char id_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static void
test_spool_create_sets_modes_whatever_the_umask(void **state)
{
	static const struct {
		const char *name;
		unsigned mode;
	} wanted[] = {
		{ ".", 02710 }, { "format", 0640 }, { "incoming", 02700 }, { "jobs", 02710 }, { "jobs/00", 02710 },
		{ "jobs/ff", 02710 }, { "active", 02700 }, { "pending", 02700 }, { "index", 02750 }, { "index/key", 02750 },
		{ "cache", 02750 }, { "cache/stan", 02750 }, { "volumes", 02710 }, { "packs", 02750 }, { "trash", 02700 },
	};
	static const mode_t masks[] = { 0, 022, 077 };
	const struct fixture *f = *state;

	for (size_t m = 0; m < sizeof masks / sizeof *masks; m++) {
		scoped(free_spool) struct spool *s = NULL;
		scoped(free_ptr) char *path = NULL;
		mode_t old = umask(masks[m]);
		int r = 0;

		assert_true(asprintf(&path, "%s/other%zu", f->parent, m) > 0);
		r = spool_create(path, f->s->groups, &s);
		(void)umask(old);
		assert_int_equal(r, 0);
		for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
			assert_int_equal(help_mode(s->root_fd, wanted[i].name), wanted[i].mode);
	}
}

static void
test_spool_create_sets_groups(void **state)
{
	const struct fixture *f = *state;
	scoped(free_spool) struct spool *s = NULL;
	scoped(free_ptr) char *path = NULL;
	scoped(free_job) struct job *job = help_job('a', "v1:token:lab", NULL);
	/* As root any two; else what the caller is in. */
	struct spool_groups groups = { geteuid() == 0 ? 12345 : getegid(), geteuid() == 0 ? 12346 : getegid() };
	const struct {
		const char *name;
		gid_t gid;
	} wanted[] = {
		{ ".", groups.read_gid }, { "jobs", groups.read_gid }, { "jobs/7f", groups.read_gid }, { "packs", groups.read_gid },
		{ "index", groups.gate_gid }, { "index/v1/token%3Alab", groups.gate_gid },
		{ "jobs/aa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", groups.read_gid },
		{ "jobs/aa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/job.json", groups.gate_gid },
		{ "jobs/aa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/state.json", groups.gate_gid },
		{ "jobs/aa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/in", groups.gate_gid },
	};
	struct fixture other = { 0 };

	assert_true(asprintf(&path, "%s/other", f->parent) > 0);
	assert_int_equal(spool_create(path, groups, &s), 0);
	other.s = s;
	help_accept(&other, job, NULL);
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		struct stat st;

		assert_int_equal(fstatat(s->root_fd, wanted[i].name, &st, 0), 0);
		assert_int_equal(st.st_gid, wanted[i].gid);
		if (S_ISDIR(st.st_mode))
			assert_true(st.st_mode & S_ISGID);
	}
}

/* What an account outside may do; a set bit is a wrong answer. readers: in the group of nginx and the gate; gate: in the gate's. */
static unsigned
try_as(const char *path, const gid_t *groups, size_t n, bool readers, bool gate)
{
	char sub[PATH_MAX];
	unsigned wrong = 0;
	scoped(free_spool) struct spool *s = NULL;
	const struct {
		const char *name;
		int flags;
		bool may;
	} tries[] = {
		{ "jobs/aa/" ID_A "/" "work/out", O_RDONLY, readers },
		{ "jobs/aa/" ID_A "/work", O_RDONLY | O_DIRECTORY, readers },
		{ "jobs/aa/" ID_A "/log", O_RDONLY, readers },
		{ "jobs/aa/" ID_A "/job.json", O_RDONLY, gate },
		{ "jobs/aa/" ID_A "/state.json", O_RDONLY, gate },
		{ "jobs/aa/" ID_A "/in/f", O_RDONLY, gate },
		{ "jobs/aa/" ID_A "/lock", O_RDONLY, false },
		{ "jobs/aa/" ID_A "/job.json", O_WRONLY, false },
		{ "jobs/aa/" ID_A "/log", O_WRONLY, false },
		{ "jobs/aa/" ID_A, O_RDONLY | O_DIRECTORY, false },
		{ "jobs/aa", O_RDONLY | O_DIRECTORY, false },
		{ "jobs", O_RDONLY | O_DIRECTORY, false },
		{ ".", O_RDONLY | O_DIRECTORY, false },
		{ "index", O_RDONLY | O_DIRECTORY, gate },
		{ "index/v1/token%3Alab", O_RDONLY | O_DIRECTORY, gate },
		{ "packs", O_RDONLY | O_DIRECTORY, readers },
		{ "cache/stan", O_RDONLY | O_DIRECTORY, readers },
		{ "active", O_RDONLY | O_DIRECTORY, false },
		{ "incoming", O_RDONLY | O_DIRECTORY, false },
		{ "trash", O_RDONLY | O_DIRECTORY, false },
	};

	if (setgroups(n, groups) < 0 || setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return UINT32_MAX;
	for (unsigned i = 0; i < sizeof tries / sizeof *tries; i++) {
		scoped(close_fd) int fd = -EBADF;

		(void)snprintf(sub, sizeof sub, "%s/%s", path, tries[i].name);
		fd = open(sub, tries[i].flags | O_CLOEXEC);
		if ((fd >= 0) != tries[i].may || (fd < 0 && errno != EACCES))
			wrong |= 1U << i;
	}
	if ((spool_open(path, &s) == 0) != gate)
		wrong |= 1U << 30;
	if (gate && s) {
		struct job_status status;
		struct index_entry page[2];

		if (spool_status(s, ID_A, &status) != 0 || status.state != JOB_QUEUED ||
		    index_page(s, "v1:token:lab", (struct index_entry){ UINT64_MAX, "" }, page, 2) != 1)
			wrong |= 1U << 31;
	}
	return wrong;
}

static void
test_spool_shows_each_account_its_own_part(void **state)
{
	static const char *const inputs[] = { "f", "text", NULL };
	const struct spool_groups groups = { 12345, 12346 };
	const gid_t both[] = { groups.read_gid, groups.gate_gid };
	struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', "v1:token:lab", inputs);
	scoped(close_fd) int job_fd = -EBADF, work_fd = -EBADF;
	unsigned *wrong = NULL;

	if (geteuid() != 0) {
		print_message("cannot: not root, so no other account can be tried\n");
		skip();
	}
	assert_int_equal(chmod(f->parent, 0711), 0);
	f->s = spool_free(f->s);
	assert_int_equal(spool_create(f->path, groups, &f->s), 0);
	assert_int_equal(remove_tree_at(f->s->jobs_fd, "aa"), 0);	/* made when there were no groups */
	help_accept(f, job, inputs);
	job_fd = spool_open_job(f->s, job->id);
	work_fd = make_dir_at(job_fd, "work", 02750, groups.read_gid);
	help_write(work_fd, "out", "x");
	help_write(job_fd, "log", "x");
	wrong = mmap(NULL, 3 * sizeof *wrong, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(wrong != MAP_FAILED);
	for (unsigned who = 0; who < 3; who++) {	/* a stranger, nginx, the gate */
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			wrong[who] = UINT32_MAX;
			wrong[who] = try_as(f->path, both, who, who >= 1, who >= 2);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_int_equal(wrong[who], 0);
	}
	assert_int_equal(munmap(wrong, 3 * sizeof *wrong), 0);
}

static void
test_spool_open_reads_what_create_made(void **state)
{
	const struct fixture *f = *state;
	scoped(free_spool) struct spool *s = NULL;
	scoped(free_job) struct job *job = help_job('a', "v1:token:lab", NULL), *again = NULL;
	scoped(close_fd) int job_fd = -EBADF;

	help_accept(f, job, NULL);
	assert_int_equal(spool_open(f->path, &s), 0);
	assert_int_equal(s->active_fd, -EBADF);
	assert_int_equal(s->trash_fd, -EBADF);
	job_fd = spool_open_job(s, id_a);
	assert_true(job_fd >= 0);
	assert_int_equal(fcntl(job_fd, F_GETFL) & O_PATH, O_PATH);
	assert_int_equal(job_load(job_fd, &again), 0);
	assert_string_equal(again->owner, "v1:token:lab");
}

static void
test_spool_open_refuses_what_is_no_spool_or_newer(void **state)
{
	struct fixture *f = *state;
	struct spool *s = NULL;

	assert_int_equal(spool_open("/nonexistent/spool", &s), -ENOENT);
	assert_int_equal(spool_open(f->parent, &s), -ENOENT);
	help_write(f->s->root_fd, "format", "{\"v\":1,\"format\":2}");
	assert_int_equal(spool_open(f->path, &s), -EPROTONOSUPPORT);
	assert_int_equal(spool_create(f->path, f->s->groups, &s), -EPROTONOSUPPORT);
	help_write(f->s->root_fd, "format", "{\"v\":2,\"format\":1}");
	assert_int_equal(spool_open(f->path, &s), -EPROTONOSUPPORT);
	help_write(f->s->root_fd, "format", "1\n");
	assert_int_equal(spool_open(f->path, &s), -EBADMSG);
	assert_int_equal(spool_create(f->path, f->s->groups, &s), -EBADMSG);
}

static void
test_spool_create_finishes_a_creation_that_was_cut_off(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(unlinkat(f->s->root_fd, "format", 0), 0);
	assert_int_equal(unlinkat(f->s->root_fd, "trash", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(f->s->jobs_fd, "42", AT_REMOVEDIR), 0);
	spool_again(f);
	assert_true(help_exists(f->s->jobs_fd, "42"));
	assert_true(f->s->trash_fd >= 0);
	assert_true(help_exists(f->s->root_fd, "format"));
}

static void
test_spool_lock_tells_who_has_it(void **state)
{
	const struct fixture *f = *state;
	scoped(close_fd) int lock = spool_lock(f->s, NULL), second = -EBADF;
	pid_t pid = 0;

	assert_true(lock >= 0);
	assert_int_equal(fcntl(lock, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(spool_lock(f->s, &pid), -EWOULDBLOCK);
	assert_int_equal(pid, getpid());
	assert_int_equal(spool_holder(f->path), getpid());
	help_write(f->s->root_fd, "lock", "12x");
	assert_int_equal(spool_holder(f->path), 0);
	assert_int_equal(spool_lock(f->s, &pid), -EWOULDBLOCK);
	assert_int_equal(pid, 0);
	close_fd(&lock);
	second = spool_lock(f->s, &pid);
	assert_true(second >= 0);
	assert_int_equal(spool_holder("/nonexistent"), 0);
}

static void
test_spool_open_job_takes_ids_only(void **state)
{
	static const char *const wrong[] = { "", "..", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/", "../aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	const struct fixture *f = *state;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(spool_open_job(f->s, wrong[i]), -EINVAL);
	assert_int_equal(spool_open_job(f->s, id_a), -ENOENT);
	assert_int_equal(symlinkat("/", f->s->jobs_fd, "aa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 0);
	assert_int_equal(spool_open_job(f->s, id_a), -ENOTDIR);
}

static int
count_id(const char *id, void *ctx)
{
	int *n = ctx;

	assert_true(id_valid(id));
	return ++*n == 7 ? -ECANCELED : 0;
}

static void
test_spool_active_marks(void **state)
{
	const struct fixture *f = *state;
	int n = 0;

	assert_int_equal(spool_mark_active(f->s, id_a), 0);
	assert_int_equal(spool_mark_active(f->s, id_a), 0);
	assert_int_equal(spool_mark_active(f->s, id_b), 0);
	assert_int_equal(spool_mark_active(f->s, "x"), -EINVAL);
	help_write(f->s->active_fd, "readme", "");
	assert_int_equal(spool_each_active(f->s, count_id, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(spool_clear_active(f->s, id_a), 0);
	assert_int_equal(spool_clear_active(f->s, id_a), 0);
	n = 6;
	assert_int_equal(spool_each_active(f->s, count_id, &n), -ECANCELED);
	n = 0;
	assert_int_equal(spool_each_pending(f->s, count_id, &n), 0);
	assert_int_equal(n, 0);
}

static void
test_job_lock_passes_with_its_descriptor(void **state)
{
	const struct fixture *f = *state;
	scoped(free_job) struct job *job = help_job('a', "v1:token:lab", NULL);
	scoped(close_fd) int job_fd = -EBADF, lock = -EBADF;
	int go[2] = { -EBADF, -EBADF }, status = 0;
	pid_t pid = 0;
	char c = 0;

	help_accept(f, job, NULL);
	job_fd = spool_open_job(f->s, id_a);
	assert_int_equal(job_locked(job_fd), 0);
	lock = job_lock(job_fd);
	assert_true(lock >= 0);
	assert_int_equal(job_locked(job_fd), 1);
	assert_int_equal(job_lock(job_fd), -EWOULDBLOCK);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(go[1]);
		(void)!read(go[0], &c, 1);
		_exit(0);
	}
	(void)close(go[0]);
	/* A look opens and closes the file and must not end the lock, as it would with fcntl's older locks. */
	close_fd(&lock);
	assert_int_equal(job_locked(job_fd), 1);
	assert_int_equal(job_locked(job_fd), 1);
	(void)close(go[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(job_locked(job_fd), 0);
}

static void
test_spool_room_and_sync(void **state)
{
	const struct fixture *f = *state;
	uint64_t bytes = 0, inodes = 0;

	assert_int_equal(spool_room(f->s, &bytes, &inodes), 0);
	assert_true(bytes > 0);
	assert_true(inodes > 0);
	assert_int_equal(spool_sync(f->s), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_spool_create_sets_modes_whatever_the_umask, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_spool_create_sets_groups, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_spool_shows_each_account_its_own_part, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_spool_open_reads_what_create_made, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_spool_open_refuses_what_is_no_spool_or_newer, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_spool_create_finishes_a_creation_that_was_cut_off, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_spool_lock_tells_who_has_it, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_spool_open_job_takes_ids_only, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_spool_active_marks, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_job_lock_passes_with_its_descriptor, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_spool_room_and_sync, spool_setup, spool_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
