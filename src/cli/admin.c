/* admin.c - what an administrator asks the helper, over its admin socket. */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "cli/admin.h"
#include "cli/command.h"
#include "config/config.h"
#include "proto/client.h"

static void
usage(FILE *to, const char *name)
{
	(void)fprintf(to, "usage: spoolgate %s [--config FILE]\n"
	    "  --config FILE  instead of " SYSCONFDIR "/spoolgate/spoolgate.conf; tells where the helper's socket is\n\n"
	    "Exit status: 0 done; 1 the helper refused, or is not there; 2 usage.\n", name);
}

int
admin_connect(const char *config_path, struct client **ret)
{
	scoped(faults_done) struct faults f = { NULL, 0 };
	scoped(free_config) struct config *config = NULL;
	int r = config_load(config_path, &f, &config);

	for (size_t i = 0; i < f.n; i++)
		(void)fprintf(stderr, "%s\n", f.texts[i] ? f.texts[i] : "out of memory");
	if (r < 0 || f.n > 0)
		return r < 0 ? r : -EINVAL;
	return client_new(config_string(config, "helper", "admin_socket"), "spoolgate", ret);
}

int
admin_ask(const char *command, const char *config_path, json_object *request, json_object **ret_answer)
{
	scoped(free_client) struct client *client = NULL;
	int r = admin_connect(config_path, &client);

	if (r == 0)
		r = client_request(client, request, ret_answer);
	if (r < 0) {
		const char *reason = client ? client_reason(client) : "";

		(void)fprintf(stderr, "spoolgate %s: %s\n", command, reason[0] ? reason : strerror(-r));
	}
	return r;
}

/* Options, connection, one request. 0: *ret is the answer; otherwise an exit status. */
static int
ask(int argc, char *argv[], const char *op, json_object **ret, bool *ret_done)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *request = NULL;
	const char *config_path = NULL;
	int c;

	*ret_done = false;
	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout, op);
			return EXIT_SUCCESS;
		}
		if (c != 'c') {
			usage(stderr, op);
			return EXIT_USAGE;
		}
		config_path = optarg;
	}
	if (optind < argc) {
		usage(stderr, op);
		return EXIT_USAGE;
	}
	jsonw_string(&w, "op", op);
	if (jsonw_finish(&w, &request) < 0 || admin_ask(op, config_path, request, ret) < 0)
		return EXIT_FAILURE;
	*ret_done = true;
	return EXIT_SUCCESS;
}

static int
ask_plainly(int argc, char *argv[], const char *op)
{
	scoped(put_json) json_object *answer = NULL;
	bool done;

	return ask(argc, argv, op, &answer, &done);
}

int
command_drain(int argc, char *argv[])
{
	return ask_plainly(argc, argv, "drain");
}

int
command_resume(int argc, char *argv[])
{
	return ask_plainly(argc, argv, "resume");
}

int
command_reload(int argc, char *argv[])
{
	return ask_plainly(argc, argv, "reload");
}

int
command_restart(int argc, char *argv[])
{
	return ask_plainly(argc, argv, "restart");
}

int
command_queue(int argc, char *argv[])
{
	scoped(put_json) json_object *answer = NULL;
	bool done, flag = false;
	int r = ask(argc, argv, "queue", &answer, &done);
	static const char *const numbers[] = { "queued", "running", "slots", "queue_max", "finished", "results_bytes" };
	static const char *const flags[] = { "accepting", "draining", "stopped", "expiry_held" };

	if (!done)
		return r;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		uint64_t n = 0;

		(void)json_get_uint(answer, numbers[i], &n);
		(void)printf("%-13s %" PRIu64 "\n", numbers[i], n);
	}
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		(void)json_get_bool(answer, flags[i], &flag);
		(void)printf("%-13s %s\n", flags[i], flag ? "yes" : "no");
	}
	return EXIT_SUCCESS;
}
