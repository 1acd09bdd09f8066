/* probe.h - spoolgate-probe: what a tool could try in its jail, tried. It runs as the tool of a jail like any other, with a mode as
 * its first argument, and prints a line for each thing it tried: name, "held" or "open", and how it found out, with a tabulator
 * between; or, in a mode for limits, the name, how much it got and the error that ended it. No JSON, for it links nothing: the
 * helper makes that, and judges (helper/probe.h).
 *
 * Modes: `walls` and `calls` (this file), `users` (a new user namespace, for a jail without filter), and those of limits.c. */
#ifndef SPOOLGATE_PROBE_PROBE_H
#define SPOOLGATE_PROBE_PROBE_H

#include <stdbool.h>

/* Prints one line; how is at most a few words, whose control characters are made harmless. */
void tell(const char *name, bool held, const char *how, ...) __attribute__((format(printf, 3, 4)));
/* "EPERM"; a name for each error that is likely here, "errno 99" for others. Overwritten by the next call. */
const char *error_name(int err);

/* What namespaces, mounts, capabilities, Landlock and a closed environment keep from a tool. Facts of the host are arguments:
 *   ns=net:[4026531833]   a namespace of the host, one of each kind that its kernel has
 *   hide=/path            that is there on the host and is not to be here
 *   own=/path             of this program, whose folders are here
 *   env=NAME=VALUE        all that the environment is to hold, besides PWD */
void walls(char **facts);
/* System calls that the filter is to refuse. */
void calls(void);
/* Whether a user namespace can be made, which the filter would refuse before the jail does. */
void users(void);
/* Goes beyond one limit, and says how far it came where it is still there to say it. False: there is no such mode. */
bool limits(const char *mode);

#endif
