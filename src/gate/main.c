/* spoolgate.fcgi - the gate. Started by spawn-fcgi (or a socket unit) with the listening socket as fd 0. */
#include "config.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "basic/log.h"
#include "config/config.h"
#include "gate/gate.h"
#include "gate/keeper.h"
#include "gate/metrics.h"
#include "gate/worker.h"

enum mode { MODE_KEEPER, MODE_WORKER, MODE_CHECK };

enum { OPTION_CONFIG = 256, OPTION_WORKER, OPTION_CHECK, OPTION_OLD, OPTION_HELP, OPTION_VERSION };

static const struct option options[] = {
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "check", no_argument, NULL, OPTION_CHECK },
	{ "worker", no_argument, NULL, OPTION_WORKER },	/* of the keeper's */
	{ "old", required_argument, NULL, OPTION_OLD },	/* likewise */
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

static int
usage(FILE *to, int status)
{
	(void)fprintf(to, "usage: spoolgate.fcgi [--config FILE] [--check]\n"
	    "Serves FastCGI requests on the listening socket that is its standard input; spawn-fcgi(1) starts it.\n"
	    "--check reads the configuration, reports every fault and ends.\n");
	return status;
}

static bool
is_listening(int fd)
{
	int yes = 0;
	socklen_t len = sizeof yes;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 && yes;
}

/* Reads the configuration; every fault is logged. NULL: there was one. */
static struct config *
read_config(const char *path)
{
	struct config *config = NULL;
	struct faults faults = { 0 };
	int r = config_load(path, &faults, &config);

	for (size_t i = 0; i < faults.n; i++)
		log_error("%s", faults.texts[i]);
	if (r < 0 && faults.n == 0)
		log_error("the configuration cannot be read: %s", strerror(-r));
	if (r < 0 || faults.n > 0)
		config = config_free(config);
	faults_done(&faults);
	return config;
}

int
main(int argc, char *argv[])
{
	struct keeper_settings keeper = { .program = argv[0] };
	struct config *config = NULL;
	struct gate *gate = NULL;
	enum mode mode = MODE_KEEPER;
	int status = 0;
	int r;

	log_init("spoolgate.fcgi", LOG_INFO);
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case OPTION_CONFIG:
			keeper.config_path = optarg;
			break;
		case OPTION_CHECK:
			mode = MODE_CHECK;
			break;
		case OPTION_WORKER:
			mode = MODE_WORKER;
			break;
		case OPTION_OLD:
			keeper.old = optarg;
			break;
		case OPTION_HELP:
			return usage(stdout, 0);
		case OPTION_VERSION:
			(void)printf("spoolgate.fcgi %s\n", PACKAGE_VERSION);
			return 0;
		default:
			return usage(stderr, EX_USAGE);
		}
	}
	if (optind != argc)
		return usage(stderr, EX_USAGE);
	config = read_config(keeper.config_path);
	if (!config)
		return EX_CONFIG;
	r = gate_new(config, services, n_services, &gate);
	config = config_free(config);
	if (r < 0) {
		log_error("cannot start: %s", strerror(-r));
		return EX_CONFIG;
	}
	if (mode != MODE_CHECK && !is_listening(STDIN_FILENO)) {
		log_error("standard input is no listening socket: start me with spawn-fcgi(1)");
		status = EX_USAGE;
	} else if (mode == MODE_WORKER) {
		status = worker_main(gate);
	} else if (mode == MODE_KEEPER) {
		keeper.workers = gate->workers;
		keeper.drain_usec = gate->drain_usec;
		gate = gate_free(gate);
		r = metrics_take_over(services, n_services, &keeper.metrics);
		if (r < 0)
			log_error("cannot count: %s", strerror(-r));
		status = r < 0 ? EX_OSERR : keeper_main(&keeper);
		metrics_close(keeper.metrics);
	}
	gate_free(gate);
	return status;
}
