#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "helper/jail.h"
#include "helper/offload.h"
#include "proto/init.h"

enum {
	JAIL_MSEC = 20 * 1000,
	REASON_MAX = 256,
};

struct jail_task {
	struct task task;
	struct helper *helper;
	char *bwrap, *init;
	char reason[REASON_MAX];	/* "": it works */
};

static int
spawn(const char *bwrap, const char *init, int output_fd, int errors_fd, pid_t *ret_pid)
{
	/* What can be refused to us, and nothing that takes time. */
	const char *const argv[] = { bwrap, "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--as-pid-1",
		"--cap-drop", "ALL", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
		"--ro-bind", init, "/tmp/init", "--", "/tmp/init", INIT_PROGRAM_HELLO, NULL };
	char *env[] = { NULL };

	return process_spawn((char *const *)(uintptr_t)argv, env, output_fd, errors_fd, 1, ret_pid);
}

/* Its first line. */
static void
read_reason(int fd, char ret[REASON_MAX])
{
	ssize_t n = pread(fd, ret, REASON_MAX - 1, 0);

	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	for (char *c = ret; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

/* Its status is for whoever reaps our children; what it says tells enough. */
static void
try(const char *bwrap, const char *init, char ret_reason[REASON_MAX])
{
	scoped(close_fd) int output_fd = memory_file("output"), errors_fd = memory_file("errors"), pidfd = -EBADF;
	char word[sizeof INIT_HELLO] = "";
	pid_t pid = 0;
	int r = output_fd < 0 ? output_fd : errors_fd < 0 ? errors_fd : spawn(bwrap, init, output_fd, errors_fd, &pid);

	ret_reason[0] = '\0';
	if (r == 0)
		pidfd = r = pidfd_open_pid(pid);
	if (r >= 0)
		r = pidfd_wait(pidfd, JAIL_MSEC);
	if (r == 0) {
		(void)pidfd_signal(pidfd, SIGKILL);
		r = -ETIMEDOUT;
	}
	if (pread(output_fd, word, sizeof word - 1, 0) > 0 && strcmp(word, INIT_HELLO) == 0)
		return;
	read_reason(errors_fd, ret_reason);
	if (ret_reason[0] == '\0')
		(void)snprintf(ret_reason, REASON_MAX, "%s: %s", bwrap, r < 0 ? strerror(-r) : "it ended without a word");
}

static void
take(struct helper *h, const char *reason)
{
	bool blocked = reason[0] != '\0';

	if (blocked && !h->jail_blocked)
		log_error("no jail can be built here, and only tools with trust = trusted can run: %s (" JAIL_HINT ")", reason);
	else if (!blocked && h->jail_blocked)
		log_notice("jails can be built again");
	free(h->jail_blocked);
	h->jail_blocked = blocked ? strdup(reason) : NULL;
}

void
jail_look(struct helper *h)
{
	char reason[REASON_MAX];

	try(config_string(h->config, "helper", "bwrap"), config_string(h->config, "helper", "init_program"), reason);
	take(h, reason);
}

static void
look(struct task *task)
{
	struct jail_task *t = task_owner(task, struct jail_task, task);

	try(t->bwrap, t->init, t->reason);
}

static void
looked(struct task *task)
{
	struct jail_task *t = task_owner(task, struct jail_task, task);

	t->helper->jail_looking = false;
	take(t->helper, t->reason);
	free(t->bwrap);
	free(t->init);
	free(t);
}

void
jail_look_again(struct helper *h)
{
	struct jail_task *t;
	uint64_t now = clock_mono();

	if (h->jail_looking || now < h->jail_looked_usec + USEC_PER_SEC)
		return;
	t = calloc(1, sizeof *t);
	if (!t)
		return;
	t->helper = h;
	t->bwrap = strdup(config_string(h->config, "helper", "bwrap"));
	t->init = strdup(config_string(h->config, "helper", "init_program"));
	if (!t->bwrap || !t->init) {
		free(t->bwrap);
		free(t->init);
		free(t);
		return;
	}
	t->task.work = look;
	t->task.done = looked;
	h->jail_looking = true;
	h->jail_looked_usec = now;
	offload_run(h->slow, &t->task);
}
