#include "config.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/probe.h"

/* Numbers that are the same on every architecture and younger than some headers. */
#define NR_IO_URING_SETUP 425
#define NR_OPEN_TREE 428
#define NR_CLONE3 435
#define NR_MEMFD_SECRET 447

enum { SECCOMP_FILTERING = 2 };

/* Of a refusal: by the filter, or by the kernel for want of a capability. Any other error says that the call was looked at. */
static bool
is_refusal(int err)
{
	return err == EPERM || err == ENOSYS || err == EAFNOSUPPORT;
}

static void
tell_call(const char *name, long result)
{
	int err = result < 0 ? errno : 0;

	tell(name, is_refusal(err), "%s", error_name(err));
}

/* Arguments that change nothing where the call is let through. */
static void
try_calls(void)
{
	static const struct { const char *name; long number, first; } table[] = {
		{ "call-mount", SYS_mount, 0 }, { "call-open_tree", NR_OPEN_TREE, -1 }, { "call-pivot_root", SYS_pivot_root, 0 },
		{ "call-setns", SYS_setns, -1 }, { "call-bpf", SYS_bpf, 0 }, { "call-keyctl", SYS_keyctl, 0 },
		{ "call-add_key", SYS_add_key, 0 }, { "call-perf_event_open", SYS_perf_event_open, 0 },
		{ "call-userfaultfd", SYS_userfaultfd, 0 }, { "call-io_uring_setup", NR_IO_URING_SETUP, 1 }, { "call-clone3", NR_CLONE3, 0 },
		{ "call-memfd_create", SYS_memfd_create, 0 }, { "call-memfd_secret", NR_MEMFD_SECRET, 0 },
		{ "call-name_to_handle_at", SYS_name_to_handle_at, -1 }, { "call-init_module", SYS_init_module, 0 },
		{ "call-unshare", SYS_unshare, CLONE_NEWNS },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		/* KEYCTL_GET_KEYRING_ID of the session keyring is what 0 and -3 say, and fails nowhere without a filter. */
		long second = table[i].number == SYS_keyctl ? -3 : 0;

		tell_call(table[i].name, syscall(table[i].number, table[i].first, second, 0L, 0L, 0L, 0L));
	}
	tell_call("call-shmget", syscall(SYS_shmget, 0L, 4096L, 0600L));
	tell_call("call-msgget", syscall(SYS_msgget, 0L, 0600L));
	tell_call("call-ioctl-TIOCSTI", ioctl(0, TIOCSTI, "x"));
}

static void
try_sockets(void)
{
	static const struct { const char *name; int family, type; } table[] = {
		{ "socket-netlink", AF_NETLINK, SOCK_RAW }, { "socket-vsock", AF_VSOCK, SOCK_STREAM }, { "socket-packet", AF_PACKET, SOCK_DGRAM },
		{ "socket-alg", AF_ALG, SOCK_SEQPACKET },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		int fd = socket(table[i].family, table[i].type, 0);

		tell_call(table[i].name, fd);
		if (fd >= 0)
			(void)close(fd);
	}
}

/* In a child, which leads no process group and might get a session of its own, and to which a namespace would stick. */
static int
in_child(long (*call)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(call() < 0 ? errno : 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINVAL;
}

static long
new_session(void)
{
	return setsid();
}

static long
new_user_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

void
calls(void)
{
	int mode = prctl(PR_GET_SECCOMP), err;

	tell("filter", mode == SECCOMP_FILTERING, mode == SECCOMP_FILTERING ? "on" : "off");
	try_calls();
	try_sockets();
	err = in_child(new_session);
	tell("call-setsid", is_refusal(err), "%s", error_name(err));
}

void
users(void)
{
	int err = in_child(new_user_namespace);

	tell("no-new-users", err != 0, "%s", error_name(err));
}
