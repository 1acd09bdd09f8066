/* Makes finished jobs of stableconfigs as the programs would, but without flushing: fill_spool SPOOL READ_GID GATE_GID COUNT
 * [STDOUT_BYTES]. Prints the id of the last one. Gids of -1: none. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/durable.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "spool/accept.h"
#include "spool/job.h"
#include "spool/record.h"

static const char small_result[] =
    "{\"configs\":[{\"polymers\":[[[\"a\"]]],\"polymers_count\":1}],\"count\":1,\"entropy\":1,\"status\":\"COMPLETE\"}\n";

/* A result of about this size, as one long site. */
static char *
large_result(size_t bytes)
{
	static const char begin[] = "{\"configs\":[{\"polymers\":[[[\"", end[] =
	    "\"]]],\"polymers_count\":1}],\"count\":1,\"entropy\":1,\"status\":\"COMPLETE\"}\n";
	char *text = malloc(sizeof begin + bytes + sizeof end);

	if (!text)
		return NULL;
	memcpy(text, begin, sizeof begin - 1);
	memset(text + sizeof begin - 1, 'a', bytes);
	memcpy(text + sizeof begin - 1 + bytes, end, sizeof end);
	return text;
}

static int
add_finished(const struct spool *s, struct job *job, const char *result)
{
	static const char verdict[] = "{\"v\":1,\"attempt\":1,\"verdict\":\"passed\",\"exit_code\":0,\"signal\":0,\"by\":\"\","
	    "\"message\":\"\",\"started_usec\":%llu,\"ended_usec\":%llu,\"wall_usec\":1,\"cpu_usec\":1,\"peak_memory_bytes\":1,"
	    "\"log_bytes\":0,\"stdout_bytes\":%zu,\"output_files\":0,\"output_bytes\":0}";
	scoped(close_fd) int job_fd = -EBADF;
	scoped(close_fd) int in_fd = -EBADF;
	scoped(free_ptr) char *text = NULL;
	struct job_want want = { .want = WANT_START, .attempt = 1 };
	unsigned long long now = clock_wall();
	char buf[512];
	size_t len = 0;
	int r;

	id_new(job->id);
	job->accepted_usec = now;
	r = incoming_begin(s, job->id, &job_fd, &in_fd);
	if (r == 0)
		r = job_format(job, &text, &len);
	if (r == 0)
		r = incoming_finish(s, job->id, job_fd, in_fd, text, len, 0);
	want.at_usec = now;
	if (r == 0)
		r = want_store(job_fd, s->groups, &want);
	if (r == 0)
		r = replace_file_at(job_fd, "stdout", result, strlen(result), 0640, s->groups.read_gid);
	if (r == 0)
		r = replace_file_at(job_fd, "manifest", "", 0, 0640, s->groups.gate_gid);
	(void)snprintf(buf, sizeof buf, verdict, now, now, strlen(result));
	if (r == 0)
		r = replace_file_at(job_fd, "result.json", buf, strlen(buf), 0640, s->groups.gate_gid);
	if (r == 0)
		r = accept_publish(s, job);
	return r;
}

int
main(int argc, char *argv[])
{
	scoped(free_spool) struct spool *s = NULL;
	scoped(free_job) struct job *job = job_new();
	scoped(free_ptr) char *result = NULL;
	struct spool_groups groups;
	int r;

	if (argc < 5 || !job)
		return EXIT_FAILURE;
	groups = (struct spool_groups){ (gid_t)atol(argv[2]), (gid_t)atol(argv[3]) };
	r = spool_create(argv[1], groups, &s);
	result = argc > 5 ? large_result((size_t)atol(argv[5])) : strdup(small_result);
	job->service = strdup("stableconfigs");
	job->tool = strdup("stableconfigs");
	job->argv = calloc(2, sizeof *job->argv);
	job->inputs = calloc(1, sizeof *job->inputs);
	job->keep_usec = 7 * 86400 * USEC_PER_SEC;
	if (job->argv)
		job->argv[0] = strdup("/usr/bin/true");
	if (!result || !job->argv || !job->inputs)
		return EXIT_FAILURE;
	for (long i = 0; r >= 0 && i < atol(argv[4]); i++) {
		char owner[64];

		/* As many owners as a busy host has. */
		(void)snprintf(owner, sizeof owner, "stableconfigs:ip:192.0.2.%ld", i % 250);
		free(job->owner);
		job->owner = strdup(owner);
		r = add_finished(s, job, result);
	}
	if (r < 0) {
		(void)fprintf(stderr, "fill_spool: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	(void)puts(job->id);
	return EXIT_SUCCESS;
}
