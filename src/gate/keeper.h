/* keeper.h - keeps N workers on the inherited socket, and serves no request itself.
 * A worker that died is replaced, with a growing pause where workers die young. SIGHUP: the installed binary checks the
 * configuration and, where it finds it good, is executed in the keeper's place; it starts its own workers, and when they are ready
 * the old ones are told to finish. SIGTERM: all finish, then the keeper ends. Whoever has not finished in time is killed. */
#ifndef SPOOLGATE_GATE_KEEPER_H
#define SPOOLGATE_GATE_KEEPER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct metrics;

struct keeper_settings {
	const char *program;	/* argv[0] */
	const char *config_path;	/* NULL: the default */
	unsigned workers;
	uint64_t drain_usec;	/* how long a worker may take to finish */
	struct metrics *metrics;	/* what the workers count in */
	const char *old;	/* "12,34": workers of the keeper whose place this one took; NULL: none */
};
/* Runs until told to end; fd 0 is the listening socket. Returns an exit status. */
int keeper_main(const struct keeper_settings *s);

#endif
