/* probe_tables.h - what is tried on a host, and what it means to a tool. */
#ifndef SPOOLGATE_PROBE_TABLES_H
#define SPOOLGATE_PROBE_TABLES_H

#include <stdbool.h>
#include <stddef.h>

#include "spool/job.h"
#include "spool/record.h"

/* A line of spoolgate-probe in the modes walls, calls and users. */
struct protection {
	const char *name;
	const char *mode;
	bool required;
	const char *means;
};
extern const struct protection protections[];
extern const size_t n_protections;

enum keeper {
	KEEPER_TREE,	/* the cgroup, else init by what it sees: approximate */
	KEEPER_PROCESSES,	/* the cgroup, else the kernel's count in the jail's user namespace, else init */
	KEEPER_KERNEL,
	KEEPER_SUPERVISOR,
};

/* A mode of spoolgate-probe that goes beyond a limit, and how it has to end. */
struct limit_trial {
	const char *name;
	const char *mode;
	enum keeper keeper;
	struct limits limits;
	bool apart;	/* standard output */
	enum verdict verdict;
	const char *message;	/* of the verdict, its beginning; NULL: any */
	long most;	/* the amount that the probe may have got; -1: it says none */
	const char *means;
};
extern const struct limit_trial limit_trials[];
extern const size_t n_limit_trials;

#endif
