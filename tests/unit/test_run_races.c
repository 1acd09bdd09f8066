/* A tool that swaps what lies under a name as fast as it can, file, link, FIFO and folder in turn, while every way in which spoolgate opens
 * what a tool may still change reads it: none follows a link out of the folder, none waits for a FIFO. Each goes on until a million
 * swaps have happened under it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "basic/fd.h"
#include "basic/scoped.h"
#include "run/outputs.h"

#define CANARY "a canary of a file outside"
enum { SWAPS = 1000 * 1000, OWN_BYTES = 100, OUTSIDE_BYTES = 64 * 1024, HANG_SEC = 120 };

struct race {
	char *path;	/* of the folder that holds inside/ and outside/ */
	int fd;	/* inside/ */
	ino_t outside;
	pid_t swapper;
	_Atomic uint64_t *swaps;
};

static void
put(int dir_fd, const char *name, char byte, size_t size)
{
	scoped(close_fd) int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	scoped(free_ptr) char *text = malloc(size);

	assert_true(fd >= 0 && text);
	memset(text, byte, size);
	if (byte == 'c')
		memcpy(text, CANARY, strlen(CANARY));
	assert_int_equal(write_all(fd, text, size), 0);
}

/* "f" becomes each of f0 to f3, and "d" each of d0 to d2. */
static _Noreturn void
swap(struct race *r)
{
	static const char *const names[] = { "f", "f0", "f", "f1", "f", "f2", "f", "f3", "d", "d0", "d", "d1", "d", "d2" };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		for (size_t i = 0; i < sizeof names / sizeof *names; i += 2)
			if (renameat2(r->fd, names[i], r->fd, names[i + 1], RENAME_EXCHANGE) == 0)
				atomic_fetch_add(r->swaps, 1);
}

static int
setup(void **state)
{
	struct race *r = test_calloc(1, sizeof *r);
	struct stat st;
	int top;

	r->path = strdup("/tmp/sg-race-XXXXXX");
	assert_non_null(mkdtemp(r->path));
	top = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(top, "outside", 0700), 0);
	assert_int_equal(mkdirat(top, "inside", 0700), 0);
	put(top, "outside/f", 'c', OUTSIDE_BYTES);
	put(top, "outside/secret", 'c', OUTSIDE_BYTES);
	assert_int_equal(fstatat(top, "outside", &st, 0), 0);
	r->outside = st.st_ino;
	r->fd = openat(top, "inside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put(r->fd, "f", 'o', OWN_BYTES);
	put(r->fd, "f0", 'o', OWN_BYTES);
	assert_int_equal(symlinkat("../outside/secret", r->fd, "f1"), 0);
	assert_int_equal(mkfifoat(r->fd, "f2", 0600), 0);
	assert_int_equal(mkdirat(r->fd, "f3", 0700), 0);
	assert_int_equal(mkdirat(r->fd, "d", 0700), 0);
	put(r->fd, "d/f", 'o', OWN_BYTES);
	assert_int_equal(mkdirat(r->fd, "d0", 0700), 0);
	assert_int_equal(symlinkat("../outside", r->fd, "d1"), 0);
	assert_int_equal(symlinkat("..", r->fd, "d2"), 0);
	(void)close(top);
	r->swaps = mmap(NULL, sizeof *r->swaps, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(r->swaps != MAP_FAILED);
	r->swapper = fork();
	if (r->swapper == 0)
		swap(r);
	assert_true(r->swapper > 0);
	(void)alarm(HANG_SEC);	/* a reader that waits for a FIFO ends the test */
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct race *r = *state;

	(void)alarm(0);
	(void)kill(r->swapper, SIGKILL);
	assert_int_equal(waitpid(r->swapper, NULL, 0), r->swapper);
	(void)munmap((void *)(uintptr_t)r->swaps, sizeof *r->swaps);
	(void)close(r->fd);
	assert_int_equal(remove_tree_at(AT_FDCWD, r->path), 0);
	free(r->path);
	test_free(r);
	return 0;
}

static uint64_t
until(const struct race *r)
{
	return atomic_load(r->swaps) + SWAPS;
}

/* Its bytes are the tool's own. Closes it. Whether there was one. */
static bool
is_own(int fd, off_t size)
{
	char text[OWN_BYTES + 1] = "";

	if (fd < 0)
		return false;
	assert_int_equal(size, OWN_BYTES);
	assert_int_equal(pread_full(fd, text, sizeof text, 0), OWN_BYTES);
	assert_int_equal(strspn(text, "o"), OWN_BYTES);
	(void)close(fd);
	return true;
}

static void
test_a_name(void **state)
{
	struct race *r = *state;
	uint64_t end = until(r), good = 0, bad = 0;

	while (atomic_load(r->swaps) < end) {
		off_t size = 0;
		int fd = open_regular_at(r->fd, "f", &size);

		*(is_own(fd, size) ? &good : &bad) += 1;
	}
	assert_true(good > 0 && bad > 0);
}

static void
test_a_path(void **state)
{
	struct race *r = *state;
	uint64_t end = until(r), good = 0, bad = 0;

	while (atomic_load(r->swaps) < end) {
		off_t size = 0;
		int fd = open_regular_beneath(r->fd, "d/f", &size);

		*(is_own(fd, size) ? &good : &bad) += 1;
		/* "d" as a link to "..", from which the name leads out. */
		fd = open_regular_beneath(r->fd, "d/outside/f", &size);
		assert_true(fd < 0);
	}
	assert_true(good > 0 && bad > 0);
}

static void
test_a_folder(void **state)
{
	struct race *r = *state;
	uint64_t end = until(r), good = 0, bad = 0;

	while (atomic_load(r->swaps) < end) {
		scoped(close_fd) int fd = open_dir_beneath(r->fd, "d"), plain = open_dir_at(r->fd, "d");
		struct stat st = { 0 };

		*(fd >= 0 ? &good : &bad) += 1;
		assert_true(fd < 0 || (fstat(fd, &st) == 0 && st.st_ino != r->outside));
		assert_true(plain < 0 || (fstat(plain, &st) == 0 && st.st_ino != r->outside));
	}
	assert_true(good > 0 && bad > 0);
}

static void
test_a_whole_file(void **state)
{
	struct race *r = *state;
	uint64_t end = until(r), good = 0, bad = 0;

	while (atomic_load(r->swaps) < end) {
		scoped(free_ptr) char *data = NULL;
		size_t len = 0;

		if (read_file_at(r->fd, "f", OUTSIDE_BYTES * 2, &data, &len) < 0) {
			bad++;
			continue;
		}
		good++;
		assert_int_equal(len, OWN_BYTES);
		assert_int_equal(strspn(data, "o"), OWN_BYTES);
	}
	assert_true(good > 0 && bad > 0);
}

/* What lies outside has more bytes than the caps. */
static void
test_the_look_at_outputs(void **state)
{
	struct race *r = *state;
	const struct plan plan = { .mode = PLAN_RUN };
	const struct walk_caps caps = { .entries = 20, .bytes = 10 * OWN_BYTES, .gid = (gid_t)-1 };
	uint64_t end = until(r);

	while (atomic_load(r->swaps) < end)
		assert_null(outputs_over(r->fd, &plan, &caps));
}

/* A tree that its owner goes on swapping in is removed as far as it goes, and nothing outside of it. */
static void
test_a_removal(void **state)
{
	struct race *r = *state;
	uint64_t end = until(r);
	char path[64];

	while (atomic_load(r->swaps) < end) {
		scoped(close_fd) int fd = -EBADF;

		(void)remove_tree_at(r->fd, "d");
		(void)mkdirat(r->fd, "d", 0700);
		fd = open_dir_at(r->fd, "d");
		if (fd >= 0)
			(void)!symlinkat("../../outside", fd, "link");
	}
	(void)snprintf(path, sizeof path, "%s/outside/secret", r->path);
	assert_int_equal(access(path, F_OK), 0);
	(void)snprintf(path, sizeof path, "%s/outside/f", r->path);
	assert_int_equal(access(path, F_OK), 0);
}

#define RACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RACE(test_a_name),
		RACE(test_a_path),
		RACE(test_a_folder),
		RACE(test_a_whole_file),
		RACE(test_the_look_at_outputs),
		RACE(test_a_removal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
