/* config_help.h - for the tests of src/config: files of a private folder, and looking at faults. */
#ifndef SPOOLGATE_CONFIG_HELP_H
#define SPOOLGATE_CONFIG_HELP_H

#include <stdbool.h>
#include <string.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "config/config.h"
#include "unit.h"

static inline void
put_file_bytes(const struct temp_dir *dir, const char *name, const void *data, size_t len)
{
	scoped(close_fd) int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, data, len), 0);
}

static inline void
put_file(const struct temp_dir *dir, const char *name, const char *text)
{
	put_file_bytes(dir, name, text, strlen(text));
}

/* Whether one of the faults is, or where it ends with "..." begins with, "<file><rest>". */
static inline bool
has_fault(const struct faults *f, const char *file, const char *rest)
{
	size_t file_len = strlen(file), len = strlen(rest);
	bool prefix = len > 3 && strcmp(rest + len - 3, "...") == 0;

	for (size_t i = 0; i < f->n; i++) {
		const char *text = f->texts[i];

		if (strncmp(text, file, file_len) != 0)
			continue;
		text += file_len;
		if (prefix ? strncmp(text, rest, len - 3) == 0 : strcmp(text, rest) == 0)
			return true;
	}
	return false;
}

/* Exactly these faults, in any order: a list that NULL ends. */
static inline void
assert_faults(const struct faults *f, const char *file, const char *const *wanted)
{
	size_t n = 0;

	for (; wanted[n]; n++)
		if (!has_fault(f, file, wanted[n])) {
			for (size_t i = 0; i < f->n; i++)
				print_error("there is: %s\n", f->texts[i]);
			fail_msg("there is no fault \"%s%s\"", file, wanted[n]);
		}
	for (size_t i = 0; f->n != n && i < f->n; i++)
		print_error("there is: %s\n", f->texts[i]);
	assert_int_equal(f->n, n);
}
#define NO_FAULTS ((const char *const[]){ NULL })

#endif
