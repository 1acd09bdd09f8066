/* doctor_host.h - `spoolgate doctor` without --spool: what holds on this host, asked of `spoolgated --probe` (helper/probe.h), which
 * lies in sbin beside our own bin, or where it was installed. */
#ifndef SPOOLGATE_CLI_DOCTOR_HOST_H
#define SPOOLGATE_CLI_DOCTOR_HOST_H

#include <stdbool.h>

/* Prints a table, or the JSON as it came, and returns the exit status: EXIT_FAILURE where an untrusted tool would not be protected,
 * or where there is no tool yet and one would not be; EXIT_USAGE where nothing could be found out. config_path NULL: the usual one. */
int doctor_host(const char *config_path, bool json);

#endif
