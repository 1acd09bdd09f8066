/* prune.c - `spoolgate prune`: removes finished jobs, or their files, before their time. */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "cli/admin.h"
#include "cli/command.h"
#include "cli/show.h"
#include "config/config.h"

static void
usage(FILE *to)
{
	(void)fputs("usage: spoolgate prune [--older TIME] [--keep-bytes SIZE] [--owner OWNER] [--files] [--dry-run] [--json] [--config FILE]\n"
	    "Removes finished jobs before their time, the oldest first; never one that waits or runs.\n\n"
	    "  --older TIME       that ended longer ago, such as 7d or 12h\n"
	    "  --keep-bytes SIZE  until those that are left have no more, such as 10G\n"
	    "  --owner OWNER      of this owner alone, such as v1:token:lab\n"
	    "  --files            their files alone: verdict and receipt stay\n"
	    "  --dry-run          only tell what would go\n"
	    "  --json             print the answer as JSON\n"
	    "  --config FILE      instead of " SYSCONFDIR "/spoolgate/spoolgate.conf; tells where the helper's socket is\n\n"
	    "What it tells goes away in the background. Exit status: 0 done; 1 the helper refused, or is not there; 2 usage.\n", to);
}

struct wish {
	struct jsonw request;
	const char *config_path;
	bool bounded, files, dry_run, json;
};

/* -1: go on, else an exit status. */
static int
take_option(struct wish *w, int c)
{
	uint64_t number;

	switch (c) {
	case 'o':
	case 'k':
		if ((c == 'o' ? time_parse(optarg, &number) : size_parse(optarg, &number)) < 0 || number > INT64_MAX) {
			(void)fprintf(stderr, "spoolgate prune: \"%s\" is no %s\n", optarg, c == 'o' ? "time, such as 7d" : "size, such as 10G");
			return EXIT_USAGE;
		}
		jsonw_int(&w->request, c == 'o' ? "older_usec" : "keep_bytes", (int64_t)number);
		w->bounded = true;
		return -1;
	case 'w':
		jsonw_string(&w->request, "owner", optarg);
		return -1;
	case 'f':
		w->files = true;
		return -1;
	case 'n':
		w->dry_run = true;
		return -1;
	case 'j':
		w->json = true;
		return -1;
	case 'c':
		w->config_path = optarg;
		return -1;
	case 'h':
		usage(stdout);
		return EXIT_SUCCESS;
	default:
		usage(stderr);
		return EXIT_USAGE;
	}
}

static int
tell(const struct wish *w, json_object *answer)
{
	scoped(strbuf_done) struct strbuf size = STRBUF_INIT(64);
	uint64_t jobs = 0, bytes = 0;

	(void)json_get_uint(answer, "jobs", &jobs);
	(void)json_get_uint(answer, "bytes", &bytes);
	if (w->json) {
		(void)printf("{\"jobs\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n", jobs, bytes);
	} else {
		show_bytes(&size, bytes);
		(void)printf("%" PRIu64 " %s with %s %s\n", jobs, jobs == 1 ? "job" : "jobs", strbuf_str(&size),
		    w->dry_run ? w->files ? "would lose their files" : "would go" : w->files ? "lose their files" : "go");
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
command_prune(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "older", required_argument, NULL, 'o' }, { "keep-bytes", required_argument, NULL, 'k' },
		{ "owner", required_argument, NULL, 'w' }, { "files", no_argument, NULL, 'f' }, { "dry-run", no_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' }, { "config", required_argument, NULL, 'c' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct wish w = { .request = jsonw_new() };
	scoped(put_json) json_object *request = NULL, *answer = NULL;
	int c, r = -1;

	jsonw_string(&w.request, "op", "cull");
	while (r < 0 && (c = getopt_long(argc, argv, "c:h", options, NULL)) != -1)
		r = take_option(&w, c);
	if (r < 0 && (optind < argc || !w.bounded)) {
		(void)fputs(optind < argc ? "" : "spoolgate prune: --older or --keep-bytes is needed\n", stderr);
		usage(stderr);
		r = EXIT_USAGE;
	}
	jsonw_bool(&w.request, "files", w.files);
	jsonw_bool(&w.request, "dry_run", w.dry_run);
	if (r < 0)
		r = jsonw_finish(&w.request, &request) < 0 ? EXIT_FAILURE : -1;
	jsonw_done(&w.request);
	if (r < 0)
		r = admin_ask("prune", w.config_path, request, &answer) < 0 ? EXIT_FAILURE : tell(&w, answer);
	return r;
}
