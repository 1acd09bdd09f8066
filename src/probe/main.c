/* spoolgate-probe - tries, as the tool of a jail, what a jail is to prevent. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/probe.h"

enum { EXIT_USAGE = 64 };

const char *
error_name(int err)
{
	static char other[24];
	static const struct { int err; const char *name; } names[] = {
		{ 0, "worked" }, { EACCES, "EACCES" }, { EAFNOSUPPORT, "EAFNOSUPPORT" }, { EAGAIN, "EAGAIN" }, { EBADF, "EBADF" },
		{ EFAULT, "EFAULT" }, { EFBIG, "EFBIG" }, { EINVAL, "EINVAL" }, { EMFILE, "EMFILE" }, { ENETUNREACH, "ENETUNREACH" },
		{ ENODEV, "ENODEV" }, { ENOENT, "ENOENT" }, { ENOMEM, "ENOMEM" }, { ENOSPC, "ENOSPC" }, { ENOSYS, "ENOSYS" },
		{ ENOTTY, "ENOTTY" }, { ENXIO, "ENXIO" }, { EOPNOTSUPP, "EOPNOTSUPP" }, { EPERM, "EPERM" }, { EROFS, "EROFS" },
		{ EUSERS, "EUSERS" },
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].err == err)
			return names[i].name;
	(void)snprintf(other, sizeof other, "errno %d", err);
	return other;
}

void
tell(const char *name, bool held, const char *how, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, how);
	(void)vsnprintf(text, sizeof text, how, ap);
	va_end(ap);
	for (char *c = text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	(void)printf("%s\t%s\t%s\n", name, held ? "held" : "open", text);
}

int
main(int argc, char *argv[])
{
	bool known = argc >= 2;

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		(void)puts("spoolgate-probe " PACKAGE_VERSION);
	else if (known && strcmp(argv[1], "walls") == 0)
		walls(argv + 2);
	else if (known && strcmp(argv[1], "calls") == 0)
		calls();
	else if (known && strcmp(argv[1], "users") == 0)
		users();
	else if (!known || !limits(argv[1])) {
		(void)fputs("usage: spoolgate-probe MODE [FACT]...\nIt is started by `spoolgated --probe`, in a jail.\n", stderr);
		return EXIT_USAGE;
	}
	return fflush(stdout) == EOF ? EXIT_FAILURE : EXIT_SUCCESS;
}
