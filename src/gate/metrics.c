#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "gate/metrics.h"

/* The descriptor that a re-execution hands on. In the environment and not an argument: an older binary that knows nothing of it
 * must start all the same. */
#define HANDOVER "SPOOLGATE_GATE_COUNTS"

typedef _Atomic uint64_t counter;
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && sizeof(counter) == sizeof(uint64_t), "counters are shared between processes");

struct route_counts {
	counter statuses[METRICS_STATUSES];
	counter buckets[HISTOGRAM_BUCKETS];
	counter sum_usec;
};

/* The memory file. Pages that nobody counts in take no memory. */
struct shared {
	char layout[SHA256_HEX_SIZE + 7];	/* what the routes below are; NUL-padded */
	counter workers_replaced;
	counter compiles[METRICS_COMPILES];
	struct route_counts routes[];
};
_Static_assert(sizeof(((struct shared *)NULL)->layout) % sizeof(counter) == 0, "no hidden padding");

struct metrics {
	const struct service *const *services;
	size_t n_services;
	size_t n_routes;	/* each service's and its "other", then the "other" of no service */
	int fd;
	struct shared *shared;
	size_t bytes;
};

/* Hashes everything that gives a counter its meaning, so that a binary with other routes counts anew. */
static int
hash_layout(const struct metrics *m, char ret[SHA256_HEX_SIZE])
{
	scoped(free_sha256) struct sha256 *h = sha256_new();

	if (!h)
		return -ENOMEM;
	sha256_add(h, "counts 2", sizeof "counts 2");
	sha256_add(h, histogram_bounds_usec, sizeof histogram_bounds_usec);
	for (size_t i = 0; i < m->n_services; i++) {
		const struct service *s = m->services[i];

		sha256_add(h, s->name, strlen(s->name) + 1);
		for (size_t k = 0; k < s->n_routes; k++)
			sha256_add(h, s->routes[k].path, strlen(s->routes[k].path) + 1);
		sha256_add(h, "", 1);
	}
	sha256_finish(h, ret);
	return 0;
}

static int
map(struct metrics *m)
{
	void *at = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	m->shared = at;
	return 0;
}

static int
make_shared(struct metrics *m, const char *layout)
{
	int r;

	m->fd = memory_file("spoolgate-counts");
	if (m->fd < 0)
		return m->fd;
	if (ftruncate(m->fd, (off_t)m->bytes) < 0)
		return -errno;
	/* Nobody who has it can make it shorter, at which the others would die of SIGBUS. */
	if (fcntl(m->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	r = map(m);
	if (r == 0)
		memcpy(m->shared->layout, layout, SHA256_HEX_SIZE);
	return r;
}

static int
use_shared(struct metrics *m, const char *layout)
{
	struct stat st;
	int seals = fcntl(m->fd, F_GET_SEALS);
	int r;

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(m->fd, &st) < 0 || st.st_size != (off_t)m->bytes)
		return -ESTALE;
	r = set_cloexec(m->fd, true);
	if (r >= 0)
		r = map(m);
	if (r >= 0 && memcmp(m->shared->layout, layout, SHA256_HEX_SIZE) != 0)
		r = -ESTALE;
	return r;
}

int
metrics_open(const struct service *const *all, size_t n_all, int fd, struct metrics **ret)
{
	scoped(close_fd) int own_fd = fd;
	scoped(close_metrics) struct metrics *m = calloc(1, sizeof *m);
	char layout[SHA256_HEX_SIZE];
	int r;

	if (!m)
		return -ENOMEM;
	m->fd = take_fd(own_fd);
	m->services = all;
	m->n_services = n_all;
	m->n_routes = 1;
	for (size_t i = 0; i < n_all; i++)
		m->n_routes += all[i]->n_routes + 1;
	m->bytes = sizeof *m->shared + m->n_routes * sizeof m->shared->routes[0];
	r = hash_layout(m, layout);
	if (r == 0)
		r = m->fd >= 0 ? use_shared(m, layout) : make_shared(m, layout);
	if (r < 0)
		return r;
	*ret = take_ptr(m);
	return 0;
}

struct metrics *
metrics_close(struct metrics *m)
{
	if (!m)
		return NULL;
	if (m->shared)
		(void)munmap(m->shared, m->bytes);
	close_fd(&m->fd);
	free(m);
	return NULL;
}

int
metrics_fd(const struct metrics *m)
{
	return m->fd;
}

void
metrics_close_fd(struct metrics *m)
{
	close_fd(&m->fd);
}

void
metrics_hand_over(const struct metrics *m)
{
	char text[16];

	(void)snprintf(text, sizeof text, "%d", m->fd);
	if (setenv(HANDOVER, text, 1) == 0)
		(void)set_cloexec(m->fd, false);
}

void
metrics_keep(const struct metrics *m)
{
	(void)unsetenv(HANDOVER);
	(void)set_cloexec(m->fd, true);
}

int
metrics_take_over(const struct service *const *all, size_t n_all, struct metrics **ret)
{
	const char *text = getenv(HANDOVER);
	char *end = NULL;
	long fd = text ? strtol(text, &end, 10) : -1;
	int r = -ESTALE;

	if (text && *text && !*end && fd > STDERR_FILENO && fd <= INT32_MAX) {
		r = metrics_open(all, n_all, (int)fd, ret);
		if (r < 0)
			log_notice("counting begins anew: %s", r == -ESTALE ? "this release counts other things" : strerror(-r));
	}
	(void)unsetenv(HANDOVER);
	return r < 0 ? metrics_open(all, n_all, -EBADF, ret) : 0;
}

/* ---- counting ---- */

static void
add(counter *c, uint64_t n)
{
	(void)atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static uint64_t
get(const counter *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static size_t
place_of(const struct metrics *m, const struct service *service, const struct route *route)
{
	size_t first = 0;

	for (size_t i = 0; i < m->n_services; i++) {
		const struct service *s = m->services[i];

		if (s == service)
			return first + (route ? (size_t)(route - s->routes) : s->n_routes);
		first += s->n_routes + 1;
	}
	return first;
}

void
metrics_request(struct metrics *m, const struct service *service, const struct route *route, int status, uint64_t usec)
{
	struct route_counts *c;

	if (!m || status < METRICS_STATUS_MIN || status >= METRICS_STATUS_MIN + METRICS_STATUSES)
		return;
	c = &m->shared->routes[place_of(m, service, route)];
	add(&c->statuses[status - METRICS_STATUS_MIN], 1);
	add(&c->buckets[histogram_bucket(usec)], 1);
	add(&c->sum_usec, usec);
}

const char *const metrics_compile_names[METRICS_COMPILES] = { "hit", "joined", "miss" };

void
metrics_compile(struct metrics *m, enum metrics_compile how)
{
	if (m)
		add(&m->shared->compiles[how], 1);
}

uint64_t
metrics_compiles(const struct metrics *m, enum metrics_compile how)
{
	return get(&m->shared->compiles[how]);
}

void
metrics_worker_replaced(struct metrics *m)
{
	if (m)
		add(&m->shared->workers_replaced, 1);
}

/* ---- reading ---- */

size_t
metrics_routes(const struct metrics *m)
{
	return m->n_routes;
}

void
metrics_read_route(const struct metrics *m, size_t i, struct metrics_route *ret)
{
	const struct route_counts *c = &m->shared->routes[i];
	size_t first = 0, k = 0;

	while (k < m->n_services && i > first + m->services[k]->n_routes)
		first += m->services[k++]->n_routes + 1;
	ret->service = ret->route = "other";
	if (k < m->n_services) {
		ret->service = m->services[k]->name;
		if (i < first + m->services[k]->n_routes)
			ret->route = m->services[k]->routes[i - first].path;
	}
	for (size_t s = 0; s < METRICS_STATUSES; s++)
		ret->statuses[s] = get(&c->statuses[s]);
	for (size_t b = 0; b < HISTOGRAM_BUCKETS; b++)
		ret->took.buckets[b] = get(&c->buckets[b]);
	ret->took.sum_usec = get(&c->sum_usec);
}

uint64_t
metrics_workers_replaced(const struct metrics *m)
{
	return get(&m->shared->workers_replaced);
}
