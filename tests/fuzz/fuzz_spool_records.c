/* The first byte chooses a parser of the spool. Whatever it takes, it writes again, and reads that as the same. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "fuzz.h"
#include "spool/job.h"
#include "spool/manifest.h"
#include "spool/record.h"
#include "spool/record_internal.h"

static void
try_job(const char *text, size_t len)
{
	scoped(free_job) struct job *job = NULL, *again = NULL;
	scoped(free_ptr) char *first = NULL, *second = NULL;
	size_t first_len = 0, second_len = 0;
	int r = 0;

	if (job_parse(text, len, &job) < 0)
		return;
	r = job_format(job, &first, &first_len);
	if (r == -E2BIG)	/* its note is, which only writing forbids */
		return;
	MUST(r == 0);
	MUST(job_parse(first, first_len, &again) == 0);
	MUST(job_format(again, &second, &second_len) == 0);
	MUST(first_len == second_len && memcmp(first, second, first_len) == 0);
}

static void
try_want(const char *text, size_t len)
{
	scoped(free_ptr) char *first = NULL;
	struct job_want want, again;
	size_t first_len = 0;

	if (want_parse(text, len, &want) < 0)
		return;
	MUST(want_format(&want, &first, &first_len) == 0);
	MUST(want_parse(first, first_len, &again) == 0);
	MUST(again.want == want.want && again.attempt == want.attempt && again.at_usec == want.at_usec);
	MUST(strcmp(again.by, want.by) == 0 && strcmp(again.boot, want.boot) == 0);
}

static void
try_run(const char *text, size_t len)
{
	struct job_run run;

	if (run_parse(text, len, &run) == 0)
		MUST(run.attempt > 0 && run.pid > 0 && run.init_pid >= 0 && strlen(run.cgroup) < sizeof run.cgroup);
}

static void
try_result(const char *text, size_t len)
{
	scoped(free_ptr) char *first = NULL;
	struct job_result res, again;
	size_t first_len = 0;

	if (result_parse(text, len, &res) < 0)
		return;
	MUST(result_format(&res, &first, &first_len) == 0);
	MUST(first_len <= 4096);
	MUST(result_parse(first, first_len, &again) == 0);
	MUST(again.verdict == res.verdict && again.exit_code == res.exit_code && again.output_bytes == res.output_bytes);
	MUST(strcmp(again.message, res.message) == 0 && strcmp(again.by, res.by) == 0);
}

static int
add_again(const struct manifest_entry *e, void *ctx)
{
	MUST(manifest_add(ctx, e) == 0);
	return 0;
}

static void
try_manifest(const char *text, size_t len)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(SIZE_MAX), again = STRBUF_INIT(SIZE_MAX);
	scoped(free_ptr) char *copy = malloc(len + 1);

	MUST(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (manifest_parse(copy, len, add_again, &s) < 0)
		return;
	/* Read once more, for one path has several spellings of which we write one. */
	copy = (free(copy), strdup(strbuf_str(&s)));
	MUST(copy);
	MUST(manifest_parse(copy, s.len, add_again, &again) == 0);
	MUST(strcmp(strbuf_str(&s), strbuf_str(&again)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(const char *text, size_t len) = {
		['j'] = try_job, ['w'] = try_want, ['u'] = try_run, ['r'] = try_result, ['m'] = try_manifest,
	};
	/* A text of exactly its length, so that a byte too far is seen. */
	scoped(free_ptr) char *text = NULL;

	if (size == 0 || data[0] >= sizeof parsers / sizeof *parsers || !parsers[data[0]])
		return 0;
	text = malloc(size);
	MUST(text);
	memcpy(text, data + 1, size - 1);
	parsers[data[0]](text, size - 1);
	return 0;
}
