#include "config.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "helper/filter.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#define TIOCLINUX_CODE 0x541c	/* of <linux/tiocl.h>'s ioctl, which asm/ioctls.h may not name */

enum { FILTER_MAX = 32 * 1024 };	/* BPF_MAXINSNS is 4096 of 8 bytes */

/* By name: what this machine or its libseccomp does not know cannot be called or is refused as unknown. */
static const struct {
	int error;
	const char *const *calls;
} refused[] = {
	{ EPERM, (const char *const[]){
		"mount", "umount2", "pivot_root", "fsopen", "fsconfig", "fsmount", "fspick", "move_mount", "open_tree", "mount_setattr",
		"unshare", "setns", "keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd", "kexec_load", "kexec_file_load",
		"init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "settimeofday",
		"clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname", "iopl", "ioperm", "syslog", "lookup_dcookie", "vhangup",
		"uselib", "nfsservctl", "name_to_handle_at", "open_by_handle_at", "fanotify_init", "modify_ldt", "ustat", "sysfs", "_sysctl", NULL } },
	{ ENOSYS, (const char *const[]){ "io_uring_setup", "io_uring_enter", "io_uring_register", "clone3", "memfd_secret", NULL } },
};

static int
refuse_calls(scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		for (const char *const *name = refused[i].calls; r == 0 && *name; name++) {
			int nr = seccomp_syscall_resolve_name(*name);

			if (nr != __NR_SCMP_ERROR && nr >= 0)	/* negative: not a call of this architecture */
				r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO((uint32_t)refused[i].error), nr, 0);
		}
	return r;
}

static int
refuse_namespaces(scmp_filter_ctx ctx)
{
	static const uint64_t flags[] = { CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP,
		CLONE_NEWTIME };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof flags / sizeof *flags; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, flags[i], flags[i]));
	return r;
}

static int
refuse_sockets(scmp_filter_ctx ctx)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_INET6, 0));

	for (uint64_t family = 0; r == 0 && family < AF_INET6; family++)
		if (family != AF_UNIX && family != AF_INET)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, family, 0));
	return r;
}

/* What is put into a terminal's input is read by whoever reads there next. */
static int
refuse_injection(scmp_filter_ctx ctx)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCSTI));

	return r == 0 ? seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
	    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCLINUX_CODE)) : r;
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
filter_make(char **ret_hex)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)) : -ENOMEM;

	if (r == 0)
		r = refuse_calls(ctx);
	if (r == 0)
		r = refuse_namespaces(ctx);
	if (r == 0)
		r = refuse_sockets(ctx);
	if (r == 0)
		r = refuse_injection(ctx);
	if (r == 0)
		r = export(ctx, ret_hex);
	if (ctx)
		seccomp_release(ctx);
	return r;
}
