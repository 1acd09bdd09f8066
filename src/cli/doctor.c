#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "spool/check.h"

static void
usage(FILE *to)
{
	(void)fputs("usage: spoolgate doctor --spool FOLDER [--running] [--repair]\n"
	    "  --spool FOLDER  check every invariant of this spool\n"
	    "  --running       a helper is at work on it: what is in the middle of a change is no fault\n"
	    "  --repair        mend what can be mended without losing anything; never beside a helper\n\n"
	    "Exit status: 0 nothing is broken; 1 something is; 2 usage, or the spool cannot be read.\n", to);
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
		{ "repair", no_argument, NULL, 'p' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	struct check_report report = { 0 };
	const char *path = NULL;
	bool running = false, repair = false;
	int c, r;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
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
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (!path || optind < argc || (running && repair)) {
		usage(stderr);
		return EXIT_USAGE;
	}
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
