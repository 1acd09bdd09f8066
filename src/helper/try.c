#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/durable.h"
#include "basic/fd.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "config/tool.h"
#include "helper/spawn.h"
#include "helper/try.h"

enum { OUTPUT_MAX = 256 * 1024, END_MSEC = 60 * 1000 };

#define PROGRAM "spoolgate-probe"

int
ground_open(struct ground *g, const struct config *config, const char *filter, const char *cgroup)
{
	const char *tmpdir = getenv("TMPDIR");
	/* What is here is small and gone soon; in memory it costs no flush. */
	const char *const places[] = { tmpdir && *tmpdir == '/' ? tmpdir : "/dev/shm", "/dev/shm", "/tmp", "/var/tmp" };
	const char *init = config_string(config, "helper", "init_program"), *slash = strrchr(init, '/');

	*g = (struct ground){ .config = config, .filter = filter, .cgroup = cgroup, .fd = -EBADF };
	if (asprintf(&g->program, "%.*s/" PROGRAM, slash ? (int)(slash - init) : 0, init) < 0) {
		g->program = NULL;
		return -ENOMEM;
	}
	if (access(g->program, X_OK) < 0)
		return -errno;
	for (size_t i = 0; g->fd < 0 && i < sizeof places / sizeof *places; i++) {
		(void)snprintf(g->path, sizeof g->path, "%s/spoolgate-probe-XXXXXX", places[i]);
		if (mkdtemp(g->path))
			g->fd = open_dir_at(AT_FDCWD, g->path);
	}
	if (g->fd < 0)
		g->path[0] = '\0';
	return g->fd < 0 ? -EACCES : 0;
}

void
ground_done(struct ground *g)
{
	if (g->path[0] != '\0')
		(void)remove_tree_at(AT_FDCWD, g->path);
	close_fd(&g->fd);
	free(g->program);
	g->program = NULL;
}

void
trial_done(struct trial *t)
{
	free(t->output);
	t->output = NULL;
}

/* Copies of up to one and then all of two. */
static char **
list_of(const char *one, const char *const *two)
{
	size_t n = 0, at = 0;
	char **list;

	while (two[n])
		n++;
	list = calloc(n + 2, sizeof *list);
	if (list && one)
		list[at++] = strdup(one);
	for (size_t i = 0; list && i < n; i++)
		list[at++] = strdup(two[i]);
	for (size_t i = 0; list && i < at; i++) {
		if (!list[i]) {
			argv_free(list);
			return NULL;
		}
	}
	return list;
}

static int
make_plan(const struct ground *g, const char *const *args, const struct limits *limits, bool filter, bool apart, struct plan **ret)
{
	static const char *const env[] = { TRY_ENVIRONMENT, NULL }, *const none[] = { NULL };
	scoped(free_plan) struct plan *p = plan_new();
	int r;

	if (!p)
		return -ENOMEM;
	id_new(p->id);
	p->attempt = 1;
	p->mode = PLAN_RUN;
	p->jail = JAIL_BWRAP;
	p->stdout_apart = apart;
	p->limits = *limits;
	r = spawn_plan(p, g->config, filter ? g->filter : NULL, g->cgroup);
	if (r < 0)
		return r;
	p->argv = list_of(g->program, args);
	p->env = list_of(NULL, env);
	p->folders = list_of(g->program, none);
	p->inputs = list_of(NULL, none);
	if (!p->argv || !p->env || !p->folders || !p->inputs)
		return -ENOMEM;
	*ret = take_ptr(p);
	return 0;
}

/* The record that a supervisor's receipt draws on. */
static int
store_job(int job_fd, const struct plan *p)
{
	scoped(free_job) struct job *job = job_new();
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r;

	if (!job)
		return -ENOMEM;
	memcpy(job->id, p->id, sizeof job->id);
	job->service = strdup("doctor");
	job->tool = strdup("probe");
	job->owner = strdup("doctor:user:root");
	job->accepted_usec = 1;
	job->argv = list_of(NULL, (const char *const *)p->argv);
	job->limits = p->limits;
	if (!job->service || !job->tool || !job->owner || !job->argv)
		return -ENOMEM;
	r = job_format(job, &text, &len);
	return r < 0 ? r : replace_file_at(job_fd, "job.json", text, len, 0600, (gid_t)-1);
}

/* Starts it, gives the word, waits for its end. */
static int
supervise(const struct ground *g, const struct plan *p, int job_fd, int lock_fd)
{
	scoped(close_fd) int control_fd = -EBADF, pidfd = -EBADF;
	pid_t pid = -1;
	int r = spawn_supervisor(g->config, p, job_fd, lock_fd, &control_fd, &pid);

	if (r < 0)
		return r;
	(void)send(control_fd, PLAN_GO, strlen(PLAN_GO), MSG_NOSIGNAL);
	pidfd = pidfd_open_pid(pid);	/* our child, not reaped */
	r = pidfd < 0 ? pidfd : pidfd_wait(pidfd, END_MSEC);
	if (r != 1)	/* the jail dies with it */
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r < 0 ? r : r == 0 ? -ETIMEDOUT : 0;
}

static int
read_output(int job_fd, bool apart, char **ret)
{
	size_t len = 0;
	int r = read_file_at(job_fd, apart ? "stdout" : "log", OUTPUT_MAX, ret, &len);

	if (r >= 0)
		return 0;
	*ret = strdup("");
	return *ret ? 0 : -ENOMEM;
}

int
try_run(const struct ground *g, const char *const *args, const struct limits *limits, bool filter, bool apart, struct trial *ret)
{
	scoped(free_plan) struct plan *p = NULL;
	scoped(close_fd) int job_fd = -EBADF, lock_fd = -EBADF;
	int r = make_plan(g, args, limits, filter, apart, &p);

	if (r < 0)
		return r;
	job_fd = r = make_dir_at(g->fd, p->id, 0700, (gid_t)-1);
	if (r < 0)
		return r;
	lock_fd = openat(job_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock_fd < 0)
		return -errno;
	r = store_job(job_fd, p);
	if (r == 0)
		r = supervise(g, p, job_fd, lock_fd);
	if (r < 0)
		return r;
	if (result_load(job_fd, &ret->result) < 0) {
		ret->result = (struct job_result){ .verdict = VERDICT_LOST, .exit_code = -1 };
		(void)snprintf(ret->result.message, sizeof ret->result.message, "its supervisor left no verdict");
	}
	r = read_output(job_fd, apart, &ret->output);
	(void)remove_tree_at(g->fd, p->id);
	return r;
}
