#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "basic/scoped.h"
#include "unit.h"

static void
make_file(int dir_fd, const char *name, const char *text)
{
	scoped(close_fd) int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

static void
assert_cloexec(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	assert_true(flags >= 0 && (flags & FD_CLOEXEC));
}

static void
test_read_full_collects_short_reads(void **state)
{
	int ends[2] = { -EBADF, -EBADF };
	char buf[16] = { 0 };

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write_all(ends[1], "abc", 3), 0);
	assert_int_equal(write_all(ends[1], "def", 3), 0);
	assert_int_equal(read_full(ends[0], buf, 4), 4);
	assert_memory_equal(buf, "abcd", 4);
	close_fd(&ends[1]);
	assert_int_equal(read_full(ends[0], buf, sizeof buf), 2);
	assert_int_equal(read_full(ends[0], buf, sizeof buf), 0);
	close_fd(&ends[0]);
	assert_int_equal(read_full(ends[0], buf, sizeof buf), -EBADF);
	assert_int_equal(write_all(ends[0], buf, 1), -EBADF);
}

static void
test_pwrite_and_pread_leave_the_position(void **state)
{
	scoped(close_fd) int fd = memory_file("test");
	char buf[16] = { 0 };

	(void)state;
	assert_int_equal(pwrite_all(fd, "hello", 5, 3), 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_int_equal(pread_full(fd, buf, sizeof buf, 2), 6);
	assert_memory_equal(buf, "\0hello", 6);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_int_equal(pread_full(fd, buf, sizeof buf, 100), 0);
}

static void
test_open_dir_at_follows_no_link(void **state)
{
	const struct temp_dir *dir = *state;
	scoped(close_fd) int fd = -EBADF;

	assert_int_equal(mkdirat(dir->fd, "d", 0700), 0);
	assert_int_equal(symlinkat("d", dir->fd, "link"), 0);
	make_file(dir->fd, "file", "");
	fd = open_dir_at(dir->fd, "d");
	assert_true(fd >= 0);
	assert_cloexec(fd);
	assert_int_equal(open_dir_at(dir->fd, "link"), -ENOTDIR);
	assert_int_equal(open_dir_at(dir->fd, "file"), -ENOTDIR);
	assert_int_equal(open_dir_at(dir->fd, "none"), -ENOENT);
}

static void
test_make_dir_at_sets_the_mode_exactly(void **state)
{
	const struct temp_dir *dir = *state;
	static const mode_t modes[] = { 02710, 0750, 0300 };
	mode_t mask = umask(077);
	struct stat st = { 0 };

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		/* The second time over it is there already. */
		for (int again = 0; again < 2; again++) {
			scoped(close_fd) int fd = make_dir_at(dir->fd, "d", modes[i], again ? getegid() : (gid_t)-1);

			assert_true(fd >= 0);
			assert_cloexec(fd);
			assert_int_equal(fstat(fd, &st), 0);
			assert_int_equal(st.st_mode & 07777, modes[i]);
			assert_int_equal(fchmod(fd, 0700), 0);
		}
	}
	(void)umask(mask);
	assert_int_equal(symlinkat("d", dir->fd, "link"), 0);
	assert_int_equal(make_dir_at(dir->fd, "link", 0700, (gid_t)-1), -ENOTDIR);
}

static void
test_open_regular_at_refuses_everything_else(void **state)
{
	const struct temp_dir *dir = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	scoped(close_fd) int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	scoped(close_fd) int fd = -EBADF;
	off_t size = 77;
	int first = next_fd();

	make_file(dir->fd, "file", "12345");
	assert_int_equal(symlinkat("file", dir->fd, "link"), 0);
	assert_int_equal(mkfifoat(dir->fd, "fifo", 0600), 0);
	assert_int_equal(mkdirat(dir->fd, "d", 0700), 0);
	(void)snprintf(addr.sun_path, sizeof addr.sun_path, "/proc/self/fd/%d/sock", dir->fd);
	assert_int_equal(bind(sock, (const struct sockaddr *)&addr, sizeof addr), 0);
	assert_int_equal(open_regular_at(dir->fd, "link", &size), -ELOOP);
	assert_int_equal(open_regular_at(dir->fd, "fifo", &size), -EINVAL);
	assert_int_equal(open_regular_at(dir->fd, "d", &size), -EINVAL);
	assert_int_equal(open_regular_at(dir->fd, "sock", &size), -EINVAL);
	assert_int_equal(open_regular_at(AT_FDCWD, "/dev/null", &size), -EINVAL);
	assert_int_equal(open_regular_at(dir->fd, "none", &size), -ENOENT);
	assert_int_equal(size, 77);
	assert_int_equal(next_fd(), first);
	fd = open_regular_at(dir->fd, "file", &size);
	assert_true(fd >= 0);
	assert_cloexec(fd);
	assert_int_equal(size, 5);
}

static void
test_open_beneath_leaves_by_no_path(void **state)
{
	const struct temp_dir *dir = *state;
	scoped(close_fd) int below = -EBADF, fd = -EBADF, sub = -EBADF;
	off_t size = 0;

	make_file(dir->fd, "outside", "secret");
	below = make_dir_at(dir->fd, "below", 0700, (gid_t)-1);
	sub = make_dir_at(below, "a", 0700, (gid_t)-1);
	close_fd(&sub);
	sub = make_dir_at(below, "a/b", 0700, (gid_t)-1);
	make_file(below, "a/b/file", "123");
	assert_int_equal(symlinkat("a", below, "link"), 0);
	assert_int_equal(symlinkat("../outside", below, "out"), 0);
	assert_int_equal(symlinkat("file", sub, "near"), 0);
	fd = open_regular_beneath(below, "a/b/file", &size);
	assert_true(fd >= 0);
	assert_cloexec(fd);
	assert_int_equal(size, 3);
	assert_int_equal(open_regular_beneath(below, "../outside", NULL), -EXDEV);
	assert_int_equal(open_regular_beneath(below, "a/../a/b/file", NULL), -EXDEV);
	assert_int_equal(open_regular_beneath(below, "a/..", NULL), -EXDEV);
	assert_int_equal(open_regular_beneath(below, "/etc/passwd", NULL), -EXDEV);
	assert_int_equal(open_regular_beneath(below, "link/b/file", NULL), -ELOOP);
	assert_int_equal(open_regular_beneath(below, "a/b/near", NULL), -ELOOP);
	assert_int_equal(open_regular_beneath(below, "out", NULL), -ELOOP);
	assert_int_equal(open_regular_beneath(below, "a/b", NULL), -EINVAL);
	assert_int_equal(open_regular_beneath(below, "a/none", NULL), -ENOENT);
	assert_int_equal(open_regular_beneath(below, "", NULL), -ENOENT);
	assert_int_equal(open_dir_beneath(below, "link"), -ELOOP);
	assert_int_equal(open_dir_beneath(below, ".."), -EXDEV);
	assert_int_equal(open_dir_beneath(below, "a/b/file"), -ENOTDIR);
	close_fd(&fd);
	fd = open_dir_beneath(below, "a/b");
	assert_true(fd >= 0);
}

static void
test_open_beneath_takes_names_that_only_look_like_dots(void **state)
{
	const struct temp_dir *dir = *state;
	scoped(close_fd) int fd = -EBADF;

	make_file(dir->fd, "..a", "");
	assert_int_equal(mkdirat(dir->fd, "...", 0700), 0);
	make_file(dir->fd, ".../b..", "");
	fd = open_regular_beneath(dir->fd, "..a", NULL);
	assert_true(fd >= 0);
	close_fd(&fd);
	fd = open_regular_beneath(dir->fd, "./...//b..", NULL);
	assert_true(fd >= 0);
}

static void
test_read_file_at_reads_up_to_max(void **state)
{
	const struct temp_dir *dir = *state;
	char *data = NULL;
	size_t len = 0;

	make_file(dir->fd, "file", "12345");
	make_file(dir->fd, "empty", "");
	assert_int_equal(read_file_at(dir->fd, "file", 4, &data, &len), -EFBIG);
	assert_null(data);
	assert_int_equal(read_file_at(dir->fd, "file", 5, &data, &len), 0);
	assert_int_equal(len, 5);
	assert_string_equal(data, "12345");
	free(data);
	assert_int_equal(read_file_at(dir->fd, "empty", 0, &data, &len), 0);
	assert_int_equal(len, 0);
	assert_string_equal(data, "");
	free(data);
	data = NULL;
	assert_int_equal(read_file_at(dir->fd, "none", 5, &data, &len), -ENOENT);
	assert_int_equal(symlinkat("file", dir->fd, "link"), 0);
	assert_int_equal(read_file_at(dir->fd, "link", 5, &data, &len), -ELOOP);
	assert_null(data);
}

/* Files of /proc have no size beforehand, as one that grows while it is read. */
static void
test_read_file_at_reads_what_has_no_size(void **state)
{
	scoped(close_fd) int proc = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *data = NULL;
	size_t len = 0, again = 0;

	(void)state;
	assert_int_equal(read_file_at(proc, "status", 65536, &data, &len), 0);
	assert_true(len > 256 && strlen(data) == len);
	assert_non_null(strstr(data, "Name:"));
	free(data);
	data = NULL;
	assert_int_equal(read_file_at(proc, "status", 300, &data, &again), -EFBIG);
	assert_int_equal(read_file_at(proc, "status", 10, &data, &again), -EFBIG);
	assert_null(data);
}

static void
test_memory_file_sealed_cannot_change(void **state)
{
	scoped(close_fd) int fd = memory_file_sealed("test", "abc", 3);
	char buf[8] = { 0 };

	(void)state;
	assert_true(fd >= 0);
	assert_cloexec(fd);
	assert_int_equal(is_sealed_memory_file(fd), 1);
	assert_int_equal(read_full(fd, buf, sizeof buf), 3);
	assert_memory_equal(buf, "abc", 3);
	assert_int_equal(pwrite_all(fd, "x", 1, 0), -EPERM);
	assert_int_equal(pwrite_all(fd, "x", 1, 3), -EPERM);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 9), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), -1);
}

static void
test_is_sealed_memory_file_wants_all_three_seals(void **state)
{
	const struct temp_dir *dir = *state;
	scoped(close_fd) int fd = memory_file("test"), file = -EBADF;

	assert_true(fd >= 0);
	assert_int_equal(is_sealed_memory_file(fd), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK), 0);
	assert_int_equal(is_sealed_memory_file(fd), 0);
	assert_int_equal(seal_memory_file(fd), 0);
	assert_int_equal(is_sealed_memory_file(fd), 1);
	make_file(dir->fd, "file", "");
	file = openat(dir->fd, "file", O_RDWR | O_CLOEXEC);
	assert_int_equal(is_sealed_memory_file(file), 0);
	assert_int_equal(is_sealed_memory_file(-EBADF), -EBADF);
}

static void
test_copy_bytes_leaves_the_source_s_position(void **state)
{
	const struct temp_dir *dir = *state;
	scoped(close_fd) int from = memory_file("test"), to = -EBADF;
	scoped(free_ptr) char *data = malloc(200000), *back = malloc(200000);

	for (size_t i = 0; i < 200000; i++)
		data[i] = (char)(i * 7 % 251);
	assert_int_equal(write_all(from, data, 200000), 0);
	assert_int_equal(lseek(from, 11, SEEK_SET), 11);
	to = openat(dir->fd, "to", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write_all(to, "head", 4), 0);
	assert_int_equal(copy_bytes(from, to, -1), 200000);
	assert_int_equal(lseek(from, 0, SEEK_CUR), 11);
	assert_int_equal(lseek(to, 0, SEEK_CUR), 200004);
	assert_int_equal(pread_full(to, back, 200000, 4), 200000);
	assert_memory_equal(data, back, 200000);
}

static void
test_copy_bytes_stops_at_len_or_the_end(void **state)
{
	const struct temp_dir *dir = *state;
	scoped(close_fd) int from = -EBADF, to = -EBADF;
	char buf[32] = { 0 };

	make_file(dir->fd, "from", "0123456789");
	from = open_regular_at(dir->fd, "from", NULL);
	to = openat(dir->fd, "to", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);	/* not for copy_file_range(2) */
	assert_int_equal(copy_bytes(from, to, 4), 4);
	assert_int_equal(copy_bytes(from, to, 0), 0);
	assert_int_equal(copy_bytes(from, to, 100), 10);
	assert_int_equal(pread_full(to, buf, sizeof buf, 0), 14);
	assert_memory_equal(buf, "01230123456789", 14);
	close_fd(&to);
	to = openat(dir->fd, "second", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(copy_bytes(from, to, 100), 10);
	assert_int_equal(copy_bytes(from, -EBADF, -1), -EBADF);
	assert_int_equal(copy_bytes(-EBADF, to, -1), -EBADF);
}

static void
test_set_nonblock_and_cloexec_switch_both_ways(void **state)
{
	int ends[2] = { -EBADF, -EBADF };
	char c = 0;

	(void)state;
	assert_int_equal(pipe2(ends, 0), 0);
	assert_int_equal(set_nonblock(ends[0], true), 0);
	assert_int_equal(read_full(ends[0], &c, 1), -EAGAIN);
	assert_int_equal(set_nonblock(ends[0], false), 0);
	assert_int_equal(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(set_cloexec(ends[1], true), 0);
	assert_cloexec(ends[1]);
	assert_int_equal(set_cloexec(ends[1], false), 0);
	assert_int_equal(fcntl(ends[1], F_GETFD), 0);
	close_fd(&ends[0]);
	close_fd(&ends[1]);
	assert_int_equal(set_nonblock(-EBADF, true), -EBADF);
	assert_int_equal(set_cloexec(-EBADF, true), -EBADF);
}

static void
test_make_file_at_replaces_what_was_there(void **state)
{
	struct temp_dir *dir = *state;
	scoped(close_fd) int fd = -EBADF;
	struct stat st = { 0 };

	make_file(dir->fd, "victim", "stays");
	assert_return_code(symlinkat("victim", dir->fd, "new"), errno);
	fd = make_file_at(dir->fd, "new", 0640, (gid_t)-1);
	assert_true(fd >= 0);
	assert_cloexec(fd);
	assert_int_equal(write_all(fd, "x", 1), 0);
	assert_return_code(fstatat(dir->fd, "new", &st, AT_SYMLINK_NOFOLLOW), errno);
	assert_true(S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0640 && st.st_size == 1);
	assert_return_code(fstatat(dir->fd, "victim", &st, AT_SYMLINK_NOFOLLOW), errno);
	assert_int_equal(st.st_size, 5);
	assert_return_code(mkdirat(dir->fd, "folder", 0700), errno);
	assert_int_equal(make_file_at(dir->fd, "folder", 0640, (gid_t)-1), -EISDIR);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_full_collects_short_reads),
		cmocka_unit_test(test_pwrite_and_pread_leave_the_position),
		TEMP_DIR_TEST(test_open_dir_at_follows_no_link),
		TEMP_DIR_TEST(test_make_dir_at_sets_the_mode_exactly),
		TEMP_DIR_TEST(test_make_file_at_replaces_what_was_there),
		TEMP_DIR_TEST(test_open_regular_at_refuses_everything_else),
		TEMP_DIR_TEST(test_open_beneath_leaves_by_no_path),
		TEMP_DIR_TEST(test_open_beneath_takes_names_that_only_look_like_dots),
		TEMP_DIR_TEST(test_read_file_at_reads_up_to_max),
		cmocka_unit_test(test_read_file_at_reads_what_has_no_size),
		cmocka_unit_test(test_memory_file_sealed_cannot_change),
		TEMP_DIR_TEST(test_is_sealed_memory_file_wants_all_three_seals),
		TEMP_DIR_TEST(test_copy_bytes_leaves_the_source_s_position),
		TEMP_DIR_TEST(test_copy_bytes_stops_at_len_or_the_end),
		cmocka_unit_test(test_set_nonblock_and_cloexec_switch_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
