/* filter.h - the system calls that no tool in a jail needs, refused by the kernel: a seccomp(2) program, made once by libseccomp and loaded
 * by bubblewrap. It is a second wall behind namespaces without capabilities: what it refuses reaches code of the kernel that has had the
 * worst of its faults.
 *
 * EPERM: mounting and namespaces, keyrings, bpf, perf, userfaultfd, modules, kexec, clocks, handles to files, terminal injection; ENOSYS, so
 * that a library falls back: io_uring, clone3 (its flags cannot be looked at), memfd_secret; EAFNOSUPPORT: sockets of other families
 * than unix, IPv4 and IPv6. Programs of another architecture get ENOSYS for everything. */
#ifndef SPOOLGATE_FILTER_H
#define SPOOLGATE_FILTER_H

/* The program as hexadecimal digits, for the plan of a run; the caller frees. -ENOMEM, or libseccomp's errno. */
int filter_make(char **ret_hex);

#endif
