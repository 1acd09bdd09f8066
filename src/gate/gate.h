/* gate.h - what all requests of one worker process share. */
#ifndef SPOOLGATE_GATE_GATE_H
#define SPOOLGATE_GATE_GATE_H

#include <pthread.h>
#include <stdint.h>

#include "basic/id.h"
#include "config/config.h"
#include "gate/service.h"
#include "spool/layout.h"

struct metrics;
struct tokens;
struct waiting;

struct gate {
	char *spool_path;
	char *transient_path;
	char *helper_path;	/* the helper's socket for the gate */
	char *state_path;	/* folder for large inputs and databases; NULL: none */
	unsigned workers, threads;
	unsigned waits_max, waits_owner_max;
	uint64_t drain_usec;
	const struct service *const *services;
	size_t n_services;
	void **service_states;	/* beside services */
	struct waiting *waiting;	/* NULL: this process has no waiting thread */
	struct metrics *metrics;	/* NULL: nobody counts */

	pthread_mutex_t lock;	/* of what follows */
	struct spool *spool;	/* opened when it first exists; then never changed */
	struct spool *transient;	/* likewise */
	struct tokens *tokens;	/* likewise */
	struct job_door *doors;	/* a small cache of whose job an id is */
};

/* config is used here only. */
int gate_new(const struct config *config, const struct service *const *services, size_t n_services, struct gate **ret);
struct gate *gate_free(struct gate *g);	/* accepts NULL, always returns NULL */
static inline void free_gate(struct gate **g) { *g = gate_free(*g); }

/* The spool, opened now if it is there by now. As spool_open(): -ENOENT where the helper has not made it yet. */
int gate_spool(struct gate *g, const struct spool **ret);

/* Opens the folder of a job, durable or not; *ret_root is one of these, the name below which nginx has its files. -ENOENT; -EAGAIN: there
 * is no spool yet. */
#define GATE_SPOOL "spool"
#define GATE_TRANSIENT "transient"
int gate_find_job(struct gate *g, const char *id, const char **ret_root);
/* As index_key_get(), of jobs of both kinds. */
int gate_key_get(struct gate *g, const char *service, const char *key, char ret_id[ID_SIZE]);

/* The tokens of the native API, likewise. -ENOENT: nobody has made one yet; else as tokens_open(). */
int gate_tokens(struct gate *g, struct tokens **ret);

/* Opens the folder of a job that came in through this service's door. -ENOENT: no such job, or another door's; -EAGAIN: there is
 * no spool yet. The door stands
 * in job.json, which never changes: it is read once and remembered. */
int gate_open_job(struct gate *g, const char *service, const char id[ID_SIZE]);

/* An input as the helper takes it: a sealed memory file up to GATE_MEMORY_MAX bytes, else an unlinked file of the state folder.
 * Returns the descriptor. -ENOSPC, ... */
enum { GATE_MEMORY_MAX = 1024 * 1024 };
int gate_input_file(const struct gate *g, const char *name, const void *data, size_t len);

#endif
