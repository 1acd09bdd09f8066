#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/probe.h"

/* Beyond any limit that these modes are run with, and no more than a host can bear where a limit does not hold. */
enum { MIB = 1024 * 1024, FILL_MIB = 192, CHILDREN = 64, DESCRIPTORS = 512, FILES = 200, SPACE_MIB = 2048 };

static void
got(const char *name, long amount, int err)
{
	(void)printf("%s\t%ld\t%s\n", name, amount, error_name(err));
	(void)fflush(stdout);
}

static void
wait_long(void)
{
	for (unsigned left = 30; left > 0;)
		left = sleep(left);
}

/* In a child, for the limit is the whole tree's. */
static void
memory(void)
{
	if (fork() == 0) {
		long n = 0;

		for (; n < FILL_MIB; n++) {
			char *page = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			if (page == MAP_FAILED)
				break;
			memset(page, 1, MIB);
		}
		got("memory", n, 0);
		wait_long();
		_exit(0);
	}
	(void)wait(NULL);
}

/* What belongs to no process: files in memory, with a little of its own on top. */
static void
shared(void)
{
	static const char *const places[] = { "/dev/shm/fill", "/tmp/fill" };
	static char block[MIB];
	char *own;
	long n = 0;

	memset(block, 1, sizeof block);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		int fd = open(places[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		for (; fd >= 0 && n < FILL_MIB && write(fd, block, sizeof block) > 0; n++)
			;
	}
	for (long more = 0; more < FILL_MIB / 4; more++) {
		own = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (own == MAP_FAILED)
			break;
		memset(own, 1, MIB);
	}
	got("shared", n, 0);
	wait_long();
}

static void
processes(void)
{
	pid_t children[CHILDREN];
	int n = 0, err = 0;

	while (n < CHILDREN) {
		children[n] = fork();
		if (children[n] == 0) {
			wait_long();
			_exit(0);
		}
		if (children[n] < 0) {
			err = errno;
			break;
		}
		n++;
	}
	got("processes", n + 1, err);
	if (err == 0)	/* whoever only looks from time to time has to see them */
		(void)sleep(2);
	for (int i = 0; i < n; i++)
		(void)kill(children[i], SIGKILL);
	while (wait(NULL) > 0)
		;
}

static void
spin(void)
{
	volatile unsigned long turns = 0;

	(void)fork();
	for (;;)
		turns++;
}

/* The signal of the limit ends it where nothing else does. */
static void
file(void)
{
	static char block[MIB / 16];
	int fd = open("file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	long n = 0;

	while (n < FILL_MIB * 16 && write(fd, block, sizeof block) > 0)
		n++;
	got("file", n, errno);
}

static void
open_files(void)
{
	int n = 3, err = 0;

	while (n < DESCRIPTORS) {
		if (dup(0) < 0) {
			err = errno;
			break;
		}
		n++;
	}
	got("open-files", n, err);
}

static void
address_space(void)
{
	void *p = mmap(NULL, (size_t)SPACE_MIB * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	got("address-space", p == MAP_FAILED ? 0 : SPACE_MIB, p == MAP_FAILED ? errno : 0);
}

static void
print_much(void)
{
	static char block[4096];

	memset(block, 'x', sizeof block - 1);
	block[sizeof block - 1] = '\n';
	for (int i = 0; i < 256; i++)
		if (write(1, block, sizeof block) < 0)
			return;
}

static void
many_files(void)
{
	for (int i = 0; i < FILES; i++) {
		char name[24];
		int fd;

		(void)snprintf(name, sizeof name, "f%d", i);
		fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			return;
		(void)close(fd);
	}
	wait_long();
}

static void
much_output(void)
{
	static char block[MIB];
	int fd = open("much", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	memset(block, 1, sizeof block);
	for (int i = 0; i < 16; i++)
		if (write(fd, block, sizeof block) < 0)
			return;
	wait_long();
}

static void
core(void)
{
	struct rlimit rl = { 0 };
	int r = getrlimit(RLIMIT_CORE, &rl);

	got("core", rl.rlim_max == RLIM_INFINITY ? -1 : (long)rl.rlim_max, r < 0 ? errno : 0);
	abort();
}

/* Tells instead of trying, for only much time and other work would show it: whether the kernel's scheduler shares out by session, and which
 * of its groups this one is in. */
static void
share(void)
{
	FILE *on = fopen("/proc/sys/kernel/sched_autogroup_enabled", "re"), *own = fopen("/proc/self/autogroup", "re");
	char group[64] = "-";
	int enabled = 0;

	if (on)
		enabled = fgetc(on) == '1';
	if (own && fscanf(own, "%63s", group) != 1)
		(void)strcpy(group, "-");
	(void)printf("share\t%d\t%s\n", enabled, group);
	if (on)
		(void)fclose(on);
	if (own)
		(void)fclose(own);
}

bool
limits(const char *mode)
{
	static const struct { const char *name; void (*run)(void); } modes[] = {
		{ "wall", wait_long }, { "cpu", spin }, { "memory", memory }, { "shared", shared }, { "processes", processes },
		{ "file", file }, { "open-files", open_files }, { "address-space", address_space }, { "print", print_much },
		{ "many-files", many_files }, { "much-output", much_output }, { "core", core }, { "share", share },
	};

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (strcmp(modes[i].name, mode) == 0) {
			modes[i].run();
			return true;
		}
	}
	return false;
}
