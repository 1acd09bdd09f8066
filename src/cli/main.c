/* spoolgate - the command. */
#include "config.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/http.h"

struct subcommand {
	const char *name;
	int (*run)(int argc, char *argv[]);
	const char *what;
};

static const struct subcommand jobs[] = {
	{ "tools", command_tools, "list the tools that you may use, or describe one" },
	{ "submit", command_submit, "submit a job" },
	{ "status", command_status, "tell how jobs stand" },
	{ "wait", command_wait, "wait until jobs are finished" },
	{ "log", command_log, "print what a job writes, or follow it" },
	{ "fetch", command_fetch, "fetch the files of a finished job" },
	{ "kill", command_kill, "end jobs" },
	{ "delete", command_delete, "forget finished jobs" },
	{ "verify", command_verify, "check what was fetched against its receipt" },
	{ "list", command_list, "list your jobs" },
	{ "get", command_get, "print what any URL answers" },
	{ "post", command_post, "send a file to any URL" },
	{ NULL, NULL, NULL },
};

static const struct subcommand administration[] = {
	{ "doctor", command_doctor, "try every protection of a jail on this host, or check the spool" },
	{ "drain", command_drain, "accept nothing more; what is queued and runs goes on" },
	{ "prune", command_prune, "remove finished jobs, or their files, before their time" },
	{ "queue", command_queue, "show what is queued and running" },
	{ "reload", command_reload, "read the configuration and the tool files anew" },
	{ "restart", command_restart, "let the helper execute itself anew; jobs go on" },
	{ "resume", command_resume, "accept again, after a drain or a failed write" },
	{ "tool", command_tool, "check tool files" },
	{ "top", command_top, "show what runs, and what it uses" },
	{ "token", command_token, "make, list and revoke the tokens of the API" },
	{ NULL, NULL, NULL },
};

static void
list(FILE *to, const char *title, const struct subcommand *table)
{
	(void)fprintf(to, "\n%s\n", title);
	for (; table->name; table++)
		(void)fprintf(to, "  %-10s %s\n", table->name, table->what);
}

static void
usage(FILE *to)
{
	(void)fputs("usage: spoolgate COMMAND [OPTION]...\n", to);
	list(to, "Jobs, on a server:", jobs);
	list(to, "Administration, on the host itself:", administration);
	(void)fputs("\n`spoolgate COMMAND --help` tells more. spoolgate(1) has it all.\n", to);
}

static const struct subcommand *
find(const struct subcommand *table, const char *name)
{
	while (table->name && strcmp(table->name, name) != 0)
		table++;
	return table->name ? table : NULL;
}

int
main(int argc, char *argv[])
{
	const struct subcommand *command;
	int status;

	(void)setlocale(LC_CTYPE, "");	/* how wide a character is */
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
	command = find(jobs, argv[1]);
	if (!command)
		command = find(administration, argv[1]);
	if (!command) {
		(void)fprintf(stderr, "spoolgate: there is no command \"%s\"\n", argv[1]);
		usage(stderr);
		return EXIT_USAGE;
	}
	status = command->run(argc - 1, argv + 1);
	http_die_of_signal();
	return status;
}
