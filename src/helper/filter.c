#include "config.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "helper/filter.h"

#define TIOCLINUX_CODE 0x541c	/* of <linux/tiocl.h>'s ioctl, which asm/ioctls.h may not name */

enum { FILTER_MAX = 32 * 1024 };	/* BPF_MAXINSNS is 4096 of 8 bytes */

/* What programs do: by name, for what this machine or its libseccomp does not know cannot be called, or is refused as unknown. */
static const char *const allowed[] = {
	/* files */
	"access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3", "faccessat", "faccessat2",
	"fadvise64", "fallocate", "fchdir", "fchmod", "fchmodat", "fchown", "fchownat", "fcntl", "fdatasync", "fgetxattr", "flistxattr", "flock",
	"fremovexattr", "fstat", "fstatfs", "fsync", "ftruncate", "futimesat", "getcwd", "getdents", "getdents64", "getxattr",
	"lchown", "lgetxattr", "link", "linkat", "listxattr",
	"llistxattr", "lremovexattr", "lseek", "lstat", "mkdir", "mkdirat", "mknod", "mknodat", "newfstatat", "open", "openat",
	"openat2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv",
	"removexattr", "rename", "renameat", "renameat2", "rmdir", "sendfile", "splice", "stat", "statfs", "statx", "symlink",
	"symlinkat", "sync_file_range", "tee", "truncate", "umask", "unlink", "unlinkat", "utime", "utimensat", "utimes", "write",
	"writev",
	/* memory */
	"brk", "get_mempolicy", "madvise", "mbind", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mprotect", "mremap", "msync", "munlock",
	"munlockall", "munmap", "pkey_alloc", "pkey_free", "pkey_mprotect", "process_madvise", "remap_file_pages", "set_mempolicy",
	/* processes and threads */
	"arch_prctl", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork", "futex", "futex_waitv", "get_robust_list",
	"get_thread_area", "getcpu", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getrlimit", "getrusage", "getsid", "gettid",
	"ioprio_get", "membarrier", "pidfd_open", "pidfd_send_signal", "prctl", "process_vm_readv",
	"process_vm_writev", "ptrace", "rseq", "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr",
	"sched_getparam", "sched_getscheduler", "sched_rr_get_interval",
	"sched_yield", "set_robust_list", "set_thread_area", "set_tid_address", "setpgid", "setrlimit",
	"vfork", "wait4", "waitid", "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
	/* who we are */
	"getegid", "geteuid", "getgid", "getgroups", "getresgid", "getresuid", "getuid", "setfsgid", "setfsuid", "setgid", "setgroups", "setregid",
	"setresgid", "setresuid", "setreuid", "setuid", "sysinfo", "times", "uname",
	/* signals, events, time */
	"alarm", "clock_getres", "clock_gettime", "clock_nanosleep", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2",
	"epoll_wait", "eventfd", "eventfd2", "getitimer", "getrandom", "gettimeofday", "kill", "nanosleep", "pause", "pipe", "pipe2", "poll",
	"ppoll", "pselect6", "restart_syscall", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
	"rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo", "select", "setitimer", "sigaltstack", "signalfd", "signalfd4", "tgkill", "time",
	"timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime", "timerfd_create", "timerfd_gettime",
	"timerfd_settime", "tkill",
	/* between the processes of a jail; POSIX semaphores and shared memory are files of /dev/shm */
	"accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "mq_getsetattr", "mq_notify", "mq_open",
	"mq_timedreceive", "mq_timedsend", "mq_unlink", "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt",
	"shutdown", "socketpair",
};

/* What is answered with an error that tells: a matter of permission. All else that is not allowed is not there (ENOSYS), so that a library
 * falls back: io_uring; clone3, whose flags cannot be looked at; memfd_create, memfd_secret, shmget, msgget, semget and vmsplice, whose
 * memory belongs to no process and no file system and would be counted nowhere; io_setup and inotify, of which the host, or all jobs
 * together, have a number; and whatever a newer kernel may bring. */
static const char *const refused[] = {
	"mount", "umount2", "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount", "fspick", "move_mount", "open_tree", "mount_setattr",
	"unshare", "setns", "keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd", "kexec_load", "kexec_file_load",
	"init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "settimeofday",
	"clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname", "iopl", "ioperm", "syslog", "lookup_dcookie", "vhangup",
	"uselib", "nfsservctl", "name_to_handle_at", "open_by_handle_at", "fanotify_init", "modify_ldt", "ustat", "sysfs", "_sysctl",
	/* The kernel's scheduler gives each session its share where no CPU controller does: a job is to have one share. */
	"setsid",
};

/* As on a file system without them: an access list would shut out who serves an output, and attributes are bytes that no limit counts. */
static const char *const unsupported[] = { "setxattr", "lsetxattr", "fsetxattr", "setxattrat" };

static int
add_rules(scmp_filter_ctx ctx, uint32_t action, const char *const *names, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);

		if (nr != __NR_SCMP_ERROR && nr >= 0)	/* negative: not a call of this architecture */
			r = seccomp_rule_add(ctx, action, nr, 0);
	}
	return r;
}

/* The disks of all would be flushed; what a job leaves is, at its end. */
static int
pretend_to_sync(scmp_filter_ctx ctx)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(0), SCMP_SYS(sync), 0);

	return r == 0 ? seccomp_rule_add(ctx, SCMP_ACT_ERRNO(0), SCMP_SYS(syncfs), 0) : r;
}

static int
allow_clone(scmp_filter_ctx ctx)
{
	static const uint64_t flags[] = { CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP };
	uint64_t all = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof flags / sizeof *flags; i++) {
		all |= flags[i];
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, flags[i], flags[i]));
	}
	/* CLONE_NEWTIME is a bit of the signal's byte here: only clone3 and unshare know it. */
	return r == 0 ? seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, all, 0)) : r;
}

static int
allow_sockets(scmp_filter_ctx ctx, bool network)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_INET6, 0));

	for (uint64_t family = 0; r == 0 && family <= AF_INET6; family++) {
		bool ok = family == AF_UNIX || (network && (family == AF_INET || family == AF_INET6));

		r = seccomp_rule_add(ctx, ok ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, family, 0));
	}
	return r;
}

/* As containers may: Linux, a 32-bit uname, and without random addresses, as sanitizers and debuggers ask for; 0xffffffff asks. */
static int
allow_personality(scmp_filter_ctx ctx)
{
	static const uint64_t values[] = { 0, 0x8, 0x20000, 0x20008, 0x40000, 0xffffffff };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof values / sizeof *values; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1, SCMP_A0(SCMP_CMP_EQ, values[i], 0));
	return r;
}

/* Allows a call unless the lower 32 bits of an argument are a value. A rule can say that some bits are these, not that they are others:
 * so one for each bit that is otherwise. (The upper 32 bits count for nothing to the kernel.) */
static int
allow_unless(scmp_filter_ctx ctx, int call, unsigned argument, uint32_t value)
{
	int r = 0;

	for (uint64_t bit = 1; r == 0 && bit <= 0xffffffff; bit <<= 1) {
		const struct scmp_arg_cmp otherwise = SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, bit, ~(uint64_t)value & bit);

		r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, call, 1, &otherwise);
	}
	if (r == 0) {
		const struct scmp_arg_cmp same = SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, 0xffffffff, value);

		r = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), call, 1, &same);
	}
	return r;
}

/* Its init is pid 1 and has the tool's uid, which is enough to take its limits, its CPU or its priority away. (nice(2) is setpriority of
 * the caller itself; of a group or a user it would be init's too.) */
static int
spare_init(scmp_filter_ctx ctx)
{
	const int calls[] = { SCMP_SYS(prlimit64), SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setattr), SCMP_SYS(sched_setparam),
		SCMP_SYS(sched_setscheduler) };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof calls / sizeof *calls; i++)
		r = allow_unless(ctx, calls[i], 0, 1);
	return r == 0 ? seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setpriority), 2,
	    SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff, PRIO_PROCESS), SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, 0)) : r;
}

/* All but two, which put something into a terminal's input for whoever reads there next; what differs from both in a bit that they have
 * in common is allowed, then what is neither in the rest. */
static int
allow_ioctl(scmp_filter_ctx ctx)
{
	const uint64_t first = TIOCSTI, second = TIOCLINUX_CODE, differ = first ^ second, word = 0xffffffff;
	int r = 0;

	for (uint64_t bit = 1; r == 0 && bit <= word; bit <<= 1)
		if (!(bit & differ))
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, bit, ~first & bit));
	/* Each value of the bits in which they differ. */
	for (uint64_t value = differ;; value = (value - 1) & differ) {
		bool forbidden = value == (first & differ) || value == (second & differ);

		if (r == 0 && !forbidden)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, differ, value));
		if (value == 0)
			break;
	}
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, word, first));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, word, second));
	return r;
}

static int
export(scmp_filter_ctx ctx, char **ret_hex)
{
	static const char digits[] = "0123456789abcdef";
	scoped(close_fd) int fd = memory_file("filter");
	scoped(free_ptr) unsigned char *bytes = malloc(FILTER_MAX);
	scoped(free_ptr) char *hex = malloc(2 * FILTER_MAX + 1);
	ssize_t n;
	int r;

	if (!bytes || !hex)
		return -ENOMEM;
	r = fd < 0 ? fd : seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return r;
	n = pread_full(fd, bytes, FILTER_MAX, 0);
	if (n <= 0 || n == FILTER_MAX)
		return n < 0 ? (int)n : -EFBIG;
	for (ssize_t i = 0; i < n; i++) {
		hex[2 * i] = digits[bytes[i] >> 4];
		hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	hex[2 * n] = '\0';
	*ret_hex = take_ptr(hex);
	return 0;
}

int
filter_make(bool network, char **ret_hex)
{
	static int (*const rules[])(scmp_filter_ctx) = { pretend_to_sync, allow_clone, allow_personality, allow_ioctl, spare_init };
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r = ctx ? seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)) : -ENOMEM;

	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);	/* a tree: a call costs ten comparisons and not three hundred */
	if (r == 0)
		r = add_rules(ctx, SCMP_ACT_ALLOW, allowed, sizeof allowed / sizeof *allowed);
	if (r == 0)
		r = add_rules(ctx, SCMP_ACT_ERRNO(EPERM), refused, sizeof refused / sizeof *refused);
	if (r == 0)
		r = add_rules(ctx, SCMP_ACT_ERRNO(EOPNOTSUPP), unsupported, sizeof unsupported / sizeof *unsupported);
	for (size_t i = 0; r == 0 && i < sizeof rules / sizeof *rules; i++)
		r = rules[i](ctx);
	if (r == 0)
		r = allow_sockets(ctx, network);
	if (r == 0)
		r = export(ctx, ret_hex);
	if (ctx)
		seccomp_release(ctx);
	return r;
}
