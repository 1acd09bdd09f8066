#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "run/landlock.h"

/* As in <linux/landlock.h> of newer kernels than the one that this is built for. */
#define ACCESS_REFER (1ULL << 13)	/* ABI 2 */
#define ACCESS_TRUNCATE (1ULL << 14)	/* ABI 3 */
#define ACCESS_IOCTL_DEV (1ULL << 15)	/* ABI 5 */
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)	/* ABI 6 */
#define SCOPE_SIGNAL (1ULL << 1)

struct ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;	/* ABI 4; not used: a jail has no network, or all of the host's */
	uint64_t scoped;
};

#define READ (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define MAKE_DEVICE (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)
#define WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | \
	LANDLOCK_ACCESS_FS_MAKE_SYM | ACCESS_REFER | ACCESS_TRUNCATE)
#define DEVICE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE | \
	ACCESS_IOCTL_DEV)

#define OF_FILES (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE | \
	ACCESS_IOCTL_DEV)

int
landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi > 0 ? (int)abi : 0;
}

static int
add_path(int ruleset_fd, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };
	struct stat st = { 0 };
	int r = 0;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= OF_FILES;	/* a file with rights of folders is EINVAL */
	if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) < 0)
		r = -errno;
	(void)close(rule.parent_fd);
	return r;
}

int
landlock_make(const char *const *read_only, const char *const *writable)
{
	struct ruleset attr = { .handled_access_fs = READ | MAKE_DEVICE | WRITE };
	size_t size = sizeof attr;
	int fd = 0, abi = 0, r = 0;

	/* Asked apart from landlock_abi(), for the reason. */
	abi = (int)syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0)
		return -errno;
	if (abi < 2)
		attr.handled_access_fs &= ~ACCESS_REFER;
	if (abi < 3)
		attr.handled_access_fs &= ~ACCESS_TRUNCATE;
	if (abi >= 5)
		attr.handled_access_fs |= ACCESS_IOCTL_DEV;
	if (abi >= 6)
		attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	else
		size = offsetof(struct ruleset, handled_access_net);
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0U);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; r == 0 && read_only[i]; i++)
		r = add_path(fd, read_only[i], READ & attr.handled_access_fs);
	for (size_t i = 0; r == 0 && writable[i]; i++)
		r = add_path(fd, writable[i], (READ | WRITE) & attr.handled_access_fs);
	if (r == 0)
		r = add_path(fd, "/dev", DEVICE & attr.handled_access_fs);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	return fd;
}

int
landlock_bind(int ruleset_fd)
{
	return syscall(SYS_landlock_restrict_self, ruleset_fd, 0U) < 0 ? -errno : 0;
}
