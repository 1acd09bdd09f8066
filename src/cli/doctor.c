#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/doctor_host.h"
#include "spool/check.h"

static void
usage(FILE *to)
{
	(void)fputs("usage: spoolgate doctor [--config FILE] [--json]\n"
	    "       spoolgate doctor --spool FOLDER [--running] [--repair]\n"
	    "  Without --spool every protection and every limit of a jail is tried on this host, and printed which hold. As root it is\n"
	    "  tried as the helper's account and in its cgroup; beside a running helper too.\n"
	    "  --config FILE   instead of " SYSCONFDIR "/spoolgate/spoolgate.conf\n"
	    "  --json          one object: {\"host\",\"jail\",\"protections\",\"limits\",\"tools\",\"protected\"}\n"
	    "  --spool FOLDER  check every invariant of this spool\n"
	    "  --running       a helper is at work on it: what is in the middle of a change is no fault\n"
	    "  --repair        mend what can be mended without losing anything; never beside a helper\n\n"
	    "Exit status: 0 an untrusted tool is protected, nothing is broken; 1 it would not be, something is broken; 2 usage, or\n"
	    "it could not be found out, or the spool cannot be read.\n", to);
}

static void
say(enum check_level level, const char *text, void *ctx)
{
	(void)ctx;
	(void)printf("%s: %s\n", level == CHECK_BROKEN ? "broken" : "stale", text);
}

int
command_doctor(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "spool", required_argument, NULL, 's' }, { "running", no_argument, NULL, 'r' },
		{ "repair", no_argument, NULL, 'p' }, { "config", required_argument, NULL, 'c' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	struct check_report report = { 0 };
	const char *path = NULL, *config = NULL;
	bool running = false, repair = false, json = false;
	int c, r;

	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (c) {
		case 's':
			path = optarg;
			break;
		case 'r':
			running = true;
			break;
		case 'p':
			repair = true;
			break;
		case 'c':
			config = optarg;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc || (running && repair) || (path ? config || json : running || repair)) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!path)
		return doctor_host(config, json);
	r = spool_check(path, running, repair, say, NULL, &report);
	if (r < 0) {
		(void)fprintf(stderr, "spoolgate doctor: %s: %s\n", path, strerror(-r));
		return EXIT_USAGE;
	}
	(void)printf("%" PRIu64 " jobs, %" PRIu64 " finished, %" PRIu64 " active; %" PRIu64 " broken, %" PRIu64
	    " stale, %" PRIu64 " repaired\n", report.jobs, report.finished, report.active, report.broken, report.stale,
	    report.repaired);
	return r > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
