#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/histogram.h"
#include "basic/json.h"
#include "basic/proc.h"
#include "helper/cache.h"
#include "helper/stats.h"
#include "helper/submission.h"
#include "helper/weight.h"

enum { SERVICES_MAX = 16, SERVICE_NAME_SIZE = 64, N_VERDICTS = VERDICT_REFUSED + 1 };

static const char *const recovery_names[N_RECOVERIES] = {
	[RECOVERY_ADOPTED] = "adopted", [RECOVERY_FINISHED] = "finished", [RECOVERY_STARTED_AGAIN] = "started_again",
	[RECOVERY_LOST] = "lost",
};

/* Why submissions were refused; the last one is for whatever else there is. */
static const struct {
	int error;
	const char *text;	/* with this text alone; NULL: with any */
	const char *name;
} refusals[] = {
	{ -ESHUTDOWN, NULL, "not_accepting" },
	{ -EDQUOT, NULL, "owner_cap" },
	{ -EAGAIN, REASON_QUEUE_FULL, "queue_full" },
	{ -EAGAIN, REASON_SERVICE_FULL, "service_cap" },
	{ -EAGAIN, REASON_TOO_MUCH, "too_much" },	/* comes in at once */
	{ -ENOSPC, NULL, "disk" },
	{ -EFBIG, NULL, "too_large" },
	{ -EINVAL, NULL, "invalid" },
	{ -EEXIST, NULL, "key" },	/* the service's own key is another job's */
	{ -ENOTUNIQ, NULL, "idempotency_key" },	/* stands for another submission */
	{ -ETIMEDOUT, NULL, "too_late" },
	{ 0, NULL, "error" },
};
enum { N_REFUSALS = sizeof refusals / sizeof *refusals };

struct service_stats {
	char name[SERVICE_NAME_SIZE];
	uint64_t accepted;
	uint64_t finished[N_VERDICTS];
};

struct stats {
	struct service_stats services[SERVICES_MAX + 1];	/* the last one: all others */
	size_t n_services;
	uint64_t kept;
	uint64_t refused[N_REFUSALS];
	uint64_t recovered[N_RECOVERIES];
	struct histogram waited, started, ran;
};

int
stats_new(struct stats **ret)
{
	struct stats *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	memcpy(s->services[SERVICES_MAX].name, "other", sizeof "other");
	*ret = s;
	return 0;
}

struct stats *
stats_free(struct stats *s)
{
	free(s);
	return NULL;
}

static struct service_stats *
service_of(struct stats *s, const char *name)
{
	size_t len = name ? strcspn(name, ":") : 0;

	if (len == 0 || len >= SERVICE_NAME_SIZE)
		return &s->services[SERVICES_MAX];
	for (size_t i = 0; i < s->n_services; i++)
		if (strncmp(s->services[i].name, name, len) == 0 && s->services[i].name[len] == '\0')
			return &s->services[i];
	if (s->n_services == SERVICES_MAX)
		return &s->services[SERVICES_MAX];
	memcpy(s->services[s->n_services].name, name, len);
	return &s->services[s->n_services++];
}

void
stats_accepted(struct helper *h, const char *service)
{
	service_of(h->stats, service)->accepted++;
}

void
stats_finished(struct helper *h, const char *service, const struct job_result *result)
{
	if ((size_t)result->verdict < N_VERDICTS)
		service_of(h->stats, service)->finished[result->verdict]++;
	if (result->started_usec > 0)
		histogram_add(&h->stats->ran, result->wall_usec);
	if (h->expiry)	/* one that ends earlier will be found by its name */
		h->stats->kept++;
}

void
stats_found(struct helper *h)
{
	h->stats->kept++;
}

void
stats_forgot(struct helper *h)
{
	if (h->stats->kept > 0)
		h->stats->kept--;
}

static bool
is_refusal(size_t i, int error, const char *reason)
{
	return refusals[i].error == error && (!refusals[i].text || (reason && strcmp(refusals[i].text, reason) == 0));
}

void
stats_refused(struct helper *h, int error, const char *reason)
{
	size_t i = 0;

	while (i < N_REFUSALS - 1 && !is_refusal(i, error, reason))
		i++;
	h->stats->refused[i]++;
}

void
stats_recovered(struct helper *h, enum recovery what)
{
	h->stats->recovered[what]++;
}

void
stats_waited(const struct live *l)
{
	uint64_t now = clock_wall(), since = l->attempt == 0 ? l->accepted_usec : l->queued_usec;

	histogram_add(&l->helper->stats->waited, now > since ? now - since : 0);
}

void
stats_started(struct helper *h, uint64_t usec)
{
	histogram_add(&h->stats->started, usec);
}

/* ---- the request ---- */

static void
add_number(struct jsonw *w, const char *key, uint64_t n)
{
	jsonw_add(w, key, json_object_new_uint64(n));
}

/* Adds what an inner writer has built. */
static void
add_object(struct jsonw *w, const char *key, struct jsonw *inner)
{
	json_object *obj = NULL;

	(void)jsonw_finish(inner, &obj);
	jsonw_done(inner);
	jsonw_add(w, key, obj);
}

static void
add_histogram(struct jsonw *w, const char *key, const struct histogram *h)
{
	struct jsonw inner = jsonw_new();
	json_object *buckets = json_object_new_array();

	for (size_t i = 0; buckets && i < HISTOGRAM_BUCKETS; i++)
		if (json_object_array_add(buckets, json_object_new_uint64(h->buckets[i])) < 0) {
			json_object_put(buckets);
			buckets = NULL;
		}
	jsonw_add(&inner, "buckets", buckets);
	add_number(&inner, "sum", h->sum_usec);
	add_object(w, key, &inner);
}

static void
add_services(struct jsonw *w, const struct stats *s)
{
	struct jsonw accepted = jsonw_new(), finished = jsonw_new();

	for (size_t i = 0; i <= SERVICES_MAX; i++) {
		const struct service_stats *one = &s->services[i];
		struct jsonw verdicts;

		if (one->name[0] == '\0')
			continue;
		add_number(&accepted, one->name, one->accepted);
		verdicts = jsonw_new();
		for (size_t v = 0; v < N_VERDICTS; v++)
			add_number(&verdicts, verdict_name((enum verdict)v), one->finished[v]);
		add_object(&finished, one->name, &verdicts);
	}
	add_object(w, "accepted", &accepted);
	add_object(w, "finished", &finished);
}

static void
add_now(struct jsonw *w, const struct helper *h)
{
	uint64_t rss = 0, room = 0, inodes = 0, cached = 0, entries = 0;

	(void)process_memory(getpid(), &rss);
	(void)spool_room(h->spool, &room, &inodes);
	add_number(w, "queued", live_queued(h));
	add_number(w, "running", live_running(h));
	add_number(w, "slots", live_slots(h));
	add_number(w, "queue_max", config_number(h->config, "helper", "queue_max"));
	add_number(w, "kept", h->stats->kept);
	add_number(w, "results", weights_bytes(h));
	cache_sizes(h, &cached, &entries);
	add_number(w, "cache", cached);
	add_number(w, "cache_entries", entries);
	add_number(w, "rss", rss);
	add_number(w, "disk_room", room);
	add_number(w, "limits_approximate", h->cgroup == NULL);
	add_number(w, "accepting", !h->draining && !h->stopped && !h->leaving);
}

void
stats_request(struct helper *h, struct message *m, struct reply_to to)
{
	const struct stats *s = h->stats;
	struct jsonw w = jsonw_new(), refused = jsonw_new(), recovered = jsonw_new();
	json_object *body = NULL;

	(void)m;
	add_now(&w, h);
	add_services(&w, s);
	for (size_t i = 0; i < N_REFUSALS; i++)
		add_number(&refused, refusals[i].name, s->refused[i]);
	add_object(&w, "refused", &refused);
	for (size_t i = 0; i < N_RECOVERIES; i++)
		add_number(&recovered, recovery_names[i], s->recovered[i]);
	add_object(&w, "recovered", &recovered);
	add_histogram(&w, "queue_wait", &s->waited);
	add_histogram(&w, "start", &s->started);
	add_histogram(&w, "run", &s->ran);
	if (jsonw_finish(&w, &body) < 0)
		server_refuse(h, to, -ENOMEM, NULL, 0);
	else
		server_reply(h, to, body);
	jsonw_done(&w);
}
