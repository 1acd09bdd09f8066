/* spoolgated - the helper: accepts, queues, starts, kills, recovers, expires, notifies. */
#include "config.h"

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/memory_fs.h"
#include "basic/scoped.h"
#include "config/stan.h"
#include "helper/deliver.h"
#include "helper/end.h"
#include "helper/expire.h"
#include "helper/cache.h"
#include "helper/cgroup.h"
#include "helper/filter.h"
#include "helper/jail.h"
#include "helper/fingerprint.h"
#include "helper/group.h"
#include "helper/helper.h"
#include "helper/kill.h"
#include "helper/live.h"
#include "helper/pack.h"
#include "helper/probe.h"
#include "helper/secret.h"
#include "helper/server.h"
#include "helper/start.h"
#include "helper/stats.h"
#include "helper/submit.h"
#include "helper/weight.h"
#include "proto/message.h"
#include "spool/accept.h"
#include "spool/redo.h"

enum {
	EXIT_FAULTS = 78,	/* sysexits(3): EX_CONFIG, also a spool of another version */
	EXIT_LOCKED = 75,	/* EX_TEMPFAIL: another helper has the spool */
	IO_THREADS = 4,
	BULK_THREADS = 2,
	OPEN_FILES = 65536,
};

/* The descriptors that a re-execution hands on: lock, gate socket, admin socket. */
#define HANDOVER "SPOOLGATED_HANDOVER"

static void
print_faults(const struct faults *f)
{
	for (size_t i = 0; i < f->n; i++)
		log_error("%s", f->texts[i] ? f->texts[i] : "out of memory");
}

static void
transient_check(const struct config *config, const struct tools *tools, struct faults *f)
{
	const char *path = config_string(config, "helper", "transient");
	int r = tools_have_transient(tools) ? path_in_memory(path) : 1;

	if (r < 0)
		faults_add(f, path, 0, "a tool says durable = no: %s", strerror(-r));
	else if (r == 0)
		faults_add(f, path, 0, "a tool says durable = no, and [helper] transient is on no tmpfs");
}

/* What the Stan service adds to its tool. */
static int
load_stan(const struct config *config, struct tools *tools, struct faults *f)
{
	struct stan_settings stan;
	int r = stan_load(config, true, f, &stan);

	if (r == 0)
		r = stan_fill_tool(&stan, tools, f);
	stan_done(&stan);
	return r;
}

/* Reads everything; the results are set only where there is no fault. */
static size_t
load_all(const char *path, struct config **ret_config, struct tools **ret_tools, struct accounts *ret_accounts,
    struct callbacks *ret_callbacks)
{
	scoped(faults_done) struct faults f = { NULL, 0 };
	scoped(free_config) struct config *config = NULL;
	scoped(free_tools) struct tools *tools = NULL;
	struct accounts accounts;
	struct callbacks callbacks = { .key_len = 0 };

	if (config_load(path, &f, &config) < 0) {
		log_error("out of memory");
		return 1;
	}
	(void)config_accounts(config, &f, &accounts);
	if (callbacks_load(config, &f, &callbacks) == -ENOMEM)
		faults_add(&f, NULL, 0, "out of memory");
	if (tools_load(config_string(config, "helper", "tools"), &f, &tools) < 0) {
		log_error("out of memory");
		return 1;
	}
	if (tools) {
		if (load_stan(config, tools, &f) < 0 || tools_place(tools, config_string(config, "spool", "path")) < 0) {
			log_error("out of memory");
			return 1;
		}
		if (f.n == 0)
			cache_folders(tools, config_string(config, "spool", "path"), accounts.read_gid, &f);
		secrets_check(config, tools, &f);
		transient_check(config, tools, &f);
	}
	print_faults(&f);
	if (f.n == 0) {
		*ret_config = take_ptr(config);
		*ret_tools = take_ptr(tools);
		*ret_accounts = accounts;
		*ret_callbacks = callbacks;
	} else {
		callbacks_done(&callbacks);
	}
	return f.n;
}

int
helper_open_job(const struct helper *h, const char *id, const struct spool **ret_spool)
{
	int fd = spool_open_job(h->spool, id);

	*ret_spool = h->spool;
	if (fd != -ENOENT || !h->transient)
		return fd;
	*ret_spool = h->transient;
	return spool_open_job(h->transient, id);
}

/* Jobs that need not outlive the host's memory, where a tool has such: a spool without a journal. What an earlier helper left goes on. */
static int
open_transient(struct helper *h)
{
	const char *path = config_string(h->config, "helper", "transient");
	struct spool_groups groups = { .read_gid = h->accounts.read_gid, .gate_gid = h->accounts.gate_gid };
	int r = 0;

	if (h->transient || !tools_have_transient(h->tools))
		return 0;
	r = spool_create(path, groups, &h->transient);
	if (r >= 0 && fd_in_memory(h->transient->root_fd) != 1)
		r = -EMEDIUMTYPE;
	if (r >= 0)
		r = spool_is_mine(h->transient) ? incoming_sweep(h->transient) : -EPERM;
	if (r < 0) {
		log_error("%s: %s", path, r == -EPERM ? "it is another's" : r == -EMEDIUMTYPE ? "it is on no tmpfs" : strerror(-r));
		h->transient = spool_free(h->transient);
	}
	return r < 0 ? r : 0;
}

static int
open_secrets(struct helper *h)
{
	int r = secrets_open(h);

	if (r < 0)
		log_error("%s: %s", config_string(h->config, "helper", "secrets"), r == -EPERM ? "it is another's, or open to others" :
		    r == -EMEDIUMTYPE ? "it is on no tmpfs" : strerror(-r));
	return r;
}

size_t
helper_reload(struct helper *h)
{
	struct config *config = NULL;
	struct tools *tools = NULL;
	struct accounts accounts;
	struct callbacks callbacks;
	size_t faults;

	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_mono());
	faults = load_all(h->config_path, &config, &tools, &accounts, &callbacks);
	if (faults == 0) {
		/* Where the spool and the sockets are is decided at the start. */
		h->config = config_free(h->config);
		h->tools = tools_free(h->tools);
		h->config = config;
		h->tools = tools;
		h->accounts = accounts;
		callbacks_done(&h->callbacks);
		h->callbacks = callbacks;
		log_notice("configuration reloaded: %zu tools", tools_count(tools));
		weights_reload(h);
		(void)open_secrets(h);
		(void)open_transient(h);
		jail_look_again(h);
		live_schedule(h);
	}
	(void)sd_notify(0, "READY=1");
	return faults;
}

void
helper_stop_accepting(struct helper *h, int error, const char *what)
{
	if (!h->stopped)
		log_line(LOG_CRIT, "%s could not be flushed (%s): nothing is accepted until `spoolgate resume`", what, strerror(-error));
	h->stopped = true;
}

static int
on_post(sd_event_source *source, void *ctx)
{
	(void)source;
	helper_check_leaving(ctx);
	return 0;
}

void
helper_leave(struct helper *h, bool reexecute)
{
	if (h->leaving) {
		/* Asked to end while on the way to a re-execution: the end it is. */
		h->reexecute = h->reexecute && reexecute;
		return;
	}
	h->leaving = true;
	h->reexecute = reexecute;
	log_notice(reexecute ? "executing myself anew; jobs go on" : "ending; jobs go on");
	(void)sd_notify(0, reexecute ? "STATUS=Executing itself anew" : "STOPPING=1");
	server_leave(h->server);
	/* After whatever happens from here on: somewhere the last thing under way ends. */
	if (sd_event_add_post(h->event, NULL, on_post, h) < 0)
		(void)sd_event_exit(h->event, 0);
	helper_check_leaving(h);
}

void
helper_check_leaving(struct helper *h)
{
	if (h->leaving && server_has_left(h->server) && submits_under_way(h->submits) == 0 && writer_pending(h->writer) == 0 &&
	    live_busy(h) == 0 && offload_pending(h->io) == 0 && offload_pending(h->bulk) == 0 && offload_pending(h->slow) == 0)
		(void)sd_event_exit(h->event, 0);
}

static int
on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *ctx)
{
	struct helper *h = ctx;

	(void)source;
	if (info->ssi_signo == SIGHUP)
		(void)helper_reload(h);
	else
		helper_leave(h, false);
	return 0;
}

/* Supervisors are followed by pidfd, which tells of their end whoever reaps them. Also those that our former self started. */
static int
on_child(sd_event_source *source, const struct signalfd_siginfo *info, void *ctx)
{
	siginfo_t child = { 0 };

	(void)source;
	(void)info;
	/* The helper has no other children than supervisors, packers and senders. */
	while (waitid(P_ALL, 0, &child, WEXITED | WNOHANG) == 0 && child.si_pid != 0) {
		start_reaped(ctx, &child);
		pack_reaped(ctx, &child);
		deliver_reaped(ctx, &child);
		child = (siginfo_t){ 0 };
	}
	return 0;
}

static int
block_signals(struct helper *h)
{
	sigset_t set;
	int r;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	r = sd_event_add_signal(h->event, NULL, SIGTERM, on_signal, h);
	if (r >= 0)
		r = sd_event_add_signal(h->event, NULL, SIGINT, on_signal, h);
	if (r >= 0)
		r = sd_event_add_signal(h->event, NULL, SIGHUP, on_signal, h);
	if (r >= 0)
		r = sd_event_add_signal(h->event, NULL, SIGCHLD, on_child, h);
	if (r >= 0)
		(void)on_child(NULL, NULL, h);
	return r;
}

/* The sockets: handed on by our former self, by systemd (names gate and admin), or made here. */
static int
open_sockets(struct helper *h, int handed[3], int *ret_gate, int *ret_admin)
{
	const struct accounts *a = &h->accounts;
	char **names = NULL;
	int n, r;

	if (handed[1] >= 0) {
		*ret_gate = take_fd(handed[1]);
		*ret_admin = take_fd(handed[2]);
		return 0;
	}
	n = sd_listen_fds_with_names(1, &names);
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (names && strcmp(names[i], "gate") == 0 && *ret_gate < 0)
			*ret_gate = fd;
		else if (names && strcmp(names[i], "admin") == 0 && *ret_admin < 0)
			*ret_admin = fd;
		else
			(void)close(fd);
	}
	for (int i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
	if (*ret_gate < 0) {
		r = message_listen(config_string(h->config, "helper", "gate_socket"), a->shared ? 0600 : 0660, a->gate_gid);
		if (r < 0) {
			log_error("%s: %s", config_string(h->config, "helper", "gate_socket"), strerror(-r));
			return r;
		}
		*ret_gate = r;
	}
	if (*ret_admin < 0) {
		r = message_listen(config_string(h->config, "helper", "admin_socket"), 0600, (gid_t)-1);
		if (r < 0) {
			log_error("%s: %s", config_string(h->config, "helper", "admin_socket"), strerror(-r));
			return r;
		}
		*ret_admin = r;
	}
	return 0;
}

/* What our former self left in the environment: descriptors or -EBADF. */
static void
take_handover(int ret_fds[3])
{
	const char *text = getenv(HANDOVER);
	int fds[3];

	ret_fds[0] = ret_fds[1] = ret_fds[2] = -EBADF;
	if (text && sscanf(text, "%d,%d,%d", &fds[0], &fds[1], &fds[2]) == 3)
		for (size_t i = 0; i < 3; i++)
			if (fcntl(fds[i], F_SETFD, FD_CLOEXEC) == 0)
				ret_fds[i] = fds[i];
	(void)unsetenv(HANDOVER);
}

static int
lock_spool(struct helper *h, int handed_lock)
{
	pid_t holder = 0;
	int r;

	if (handed_lock >= 0) {
		h->lock_fd = handed_lock;
		return 0;
	}
	r = spool_lock(h->spool, &holder);
	if (r == -EWOULDBLOCK)
		log_error("the spool %s belongs to process %d", config_string(h->config, "spool", "path"), (int)holder);
	if (r < 0)
		return r;
	h->lock_fd = r;
	return 0;
}

/* The spool as it was left, made whole: the journal's replay, then what incoming/ still holds. */
static int
open_spool(struct helper *h, int handed_lock)
{
	const char *path = config_string(h->config, "spool", "path");
	struct spool_groups groups = { .read_gid = h->accounts.read_gid, .gate_gid = h->accounts.gate_gid };
	int64_t replayed;
	int r;

	r = spool_create(path, groups, &h->spool);
	if (r < 0) {
		log_error("%s: %s", path, r == -EPROTONOSUPPORT ? "made by a newer release" : strerror(-r));
		return r;
	}
	r = lock_spool(h, handed_lock);
	if (r < 0)
		return r;
	r = redo_open(h->spool, config_number(h->config, "spool", "redo_bytes"), &h->redo);
	if (r < 0) {
		log_error("%s: the journal: %s", path, strerror(-r));
		return r;
	}
	replayed = accept_recover(h->spool, h->redo);
	if (replayed > 0) {
		log_info("%lld records of the journal done again", (long long)replayed);
		r = spool_sync(h->spool);
	}
	if (replayed < 0)
		r = (int)replayed;
	if (r >= 0)
		r = redo_reset(h->redo);
	if (r >= 0)
		r = incoming_sweep(h->spool);
	if (r < 0)
		log_error("%s: recovery: %s", path, strerror(-r));
	return r;
}

static int
start_parts(struct helper *h)
{
	int r = writer_new(h->event, h->spool, h->redo, &h->writer);

	if (r >= 0)
		r = offload_new(h->event, IO_THREADS, &h->io);
	if (r >= 0)
		r = offload_new(h->event, BULK_THREADS, &h->bulk);
	if (r >= 0)
		r = offload_new(h->event, 1, &h->slow);
	if (r >= 0)
		r = stats_new(&h->stats);
	if (r >= 0)
		r = submits_new(h, &h->submits);
	if (r >= 0)
		r = (h->fingerprints = fingerprints_new()) ? 0 : -ENOMEM;
	if (r >= 0)
		r = live_table_new(h, &h->live);
	if (r >= 0)
		r = open_secrets(h);
	if (r >= 0)
		r = open_transient(h);
	if (r >= 0)
		r = recover_all(h);
	if (r >= 0)
		secrets_sweep(h);
	if (r >= 0)
		r = expiry_new(h, &h->expiry);
	if (r >= 0)
		r = weights_new(h, &h->weights);
	if (r >= 0)
		r = cache_new(h, &h->caches);
	if (r >= 0)
		r = packs_new(h, &h->packs);
	if (r >= 0)
		r = deliveries_new(h, &h->deliveries);
	if (r < 0)
		log_error("start: %s", strerror(-r));
	return r;
}

static void
free_helper(struct helper *h)
{
	h->server = server_free(h->server);
	h->io = offload_free(h->io);
	h->bulk = offload_free(h->bulk);
	h->slow = offload_free(h->slow);
	h->writer = writer_free(h->writer);
	h->live = live_table_free(h->live);
	groups_free(h);
	h->submits = submits_free(h->submits);
	h->expiry = expiry_free(h->expiry);
	h->weights = weights_free(h->weights);
	h->caches = cache_free(h->caches);
	h->packs = packs_free(h->packs);
	h->stats = stats_free(h->stats);
	h->deliveries = deliveries_free(h->deliveries);
	callbacks_done(&h->callbacks);
	h->fingerprints = fingerprints_free(h->fingerprints);
	h->event = sd_event_unref(h->event);
	h->redo = redo_free(h->redo);
	h->spool = spool_free(h->spool);
	h->transient = spool_free(h->transient);
	h->tools = tools_free(h->tools);
	h->config = config_free(h->config);
	close_fd(&h->lock_fd);
	close_fd(&h->secrets_fd);
	free(h->program);
	free(h->filter);
	free(h->filter_offline);
	free(h->jail_blocked);
	free(h->cgroup);
}

/* In our own place, with the lock and the sockets: requests wait in the sockets meanwhile. */
static int
execute_anew(struct helper *h, char *argv[])
{
	int gate_fd = -EBADF, admin_fd = -EBADF, lock_fd;
	scoped(free_ptr) char *program = take_ptr(h->program);
	char text[64];

	server_take_sockets(h->server, &gate_fd, &admin_fd);
	lock_fd = take_fd(h->lock_fd);
	(void)set_cloexec(gate_fd, false);
	(void)set_cloexec(admin_fd, false);
	(void)set_cloexec(lock_fd, false);
	(void)snprintf(text, sizeof text, "%d,%d,%d", lock_fd, gate_fd, admin_fd);
	free_helper(h);
	if (setenv(HANDOVER, text, 1) < 0)
		return EXIT_FAILURE;
	(void)execv(program, argv);
	log_error("%s: %s", program, strerror(errno));
	return EXIT_FAILURE;
}

/* Where we were executed from, also where a new release lies there by now. */
static int
own_path(char **ret)
{
	static const char deleted[] = " (deleted)";
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	size_t tail = sizeof deleted - 1;

	if (n < 0)
		return -errno;
	path[n] = '\0';
	if ((size_t)n > tail && strcmp(path + (size_t)n - tail, deleted) == 0)
		path[(size_t)n - tail] = '\0';
	*ret = strdup(path);
	return *ret ? 0 : -ENOMEM;
}

static int
run(struct helper *h, char *argv[])
{
	int handed[3], gate_fd = -EBADF, admin_fd = -EBADF, r;

	take_handover(handed);
	r = own_path(&h->program);
	if (r >= 0)
		r = boot_id(h->boot);
	if (r >= 0)
		r = sd_event_new(&h->event);
	if (r >= 0)
		r = block_signals(h);
	if (r < 0) {
		log_error("start: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	r = filter_make(true, &h->filter);
	if (r == 0)
		r = filter_make(false, &h->filter_offline);
	if (r < 0) {
		log_error("the filter of system calls: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	cgroups_open(h);
	jail_look(h);
	r = open_spool(h, handed[0]);
	if (r < 0)
		return r == -EWOULDBLOCK ? EXIT_LOCKED : r == -EPROTONOSUPPORT ? EXIT_FAULTS : EXIT_FAILURE;
	r = start_parts(h);
	if (r >= 0)
		r = open_sockets(h, handed, &gate_fd, &admin_fd);
	if (r >= 0)
		r = server_new(h, gate_fd, admin_fd, &h->server);
	if (r < 0)
		return EXIT_FAILURE;
	(void)sd_event_set_watchdog(h->event, true);
	(void)sd_notifyf(0, "READY=1\nSTATUS=%zu slots", live_slots(h));
	log_notice("ready: %zu tools, %zu slots, %zu queued, %zu running", tools_count(h->tools), live_slots(h),
	    live_queued(h), live_running(h));
	r = sd_event_loop(h->event);
	if (h->reexecute)
		return execute_anew(h, argv);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void
usage(FILE *to)
{
	(void)fputs("usage: spoolgated [--config FILE] [--check | --probe]\n"
	    "  --config FILE  instead of " SYSCONFDIR "/spoolgate/spoolgate.conf\n"
	    "  --check        report every fault of the configuration and the tool files, and exit (78: faults)\n"
	    "  --probe        try every protection and limit of a jail on this host, print what holds as JSON, and exit\n"
	    "  --version      print the version\n", to);
}

int
main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'k' },
		{ "probe", no_argument, NULL, 'p' },
		{ "version", no_argument, NULL, 'v' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	struct helper h = { .lock_fd = -EBADF, .secrets_fd = -EBADF };
	struct rlimit files = { OPEN_FILES, OPEN_FILES };
	bool check = false, try = false;
	int c, r;

	log_init("spoolgated", LOG_INFO);
	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			h.config_path = optarg;
			break;
		case 'k':
			check = true;
			break;
		case 'p':
			try = true;
			break;
		case 'v':
			(void)puts("spoolgated " PACKAGE_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EXIT_FAILURE;
		}
	}
	(void)umask(0077);
	if (load_all(h.config_path, &h.config, &h.tools, &h.accounts, &h.callbacks) > 0)
		return EXIT_FAULTS;
	/* Two descriptors for each running job, one for each connection; where we may not raise it we live with less. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max < OPEN_FILES ? files.rlim_max : OPEN_FILES;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	r = check ? EXIT_SUCCESS : try ? probe(h.config, h.tools) : run(&h, argv);
	free_helper(&h);
	return r;
}
