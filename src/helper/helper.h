/* helper.h - what the modules of spoolgated share: one loop, one struct. Everything here is touched by the loop alone, except the
 * spool's descriptors, which never change. */
#ifndef SPOOLGATE_HELPER_H
#define SPOOLGATE_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "basic/proc.h"
#include "config/callbacks.h"
#include "config/config.h"
#include "config/tool.h"
#include "helper/condition.h"
#include "helper/offload.h"
#include "helper/writer.h"
#include "spool/layout.h"

struct server;
struct live_table;
struct packs;
struct submits;
struct deliveries;
struct expiry;
struct weights;
struct fingerprints;
struct stats;

struct helper {
	const char *config_path;
	char *program;	/* our own path, for a re-execution: what is installed there then */
	struct config *config;
	struct tools *tools;
	struct accounts accounts;
	struct callbacks callbacks;
	char boot[BOOT_ID_SIZE];
	char *filter;	/* filter.h: of every jail */
	char *filter_offline;	/* the same without a network, for trusted tools that no jail keeps from it */
	char *jail_blocked;	/* jail.h: why none can be built here; NULL: they can */
	bool jail_looking;
	uint64_t jail_looked_usec;	/* clock_mono() */
	char *cgroup;	/* cgroup.h: beneath it each job has its own; NULL: none is delegated */

	struct spool *spool;
	struct spool *transient;	/* the jobs of tools with durable = no, on a tmpfs; NULL: no tool wants it */
	int secrets_fd;	/* secret.h; -EBADF: no tool wants it */
	int lock_fd;	/* the spool's lock; kept over a re-execution */
	struct redo *redo;
	struct writer *writer;
	struct offload *io;	/* short file work on the way to an answer or a start */
	struct offload *bulk;	/* large inputs */
	struct offload *slow;	/* deletions, expiry */

	sd_event *event;
	struct server *server;
	struct live_table *live;
	void *groups;	/* group.h */
	struct submits *submits;
	struct expiry *expiry;
	struct caches *caches;
	struct weights *weights;
	struct deliveries *deliveries;
	struct conditions_list changes;	/* meta.h: under way */
	struct packs *packs;
	struct stats *stats;
	struct fingerprints *fingerprints;	/* for the threads */

	bool draining;	/* an administrator said so: nothing is accepted, what runs goes on */
	bool stopped;	/* a flush failed: nothing is accepted until `resume` */
	bool leaving;	/* SIGTERM or a re-execution: no new request is read, nothing is started */
	bool recovering;	/* at the start: who holds slots is not known yet */
	bool reexecute;
};

/* Reads configuration and tools anew; keeps the old ones where a fault is found (all are logged). Returns the faults' number. */
size_t helper_reload(struct helper *h);
/* Opens the folder of a job, durable or not, and tells in which spool it is. In any thread. -ENOENT, ... */
int helper_open_job(const struct helper *h, const char *id, const struct spool **ret_spool);
/* A flush failed: nothing is accepted until an administrator has looked. Logged once. */
void helper_stop_accepting(struct helper *h, int error, const char *what);
/* Begins to leave: once nothing is under way the loop ends. */
void helper_leave(struct helper *h, bool reexecute);
/* To be called when something that was under way has ended. */
void helper_check_leaving(struct helper *h);

#endif
