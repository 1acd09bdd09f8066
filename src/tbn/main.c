/* spoolgate-tbn: stable configurations of a thermodynamic binding network. spoolgate-tbn(1) is its manual. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "tbn/bound.h"
#include "tbn/fault.h"
#include "tbn/output.h"
#include "tbn/parse.h"
#include "tbn/search.h"
#include "tbn/stop.h"

struct options {
	const char *problem, *constraints;	/* constraints NULL: none */
	const char *gen, *init_k;
	const char *live;
	const char *status_word;
	bool json, service, quiet, bounds;
	uint64_t limit_usec;
	uint64_t memory_bytes;
	struct part_options part;
};

struct input {
	char *buf;
	struct slice text;
};

struct run {
	struct options options;
	struct input problem, constraints;
	struct network net;
	struct search search;
	struct progress progress;
	struct fault fault;
	bool misused;	/* the arguments are wrong: say what they should be */
	bool searching;	/* search holds an entropy, and may hold results worth showing */
};

/* Formulas that spread labels in advance take at most some 400 MB; the whole run may take this many MiB unless told. */
static const uint64_t EAGER_CLAUSES = 4000000, MEMORY_MIB = 2048;

static void
run_done(struct run *run)
{
	progress_done(&run->progress);
	if (run->search.net)
		search_done(&run->search);
	network_done(&run->net);
	fault_done(&run->fault);
	free(run->problem.buf);
	free(run->constraints.buf);
}

static const char usage[] =
    "usage: spoolgate-tbn [-g N] [-k N] [--json] [--quiet] [--time-limit SECONDS] [--memory MIB]\n"
    "                     [--live FILE] [--service] [--status-word WORD] PROBLEM [CONSTRAINTS]\n";

/* ---- options ---- */

enum { OPT_JSON = 256, OPT_LIVE, OPT_SERVICE, OPT_STATUS_WORD, OPT_TIME_LIMIT, OPT_MEMORY, OPT_QUIET, OPT_NO_SYMMETRY, OPT_NO_BOUNDS,
	OPT_NO_WALK, 	OPT_LAZY, OPT_HELP, OPT_VERSION };

static const struct option long_options[] = {
	{ "gen", required_argument, NULL, 'g' },
	{ "init-k", required_argument, NULL, 'k' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "live", required_argument, NULL, OPT_LIVE },
	{ "service", no_argument, NULL, OPT_SERVICE },
	{ "status-word", required_argument, NULL, OPT_STATUS_WORD },
	{ "time-limit", required_argument, NULL, OPT_TIME_LIMIT },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ "no-symmetry", no_argument, NULL, OPT_NO_SYMMETRY },
	{ "no-walk", no_argument, NULL, OPT_NO_WALK },
	{ "no-bounds", no_argument, NULL, OPT_NO_BOUNDS },
	{ "lazy", no_argument, NULL, OPT_LAZY },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static int
parse_positive(const char *text, double most, double *ret_value)
{
	char *end = NULL;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value > 0) || !(value <= most))
		return -EINVAL;
	*ret_value = value;
	return 0;
}

static int
take_option(struct options *o, int c, struct fault *fault)
{
	double value = 0;

	switch (c) {
	case 'g':
		o->gen = optarg;
		break;
	case 'k':
		o->init_k = optarg;
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case OPT_LIVE:
		o->live = optarg;
		break;
	case OPT_SERVICE:
		o->service = true;
		break;
	case OPT_STATUS_WORD:
		o->status_word = optarg;
		break;
	case OPT_QUIET:
		o->quiet = true;
		break;
	case OPT_TIME_LIMIT:
		if (parse_positive(optarg, 1e9, &value) < 0)
			return fault_set(fault, FAULT_EXCEPTION, "--time-limit must be a positive number of seconds");
		o->limit_usec = (uint64_t)(value * 1e6) + 1;
		break;
	case OPT_MEMORY:
		if (parse_positive(optarg, 1e9, &value) < 0)
			return fault_set(fault, FAULT_EXCEPTION, "--memory must be a positive number of MiB");
		o->memory_bytes = (uint64_t)(value * 1024 * 1024);
		break;
	case OPT_NO_SYMMETRY:
		o->part.symmetry = false;
		break;
	case OPT_NO_WALK:
		o->part.walk = false;
		break;
	case OPT_NO_BOUNDS:
		o->bounds = false;
		break;
	case OPT_LAZY:
		o->part.eager_max = 0;
		break;
	default:
		return fault_set(fault, FAULT_EXCEPTION, "unknown option, or one without its value");
	}
	return 0;
}

static int
parse_options(struct options *o, int argc, char **argv, struct fault *fault)
{
	int c, r = 0;

	*o = (struct options){
		.gen = "1",
		.init_k = "1",
		.status_word = "COMPLETE",
		.memory_bytes = MEMORY_MIB * 1024 * 1024,
		.bounds = true,
		.part = { .symmetry = true, .walk = true, .eager_max = EAGER_CLAUSES },
	};
	/* known before the first complaint, since it says where complaints go */
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		o->service |= strcmp(argv[i], "--service") == 0;
	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, "g:k:", long_options, NULL)) != -1) {
		if (c == OPT_HELP || c == OPT_VERSION) {
			(void)fputs(c == OPT_HELP ? usage : PACKAGE_STRING "\n", stdout);
			exit(EXIT_OK);
		}
		r = take_option(o, c, fault);
	}
	if (r < 0)
		return r;
	if (optind >= argc)
		return fault_set(fault, FAULT_EXCEPTION, "no problem file given");
	if (argc - optind > 2)
		return fault_set(fault, FAULT_EXCEPTION, "too many arguments");
	o->problem = argv[optind];
	o->constraints = argc - optind > 1 ? argv[optind + 1] : NULL;
	if (o->constraints && strcmp(o->problem, "-") == 0 && strcmp(o->constraints, "-") == 0)
		return fault_set(fault, FAULT_EXCEPTION, "only one of the two files can be standard input");
	return 0;
}

/* ---- input ---- */

static int
read_all(int fd, struct input *input)
{
	size_t cap = 65536, len = 0;
	scoped(free_ptr) char *buf = malloc(cap);

	if (!buf)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read_full(fd, buf + len, cap - len);

		if (n < 0)
			return (int)n;
		len += (size_t)n;
		if (len < cap)
			break;
		if (cap > INPUT_MAX)
			return -EFBIG;
		buf = reallocarray(take_ptr(buf), 2, cap);
		if (!buf)
			return -ENOMEM;
		cap *= 2;
	}
	if (len > INPUT_MAX)
		return -EFBIG;
	input->buf = take_ptr(buf);
	input->text = (struct slice){ input->buf, len };
	return 0;
}

static int
read_input(const char *path, enum fault_file file, struct input *input, struct fault *fault)
{
	scoped(close_fd) int fd = -EBADF;
	struct slice name = { path, strlen(path) };
	size_t bad_line;
	int r;

	if (strcmp(path, "-") != 0) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			const char *why = strerror(errno);
			struct slice reason = { why, strlen(why) };

			return fault_set(fault, FAULT_EXCEPTION, "cannot open %v: %v", &name, &reason);
		}
	}
	r = read_all(fd >= 0 ? fd : STDIN_FILENO, input);
	if (r == -EFBIG)
		return fault_set(fault, FAULT_EXCEPTION, "%v is larger than %d MiB", &name, INPUT_MAX / 1024 / 1024);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		const char *why = strerror(-r);
		struct slice reason = { why, strlen(why) };

		return fault_set(fault, FAULT_EXCEPTION, "cannot read %v: %v", &name, &reason);
	}
	bad_line = utf8_bad_line(input->text);
	if (bad_line == 0)
		return 0;
	(void)fault_set(fault, FAULT_EXCEPTION, "The input is not valid UTF-8.");
	return fault_at(fault, file, bad_line, (struct slice){ NULL, 0 });
}

static int
read_network(struct run *run)
{
	const struct options *o = &run->options;
	int r = read_input(o->problem, FAULT_PROBLEM, &run->problem, &run->fault);

	if (r == 0 && o->constraints)
		r = read_input(o->constraints, FAULT_CONSTRAINTS, &run->constraints, &run->fault);
	if (r == 0)
		r = parse_problem(&run->net, run->problem.text, &run->fault);
	if (r == 0)
		r = parse_constraints(&run->net, run->constraints.text, &run->fault);
	if (r == 0)
		r = network_analyse(&run->net);
	if (r == 0)
		r = check_constraints(&run->net, &run->fault);
	if (r == 0 && o->bounds)
		r = bound_network(&run->net);
	if (r == -EFBIG)
		r = fault_set(&run->fault, FAULT_EXCEPTION, "The network is too large: at most %d monomers and %d sites.", MONOMERS_MAX,
		    SITES_MAX);
	return r;
}

/* ---- solving ---- */

static int
too_large(struct run *run)
{
	const struct component *comp = &run->net.components[run->search.too_large];

	return fault_set(&run->fault, FAULT_EXCEPTION, "The network is too large: its component of %d monomers has %d possible bonds.",
	    (int)comp->nmonomers, comp->pairs > INT32_MAX ? INT32_MAX : (int)comp->pairs);
}

static int
solve(struct run *run)
{
	const struct options *o = &run->options;
	struct slice init_k = { o->init_k, strlen(o->init_k) };
	int64_t gen = 0, k = 0;
	int r;

	r = read_network(run);
	if (r < 0)
		return r;
	if (parse_count(o->gen, &gen) < 0)
		return fault_set(&run->fault, FAULT_EXCEPTION, "gen must be a number");
	if (parse_count(o->init_k, &k) < 0)
		return fault_set(&run->fault, FAULT_EXCEPTION, "init_k must be a number");
	r = search_init(&run->search, &run->net, &run->progress, &o->part, gen, k);
	if (r < 0)
		return r;
	r = search_entropy(&run->search);
	if (r == -ERANGE)
		return fault_set(&run->fault, FAULT_TBN, "Minimum Polymers [%v] exceeds the max entropy of TBN system. No Results can be "
		    "computed. Choose a lower value.", &init_k);
	if (r == 0) {
		run->searching = true;
		r = search_configurations(&run->search);
	}
	return r == -EFBIG ? too_large(run) : r;
}

/* ---- answers ---- */

/* The words for a run that ended early: as in the fault of a stopped service run. */
static int
explain(struct run *run, int r)
{
	const struct progress *p = &run->progress;

	switch (r) {
	case -EINVAL:
		return run->fault.message ? 0 : fault_set(&run->fault, FAULT_EXCEPTION, "internal error");
	case -EINTR:
		return fault_set(&run->fault, FAULT_TBN, "Early Termination at count [%d] min polymers [%d].", (int)p->count, (int)p->k);
	case -ETIME:
		return fault_set(&run->fault, FAULT_EXCEPTION, "SoftTimeLimitExceeded()");
	case -ENOSPC:
		return fault_set(&run->fault, FAULT_EXCEPTION, "The result or the search needs more than %d MiB of memory.",
		    (int)(run->options.memory_bytes / 1024 / 1024));
	case -ENOMEM:
		return fault_set(&run->fault, FAULT_EXCEPTION, "out of memory");
	default:
		return fault_set(&run->fault, FAULT_EXCEPTION, "internal error %d", -r);
	}
}

static int
exit_code(const struct run *run, int r)
{
	if (r == -EINTR)
		return EXIT_STOPPED;
	if (r == -ETIME)
		return EXIT_TIMEOUT;
	return run->fault.class == FAULT_TBN ? EXIT_INPUT : EXIT_EXCEPTION;
}

static int
answer_service(struct run *run, int r)
{
	const char *message = run->fault.message ? run->fault.message : "out of memory";
	int w;

	if (r == 0)
		w = output_result(STDOUT_FILENO, &run->search, OUTPUT_COMPACT, run->options.status_word, NULL);
	else
		w = output_message(STDOUT_FILENO, message, r == -ETIME ? "TimedOut" :
		    run->fault.class == FAULT_TBN ? "TBNException" : "Exception");
	if (w < 0)
		return EXIT_EXCEPTION;
	return r == 0 ? EXIT_OK : exit_code(run, r);
}

/* file:line: message (at 'token') */
static void
complain(const struct run *run)
{
	const struct fault *f = &run->fault;
	const char *file = f->file == FAULT_CONSTRAINTS ? run->options.constraints : run->options.problem;

	(void)fputs("spoolgate-tbn: ", stderr);
	if (f->file != FAULT_NOWHERE && f->line > 0)
		(void)fprintf(stderr, "%s:%zu: ", strcmp(file, "-") == 0 ? "standard input" : file, f->line);
	(void)fputs(f->message ? f->message : "out of memory", stderr);
	if (f->token.n > 0)
		(void)fprintf(stderr, " (at '%.*s')", (int)(f->token.n > 200 ? 200 : f->token.n), f->token.p);
	(void)fputc('\n', stderr);
	if (run->misused)
		(void)fputs(usage, stderr);
}

static int
answer_person(struct run *run, int r)
{
	bool early = r == -EINTR || r == -ETIME || r == -ENOSPC;
	const char *note = r == -EINTR ? "stopped early" : r == -ETIME ? "stopped by the time limit" : "stopped by the memory limit";
	const char *status = r == -EINTR ? "Interrupted" : r == -ETIME ? "TimedOut" : "OutOfMemory";
	int w;

	if (r < 0)
		complain(run);
	if (r < 0 && !(early && run->searching))
		return exit_code(run, r);
	w = output_result(STDOUT_FILENO, &run->search, run->options.json ? OUTPUT_JSON : OUTPUT_TEXT,
	    r == 0 ? run->options.status_word : status, r == 0 ? NULL : note);
	if (w < 0) {
		(void)fprintf(stderr, "spoolgate-tbn: cannot write the result: %s\n", strerror(-w));
		return EXIT_EXCEPTION;
	}
	return r == 0 ? EXIT_OK : exit_code(run, r);
}

int
main(int argc, char **argv)
{
	scoped(run_done) struct run run = { .fault = { .class = FAULT_NONE } };
	int r = parse_options(&run.options, argc, argv, &run.fault);

	run.misused = r < 0;
	if (r == 0)
		r = stop_init(run.options.service);
	if (r == 0)
		r = progress_init(&run.progress, run.options.live, !run.options.service && !run.options.quiet && isatty(STDERR_FILENO),
		    run.options.limit_usec, run.options.memory_bytes);
	if (r == 0)
		r = solve(&run);
	stop_finish();
	progress_done(&run.progress);
	if (r < 0)
		(void)explain(&run, r);
	return run.options.service ? answer_service(&run, r) : answer_person(&run, r);
}
