/* wait.c - `spoolgate wait` and `spoolgate log`. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/scoped.h"
#include "cli/command.h"
#include "cli/follow.h"

static const char wait_usage[] =
    "usage: spoolgate wait JOB... [--timeout TIME]\n"
    "Waits until all the jobs are finished and tells how each of them ended.\n\n"
    "  --timeout TIME      wait no longer; then the exit status is 9\n";

static const char log_usage[] =
    "usage: spoolgate log JOB [-f] [--offset N]\n"
    "Prints what a job has written, byte by byte as it is.\n\n"
    "  -f, --follow        go on until the job is finished\n"
    "  --offset N          begin at this byte\n";

static int
wait_for_all(struct session *s, int n, char *jobs[], uint64_t timeout)
{
	uint64_t until = timeout == USEC_INFINITY ? 0 : clock_mono() + timeout;
	int worst = EXIT_SUCCESS;

	for (int i = 0; i < n; i++) {
		scoped(put_json) json_object *job = NULL;
		int r = follow_wait(s, jobs[i], until, &job);

		if (r == EXIT_TIMEOUT && job) {
			if (s->json)
				(void)session_print_json(s, job);
			else if (!s->quiet)
				session_say(s, "%s is still %s", jobs[i], job_string(job, "state"));
			return r;
		}
		if (r == EXIT_SUCCESS)
			r = follow_tell_end(s, job);
		if (r != EXIT_SUCCESS && r != EXIT_NOT_PASSED)
			return r;
		if (r != EXIT_SUCCESS)
			worst = r;
	}
	return worst;
}

int
command_wait(int argc, char *argv[])
{
	static const struct option options[] = { { "timeout", required_argument, NULL, 't' }, COMMON_OPTIONS };
	scoped(session_done) struct session s = SESSION_INIT("wait");
	uint64_t timeout = USEC_INFINITY;
	const char *id;
	int c, r;

	while ((c = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
		if (c == 't') {
			if (session_duration(&s, "--timeout", optarg, &timeout) < 0)
				return EXIT_USAGE;
		} else if ((r = session_option(&s, c, wait_usage)) >= 0) {
			return r;
		}
	}
	if (optind == argc)
		return session_usage(&s, "no job is named");
	for (int i = optind; i < argc; i++) {
		r = session_job_argument(&s, argv[i], &id);
		if (r != EXIT_SUCCESS)
			return r;
	}
	r = session_open(&s);
	if (r != EXIT_SUCCESS)
		return r;
	http_catch_signals();
	return wait_for_all(&s, argc - optind, argv + optind, timeout);
}

static int
parse_offset(const struct session *s, const char *text, uint64_t *ret)
{
	size_t len = strlen(text);

	if (len == 0 || len > 18 || strspn(text, "0123456789") != len)
		return session_usage(s, "--offset %s: not a number of bytes", text);
	*ret = strtoull(text, NULL, 10);
	return EXIT_SUCCESS;
}

int
command_log(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "follow", no_argument, NULL, 'f' }, { "offset", required_argument, NULL, 'o' }, COMMON_OPTIONS
	};
	scoped(session_done) struct session s = SESSION_INIT("log");
	const char *id = NULL;
	bool follow = false;
	uint64_t offset = 0;
	int c, r;

	while ((c = getopt_long(argc, argv, "fqh", options, NULL)) != -1) {
		if (c == 'f') {
			follow = true;
		} else if (c == 'o') {
			r = parse_offset(&s, optarg, &offset);
			if (r != EXIT_SUCCESS)
				return r;
		} else if ((r = session_option(&s, c, log_usage)) >= 0) {
			return r;
		}
	}
	if (optind != argc - 1)
		return session_usage(&s, "one job has to be named");
	r = session_job_argument(&s, argv[optind], &id);
	if (r == EXIT_SUCCESS)
		r = session_open(&s);
	if (r != EXIT_SUCCESS)
		return r;
	if (follow)
		http_catch_signals();
	return follow_log(&s, id, offset, follow);
}
