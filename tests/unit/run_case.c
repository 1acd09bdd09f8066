#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "unit.h"

#include "basic/clock.h"
#include "basic/durable.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "run_case.h"
#include "spool/job.h"

static const char case_id[] = "0123456789abcdef0123456789abcdef";

static char **
list_of(const char *const *items)
{
	size_t n = 0;
	char **list = NULL;

	while (items[n])
		n++;
	list = calloc(n + 1, sizeof *list);
	assert_non_null(list);
	for (size_t i = 0; i < n; i++)
		assert_non_null(list[i] = strdup(items[i]));
	return list;
}

static void
free_list(char **list)
{
	for (char **item = list; item && *item; item++)
		free(*item);
	free(list);
}

static char *
program(const char *name)
{
	char *path = realpath(name, NULL);

	if (!path)
		fail_msg("%s is not in the current folder: tests run in the build folder", name);
	return path;
}

void
run_case_argv(struct run_case *c, const char *const argv[])
{
	free_list(c->plan->argv);
	c->plan->argv = list_of(argv);
}

void
run_case_init(struct run_case *c, enum jail_kind jail, const char *script)
{
	const char *base = getenv("TMPDIR");
	struct plan *p = plan_new();

	assert_non_null(p);
	*c = (struct run_case){ .job_fd = -EBADF, .control_fd = -EBADF, .lock_fd = -EBADF, .pidfd = -EBADF, .plan = p };
	(void)snprintf(c->path, sizeof c->path, "%s/spoolgate-run-XXXXXX", base && *base == '/' ? base : "/tmp");
	assert_non_null(mkdtemp(c->path));
	c->job_fd = open_dir_at(AT_FDCWD, c->path);
	assert_true(c->job_fd >= 0);
	assert_return_code(mkdirat(c->job_fd, "in", 0700), errno);
	c->lock_fd = openat(c->job_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(c->lock_fd >= 0);
	c->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	assert_true(c->watch_fd >= 0);
	assert_true(inotify_add_watch(c->watch_fd, c->path, IN_MODIFY | IN_CREATE | IN_MOVED_TO) >= 0);

	memcpy(p->id, case_id, sizeof p->id);
	p->attempt = 1;
	p->mode = PLAN_RUN;
	p->jail = jail;
	p->argv = list_of((const char *const[]){ "/bin/sh", "-c", script, NULL });
	p->env = list_of((const char *const[]){ "PATH=/usr/bin:/bin", "LC_ALL=C", NULL });
	p->folders = list_of((const char *const[]){ NULL });
	p->inputs = list_of((const char *const[]){ NULL });
	p->limits = (struct limits){ .wall_usec = 60 * USEC_PER_SEC, .log_bytes = 1024 * 1024 };
	p->bwrap = strdup(BWRAP_PATH);
	p->init = program("spoolgate-init");
	assert_non_null(p->bwrap);
}

void
run_case_done(struct run_case *c)
{
	if (c->pid > 0) {	/* only where a test has failed */
		(void)kill(c->pid, SIGKILL);
		(void)waitpid(c->pid, NULL, 0);
	}
	close_fd(&c->job_fd);
	close_fd(&c->control_fd);
	close_fd(&c->lock_fd);
	close_fd(&c->watch_fd);
	close_fd(&c->pidfd);
	c->plan = plan_free(c->plan);
	assert_int_equal(remove_tree_at(AT_FDCWD, c->path), 0);
	if (c->programs[0] != '\0')
		assert_int_equal(remove_tree_at(AT_FDCWD, c->programs), 0);
}

void
run_case_become_nobody(struct run_case *c)
{
	scoped(free_ptr) char *command = NULL;

	if (getuid() != 0)
		return;
	(void)strcpy(c->programs, "/tmp/spoolgate-programs-XXXXXX");
	assert_non_null(mkdtemp(c->programs));
	assert_return_code(chmod(c->programs, 0755), errno);
	assert_true(asprintf(&command, "install -m 755 spoolgate-run spoolgate-init %s", c->programs) > 0);
	assert_int_equal(system(command), 0);
	free(c->plan->init);
	assert_true(asprintf(&c->plan->init, "%s/spoolgate-init", c->programs) > 0);
	c->as_nobody = true;
}

void
run_case_input(struct run_case *c, const char *name, const char *text)
{
	scoped(close_fd) int in_fd = open_dir_at(c->job_fd, "in");
	size_t n = 0;

	assert_true(in_fd >= 0);
	assert_return_code(replace_file_at(in_fd, name, text, strlen(text), 0640, (gid_t)-1), 0);
	while (c->plan->inputs[n])
		n++;
	c->plan->inputs = reallocarray(c->plan->inputs, n + 2, sizeof *c->plan->inputs);
	assert_non_null(c->plan->inputs);
	assert_non_null(c->plan->inputs[n] = strdup(name));
	c->plan->inputs[n + 1] = NULL;
}

/* As the helper would have written it. */
static void
store_job(struct run_case *c)
{
	scoped(free_job) struct job *job = job_new();
	scoped(free_ptr) char *text = NULL;
	size_t n = 0, len = 0;

	assert_non_null(job);
	memcpy(job->id, case_id, sizeof job->id);
	job->service = strdup("v1");
	job->tool = strdup("case");
	job->owner = strdup("v1:token:case");
	job->accepted_usec = 1;
	job->argv = list_of((const char *const *)c->plan->argv);
	job->limits = c->plan->limits;
	while (c->plan->inputs[n])
		n++;
	job->inputs = calloc(n + 1, sizeof *job->inputs);
	job->n_inputs = n;
	for (size_t i = 0; i < n; i++) {
		job->inputs[i].name = strdup(c->plan->inputs[i]);
		memset(job->inputs[i].sha256, 'a', SHA256_HEX_SIZE - 1);
	}
	assert_return_code(job_format(job, &text, &len), 0);
	assert_return_code(replace_file_at(c->job_fd, "job.json", text, len, 0640, (gid_t)-1), 0);
}

static char *
supervisor(const struct run_case *c)
{
	char *path = NULL;

	if (c->programs[0] == '\0')
		return program("spoolgate-run");
	assert_true(asprintf(&path, "%s/spoolgate-run", c->programs) > 0);
	return path;
}

static void
spawn(struct run_case *c, int control_fd, int plan_fd)
{
	static char setpriv[] = "/usr/bin/setpriv", reuid[] = "--reuid=65534", regid[] = "--regid=65534",
	    groups[] = "--clear-groups";
	const int from[] = { c->job_fd, c->lock_fd, control_fd, plan_fd };
	scoped(free_ptr) char *path = supervisor(c);
	char *plain[] = { path, NULL }, *nobody[] = { setpriv, reuid, regid, groups, path, NULL };
	char **argv = c->as_nobody ? nobody : plain;
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t set;
	int high[4];

	assert_int_equal(posix_spawn_file_actions_init(&fa), 0);
	for (int i = 0; i < 4; i++) {	/* out of the way of 3 to 6 */
		high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 100);
		assert_true(high[i] >= 0);
		assert_int_equal(posix_spawn_file_actions_adddup2(&fa, high[i], 3 + i), 0);
	}
	assert_int_equal(spawnattr_init_clean(&attr, 1), 0);
	/* A kill may come before the supervisor has blocked it. */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	assert_int_equal(posix_spawnattr_setsigmask(&attr, &set), 0);
	assert_int_equal(posix_spawn(&c->pid, argv[0], &fa, &attr, argv, environ), 0);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&fa);
	for (int i = 0; i < 4; i++)
		(void)close(high[i]);
	c->pidfd = pidfd_open_pid(c->pid);
	assert_true(c->pidfd >= 0);
}

void
run_case_start(struct run_case *c)
{
	scoped(close_fd) int plan_fd = -EBADF, theirs = -EBADF;
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int fds[2];

	store_job(c);
	if (c->as_nobody) {
		assert_return_code(fchown(c->job_fd, 65534, 65534), errno);
		assert_return_code(fchownat(c->job_fd, "in", 65534, 65534, 0), errno);
		assert_return_code(fchownat(c->job_fd, "job.json", 65534, 65534, 0), errno);
	}
	assert_return_code(plan_format(c->plan, &text, &len), 0);
	plan_fd = memory_file_sealed("plan", text, len);
	assert_true(plan_fd >= 0);
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), errno);
	close_fd(&c->control_fd);
	c->control_fd = fds[0];
	theirs = fds[1];
	close_fd(&c->pidfd);
	spawn(c, theirs, plan_fd);
}

void
run_case_go(struct run_case *c)
{
	ssize_t n = send(c->control_fd, PLAN_GO, strlen(PLAN_GO), MSG_NOSIGNAL);

	/* A supervisor that refuses at once may have gone. */
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		return;
	assert_int_equal(n, strlen(PLAN_GO));
}

void
run_case_kill(struct run_case *c, const char *by)
{
	struct job_want want = { .want = WANT_KILL, .attempt = c->plan->attempt, .at_usec = clock_wall() };

	(void)snprintf(want.by, sizeof want.by, "%s", by);
	assert_return_code(boot_id(want.boot), 0);
	assert_return_code(want_store(c->job_fd, c->plan->groups, &want), 0);
	assert_return_code(pidfd_signal(c->pidfd, SIGTERM), 0);
}

int
run_case_wait(struct run_case *c)
{
	int status = 0;

	if (pidfd_wait(c->pidfd, RUN_CASE_MSEC) != 1)
		fail_msg("the supervisor does not end");
	assert_int_equal(wait4(c->pid, &status, 0, &c->usage), c->pid);
	c->pid = 0;
	return status;
}

void
run_case_run(struct run_case *c, struct job_result *ret)
{
	run_case_start(c);
	run_case_go(c);
	assert_int_equal(run_case_wait(c), 0);
	assert_return_code(result_load(c->job_fd, ret), 0);
}

char *
run_case_text(const struct run_case *c, const char *path)
{
	char *text = NULL;
	size_t len = 0;

	if (read_file_at(c->job_fd, path, 1024 * 1024, &text, &len) < 0)
		assert_non_null(text = strdup(""));
	return text;
}

bool
run_case_has(const struct run_case *c, const char *path)
{
	return faccessat(c->job_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void
run_case_wait_text(struct run_case *c, const char *name, const char *text)
{
	uint64_t deadline = clock_mono() + RUN_CASE_MSEC * USEC_PER_MSEC;

	for (;;) {
		scoped(free_ptr) char *now = run_case_text(c, name);
		struct pollfd p = { .fd = c->watch_fd, .events = POLLIN };
		char events[4096];

		if (strstr(now, text))
			return;
		if (clock_mono() >= deadline)
			fail_msg("%s does not come to hold \"%s\" but \"%s\"", name, text, now);
		if (poll(&p, 1, 1000) > 0)
			(void)!read(c->watch_fd, events, sizeof events);
	}
}
