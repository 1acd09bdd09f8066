/* replay.c - main() of a fuzz target in an ordinary build: every file of the corpus folders goes through it once.
 * The folders are the arguments, or else corpus/<name> of the source tree for the program fuzz_<name>. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "fuzz.h"

enum { INPUT_MAX = 16 * 1024 * 1024 };

static int
replay_file(int dir_fd, const char *name)
{
	scoped(free_ptr) char *data = NULL;
	uint8_t *exact = NULL;
	size_t len = 0;
	int r = read_file_at(dir_fd, name, INPUT_MAX, &data, &len);

	if (r < 0) {
		(void)fprintf(stderr, "%s: %s\n", name, strerror(-r));
		return r;
	}
	(void)fprintf(stderr, "%s\n", name);	/* before, so that a crash has a name */
	exact = malloc(len ? len : 1);	/* no NUL behind it: reading one byte too many shows */
	if (!exact)
		return -ENOMEM;
	if (len > 0)
		memcpy(exact, data, len);
	(void)LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	return 0;
}

static int
replay_folder(const char *path, unsigned *files)
{
	scoped(close_dir) DIR *dir = opendir(path);
	const struct dirent *entry = NULL;

	if (!dir) {
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -errno;
	}
	while ((entry = readdir(dir))) {
		int r = 0;

		if (entry->d_name[0] == '.')
			continue;
		r = replay_file(dirfd(dir), entry->d_name);
		if (r < 0)
			return r;
		(*files)++;
	}
	return 0;
}

int
main(int argc, char *argv[])
{
	char path[4096] = { 0 };
	const char *name = strstr(program_invocation_short_name, "fuzz_"), *srcdir = getenv("srcdir");
	unsigned files = 0;

	for (int i = 1; i < argc; i++)
		if (replay_folder(argv[i], &files) < 0)
			return 1;
	if (argc == 1 && name) {
		(void)snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".", name + strlen("fuzz_"));
		if (replay_folder(path, &files) < 0)
			return 1;
	}
	(void)fprintf(stderr, "%u inputs\n", files);
	return files > 0 ? 0 : 1;	/* an empty corpus tests nothing */
}
