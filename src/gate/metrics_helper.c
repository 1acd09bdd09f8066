#include "config.h"

#include <string.h>

#include "basic/json.h"
#include "gate/metrics_helper.h"
#include "gate/metrics_text.h"
#include "spool/record.h"

enum { N_VERDICTS = VERDICT_REFUSED + 1 };

static const struct {
	const char *member, *name, *help;
} gauges[] = {
	{ "queued", "spoolgate_jobs_queued", "Jobs that wait for a slot." },
	{ "queue_max", "spoolgate_queue_limit", "Jobs that may wait." },
	{ "running", "spoolgate_jobs_running", "Slots in use." },
	{ "slots", "spoolgate_slots", "Jobs that may run at once." },
	{ "accepting", "spoolgate_accepting", "Whether submissions are accepted: 0 while draining or after a failed flush." },
	{ "limits_approximate", "spoolgate_limits_approximate", "Whether no cgroup keeps the limits of memory and processes: 1 where the supervisor does." },
	{ "results", "spoolgate_spool_results_bytes", "Bytes of the finished jobs in the spool." },
	{ "cache", "spoolgate_cache_bytes", "Bytes of what tools have published, as last looked at." },
	{ "cache_entries", "spoolgate_cache_entries", "Entries of it." },
	{ "disk_room", "spoolgate_spool_disk_free_bytes", "Room on the spool's file system for an unprivileged writer." },
};

/* As helper/stats.c has them. */
static const char *const reasons[] = { "not_accepting", "owner_cap", "queue_full", "service_cap", "too_much", "disk", "too_large",
	"invalid", "key", "idempotency_key", "too_late", "error", NULL };
static const char *const recoveries[] = { "adopted", "finished", "started_again", "lost", NULL };

static void
add_gauges(struct strbuf *s, json_object *stats)
{
	uint64_t n;

	for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++)
		if (json_get_uint(stats, gauges[i].member, &n) == 0) {
			metrics_family(s, gauges[i].name, "gauge", gauges[i].help);
			metrics_sample(s, gauges[i].name, NULL, n);
		}
}

static void
add_disk_jobs(struct strbuf *s, json_object *stats)
{
	uint64_t queued, running, kept;

	if (json_get_uint(stats, "queued", &queued) < 0 || json_get_uint(stats, "running", &running) < 0 ||
	    json_get_uint(stats, "kept", &kept) < 0)
		return;
	metrics_family(s, "spoolgate_spool_jobs", "gauge",
	    "Jobs in the spool: live ones, and finished ones that are kept until they expire.");
	metrics_sample(s, "spoolgate_spool_jobs", (const char *const[]){ "state", "live", NULL }, queued + running);
	metrics_sample(s, "spoolgate_spool_jobs", (const char *const[]){ "state", "kept", NULL }, kept);
}

/* One family with a label of these values. */
static void
add_named(struct strbuf *s, json_object *stats, const char *member, const char *const *values, const char *name, const char *label,
    const char *help)
{
	json_object *obj = NULL;
	uint64_t n;

	if (json_get_object(stats, member, &obj) < 0)
		return;
	metrics_family(s, name, "counter", help);
	for (; *values; values++)
		if (json_get_uint(obj, *values, &n) == 0)
			metrics_sample(s, name, (const char *const[]){ label, *values, NULL }, n);
}

/* Which of our services that is; n_all: none. */
static size_t
find_service(const char *name, const struct service *const *all, size_t n_all)
{
	size_t i = 0;

	while (i < n_all && strcmp(all[i]->name, name) != 0)
		i++;
	return i;
}

static const char *
service_label(size_t i, const struct service *const *all, size_t n_all)
{
	return i < n_all ? all[i]->name : "other";
}

static void
add_accepted(struct strbuf *s, json_object *accepted, const struct service *const *all, size_t n_all)
{
	static const char name[] = "spoolgate_jobs_accepted_total";

	metrics_family(s, name, "counter", "Jobs that were accepted.");
	for (size_t i = 0; i <= n_all; i++) {
		uint64_t sum = 0, n;

		json_object_object_foreach(accepted, key, value) {
			(void)value;
			if (find_service(key, all, n_all) == i && json_get_uint(accepted, key, &n) == 0)
				sum += n;
		}
		metrics_sample(s, name, (const char *const[]){ "service", service_label(i, all, n_all), NULL }, sum);
	}
}

static void
add_finished(struct strbuf *s, json_object *finished, const struct service *const *all, size_t n_all)
{
	static const char name[] = "spoolgate_jobs_finished_total";

	metrics_family(s, name, "counter", "Jobs that have finished, by what became of them.");
	for (size_t i = 0; i <= n_all; i++)
		for (size_t v = 0; v < N_VERDICTS; v++) {
			const char *verdict = verdict_name((enum verdict)v);
			const char *labels[] = { "service", service_label(i, all, n_all), "verdict", verdict, NULL };
			uint64_t sum = 0, n;

			json_object_object_foreach(finished, key, value) {
				if (find_service(key, all, n_all) == i && json_get_uint(value, verdict, &n) == 0)
					sum += n;
			}
			metrics_sample(s, name, labels, sum);
		}
}

static void
add_histogram(struct strbuf *s, json_object *stats, const char *member, const char *name, const char *help)
{
	json_object *obj = NULL, *buckets = NULL;
	struct histogram h = { .sum_usec = 0 };

	if (json_get_object(stats, member, &obj) < 0 || json_get_array(obj, "buckets", &buckets) < 0 ||
	    json_get_uint(obj, "sum", &h.sum_usec) < 0 || json_object_array_length(buckets) != HISTOGRAM_BUCKETS)
		return;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		h.buckets[i] = json_object_get_uint64(json_object_array_get_idx(buckets, i));
	metrics_family(s, name, "histogram", help);
	metrics_histogram(s, name, NULL, &h);
}

void
metrics_add_helper(struct strbuf *s, json_object *stats, const struct service *const *all, size_t n_all)
{
	json_object *obj = NULL;

	add_gauges(s, stats);
	add_disk_jobs(s, stats);
	if (json_get_object(stats, "accepted", &obj) == 0)
		add_accepted(s, obj, all, n_all);
	if (json_get_object(stats, "finished", &obj) == 0)
		add_finished(s, obj, all, n_all);
	add_named(s, stats, "refused", reasons, "spoolgate_submissions_refused_total", "reason", "Submissions that were refused.");
	add_named(s, stats, "recovered", recoveries, "spoolgate_jobs_recovered_total", "how",
	    "Jobs that were met without their supervisor, or by a new helper, and what became of them.");
	add_histogram(s, stats, "queue_wait", "spoolgate_queue_wait_seconds", "How long jobs waited until they took a slot.");
	add_histogram(s, stats, "start", "spoolgate_start_latency_seconds", "From taking a slot until the tool began.");
	add_histogram(s, stats, "run", "spoolgate_run_seconds", "How long tools ran.");
}
