#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "gate/metrics.h"
#include "gate/metrics_helper.h"
#include "gate/metrics_text.h"

static const struct route one_routes[] = { { .path = "/" }, { .path = "/jobs/{}" } };
static const struct route two_routes[] = { { .path = "/task" } };
static const struct route other_routes[] = { { .path = "/job" } };
static const struct service one = { .name = "one", .routes = one_routes, .n_routes = 2 };
static const struct service two = { .name = "two", .routes = two_routes, .n_routes = 1 };
static const struct service renamed = { .name = "two", .routes = other_routes, .n_routes = 1 };
static const struct service stranger = { .name = "stranger" };
static const struct service *const both[] = { &one, &two };

static uint64_t
count_of(const struct metrics *m, const char *service, const char *route, int status)
{
	struct metrics_route r;

	for (size_t i = 0; i < metrics_routes(m); i++) {
		metrics_read_route(m, i, &r);
		if (strcmp(r.service, service) == 0 && strcmp(r.route, route) == 0)
			return r.statuses[status - METRICS_STATUS_MIN];
	}
	fail_msg("there is no route %s of %s", route, service);
	return 0;
}

static void
test_each_route_has_a_place_of_its_own(void **state)
{
	scoped(close_metrics) struct metrics *m = NULL;
	struct metrics_route r;

	(void)state;
	assert_int_equal(metrics_open(both, 2, -EBADF, &m), 0);
	assert_int_equal(metrics_routes(m), 6);
	metrics_request(m, &one, &one_routes[0], 200, 400);
	metrics_request(m, &one, &one_routes[1], 404, 1000);
	metrics_request(m, &one, &one_routes[1], 404, 1001);
	metrics_request(m, &one, NULL, 499, 1);
	metrics_request(m, &two, &two_routes[0], 599, 1);
	metrics_request(m, &two, NULL, 100, UINT64_C(1) << 40);
	metrics_request(m, &stranger, NULL, 500, 7);
	assert_int_equal(count_of(m, "one", "/", 200), 1);
	assert_int_equal(count_of(m, "one", "/jobs/{}", 404), 2);
	assert_int_equal(count_of(m, "one", "other", 499), 1);
	assert_int_equal(count_of(m, "two", "/task", 599), 1);
	assert_int_equal(count_of(m, "two", "other", 100), 1);
	assert_int_equal(count_of(m, "other", "other", 500), 1);
	metrics_read_route(m, 1, &r);
	assert_int_equal(r.took.buckets[histogram_bucket(1000)], 1);
	assert_int_equal(r.took.buckets[histogram_bucket(1000) + 1], 1);
	assert_int_equal(r.took.sum_usec, 2001);
}

static void
test_nothing_is_counted_where_there_is_no_place(void **state)
{
	scoped(close_metrics) struct metrics *m = NULL;
	struct metrics_route r;

	(void)state;
	metrics_request(NULL, &one, NULL, 200, 1);
	metrics_worker_replaced(NULL);
	assert_int_equal(metrics_open(both, 2, -EBADF, &m), 0);
	metrics_request(m, &one, NULL, 99, 1);
	metrics_request(m, &one, NULL, 600, 1);
	metrics_request(m, &one, NULL, -1, 1);
	for (size_t i = 0; i < metrics_routes(m); i++) {
		metrics_read_route(m, i, &r);
		assert_int_equal(r.took.sum_usec, 0);
		for (size_t s = 0; s < METRICS_STATUSES; s++)
			assert_int_equal(r.statuses[s], 0);
	}
}

enum { CHILDREN = 4, EACH = 20000 };

/* Processes count at once, one of them until it is killed; whoever has the memory file sees it all. */
static void
test_processes_count_together_and_a_killed_one_harms_nothing(void **state)
{
	scoped(close_metrics) struct metrics *m = NULL;
	scoped(close_metrics) struct metrics *again = NULL;
	struct metrics_route r;
	pid_t children[CHILDREN + 1];
	uint64_t sum = 0, before = 0;
	int status;

	(void)state;
	assert_int_equal(metrics_open(both, 2, -EBADF, &m), 0);
	for (int i = 0; i <= CHILDREN; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0) {
			(void)alarm(60);	/* should the test fail before it kills the endless one */
			for (unsigned n = 0; n < EACH || i == CHILDREN; n++)
				metrics_request(m, i == CHILDREN ? &one : &two, i == CHILDREN ? NULL : &two_routes[0], 200, 3);
			_exit(0);
		}
	}
	while (count_of(m, "one", "other", 200) < EACH)
		assert_int_equal(waitpid(children[CHILDREN], &status, WNOHANG), 0);
	assert_int_equal(kill(children[CHILDREN], SIGKILL), 0);
	for (int i = 0; i <= CHILDREN; i++)
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
	assert_int_equal(metrics_open(both, 2, fcntl(metrics_fd(m), F_DUPFD_CLOEXEC, 0), &again), 0);
	assert_int_equal(count_of(again, "two", "/task", 200), CHILDREN * EACH);
	metrics_read_route(again, 2, &r);
	for (size_t b = 0; b < HISTOGRAM_BUCKETS; b++)
		sum += r.took.buckets[b];
	before = r.statuses[200 - METRICS_STATUS_MIN];
	assert_true(before >= EACH && (sum == before || sum + 1 == before));
	metrics_request(m, &one, NULL, 200, 3);
	metrics_worker_replaced(again);
	assert_int_equal(count_of(again, "one", "other", 200), before + 1);
	assert_int_equal(metrics_workers_replaced(m), 1);
}

static void
test_memory_of_something_else_is_refused(void **state)
{
	static const struct service *const fewer[] = { &one };
	static const struct service *const others[] = { &one, &renamed };
	scoped(close_metrics) struct metrics *m = NULL;
	struct metrics *none = NULL;
	int pipe_fds[2], plain;

	(void)state;
	assert_int_equal(metrics_open(both, 2, -EBADF, &m), 0);
	assert_int_equal(metrics_open(fewer, 1, fcntl(metrics_fd(m), F_DUPFD_CLOEXEC, 0), &none), -ESTALE);
	assert_int_equal(metrics_open(others, 2, fcntl(metrics_fd(m), F_DUPFD_CLOEXEC, 0), &none), -ESTALE);
	plain = memory_file("plain");
	assert_int_equal(metrics_open(both, 2, plain, &none), -ESTALE);
	assert_int_equal(fcntl(plain, F_GETFD), -1);	/* taken over in any case */
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(metrics_open(both, 2, pipe_fds[0], &none), -ESTALE);
	(void)close(pipe_fds[1]);
	assert_null(none);
	assert_int_equal(ftruncate(metrics_fd(m), 0), -1);	/* nobody can make it shorter */
}

/* What execve(2) leaves of it: the descriptor alone. */
static void
execute(struct metrics *m)
{
	int fd = metrics_fd(m), copy;

	metrics_hand_over(m);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	(void)metrics_close(m);
	assert_int_equal(dup2(copy, fd), fd);
	(void)close(copy);
}

static void
test_a_keeper_in_the_keepers_place_counts_on(void **state)
{
	static const struct service *const others[] = { &one, &renamed };
	struct metrics *m = NULL, *next = NULL;
	int fd;

	(void)state;
	assert_int_equal(metrics_take_over(both, 2, &m), 0);
	metrics_worker_replaced(m);
	metrics_hand_over(m);
	fd = metrics_fd(m);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	metrics_keep(m);	/* it could not be executed */
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	execute(m);
	assert_int_equal(metrics_take_over(both, 2, &next), 0);
	assert_int_equal(metrics_fd(next), fd);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(metrics_workers_replaced(next), 1);
	/* What follows is a release with other routes: it begins anew. */
	execute(next);
	next = NULL;
	assert_int_equal(metrics_take_over(others, 2, &next), 0);
	assert_int_equal(metrics_workers_replaced(next), 0);
	(void)metrics_close(next);
	assert_int_equal(setenv("SPOOLGATE_GATE_COUNTS", "2nd", 1), 0);
	assert_int_equal(metrics_take_over(both, 2, &next), 0);
	assert_null(getenv("SPOOLGATE_GATE_COUNTS"));
	(void)metrics_close(next);
}

static void
test_text_has_prometheus_form(void **state)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(64 * 1024);
	struct histogram h = { .sum_usec = 0 };

	(void)state;
	metrics_family(&s, "a_total", "counter", "What it is.");
	metrics_sample(&s, "a_total", NULL, UINT64_MAX);
	metrics_sample(&s, "a_total", (const char *const[]){ "x", "q\"b\\n\nl{}", "y", "", NULL }, 0);
	metrics_sample_usec(&s, "b_seconds", NULL, 0);
	metrics_sample_usec(&s, "b_seconds", NULL, 1);
	metrics_sample_usec(&s, "b_seconds", NULL, 1500000);
	metrics_sample_usec(&s, "b_seconds", (const char *const[]){ "x", "1", NULL }, 60000000);
	assert_string_equal(strbuf_str(&s), "# HELP a_total What it is.\n# TYPE a_total counter\na_total 18446744073709551615\n"
	    "a_total{x=\"q\\\"b\\\\n\\nl{}\",y=\"\"} 0\nb_seconds 0\nb_seconds 0.000001\nb_seconds 1.5\nb_seconds{x=\"1\"} 60\n");
	strbuf_reset(&s);
	histogram_add(&h, 0);
	histogram_add(&h, 500);
	histogram_add(&h, 501);
	histogram_add(&h, UINT64_C(3600000000));
	histogram_add(&h, UINT64_C(3600000001));
	metrics_histogram(&s, "h", (const char *const[]){ "r", "/", NULL }, &h);
	assert_non_null(strstr(strbuf_str(&s), "h_bucket{r=\"/\",le=\"0.0005\"} 2\nh_bucket{r=\"/\",le=\"0.001\"} 3\n"));
	assert_non_null(strstr(strbuf_str(&s), "le=\"1800\"} 3\nh_bucket{r=\"/\",le=\"3600\"} 4\nh_bucket{r=\"/\",le=\"+Inf\"} 5\n"
	    "h_sum{r=\"/\"} 7200.001002\nh_count{r=\"/\"} 5\n"));
}

static void
read_stats(struct strbuf *s, const char *text)
{
	scoped(put_json) json_object *stats = NULL;

	strbuf_reset(s);
	assert_int_equal(json_parse(text, strlen(text), &stats), 0);
	metrics_add_helper(s, stats, both, 2);
	assert_int_equal(strbuf_err(s), 0);
}

/* A helper that is broken, or of another release: what cannot be read has no sample, and no label is its choice. */
static void
test_what_the_helper_says_is_read_with_distrust(void **state)
{
	static const char *const empty[] = { "{}", "{\"queued\":-1,\"running\":\"x\",\"accepted\":[],\"finished\":3,\"start\":{}}",
		"{\"queue_wait\":{\"buckets\":[1,2],\"sum\":3}}", "{\"queue_wait\":{\"buckets\":7,\"sum\":3}}" };
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(64 * 1024);

	(void)state;
	for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
		read_stats(&s, empty[i]);
		assert_string_equal(strbuf_str(&s), "");
	}
	read_stats(&s, "{\"accepted\":{\"one\":3,\"x\\\"}\":4,\"y\":5,\"two\":-1},"
	    "\"finished\":{\"one\":{\"passed\":2,\"odd\":9},\"z\":{\"lost\":1},\"two\":7}}");
	assert_non_null(strstr(strbuf_str(&s), "spoolgate_jobs_accepted_total{service=\"one\"} 3\n"
	    "spoolgate_jobs_accepted_total{service=\"two\"} 0\nspoolgate_jobs_accepted_total{service=\"other\"} 9\n"));
	assert_non_null(strstr(strbuf_str(&s), "{service=\"one\",verdict=\"passed\"} 2\n"));
	assert_non_null(strstr(strbuf_str(&s), "{service=\"other\",verdict=\"lost\"} 1\n"));
	assert_null(strstr(strbuf_str(&s), "odd"));
	read_stats(&s, "{\"refused\":{\"queue_full\":3,\"Strange \\\"reason\":4},\"queued\":1,\"running\":2,\"kept\":3}");
	assert_non_null(strstr(strbuf_str(&s), "spoolgate_submissions_refused_total{reason=\"queue_full\"} 3\n"));
	assert_null(strstr(strbuf_str(&s), "Strange"));
	assert_non_null(strstr(strbuf_str(&s), "spoolgate_spool_jobs{state=\"live\"} 3\nspoolgate_spool_jobs{state=\"kept\"} 3\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_route_has_a_place_of_its_own),
		cmocka_unit_test(test_nothing_is_counted_where_there_is_no_place),
		cmocka_unit_test(test_processes_count_together_and_a_killed_one_harms_nothing),
		cmocka_unit_test(test_memory_of_something_else_is_refused),
		cmocka_unit_test(test_a_keeper_in_the_keepers_place_counts_on),
		cmocka_unit_test(test_text_has_prometheus_form),
		cmocka_unit_test(test_what_the_helper_says_is_read_with_distrust),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
