/* Bare loops to measure against, and a crowd of submitters.
 *	loops flush FOLDER SECONDS BYTES		write, flush, rename, flush the folder: what a durable record costs without a journal
 *	loops spawn COUNT AT_ONCE COMMAND...		runs COMMAND COUNT times; a line with the spawn's time in ns for each
 *	loops submit SOCKET TOOL AT_ONCE SECONDS BYTES	submissions through the helper's socket
 *	loops write FILE SECONDS			writes as fast as it can
 * flush and submit print: how many, seconds, p50 and p99 in microseconds. */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "proto/client.h"

extern char **environ;

enum { SAMPLES_MAX = 1000000 };

struct samples {
	pthread_mutex_t lock;
	uint64_t *usec;
	size_t n;
};

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
sample(struct samples *s, uint64_t usec)
{
	(void)pthread_mutex_lock(&s->lock);
	if (s->n < SAMPLES_MAX)
		s->usec[s->n++] = usec;
	(void)pthread_mutex_unlock(&s->lock);
}

static void
report(struct samples *s, double seconds)
{
	qsort(s->usec, s->n, sizeof *s->usec, compare);
	(void)printf("%zu %.6f %llu %llu\n", s->n, seconds, s->n ? (unsigned long long)s->usec[s->n / 2] : 0ULL,
	    s->n ? (unsigned long long)s->usec[s->n * 99 / 100] : 0ULL);
}

static int
flush_loop(const char *folder, double seconds, size_t bytes, struct samples *s)
{
	scoped(close_fd) int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scoped(free_ptr) char *data = calloc(1, bytes);
	uint64_t begin = clock_mono(), end = begin + (uint64_t)(seconds * 1e6), now = begin;

	if (dir_fd < 0 || !data)
		return EXIT_FAILURE;
	for (unsigned i = 0; now < end; i++) {
		scoped(close_fd) int fd = openat(dir_fd, "new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
		uint64_t start = now;
		char name[32];

		(void)snprintf(name, sizeof name, "job%u", i);
		if (fd < 0 || write_all(fd, data, bytes) < 0 || fsync(fd) < 0 || renameat(dir_fd, "new", dir_fd, name) < 0 ||
		    fsync(dir_fd) < 0)
			return EXIT_FAILURE;
		now = clock_mono();
		sample(s, now - start);
	}
	report(s, (double)(now - begin) / 1e6);
	return EXIT_SUCCESS;
}

static int
spawn_loop(int count, int at_once, char *argv[])
{
	for (int started = 0, running = 0; started < count || running > 0;) {
		if (started < count && running < at_once) {
			struct timespec now;
			pid_t pid;

			(void)clock_gettime(CLOCK_BOOTTIME, &now);
			(void)printf("%lld\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
			(void)fflush(stdout);
			if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) != 0)
				return EXIT_FAILURE;
			started++;
			running++;
		} else {
			int status;

			if (wait(&status) < 0 || status != 0)
				return EXIT_FAILURE;
			running--;
		}
	}
	return EXIT_SUCCESS;
}

struct crowd {
	const char *socket, *tool;
	uint64_t end_usec;
	size_t bytes;
	struct samples *samples;
	int error;
};

static void *
submitter(void *arg)
{
	struct crowd *c = arg;
	scoped(free_client) struct client *client = NULL;
	scoped(free_ptr) char *data = calloc(1, c->bytes + 1);
	int r = client_new(c->socket, "bench", &client);

	if (!data)
		r = -ENOMEM;
	while (r == 0 && clock_mono() < c->end_usec) {
		scoped(close_fd) int fd = memory_file_sealed("problem.txt", data, c->bytes);
		struct submit_input input = { "problem.txt", fd, c->bytes };
		struct submission s = { .service = "stableconfigs", .tool = c->tool, .owner = "stableconfigs:ip:192.0.2.1",
			.inputs = &input, .n_inputs = 1 };
		uint64_t start = clock_mono();
		char id[ID_SIZE];

		r = client_submit(client, &s, id);
		if (r == 0)
			sample(c->samples, clock_mono() - start);
	}
	if (r < 0)
		c->error = r;
	return NULL;
}

static int
submit_loop(struct crowd *c, int at_once, double seconds)
{
	pthread_t threads[256];
	uint64_t begin = clock_mono();
	int n = 0;

	c->end_usec = begin + (uint64_t)(seconds * 1e6);
	while (n < at_once && n < 256 && pthread_create(&threads[n], NULL, submitter, c) == 0)
		n++;
	for (int i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
	if (c->error < 0) {
		(void)fprintf(stderr, "submit: %s\n", strerror(-c->error));
		return EXIT_FAILURE;
	}
	report(c->samples, (double)(clock_mono() - begin) / 1e6);
	return EXIT_SUCCESS;
}

static int
write_loop(const char *path, double seconds)
{
	static char block[1024 * 1024];
	scoped(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	uint64_t end = clock_mono() + (uint64_t)(seconds * 1e6);

	if (fd < 0)
		return EXIT_FAILURE;
	memset(block, 'x', sizeof block);
	for (off_t at = 0; clock_mono() < end; at = (at + (off_t)sizeof block) % ((off_t)1 << 30))
		if (pwrite_all(fd, block, sizeof block, at) < 0)
			return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

int
main(int argc, char *argv[])
{
	struct samples samples = { .lock = PTHREAD_MUTEX_INITIALIZER, .usec = calloc(SAMPLES_MAX, sizeof(uint64_t)) };
	scoped(free_ptr) uint64_t *usec = samples.usec;

	if (!usec)
		return EXIT_FAILURE;
	if (argc == 5 && strcmp(argv[1], "flush") == 0)
		return flush_loop(argv[2], atof(argv[3]), (size_t)atol(argv[4]), &samples);
	if (argc > 4 && strcmp(argv[1], "spawn") == 0)
		return spawn_loop(atoi(argv[2]), atoi(argv[3]), argv + 4);
	if (argc == 7 && strcmp(argv[1], "submit") == 0) {
		struct crowd crowd = { .socket = argv[2], .tool = argv[3], .bytes = (size_t)atol(argv[6]), .samples = &samples };

		return submit_loop(&crowd, atoi(argv[4]), atof(argv[5]));
	}
	if (argc == 4 && strcmp(argv[1], "write") == 0)
		return write_loop(argv[2], atof(argv[3]));
	return EXIT_FAILURE;
}
