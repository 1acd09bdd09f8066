#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "run/verdict.h"

static void
say(struct job_result *result, const char *text)
{
	(void)snprintf(result->message, sizeof result->message, "%s", text);
}

static void
judge_stop(const struct run_facts *f, struct job_result *result)
{
	switch (f->stop) {
	case STOP_KILL:
		result->verdict = VERDICT_KILLED;
		(void)snprintf(result->by, sizeof result->by, "%s", f->by ? f->by : "");
		return;
	case STOP_WALL:
		result->verdict = VERDICT_TIMEOUT;
		say(result, "wall time limit");
		return;
	case STOP_STDOUT:
		result->verdict = VERDICT_OUTPUT_LIMIT;
		say(result, "more on standard output than allowed");
		return;
	case STOP_MEMORY:
		result->verdict = VERDICT_OUT_OF_MEMORY;
		say(result, "memory limit");
		return;
	case STOP_CPU:
		result->verdict = VERDICT_TIMEOUT;
		say(result, "CPU time limit");
		return;
	case STOP_PROCESSES:
		result->verdict = VERDICT_SIGNALLED;
		say(result, "more processes than allowed");
		return;
	case STOP_OUTPUT:
		result->verdict = VERDICT_OUTPUT_LIMIT;
		say(result, f->cap ? f->cap : "more in its folder than allowed");
		return;
	case STOP_NONE:
		break;
	}
}

static void
judge_status(const struct run_facts *f, struct job_result *result)
{
	bool over_cpu = f->cpu_limit_usec > 0 && f->cpu_usec > f->cpu_limit_usec;

	if (over_cpu || result->signal == SIGXCPU) {
		result->verdict = VERDICT_TIMEOUT;
		say(result, "CPU time limit");
	} else if (result->signal == SIGXFSZ) {
		result->verdict = VERDICT_OUTPUT_LIMIT;
		say(result, "file size limit");
	} else if (result->signal != 0) {
		result->verdict = VERDICT_SIGNALLED;
	} else {
		result->verdict = result->exit_code == 0 ? VERDICT_PASSED : VERDICT_FAILED;
	}
}

void
verdict_judge(const struct run_facts *f, struct job_result *result)
{
	result->exit_code = -1;
	result->signal = 0;
	result->by[0] = '\0';
	result->message[0] = '\0';
	if (f->has_status && WIFEXITED(f->status))
		result->exit_code = WEXITSTATUS(f->status);
	else if (f->has_status && WIFSIGNALED(f->status))
		result->signal = WTERMSIG(f->status);
	if (!f->began && f->stop != STOP_KILL) {
		result->verdict = VERDICT_REFUSED;
		say(result, f->refusal && f->refusal[0] ? f->refusal : "the jail could not be set up");
	} else if (f->stop != STOP_NONE) {
		judge_stop(f, result);
	} else if (f->oom_killed) {
		result->verdict = VERDICT_OUT_OF_MEMORY;
		say(result, "memory limit");
	} else if (!f->has_status) {
		result->verdict = VERDICT_LOST;
		say(result, "the jail ended without telling how its tool did");
	} else {
		judge_status(f, result);
	}
}

void
verdict_note(struct job_result *result, const char *text)
{
	size_t len = strlen(result->message);

	(void)snprintf(result->message + len, sizeof result->message - len, "%s%s", len > 0 ? "; " : "", text);
}

void
verdict_outputs_over(struct job_result *result, const char *what)
{
	if (result->verdict == VERDICT_PASSED)
		result->verdict = VERDICT_OUTPUT_LIMIT;
	verdict_note(result, what);
}

void
verdict_outputs_lost(struct job_result *result, const char *what, int err)
{
	char text[128];

	(void)snprintf(text, sizeof text, "%s: %s", what, strerror(-err));
	if (result->verdict != VERDICT_REFUSED && result->verdict != VERDICT_KILLED) {
		result->verdict = VERDICT_LOST;
		result->message[0] = '\0';
	}
	verdict_note(result, text);
}
