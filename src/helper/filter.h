/* filter.h - the system calls that a tool may make, and no others: a seccomp(2) program, made once by libseccomp, loaded by
 * spoolgate-init right before a tool's first instruction. It is a second wall behind namespaces without capabilities: what it refuses is code of the
 * kernel that has had the worst of its faults.
 *
 * Allowed is what compilers, solvers and interpreters do. EPERM: mounting and namespaces, keyrings, bpf, perf, userfaultfd, modules, kexec,
 * clocks, handles to files, terminal injection, and setsid. EAFNOSUPPORT: sockets of other families than unix, IPv4 and IPv6. sync and
 * syncfs do nothing. ENOSYS: all else, and everything for programs of another architecture. */
#ifndef SPOOLGATE_FILTER_H
#define SPOOLGATE_FILTER_H

#include <stdbool.h>

/* network: IPv4 and IPv6 sockets too; a jail has a network namespace of its own, so what is not in a jail needs their refusal. The program
 * as hexadecimal digits, for the plan of a run; the caller frees. -ENOMEM, or libseccomp's errno. */
int filter_make(bool network, char **ret_hex);

#endif
