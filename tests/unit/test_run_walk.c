#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "unit.h"

#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "run/walk.h"

struct seen {
	struct strbuf list;	/* "path size mode\n" */
	size_t n;
	int stop_at;	/* the entry that keep refuses; 0: none */
};

static int
note(const struct manifest_entry *e, void *ctx)
{
	struct seen *s = ctx;

	s->n++;
	if ((int)s->n == s->stop_at)
		return -ECANCELED;
	strbuf_addf(&s->list, "%s%s %" PRIu64 " %o\n", e->path, e->sha256[0] ? "" : "/", e->size, (unsigned)e->mode);
	return 0;
}

static struct walk_counts
walk(const struct temp_dir *dir, struct walk_caps caps, const char *expected)
{
	struct seen seen = { .list = STRBUF_INIT(16 * 1024 * 1024) };
	struct walk_counts counts = { 0 };
	int fd = next_fd();

	caps.gid = (gid_t)-1;
	if (caps.bytes == 0)
		caps.bytes = UINT64_MAX;
	assert_return_code(walk_outputs(dir->fd, &caps, note, &seen, &counts), 0);
	assert_int_equal(next_fd(), fd);
	assert_int_equal(seen.n, counts.files + counts.folders);
	if (expected)
		assert_string_equal(strbuf_str(&seen.list), expected);
	strbuf_done(&seen.list);
	return counts;
}

static void
put(const struct temp_dir *dir, const char *name, size_t size)
{
	int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	assert_true(fd >= 0);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(write(fd, "x", 1), 1);
	(void)close(fd);
}

static void
make(const struct temp_dir *dir, const char *name, mode_t mode)
{
	assert_return_code(mkdirat(dir->fd, name, 0777), errno);
	assert_return_code(fchmodat(dir->fd, name, mode, 0), errno);
}

static bool
there(const struct temp_dir *dir, const char *name)
{
	return faccessat(dir->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
test_lists_files_and_folders_in_byte_order(void **state)
{
	const struct temp_dir *dir = *state;
	struct walk_counts counts = { 0 };

	put(dir, "b", 2);
	make(dir, "a", 0777);
	put(dir, "a/z", 0);
	make(dir, "a/y", 0700);
	put(dir, "B", 1);
	put(dir, ".hidden", 3);
	put(dir, "\xff\n", 1);
	assert_return_code(fchmodat(dir->fd, "b", 06777, 0), errno);
	counts = walk(dir, (struct walk_caps){ 0 },
	    ".hidden 3 640\nB 1 640\na/ 0 2750\na/y/ 0 2750\na/z 0 640\nb 2 640\n\xff\n 1 640\n");
	assert_int_equal(counts.files, 5);
	assert_int_equal(counts.folders, 2);
	assert_int_equal(counts.bytes, 7);
	assert_int_equal(counts.odd + counts.over, 0);
}

static void
test_removes_what_is_neither_file_nor_folder(void **state)
{
	const struct temp_dir *dir = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	scoped(close_fd) int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct walk_counts counts = { 0 };

	put(dir, "file", 1);
	assert_return_code(symlinkat("/etc/passwd", dir->fd, "link"), errno);
	assert_return_code(symlinkat(".", dir->fd, "loop"), errno);
	assert_return_code(symlinkat("nowhere", dir->fd, "dangling"), errno);
	assert_return_code(mkfifoat(dir->fd, "fifo", 0600), errno);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/socket", dir->fd);
	assert_return_code(bind(s, (struct sockaddr *)&address, sizeof address), errno);
	if (getuid() == 0)
		assert_return_code(mknodat(dir->fd, "device", S_IFCHR | 0666, makedev(1, 3)), errno);
	counts = walk(dir, (struct walk_caps){ 0 }, "file 1 640\n");
	assert_int_equal(counts.odd, getuid() == 0 ? 6 : 5);
	assert_false(there(dir, "link") || there(dir, "loop") || there(dir, "dangling") || there(dir, "fifo") ||
	    there(dir, "socket") || there(dir, "device"));
	assert_int_equal(faccessat(AT_FDCWD, "/etc/passwd", F_OK, 0), 0);
}

static void
test_keeps_one_of_several_links_to_a_file(void **state)
{
	const struct temp_dir *dir = *state;
	struct walk_counts counts = { 0 };
	struct stat st = { 0 };

	put(dir, "a", 5);
	make(dir, "d", 0755);
	assert_return_code(linkat(dir->fd, "a", dir->fd, "d/b", 0), errno);
	assert_return_code(linkat(dir->fd, "a", dir->fd, "c", 0), errno);
	counts = walk(dir, (struct walk_caps){ 0 }, NULL);
	assert_int_equal(counts.files, 1);
	assert_int_equal(counts.odd, 2);
	assert_return_code(fstatat(dir->fd, there(dir, "a") ? "a" : there(dir, "c") ? "c" : "d/b", &st, 0), errno);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_size, 5);
}

static void
test_opens_what_has_no_permissions(void **state)
{
	const struct temp_dir *dir = *state;

	make(dir, "d", 0700);
	make(dir, "d/e", 0700);
	put(dir, "d/e/f", 1);
	assert_return_code(symlinkat("x", dir->fd, "d/e/link"), errno);
	assert_return_code(fchmodat(dir->fd, "d/e/f", 0, 0), errno);
	assert_return_code(fchmodat(dir->fd, "d/e", 0, 0), errno);
	assert_return_code(fchmodat(dir->fd, "d", 0, 0), errno);
	(void)walk(dir, (struct walk_caps){ 0 }, "d/ 0 2750\nd/e/ 0 2750\nd/e/f 1 640\n");
	assert_false(there(dir, "d/e/link"));
}

static void
test_cap_of_bytes(void **state)
{
	const struct temp_dir *dir = *state;
	scoped(close_fd) int fd = -EBADF;
	struct walk_counts counts = { 0 };

	put(dir, "a", 6);
	put(dir, "b", 5);
	put(dir, "c", 4);
	put(dir, "d", 1);
	fd = openat(dir->fd, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	assert_true(fd >= 0);
	assert_return_code(ftruncate(fd, (off_t)1 << 40), errno);
	counts = walk(dir, (struct walk_caps){ .bytes = 10 }, "a 6 640\nc 4 640\n");
	assert_int_equal(counts.bytes, 10);
	assert_int_equal(counts.over, 3);
	assert_false(there(dir, "b") || there(dir, "d") || there(dir, "sparse"));
}

static void
test_cap_of_entries(void **state)
{
	const struct temp_dir *dir = *state;
	struct walk_counts counts = { 0 };
	size_t left = 0;

	for (int i = 0; i < 50; i++) {
		char name[32];

		(void)snprintf(name, sizeof name, "d%d", i);
		make(dir, name, 0755);
		(void)snprintf(name, sizeof name, "d%d/f", i);
		put(dir, name, 1);
		(void)snprintf(name, sizeof name, "f%d", i);
		put(dir, name, 1);
	}
	counts = walk(dir, (struct walk_caps){ .entries = 20 }, NULL);
	assert_int_equal(counts.files + counts.folders, 20);
	assert_true(counts.over > 0);
	for (int i = 0; i < 50; i++) {
		char name[32];

		(void)snprintf(name, sizeof name, "d%d", i);
		left += there(dir, name);
		(void)snprintf(name, sizeof name, "d%d/f", i);
		left += there(dir, name);
		(void)snprintf(name, sizeof name, "f%d", i);
		left += there(dir, name);
	}
	assert_int_equal(left, 20);
}

static void
test_never_more_than_ten_thousand_entries(void **state)
{
	const struct temp_dir *dir = *state;
	struct walk_counts counts = { 0 };

	for (int i = 0; i < WALK_ENTRIES_MAX + 100; i++) {
		char name[32];

		(void)snprintf(name, sizeof name, "%d", i);
		put(dir, name, 0);
	}
	counts = walk(dir, (struct walk_caps){ .entries = 1000 * 1000 }, NULL);
	assert_int_equal(counts.files, WALK_ENTRIES_MAX);
	assert_int_equal(counts.over, 100);
}

/* In memory: on a disk such a chain takes a minute to remove. */
static int
make_memory_dir(void **state)
{
	struct temp_dir *dir = calloc(1, sizeof *dir);

	if (!dir)
		return -1;
	(void)snprintf(dir->path, sizeof dir->path, "/dev/shm/spoolgate-unit-XXXXXX");
	if (!mkdtemp(dir->path)) {
		free(dir);
		return make_temp_dir(state);
	}
	dir->fd = open_dir_at(AT_FDCWD, dir->path);
	*state = dir;
	return dir->fd < 0 ? -1 : 0;
}

/* depth folders, one in the other, made without a path that long. */
static void
nest(const struct temp_dir *dir, int depth)
{
	int fd = dup(dir->fd);

	for (int i = 0; i < depth; i++) {
		int next = -EBADF;

		assert_return_code(mkdirat(fd, "d", 0700), errno);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		(void)close(fd);
		fd = next;
	}
	(void)close(fd);
}

static void
test_deep_folders_with_few_descriptors(void **state)
{
	const struct temp_dir *dir = *state;
	struct rlimit before = { 0 }, few = { 0 };
	struct walk_counts counts = { 0 };

	nest(dir, 56000);
	put(dir, "a", 1);
	assert_return_code(getrlimit(RLIMIT_NOFILE, &before), errno);
	few = before;
	few.rlim_cur = (rlim_t)next_fd() + 64;
	assert_return_code(setrlimit(RLIMIT_NOFILE, &few), errno);
	counts = walk(dir, (struct walk_caps){ 0 }, NULL);
	assert_return_code(setrlimit(RLIMIT_NOFILE, &before), errno);
	assert_int_equal(counts.files, 1);
	assert_in_range(counts.folders, 1000, WALK_PATH_MAX / 2);
	assert_int_equal(counts.over, 1);
	assert_true(there(dir, "a"));
}

static void
test_refusal_of_keep_ends_it(void **state)
{
	const struct temp_dir *dir = *state;
	struct seen seen = { .list = STRBUF_INIT(4096), .stop_at = 2 };
	struct walk_caps caps = { .bytes = UINT64_MAX, .gid = (gid_t)-1 };
	struct walk_counts counts = { 0 };
	int fd = next_fd();

	make(dir, "a", 0755);
	make(dir, "a/b", 0755);
	put(dir, "c", 1);
	assert_int_equal(walk_outputs(dir->fd, &caps, note, &seen, &counts), -ECANCELED);
	assert_int_equal(next_fd(), fd);
	strbuf_done(&seen.list);
}

static void
test_sets_the_group(void **state)
{
	const struct temp_dir *dir = *state;
	struct seen seen = { .list = STRBUF_INIT(4096) };
	struct walk_caps caps = { .bytes = UINT64_MAX, .gid = 4242 };
	struct walk_counts counts = { 0 };
	struct stat st = { 0 };

	if (getuid() != 0) {
		print_message("cannot: needs root\n");
		skip();
	}
	make(dir, "a", 0755);
	put(dir, "a/f", 1);
	assert_return_code(walk_outputs(dir->fd, &caps, note, &seen, &counts), 0);
	assert_return_code(fstatat(dir->fd, "a", &st, 0), errno);
	assert_int_equal(st.st_gid, 4242);
	assert_int_equal(st.st_mode & 07777, 02750);
	assert_return_code(fstatat(dir->fd, "a/f", &st, 0), errno);
	assert_int_equal(st.st_gid, 4242);
	assert_int_equal(st.st_mode & 07777, 0640);
	strbuf_done(&seen.list);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEMP_DIR_TEST(test_lists_files_and_folders_in_byte_order),
		TEMP_DIR_TEST(test_removes_what_is_neither_file_nor_folder),
		TEMP_DIR_TEST(test_keeps_one_of_several_links_to_a_file),
		TEMP_DIR_TEST(test_opens_what_has_no_permissions),
		TEMP_DIR_TEST(test_cap_of_bytes),
		TEMP_DIR_TEST(test_cap_of_entries),
		TEMP_DIR_TEST(test_never_more_than_ten_thousand_entries),
		cmocka_unit_test_setup_teardown(test_deep_folders_with_few_descriptors, make_memory_dir, drop_temp_dir),
		TEMP_DIR_TEST(test_refusal_of_keep_ends_it),
		TEMP_DIR_TEST(test_sets_the_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
