#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "helper/pack.h"
#include "spool/pack.h"

enum {
	RUNNING_MAX = 2,
	WAITING_MAX = 64,	/* zips, running ones with them */
	RETRY_SOON = 5, RETRY_DISK = 60,
	HIGH_FD = 20,	/* above every descriptor that a packer gets */
};
#define SWEEP_USEC (60 * USEC_PER_SEC)

enum { PID_OVER = -1 };

/* It stays on the list until what its packer left is gone: no other of the same name begins before, or its files would go, too. */
struct pack {
	struct task task;	/* at its end */
	struct helper *helper;
	struct pack *next;
	char id[ID_SIZE];
	char name[PACK_NAME_SIZE];
	pid_t pid;	/* 0: waits for its turn; PID_OVER: the packer has ended */
};

struct sweep {
	struct task task;
	struct helper *helper;
	uint64_t max_bytes;
};

struct packs {
	struct helper *helper;
	struct sweep sweep;
	struct pack *all;	/* in the order in which they came */
	size_t n, n_running;
	sd_event_source *timer;
	bool sweeping;
};

/* One look at the disk, in a thread. */
struct look {
	struct task task;
	struct helper *helper;
	struct reply_to to;
	char id[ID_SIZE];
	char name[PACK_NAME_SIZE];
	int result;	/* 1: the zip is there, 0: it is to be made */
};

static void
answer(struct helper *h, struct reply_to to, const char *name, bool ready)
{
	struct jsonw w = jsonw_new();
	json_object *body = NULL;

	jsonw_string(&w, "name", name);
	jsonw_bool(&w, "ready", ready);
	(void)jsonw_finish(&w, &body);
	jsonw_done(&w);
	server_reply(h, to, body);
}

/* The job's folder as 3, packs/ as 4. */
static int
spawn(const struct helper *h, const struct pack *k, pid_t *ret_pid)
{
	const char *path = config_string(h->config, "helper", "pack_program");
	char *argv[] = { (char *)(uintptr_t)path, (char *)(uintptr_t)k->name, NULL };
	char *env[] = { NULL };
	scoped(close_fd) int job_fd = spool_open_job(h->spool, k->id);
	scoped(close_fd) int packs_fd = pack_open_folder(h->spool);
	scoped(close_fd) int high_job = job_fd < 0 ? job_fd : fcntl(job_fd, F_DUPFD_CLOEXEC, HIGH_FD);
	scoped(close_fd) int high_packs = packs_fd < 0 ? packs_fd : fcntl(packs_fd, F_DUPFD_CLOEXEC, HIGH_FD);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int r;

	if (high_job < 0 || high_packs < 0)
		return job_fd < 0 ? job_fd : packs_fd < 0 ? packs_fd : -errno;
	r = spawnattr_init_clean(&attr, 1);
	if (r < 0)
		return r;
	r = -posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		r = -posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
		if (r == 0)
			r = -posix_spawn_file_actions_adddup2(&actions, 0, 1);
		if (r == 0)
			r = -posix_spawn_file_actions_adddup2(&actions, high_job, 3);
		if (r == 0)
			r = -posix_spawn_file_actions_adddup2(&actions, high_packs, 4);
		if (r == 0)
			r = -posix_spawn(ret_pid, argv[0], &actions, &attr, argv, env);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	(void)posix_spawnattr_destroy(&attr);
	return r;
}

static void
clean_up(struct task *task)
{
	struct pack *k = task_owner(task, struct pack, task);

	if (pack_state(k->helper->spool, k->name) != 1)
		pack_failed(k->helper->spool, k->name);
}

static void
tell_waiters(struct task *task)
{
	struct pack *k = task_owner(task, struct pack, task);
	struct packs *p = k->helper->packs;

	for (struct pack **i = &p->all; *i; i = &(*i)->next)
		if (*i == k) {
			*i = k->next;
			break;
		}
	p->n--;
	server_changed(k->helper, k->id);
	free(k);
}

/* The packer has ended or could not begin: what it left half done goes, and then whoever waits is told. */
static void
end_pack(struct packs *p, struct pack *k, bool made)
{
	if (k->pid)
		p->n_running--;
	k->pid = PID_OVER;
	if (!made)
		log_error("the zip of job %s could not be made", k->id);
	k->task.work = clean_up;
	k->task.done = tell_waiters;
	offload_run(p->helper->slow, &k->task);
}

static void
start_next(struct packs *p)
{
	for (struct pack *k = p->all; k && p->n_running < RUNNING_MAX; k = k->next) {
		int r;

		if (k->pid)
			continue;
		r = spawn(p->helper, k, &k->pid);
		if (r < 0) {
			log_error("spoolgate-pack: %s", strerror(-r));
			k->pid = 0;
			end_pack(p, k, false);
			continue;
		}
		p->n_running++;
	}
}

void
pack_reaped(struct helper *h, const siginfo_t *child)
{
	struct packs *p = h->packs;

	for (struct pack *k = p ? p->all : NULL; k; k = k->next)
		if (k->pid == child->si_pid) {
			end_pack(p, k, child->si_code == CLD_EXITED && child->si_status == 0);
			start_next(p);
			return;
		}
}

static void
look(struct task *task)
{
	struct look *l = task_owner(task, struct look, task);
	uint64_t bytes = 0, inodes = 0;

	l->result = pack_name(l->helper->spool, l->id, l->name);
	if (l->result == 0)
		l->result = pack_use(l->helper->spool, l->name);
	if (l->result == 0 && spool_room(l->helper->spool, &bytes, &inodes) == 0 &&
	    bytes < config_number(l->helper->config, "spool", "disk_reserve"))
		l->result = -ENOSPC;
}

static void
looked(struct task *task)
{
	struct look *l = task_owner(task, struct look, task);
	struct packs *p = l->helper->packs;
	struct pack *k = NULL;
	struct pack **end = &p->all;

	for (; l->result == 0 && *end; end = &(*end)->next)
		if (strcmp((*end)->name, l->name) == 0) {
			answer(l->helper, l->to, l->name, false);
			free(l);
			return;
		}
	if (l->result == 0 && p->n >= WAITING_MAX)
		l->result = -EAGAIN;
	if (l->result == 0)
		l->result = (k = calloc(1, sizeof *k)) ? 0 : -ENOMEM;
	if (l->result < 0) {
		server_refuse(l->helper, l->to, l->result, l->result == -EAGAIN ? "too many zips are being made" : NULL,
		    l->result == -EAGAIN ? RETRY_SOON : l->result == -ENOSPC ? RETRY_DISK : 0);
	} else if (!k) {
		answer(l->helper, l->to, l->name, true);
	} else {
		k->helper = l->helper;
		memcpy(k->id, l->id, sizeof k->id);
		memcpy(k->name, l->name, sizeof k->name);
		*end = k;
		p->n++;
		answer(l->helper, l->to, l->name, false);
		start_next(p);
	}
	free(l);
}

void
pack_request(struct helper *h, struct message *m, struct reply_to to)
{
	const char *id = "";
	struct look *l = NULL;

	if (json_get_string(m->body, "id", &id) < 0 || !id_valid(id)) {
		server_refuse(h, to, -EINVAL, "id is missing", 0);
		return;
	}
	l = calloc(1, sizeof *l);
	if (!l) {
		server_refuse(h, to, -ENOMEM, NULL, 0);
		return;
	}
	l->helper = h;
	l->to = to;
	memcpy(l->id, id, sizeof l->id);
	l->task.work = look;
	l->task.done = looked;
	offload_run(h->slow, &l->task);
}

static void
sweep(struct task *task)
{
	struct sweep *s = task_owner(task, struct sweep, task);
	int r = pack_sweep(s->helper->spool, s->max_bytes);

	if (r < 0)
		log_error("packs: %s", strerror(-r));
}

static void
swept(struct task *task)
{
	struct sweep *s = task_owner(task, struct sweep, task);

	s->helper->packs->sweeping = false;
}

static void
begin_sweep(struct packs *p)
{
	struct sweep *s = &p->sweep;

	if (p->sweeping)
		return;
	p->sweeping = true;
	s->helper = p->helper;
	s->max_bytes = config_number(p->helper->config, "helper", "packs_max");
	s->task.work = sweep;
	s->task.done = swept;
	offload_run(p->helper->slow, &s->task);
}

static int
on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct packs *p = ctx;

	(void)usec;
	begin_sweep(p);
	(void)sd_event_source_set_time_relative(source, SWEEP_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int
packs_new(struct helper *h, struct packs **ret)
{
	struct packs *p = calloc(1, sizeof *p);
	int r;

	if (!p)
		return -ENOMEM;
	p->helper = h;
	r = sd_event_add_time_relative(h->event, &p->timer, CLOCK_MONOTONIC, SWEEP_USEC, USEC_PER_SEC, on_timer, p);
	if (r < 0) {
		free(p);
		return r;
	}
	h->packs = p;
	begin_sweep(p);
	*ret = p;
	return 0;
}

struct packs *
packs_free(struct packs *p)
{
	if (!p)
		return NULL;
	(void)sd_event_source_disable_unref(p->timer);
	while (p->all) {
		struct pack *k = p->all;

		p->all = k->next;
		free(k);
	}
	free(p);
	return NULL;
}
