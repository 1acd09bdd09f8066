/* spoolgate - the command. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

static const struct subcommand {
	const char *name;
	int (*run)(int argc, char *argv[]);
	const char *what;
} subcommands[] = {
	{ "doctor", command_doctor, "check the spool" },
	{ "drain", command_drain, "accept nothing more; what is queued and runs goes on" },
	{ "queue", command_queue, "show what is queued and running" },
	{ "reload", command_reload, "read the configuration and the tool files anew" },
	{ "restart", command_restart, "let the helper execute itself anew; jobs go on" },
	{ "resume", command_resume, "accept again, after a drain or a failed write" },
};

static void
usage(FILE *to)
{
	(void)fputs("usage: spoolgate COMMAND [OPTION]...\n\n", to);
	for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++)
		(void)fprintf(to, "  %-10s %s\n", subcommands[i].name, subcommands[i].what);
	(void)fputs("\n`spoolgate COMMAND --help` tells more. spoolgate(1) has it all.\n", to);
}

int
main(int argc, char *argv[])
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)puts("spoolgate " PACKAGE_VERSION);
		return EXIT_SUCCESS;
	}
	for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++)
		if (strcmp(subcommands[i].name, argv[1]) == 0)
			return subcommands[i].run(argc - 1, argv + 1);
	(void)fprintf(stderr, "spoolgate: there is no command \"%s\"\n", argv[1]);
	usage(stderr);
	return EXIT_USAGE;
}
