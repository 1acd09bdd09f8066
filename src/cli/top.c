/* top.c - `spoolgate top`: what runs, and what it uses. */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "cli/admin.h"
#include "cli/command.h"
#include "cli/show.h"
#include "config/config.h"
#include "proto/client.h"

enum { SCREEN_MAX = 256 * 1024, DELAY_MSEC = 1000 };

static void
usage(FILE *to)
{
	(void)fputs("usage: spoolgate top [--delay TIME] [--once] [--json] [--config FILE]\n"
	    "Shows what is queued and running, and what the running jobs use: all processes of each together.\n\n"
	    "  --delay TIME   between two looks (1s)\n"
	    "  --once         one look, then it ends; so it does where standard output is no terminal\n"
	    "  --json         one look as JSON\n"
	    "  --config FILE  instead of " SYSCONFDIR "/spoolgate/spoolgate.conf; tells where the helper's socket is\n\n"
	    "q ends it. Exit status: 0 done; 1 the helper is not there; 2 usage.\n", to);
}

/* ---- processes ---- */

struct process {
	pid_t pid, parent;
	uint64_t cpu_usec, memory_bytes;
};

struct processes {
	struct process *all;	/* by pid */
	size_t n, room;
};

/* /proc/<pid>/stat, proc(5): parent, times and resident pages stand behind the name, which may hold anything but is in parentheses. */
static int
read_process(pid_t pid, struct process *ret)
{
	char path[64], text[1024];
	unsigned long user, system;
	long parent, pages;
	const char *rest;
	scoped(close_fd) int fd = -EBADF;
	ssize_t n;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n <= 0)
		return -ESRCH;
	text[n] = '\0';
	rest = strrchr(text, ')');
	if (!rest || sscanf(rest + 1, " %*c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %ld", &parent, &user,
	    &system, &pages) != 4)
		return -ESRCH;
	*ret = (struct process){ .pid = pid, .parent = (pid_t)parent,
		.cpu_usec = (user + system) * (USEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK)),
		.memory_bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) };
	return 0;
}

static int
read_processes(struct processes *p)
{
	DIR *proc = opendir("/proc");

	p->n = 0;
	for (struct dirent *e; proc && (e = readdir(proc));) {
		struct process one;

		if (e->d_name[0] < '0' || e->d_name[0] > '9' || read_process((pid_t)atol(e->d_name), &one) < 0)
			continue;
		if (p->n == p->room) {
			size_t room = p->room ? 2 * p->room : 256;
			struct process *grown = reallocarray(p->all, room, sizeof *grown);

			if (!grown) {
				(void)closedir(proc);
				return -ENOMEM;
			}
			p->all = grown;
			p->room = room;
		}
		p->all[p->n++] = one;
	}
	if (proc)
		(void)closedir(proc);
	return proc ? 0 : -errno;
}

/* What a process and all below it use. Those who ended meanwhile are in nobody's sum. */
static void
sum_tree(const struct processes *p, pid_t top, unsigned depth, struct process *sum, size_t *n)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->all[i].pid == top) {
			sum->cpu_usec += p->all[i].cpu_usec;
			sum->memory_bytes += p->all[i].memory_bytes;
			(*n)++;
		} else if (p->all[i].parent == top && depth < 64) {
			sum_tree(p, p->all[i].pid, depth + 1, sum, n);
		}
	}
}

/* ---- one look ---- */

struct seen {
	char id[ID_SIZE];
	uint64_t cpu_usec;
};

struct view {
	const char *config_path;
	struct client *client;
	struct processes processes;
	struct seen *seen;	/* at the last look */
	size_t n_seen;
	uint64_t seen_usec;
	json_object *queue, *top;
	bool json;
};

static const char *
text_of(json_object *obj, const char *name)
{
	const char *text = "";

	(void)json_get_string(obj, name, &text);
	return text;
}

static uint64_t
number_of(json_object *obj, const char *name)
{
	uint64_t n = 0;

	(void)json_get_uint(obj, name, &n);
	return n;
}

static bool
flag_of(json_object *obj, const char *name)
{
	bool flag = false;

	(void)json_get_bool(obj, name, &flag);
	return flag;
}

static int
ask(struct view *v)
{
	int r;

	json_object_put(v->queue);
	json_object_put(v->top);
	v->queue = v->top = NULL;
	r = client_command(v->client, "queue", &v->queue);
	if (r == 0)
		r = client_command(v->client, "top", &v->top);
	return r == 0 ? read_processes(&v->processes) : r;
}

static void
head(struct strbuf *s, const struct view *v)
{
	struct process helper = { .pid = 0 };

	(void)read_process((pid_t)number_of(v->top, "helper_pid"), &helper);
	strbuf_addf(s, "%s; %" PRIu64 " queued of %" PRIu64 ", %" PRIu64 " running of %" PRIu64 "\n",
	    flag_of(v->queue, "accepting") ? "accepting" : flag_of(v->queue, "stopped") ? "STOPPED: a write failed" : "draining",
	    number_of(v->queue, "queued"), number_of(v->queue, "queue_max"), number_of(v->queue, "running"), number_of(v->queue, "slots"));
	strbuf_addf(s, "%" PRIu64 " finished with ", number_of(v->queue, "finished"));
	show_bytes(s, number_of(v->queue, "results_bytes"));
	strbuf_addstr(s, "; the helper has ");
	show_bytes(s, helper.memory_bytes);
	strbuf_addch(s, '\n');
}

/* Its share of a processor since the last look; negative: this is the first. */
static double
cpu_share(const struct view *v, const char *id, uint64_t cpu_usec, uint64_t now)
{
	for (size_t i = 0; i < v->n_seen; i++)
		if (strcmp(v->seen[i].id, id) == 0 && now > v->seen_usec && cpu_usec >= v->seen[i].cpu_usec)
			return 100.0 * (double)(cpu_usec - v->seen[i].cpu_usec) / (double)(now - v->seen_usec);
	return -1;
}

struct usage {
	struct process sum;
	size_t n;
	uint64_t age_usec;	/* 0: not known */
};

static struct usage
use_of(const struct view *v, json_object *job)
{
	uint64_t since = number_of(job, "since_mono_usec"), now = number_of(v->top, "now_mono_usec");
	struct usage u = { .age_usec = since > 0 && since < now ? now - since : 0 };
	pid_t pid = (pid_t)number_of(job, "pid");

	if (pid > 0)
		sum_tree(&v->processes, pid, 0, &u.sum, &u.n);
	return u;
}

static void
rows(struct strbuf *s, const struct view *v, json_object *jobs, struct seen *seen, uint64_t now)
{
	strbuf_addf(s, "\n%-32s %-16s %-24s %11s %6s %10s %10s %5s\n", "JOB", "TOOL", "OWNER", "TIME", "CPU%", "CPU", "MEMORY", "PROCS");
	for (size_t i = 0; i < json_object_array_length(jobs); i++) {
		scoped(strbuf_done) struct strbuf tool = STRBUF_INIT(1024), owner = STRBUF_INIT(4096), age = STRBUF_INIT(64), cpu = STRBUF_INIT(64),
		    memory = STRBUF_INIT(64);
		json_object *job = json_object_array_get_idx(jobs, i);
		struct usage u = use_of(v, job);
		double share = cpu_share(v, text_of(job, "id"), u.sum.cpu_usec, now);
		char percent[16] = "-";

		(void)snprintf(seen[i].id, sizeof seen[i].id, "%s", text_of(job, "id"));
		seen[i].cpu_usec = u.sum.cpu_usec;
		show_cut(&tool, text_of(job, "tool"), 16);
		show_cut(&owner, text_of(job, "owner"), 24);
		show_duration(&age, u.age_usec);
		show_duration(&cpu, u.sum.cpu_usec);
		show_bytes(&memory, u.sum.memory_bytes);
		if (share >= 0)
			(void)snprintf(percent, sizeof percent, "%.1f", share);
		strbuf_addf(s, "%-32s %-16s %-24s %11s %6s %10s %10s %5zu%s\n", text_of(job, "id"), strbuf_str(&tool), strbuf_str(&owner),
		    u.age_usec ? strbuf_str(&age) : "-", percent, strbuf_str(&cpu), strbuf_str(&memory), u.n,
		    flag_of(job, "killing") ? "  being killed" : "");
	}
	if (number_of(v->top, "more") > 0)
		strbuf_addf(s, "and %" PRIu64 " more\n", number_of(v->top, "more"));
}

static int
print_json(struct view *v, json_object *jobs)
{
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;

	for (size_t i = 0; i < json_object_array_length(jobs); i++) {
		json_object *job = json_object_array_get_idx(jobs, i);
		struct usage u = use_of(v, job);

		(void)json_object_object_add(job, "cpu_usec", json_object_new_uint64(u.sum.cpu_usec));
		(void)json_object_object_add(job, "memory_bytes", json_object_new_uint64(u.sum.memory_bytes));
		(void)json_object_object_add(job, "processes", json_object_new_uint64(u.n));
	}
	(void)json_object_object_add(v->queue, "jobs", json_object_get(jobs));
	(void)json_object_object_del(v->queue, "n");
	(void)json_object_object_del(v->queue, "ok");
	if (json_format(v->queue, &text, &len) < 0)
		return -ENOMEM;
	(void)printf("%s\n", text);
	return fflush(stdout) == 0 ? 0 : -errno;
}

/* The lines that fit, each cut to the screen's width. */
static void
paint(const char *text)
{
	struct winsize size = { 0 };
	unsigned rows_left;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	rows_left = size.ws_row;
	(void)fputs("\033[H", stdout);
	for (; *text && rows_left > 0; rows_left--) {
		size_t len = strcspn(text, "\n"), columns = size.ws_col;
		scoped(strbuf_done) struct strbuf line = STRBUF_INIT(SCREEN_MAX);
		scoped(free_ptr) char *copy = strndup(text, len);

		if (copy)
			show_cut(&line, copy, columns);
		(void)printf("%s\033[K%s", strbuf_str(&line), rows_left > 1 ? "\n" : "");
		text += len + (text[len] == '\n');
	}
	(void)fputs("\033[J", stdout);
	(void)fflush(stdout);
}

static int
look(struct view *v, bool screen)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(SCREEN_MAX);
	json_object *jobs = NULL;
	struct seen *seen;
	uint64_t now = clock_mono();
	int r = ask(v);

	if (r == 0)
		r = json_get_array(v->top, "jobs", &jobs);
	if (r < 0 || v->json)
		return r < 0 ? r : print_json(v, jobs);
	seen = calloc(json_object_array_length(jobs) + 1, sizeof *seen);
	if (!seen)
		return -ENOMEM;
	head(&s, v);
	rows(&s, v, jobs, seen, now);
	free(v->seen);
	v->seen = seen;
	v->n_seen = json_object_array_length(jobs);
	v->seen_usec = now;
	if (strbuf_err(&s) < 0)
		return strbuf_err(&s);
	if (screen)
		paint(strbuf_str(&s));
	else
		(void)fputs(strbuf_str(&s), stdout);
	return fflush(stdout) == 0 ? 0 : -errno;
}

/* ---- the screen ---- */

static volatile sig_atomic_t over;

static void
on_signal(int sig)
{
	(void)sig;
	over = 1;
}

/* Until the time is over or somebody wants to leave. */
static bool
wait_for_key(uint64_t msec)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char c;

	if (poll(&p, 1, (int)msec) <= 0)
		return over != 0;
	return read(STDIN_FILENO, &c, 1) <= 0 || c == 'q' || c == 'Q' || c == 3 || over != 0;
}

static int
keep_looking(struct view *v, uint64_t delay_msec)
{
	const struct sigaction act = { .sa_handler = on_signal };
	struct termios before, raw;
	bool tty = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
	int r;

	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	(void)sigaction(SIGHUP, &act, NULL);
	if (tty) {
		raw = before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	(void)fputs("\033[?1049h\033[?25l", stdout);	/* a screen of its own, no cursor */
	do
		r = look(v, true);
	while (r == 0 && !wait_for_key(delay_msec));
	(void)fputs("\033[?25h\033[?1049l", stdout);
	(void)fflush(stdout);
	if (tty)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
	return r;
}

int
command_top(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "delay", required_argument, NULL, 'd' }, { "once", no_argument, NULL, 'o' }, { "json", no_argument, NULL, 'j' },
		{ "config", required_argument, NULL, 'c' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	struct view v = { .config_path = NULL };
	uint64_t delay = DELAY_MSEC * USEC_PER_MSEC;
	bool once = !isatty(STDOUT_FILENO);
	int c, r;

	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (c == 'd' && (time_parse(optarg, &delay) < 0 || delay < 50 * USEC_PER_MSEC || delay > 3600 * USEC_PER_SEC)) {
			(void)fprintf(stderr, "spoolgate top: \"%s\" is no time from 50ms to 1h\n", optarg);
			return EXIT_USAGE;
		}
		if (c == 'h' || c == '?') {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
		}
		v.json = v.json || c == 'j';
		once = once || c == 'o';
		if (c == 'c')
			v.config_path = optarg;
	}
	if (optind < argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	r = admin_connect(v.config_path, &v.client);
	if (r == 0)
		r = once || v.json ? look(&v, false) : keep_looking(&v, delay / USEC_PER_MSEC);
	if (r < 0)
		(void)fprintf(stderr, "spoolgate top: %s\n", v.client && client_reason(v.client)[0] ? client_reason(v.client) : strerror(-r));
	json_object_put(v.queue);
	json_object_put(v.top);
	free(v.processes.all);
	free(v.seen);
	free_client(&v.client);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
