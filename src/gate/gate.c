#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "gate/gate.h"
#include "gate/metrics.h"
#include "spool/index.h"
#include "spool/job.h"
#include "store/token.h"

/* Clients poll a few jobs again and again, so a small table that forgets is enough: DOORS places, one for each value of the id's
 * first bits; a newcomer takes the place. */
enum { DOORS = 4096 };

struct job_door {
	unsigned char id[ID_LEN / 2];
	unsigned char known;	/* 0: empty, 1: a service's, 2: nobody's here */
	unsigned char service;	/* place in gate->services */
};

static int
copy_setting(const struct config *config, const char *section, const char *key, char **ret)
{
	const char *text = config_string(config, section, key);

	if (!text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

int
gate_new(const struct config *config, const struct service *const *all, size_t n, struct gate **ret)
{
	scoped(free_gate) struct gate *g = calloc(1, sizeof *g);
	int r;

	if (!g)
		return -ENOMEM;
	(void)pthread_mutex_init(&g->lock, NULL);
	g->services = all;
	g->n_services = n;
	g->service_states = calloc(n ? n : 1, sizeof *g->service_states);
	g->doors = calloc(DOORS, sizeof *g->doors);
	if (!g->service_states || !g->doors)
		return -ENOMEM;
	r = copy_setting(config, "spool", "path", &g->spool_path);
	if (r == 0)
		r = copy_setting(config, "helper", "transient", &g->transient_path);
	if (r >= 0)
		r = copy_setting(config, "helper", "gate_socket", &g->helper_path);
	if (r >= 0)
		r = copy_setting(config, "gate", "state", &g->state_path);
	if (r < 0)
		return r;
	g->workers = (unsigned)config_number(config, "gate", "workers");
	g->threads = (unsigned)config_number(config, "gate", "threads");
	g->waits_max = (unsigned)config_number(config, "gate", "waits_max");
	g->waits_owner_max = (unsigned)config_number(config, "gate", "waits_owner_max");
	g->drain_usec = config_number(config, "gate", "drain");
	if (g->workers == 0) {
		long cores = sysconf(_SC_NPROCESSORS_ONLN);

		g->workers = cores > 0 ? (unsigned)cores : 1;
	}
	for (size_t i = 0; i < n; i++) {
		r = all[i]->open(config, &g->service_states[i]);
		if (r < 0)
			return r;
	}
	*ret = take_ptr(g);
	return 0;
}

struct gate *
gate_free(struct gate *g)
{
	if (!g)
		return NULL;
	if (g->service_states)
		for (size_t i = 0; i < g->n_services; i++)
			g->services[i]->close(g->service_states[i]);
	free(g->service_states);
	metrics_close(g->metrics);
	spool_free(g->spool);
	spool_free(g->transient);
	tokens_close(g->tokens);
	free(g->doors);
	free(g->spool_path);
	free(g->transient_path);
	free(g->helper_path);
	free(g->state_path);
	(void)pthread_mutex_destroy(&g->lock);
	free(g);
	return NULL;
}

int
gate_spool(struct gate *g, const struct spool **ret)
{
	int r = 0;

	(void)pthread_mutex_lock(&g->lock);
	if (!g->spool)
		r = g->spool_path ? spool_open(g->spool_path, &g->spool) : -ENOENT;
	if (r >= 0)
		*ret = g->spool;
	(void)pthread_mutex_unlock(&g->lock);
	return r < 0 ? r : 0;
}

/* Of the jobs that need not be durable; there is none where no tool has such. */
static int
transient_spool(struct gate *g, const struct spool **ret)
{
	int r = 0;

	(void)pthread_mutex_lock(&g->lock);
	if (!g->transient)
		r = g->transient_path ? spool_open(g->transient_path, &g->transient) : -ENOENT;
	if (r >= 0)
		*ret = g->transient;
	(void)pthread_mutex_unlock(&g->lock);
	return r < 0 ? r : 0;
}

int
gate_find_job(struct gate *g, const char *id, const char **ret_root)
{
	const struct spool *spool = NULL;
	int r = gate_spool(g, &spool);
	int fd = r < 0 ? r : spool_open_job(spool, id);

	if (r < 0)
		return r == -ENOENT ? -EAGAIN : r;
	*ret_root = GATE_SPOOL;
	if (fd != -ENOENT || transient_spool(g, &spool) < 0)
		return fd;
	*ret_root = GATE_TRANSIENT;
	return spool_open_job(spool, id);
}

int
gate_key_get(struct gate *g, const char *service, const char *key, char ret_id[ID_SIZE])
{
	const struct spool *spool = NULL;
	int r = gate_spool(g, &spool);

	if (r == 0)
		r = index_key_get(spool, service, key, ret_id);
	if (r == -ENOENT && transient_spool(g, &spool) == 0)
		r = index_key_get(spool, service, key, ret_id);
	return r;
}

int
gate_tokens(struct gate *g, struct tokens **ret)
{
	int r = 0;

	(void)pthread_mutex_lock(&g->lock);
	if (!g->tokens)
		r = g->state_path ? tokens_open(g->state_path, false, &g->tokens) : -ENOENT;
	if (r >= 0)
		*ret = g->tokens;
	(void)pthread_mutex_unlock(&g->lock);
	return r < 0 ? r : 0;
}

static unsigned char
hex_digit(char c)
{
	return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static struct job_door
door_of(const char id[ID_SIZE])
{
	struct job_door d = { .known = 0 };

	for (size_t i = 0; i < sizeof d.id; i++)
		d.id[i] = (unsigned char)(hex_digit(id[2 * i]) << 4 | hex_digit(id[2 * i + 1]));
	return d;
}

static struct job_door *
door_place(struct gate *g, const struct job_door *d)
{
	return &g->doors[((size_t)d->id[0] << 8 | d->id[1]) % DOORS];
}

/* Whose job it is, from the table or from job.json. */
static int
find_door(struct gate *g, int job_fd, const char id[ID_SIZE], struct job_door *ret)
{
	scoped(free_job) struct job *job = NULL;
	struct job_door d = door_of(id);
	const struct job_door *place = door_place(g, &d);
	int r;

	(void)pthread_mutex_lock(&g->lock);
	if (place->known && memcmp(place->id, d.id, sizeof d.id) == 0)
		d = *place;
	(void)pthread_mutex_unlock(&g->lock);
	if (d.known) {
		*ret = d;
		return 0;
	}
	r = job_load(job_fd, &job);
	if (r < 0)
		return r;
	d.known = 2;
	for (size_t i = 0; i < g->n_services; i++)
		if (strcmp(g->services[i]->name, job->service) == 0) {
			d.known = 1;
			d.service = (unsigned char)i;
		}
	(void)pthread_mutex_lock(&g->lock);
	*door_place(g, &d) = d;
	(void)pthread_mutex_unlock(&g->lock);
	*ret = d;
	return 0;
}

int
gate_open_job(struct gate *g, const char *service, const char id[ID_SIZE])
{
	scoped(close_fd) int job_fd = -EBADF;
	const struct spool *spool = NULL;
	struct job_door d = { .known = 0 };
	int r;

	if (!id_valid(id))
		return -ENOENT;
	r = gate_spool(g, &spool);
	if (r < 0)
		return r == -ENOENT ? -EAGAIN : r;
	job_fd = spool_open_job(spool, id);
	if (job_fd < 0)
		return job_fd;
	r = find_door(g, job_fd, id, &d);
	if (r < 0)
		return r;
	if (d.known != 1 || strcmp(g->services[d.service]->name, service) != 0)
		return -ENOENT;
	return take_fd(job_fd);
}

int
gate_input_file(const struct gate *g, const char *name, const void *data, size_t len)
{
	scoped(close_fd) int fd = -EBADF;
	int r;

	if (len <= GATE_MEMORY_MAX)
		return memory_file_sealed(name, data, len);
	if (!g->state_path)
		return -ENOSPC;
	fd = open(g->state_path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, data, len);
	return r < 0 ? r : take_fd(fd);
}
