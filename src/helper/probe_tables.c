#include "config.h"

#include "basic/clock.h"
#include "helper/probe_tables.h"

#define WALL(name_, means_) { .name = (name_), .mode = "walls", .required = true, .means = (means_) }
#define CALL(name_, means_) { .name = (name_), .mode = "calls", .required = true, .means = (means_) }

const struct protection protections[] = {
	WALL("namespace-user", "it has no power over anything of the host, whatever its uid inside"),
	WALL("namespace-mnt", "it sees the folders that are its own and no others"),
	WALL("namespace-pid", "it sees, signals and traces its own processes alone"),
	WALL("namespace-net", "no interface and no abstract unix socket of the host"),
	WALL("namespace-ipc", "no shared memory and no message queue of the host"),
	WALL("namespace-uts", "the host's name is not its business"),
	WALL("namespace-cgroup", "it does not see where its limits are kept"),
	WALL("own-processes", "/proc shows nobody else"),
	WALL("no-network", "nothing gets out, nothing comes in"),
	WALL("host-name", "it is called the same everywhere"),
	WALL("no-capabilities", "none can be used, none can be got back"),
	WALL("no-new-privileges", "a setuid program is a program like any other"),
	{ .name = "landlock", .mode = "walls", .required = false,
	    .means = "the kernel refuses writes outside its folders, whatever the mounts say" },
	WALL("read-only", "it writes to its own folders alone"),
	WALL("no-setuid", "no mount heeds setuid bits"),
	WALL("job-folder", "it can leave its results"),
	WALL("private-tmp", "/tmp is its own, bounded, and goes with it"),
	WALL("few-devices", "no disk, no GPU, no /dev/kvm"),
	WALL("no-terminal", "it cannot type for anybody"),
	WALL("descriptors", "nothing that is open elsewhere is open here"),
	WALL("environment", "no secret of the helper's, nothing of another job"),
	WALL("init-hidden", "the jail's first process shows nothing of itself"),
	WALL("init-untraced", "the jail's first process cannot be made to act for it"),
	WALL("host-files", "no home, no /etc with secrets, no /var, no /sys"),
	WALL("spool-hidden", "other jobs, sockets and secrets have no path here"),
	{ .name = "no-new-users", .mode = "users", .required = true,
	    .means = "no user namespace inside, and so none of the kernel's code that it opens" },
	CALL("filter", "the kernel answers the system calls of programs, and no others"),
	CALL("call-mount", "mounting"),
	CALL("call-open_tree", "mounting, the newer way"),
	CALL("call-pivot_root", "another root"),
	CALL("call-unshare", "namespaces"),
	CALL("call-setns", "somebody else's namespaces"),
	CALL("call-clone3", "processes with flags that no filter can look at"),
	CALL("call-bpf", "programs in the kernel"),
	CALL("call-keyctl", "keyrings"),
	CALL("call-add_key", "keyrings"),
	CALL("call-perf_event_open", "the processor's counters"),
	CALL("call-userfaultfd", "page faults that wait, the help of many exploits"),
	CALL("call-io_uring_setup", "system calls past the filter"),
	CALL("call-memfd_create", "memory that no limit would see"),
	CALL("call-memfd_secret", "memory that no limit would see"),
	CALL("call-shmget", "memory that no limit would see"),
	CALL("call-msgget", "memory that no limit would see"),
	CALL("call-name_to_handle_at", "files without a path"),
	CALL("call-init_module", "modules"),
	CALL("call-setsid", "more than one share of the CPUs"),
	CALL("call-ioctl-TIOCSTI", "typing into a terminal"),
	CALL("socket-netlink", "the kernel's own settings"),
	CALL("socket-vsock", "the host of a virtual machine"),
	CALL("socket-packet", "raw frames"),
	CALL("socket-alg", "the kernel's cryptography"),
};
const size_t n_protections = sizeof protections / sizeof *protections;

#define MIB ((uint64_t)1024 * 1024)
#define LOGS .log_bytes = 64 * 1024, .stdout_bytes = 64 * 1024
#define COMMON LOGS, .wall_usec = 20 * USEC_PER_SEC

const struct limit_trial limit_trials[] = {
	{ "wall", "wall", KEEPER_SUPERVISOR, { LOGS, .wall_usec = 200 * USEC_PER_MSEC }, false, VERDICT_TIMEOUT, "wall time limit", -1,
	    "one that sleeps is ended" },
	{ "cpu", "cpu", KEEPER_TREE, { COMMON, .cpu_usec = 300 * USEC_PER_MSEC }, false, VERDICT_TIMEOUT, "CPU time limit", -1,
	    "one that computes is ended, its children's time counted" },
	{ "memory", "memory", KEEPER_TREE, { COMMON, .memory_bytes = 32 * MIB }, true, VERDICT_OUT_OF_MEMORY, NULL, -1,
	    "the memory of all its processes together" },
	{ "memory-shared", "shared", KEEPER_TREE, { COMMON, .memory_bytes = 32 * MIB }, true, VERDICT_OUT_OF_MEMORY, NULL, -1,
	    "files in /tmp and /dev/shm are memory too" },
	{ "processes", "processes", KEEPER_PROCESSES, { COMMON, .processes = 8 }, true, VERDICT_PASSED, NULL, 8,
	    "a fork bomb gets no further" },
	{ "address-space", "address-space", KEEPER_KERNEL, { COMMON, .address_space_bytes = 512 * MIB }, true, VERDICT_PASSED, NULL, 0,
	    "of each process, where its file asks" },
	{ "file", "file", KEEPER_KERNEL, { COMMON, .file_bytes = MIB }, true, VERDICT_OUTPUT_LIMIT, "file size limit", -1,
	    "no file grows beyond it" },
	{ "open-files", "open-files", KEEPER_KERNEL, { COMMON, .open_files = 32 }, true, VERDICT_PASSED, NULL, 32,
	    "of each process" },
	{ "core", "core", KEEPER_KERNEL, { COMMON }, true, VERDICT_SIGNALLED, NULL, 1,
	    "a crash leaves no image of its memory, here or with the host's crash handler" },
	{ "log", "print", KEEPER_SUPERVISOR, { COMMON }, false, VERDICT_PASSED, NULL, -1,
	    "the log keeps its beginning and its end" },
	{ "stdout", "print", KEEPER_SUPERVISOR, { COMMON }, true, VERDICT_OUTPUT_LIMIT, "more on standard output", -1,
	    "an answer that is too long ends it" },
	{ "output", "much-output", KEEPER_SUPERVISOR, { COMMON, .output_bytes = 4 * MIB }, false, VERDICT_OUTPUT_LIMIT, NULL, -1,
	    "what it writes is bounded while it runs" },
	{ "output-files", "many-files", KEEPER_SUPERVISOR, { COMMON, .output_files = 50 }, false, VERDICT_OUTPUT_LIMIT, NULL, -1,
	    "a million small files are not made" },
};
const size_t n_limit_trials = sizeof limit_trials / sizeof *limit_trials;
