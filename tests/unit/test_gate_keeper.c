/* The keeper: workers die, binaries are replaced, services end, and no request is lost. */
#include "config.h"

#include <errno.h>
#include <linux/sockios.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "gate_rig.h"

#include "basic/proc.h"
#include "basic/scoped.h"

extern char **environ;

/* Everything a program says, read as it comes. */
struct voice {
	pthread_t thread;
	int fd;
	pthread_mutex_t lock;
	pthread_cond_t more;
	char text[1 << 20];
	size_t len, seen;
	bool ended;
};

static void *
listen_to(void *arg)
{
	struct voice *v = arg;
	char buf[4096];
	ssize_t n;

	while ((n = read(v->fd, buf, sizeof buf)) > 0) {
		(void)pthread_mutex_lock(&v->lock);
		if (v->len + (size_t)n >= sizeof v->text) {	/* the latest is what matters */
			v->len = 0;
			v->seen = 0;
		}
		memcpy(v->text + v->len, buf, (size_t)n);
		v->len += (size_t)n;
		v->text[v->len] = '\0';
		(void)pthread_cond_broadcast(&v->more);
		(void)pthread_mutex_unlock(&v->lock);
	}
	(void)pthread_mutex_lock(&v->lock);
	v->ended = true;
	(void)pthread_cond_broadcast(&v->more);
	(void)pthread_mutex_unlock(&v->lock);
	return NULL;
}

/* Waits for words that were not waited for before. */
static void
await(struct voice *v, const char *words)
{
	struct timespec end;
	char *found = NULL;
	int r = 0;

	(void)clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += RIG_DEADLINE_MSEC / 1000;
	(void)pthread_mutex_lock(&v->lock);
	while (!(found = strstr(v->text + v->seen, words)) && r == 0 && !v->ended)
		r = pthread_cond_timedwait(&v->more, &v->lock, &end);
	if (found)
		v->seen = (size_t)(found - v->text) + strlen(words);
	else
		print_error("never said: %s\nsaid: %s\n", words, v->text + v->seen);
	(void)pthread_mutex_unlock(&v->lock);
	assert_non_null(found);
}

/* Waits until nobody is left who could say anything. */
static void
await_silence(struct voice *v)
{
	struct timespec end;
	int r = 0;

	(void)clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += RIG_DEADLINE_MSEC / 1000;
	(void)pthread_mutex_lock(&v->lock);
	while (!v->ended && r == 0)
		r = pthread_cond_timedwait(&v->more, &v->lock, &end);
	(void)pthread_mutex_unlock(&v->lock);
	assert_int_equal(r, 0);
}

struct scene {
	struct rig rig;
	struct temp_dir *dir;
	struct voice voice;
	char program[600];
	pid_t keeper;
};

enum { WORKERS = 2 };

/* A program of its own, which the test can replace. */
static void
install_program(const struct scene *s)
{
	scoped(close_fd) int from = open(GATE_PROGRAM, O_RDONLY | O_CLOEXEC);
	scoped(close_fd) int to = openat(s->dir->fd, "new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	assert_true(from >= 0 && to >= 0);
	assert_true(copy_bytes(from, to, -1) > 0);
	assert_int_equal(renameat(s->dir->fd, "new", s->dir->fd, "spoolgate.fcgi"), 0);
}

static int
begin_with(void **state, const char *settings)
{
	struct scene *s = calloc(1, sizeof *s);
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	char *argv[4];
	void *dir = NULL;
	int ends[2];

	if (make_temp_dir(&dir) != 0)
		return -1;
	s->dir = dir;
	rig_start(&s->rig, s->dir, NULL, 0, settings, false);
	(void)snprintf(s->program, sizeof s->program, "%s/spoolgate.fcgi", s->dir->path);
	install_program(s);
	argv[0] = s->program;
	argv[1] = strdup("--config");
	argv[2] = s->rig.config_path;
	argv[3] = NULL;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(spawnattr_init_clean(&attr, 0), 0);
	assert_int_equal(posix_spawn_file_actions_init(&files), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&files, s->rig.listen_fd, 0), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&files, ends[1], 2), 0);
	assert_int_equal(posix_spawn(&s->keeper, s->program, &files, &attr, argv, environ), 0);
	(void)posix_spawn_file_actions_destroy(&files);
	(void)posix_spawnattr_destroy(&attr);
	free(argv[1]);
	(void)close(ends[1]);
	s->voice.fd = ends[0];
	(void)pthread_mutex_init(&s->voice.lock, NULL);
	(void)pthread_cond_init(&s->voice.more, NULL);
	assert_int_equal(pthread_create(&s->voice.thread, NULL, listen_to, &s->voice), 0);
	await(&s->voice, "2 workers serve");
	*state = s;
	return 0;
}

static int
begin(void **state)
{
	return begin_with(state, "workers = 2\nthreads = 2\ndrain = 15s");
}

static int
begin_impatient(void **state)
{
	return begin_with(state, "workers = 2\nthreads = 2\ndrain = 100ms");
}

static int
end_keeper(struct scene *s, int sig)
{
	int status = -1;

	if (s->keeper <= 0)
		return -1;
	(void)kill(s->keeper, sig);
	assert_int_equal(waitpid(s->keeper, &status, 0), s->keeper);
	s->keeper = 0;
	return status;
}

static int
end(void **state)
{
	struct scene *s = *state;
	void *dir = s->dir;

	(void)end_keeper(s, SIGTERM);
	(void)pthread_join(s->voice.thread, NULL);	/* nobody holds the pipe any more */
	(void)close(s->voice.fd);
	rig_stop(&s->rig);
	free(s);
	return drop_temp_dir(&dir);
}

/* Ended, and about to be reaped: the keeper speaks of it a moment before. */
static bool
is_zombie(pid_t pid)
{
	char path[64], text[512];
	scoped(close_fd) int fd = -EBADF;
	ssize_t len;
	const char *end = NULL;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (len <= 0)
		return true;	/* reaped by now */
	text[len] = '\0';
	end = strrchr(text, ')');
	return end && strncmp(end, ") Z", 3) == 0;
}

static size_t
children(pid_t pid, pid_t ret[16])
{
	char path[64], text[512];
	size_t n = 0;
	ssize_t len;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	len = read(fd, text, sizeof text - 1);
	(void)close(fd);
	assert_true(len >= 0);
	text[len] = '\0';
	for (char *p = text, *next = NULL; n < 16; p = next) {
		long v = strtol(p, &next, 10);

		if (next == p)
			break;
		if (!is_zombie((pid_t)v))
			ret[n++] = (pid_t)v;
	}
	return n;
}

static int
ask(const struct scene *s)
{
	struct fcgi_answer a = rig_ask(&s->rig, "stableconfigs", "DELETE", "/terminate/x", NULL, NULL);
	int status = a.status;

	if (status == 200)
		assert_string_equal(a.body, "{\"status\":\"terminating task: x\"}\n");
	fcgi_answer_done(&a);
	return status;
}

static void
test_a_killed_worker_is_replaced(void **state)
{
	struct scene *s = *state;
	pid_t before[16], after[16];

	assert_int_equal(ask(s), 200);
	assert_int_equal(children(s->keeper, before), WORKERS);
	assert_int_equal(kill(before[0], SIGKILL), 0);
	await(&s->voice, "was killed by signal 9");
	await(&s->voice, "serves");
	assert_int_equal(children(s->keeper, after), WORKERS);
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_not_equal(after[i], before[0]);
	for (int i = 0; i < 50; i++)
		assert_int_equal(ask(s), 200);
}

struct load {
	struct scene *s;
	atomic_bool stop;
	unsigned asked, failed;
};

static void *
ask_on(void *arg)
{
	struct load *l = arg;

	while (!atomic_load(&l->stop)) {
		l->asked++;
		if (ask(l->s) != 200)
			l->failed++;
	}
	return NULL;
}

static void
test_hangup_replaces_everything_and_loses_no_request(void **state)
{
	struct scene *s = *state;
	struct load loads[4];
	pthread_t threads[4];
	pid_t before[16];
	struct stat old, new;
	char path[64];
	unsigned asked = 0;

	for (size_t i = 0; i < 4; i++) {
		loads[i] = (struct load){ .s = s };
		assert_int_equal(pthread_create(&threads[i], NULL, ask_on, &loads[i]), 0);
	}
	for (int round = 0; round < 3; round++) {
		assert_int_equal(children(s->keeper, before), WORKERS);
		assert_int_equal(stat(s->program, &old), 0);
		install_program(s);
		assert_int_equal(kill(s->keeper, SIGHUP), 0);
		await(&s->voice, "2 workers serve");
		for (size_t i = 0; i < WORKERS; i++)
			await(&s->voice, "has finished");
		/* The keeper is the same process, and runs what is installed now. */
		assert_int_equal(kill(s->keeper, 0), 0);
		(void)snprintf(path, sizeof path, "/proc/%d/exe", (int)s->keeper);
		assert_int_equal(stat(path, &new), 0);
		assert_int_not_equal(new.st_ino, old.st_ino);
		assert_int_equal(stat(s->program, &old), 0);
		assert_int_equal(new.st_ino, old.st_ino);
	}
	for (size_t i = 0; i < 4; i++)
		atomic_store(&loads[i].stop, true);
	for (size_t i = 0; i < 4; i++) {
		(void)pthread_join(threads[i], NULL);
		asked += loads[i].asked;
		assert_int_equal(loads[i].failed, 0);
	}
	assert_true(asked > 12);
}

static void
test_hangup_with_a_fault_changes_nothing(void **state)
{
	struct scene *s = *state;
	pid_t before[16], after[16];

	assert_int_equal(children(s->keeper, before), WORKERS);
	rig_write(s->dir->fd, "spoolgate.conf", "[gate]\nworkers = many\n");
	assert_int_equal(kill(s->keeper, SIGHUP), 0);
	await(&s->voice, "everything stays as it is");
	assert_int_equal(children(s->keeper, after), WORKERS);
	assert_memory_equal(before, after, WORKERS * sizeof before[0]);
	assert_int_equal(unlink(s->program), 0);
	assert_int_equal(kill(s->keeper, SIGHUP), 0);
	await(&s->voice, "everything stays as it is");
	assert_int_equal(ask(s), 200);
}

static const char *const post[] = { "SPOOLGATE_SERVICE", "stableconfigs", "REQUEST_METHOD", "POST", "REQUEST_URI", "/task", "CONTENT_TYPE",
	"application/json", NULL };

/* A request whose body has not come yet is under way. Returns its connection. */
static int
begin_post(const struct scene *s)
{
	static const unsigned char begin_record[8] = { 0, 1, 0 };
	char pairs[1024];
	size_t n = 0;
	int fd = rig_connect(&s->rig);

	for (size_t i = 0; post[i]; i += 2)
		n += (size_t)snprintf(pairs + n, sizeof pairs - n, "%c%c%s%s", (int)strlen(post[i]), (int)strlen(post[i + 1]), post[i],
		    post[i + 1]);
	fcgi_record(fd, 1, begin_record, sizeof begin_record);
	fcgi_record(fd, 4, pairs, n);
	fcgi_record(fd, 4, "", 0);
	return fd;
}

/* Waits until somebody has read all that was sent. */
static void
await_read(int fd)
{
	for (int i = 0; i < RIG_DEADLINE_MSEC; i++) {
		const struct timespec pause = { .tv_nsec = 1000000 };
		int left = -1;

		assert_int_equal(ioctl(fd, SIOCOUTQ, &left), 0);
		if (left == 0)
			return;
		(void)nanosleep(&pause, NULL);
	}
	fail_msg("nobody read the request");
}

static void
test_terminate_serves_what_has_begun(void **state)
{
	struct scene *s = *state;
	struct fcgi_answer a;
	int status = -1;
	int fd = begin_post(s);

	await_read(fd);
	assert_int_equal(kill(s->keeper, SIGTERM), 0);
	await(&s->voice, "ending");
	fcgi_record(fd, 5, "{", 1);
	fcgi_record(fd, 5, "", 0);
	fcgi_receive(fd, &a);
	(void)close(fd);
	assert_int_equal(a.status, 400);
	assert_true(a.ended);
	fcgi_answer_done(&a);
	assert_int_equal(waitpid(s->keeper, &status, 0), s->keeper);
	s->keeper = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
test_who_does_not_finish_in_time_is_killed(void **state)
{
	struct scene *s = *state;
	struct fcgi_answer a;
	int status = -1;
	int fd = begin_post(s);

	await_read(fd);
	assert_int_equal(kill(s->keeper, SIGTERM), 0);
	await(&s->voice, "did not finish in time");
	fcgi_receive(fd, &a);
	(void)close(fd);
	assert_int_equal(a.status, 0);
	fcgi_answer_done(&a);
	assert_int_equal(waitpid(s->keeper, &status, 0), s->keeper);
	s->keeper = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Workers that die young are started again and again, after pauses; the other one serves meanwhile. */
static void
test_workers_that_cannot_start_are_tried_again(void **state)
{
	struct scene *s = *state;
	pid_t workers[16];

	assert_int_equal(children(s->keeper, workers), WORKERS);
	assert_int_equal(renameat(s->dir->fd, "spoolgate.conf", s->dir->fd, "good"), 0);
	assert_int_equal(kill(workers[0], SIGKILL), 0);
	await(&s->voice, "was killed by signal 9");
	for (int i = 0; i < 3; i++) {
		await(&s->voice, "ended with status 78");
		assert_int_equal(ask(s), 200);
	}
	assert_int_equal(renameat(s->dir->fd, "good", s->dir->fd, "spoolgate.conf"), 0);
	await(&s->voice, "serves");
	assert_int_equal(children(s->keeper, workers), WORKERS);
}

static void
test_workers_do_not_outlive_their_keeper(void **state)
{
	struct scene *s = *state;

	(void)end_keeper(s, SIGKILL);
	await_silence(&s->voice);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_killed_worker_is_replaced, begin, end),
		cmocka_unit_test_setup_teardown(test_hangup_replaces_everything_and_loses_no_request, begin, end),
		cmocka_unit_test_setup_teardown(test_hangup_with_a_fault_changes_nothing, begin, end),
		cmocka_unit_test_setup_teardown(test_terminate_serves_what_has_begun, begin, end),
		cmocka_unit_test_setup_teardown(test_who_does_not_finish_in_time_is_killed, begin_impatient, end),
		cmocka_unit_test_setup_teardown(test_workers_that_cannot_start_are_tried_again, begin, end),
		cmocka_unit_test_setup_teardown(test_workers_do_not_outlive_their_keeper, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
