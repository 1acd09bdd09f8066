#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/proc.h"
#include "basic/scoped.h"
#include "helper/end.h"
#include "helper/jail.h"
#include "helper/secret.h"
#include "helper/spawn.h"
#include "helper/start.h"
#include "helper/stats.h"
#include "spool/accept.h"
#include "spool/redo.h"

struct start {
	struct task task;
	struct live *live;
	const struct spool *spool;
	struct job_want want;
	int job_fd;
	int lock_fd;
	struct job *job;
	char **secrets;	/* NULL: it has none */
	int error;
};

struct start_record {
	struct write write;
	struct helper *helper;
	char id[ID_SIZE];	/* the job may be over by then */
	unsigned attempt;
};

/* ---- following ---- */

void
start_reaped(struct helper *h, const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED && info->si_status == PLAN_EXIT_SUSPECT)
		helper_stop_accepting(h, -EIO, "a verdict");
}

void
start_unhear(struct live *l)
{
	l->control = sd_event_source_disable_unref(l->control);
	close_fd(&l->control_fd);
}

/* The supervisor's last word, if there is one: nothing depends on it but the count. */
static void
hear_began(struct live *l)
{
	char word[64] = { 0 };
	uint64_t at = 0;

	if (l->control && recv(l->control_fd, word, sizeof word - 1, MSG_DONTWAIT) > 0 &&
	    sscanf(word, PLAN_BEGAN " %" SCNu64, &at) == 1)
		stats_started(l->helper, at > l->slot_mono_usec ? at - l->slot_mono_usec : 0);
	start_unhear(l);
}

static int
on_supervisor_ended(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	struct live *l = ctx;
	siginfo_t info = { 0 };

	(void)source;
	(void)events;
	/* ECHILD: an adopted one is somebody else's child, or SIGCHLD's handler was faster. */
	(void)waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG);
	start_reaped(l->helper, &info);
	l->source = sd_event_source_disable_unref(l->source);
	close_fd(&l->pidfd);
	hear_began(l);
	/* A kill may be on its way into state.json. */
	l->state = LIVE_LOOKING;
	l->look_due = true;
	live_step(l);
	return 0;
}

void
start_follow(struct live *l, int pidfd)
{
	int r;

	l->pidfd = pidfd;
	l->state = LIVE_RUNNING;
	live_take_slot(l);
	r = sd_event_add_io(l->helper->event, &l->source, pidfd, EPOLLIN, on_supervisor_ended, l);
	if (r < 0)
		log_error("job %s is not watched until a restart: %s", l->id, strerror(-r));
	/* An adopted one whose kill was recorded but perhaps not signalled. */
	if (l->kill_recorded)
		l->kill_stored = false;
	live_step(l);
}

/* ---- the plan ---- */

/* Copies of both, one after the other; either may be NULL. */
static int
join_lists(char *const *one, char *const *two, char ***ret)
{
	size_t n_one = 0, n_two = 0;
	char **list;

	while (one && one[n_one])
		n_one++;
	while (two && two[n_two])
		n_two++;
	list = calloc(n_one + n_two + 1, sizeof *list);
	if (!list)
		return -ENOMEM;
	*ret = list;
	for (size_t i = 0; i < n_one + n_two; i++) {
		list[i] = strdup(i < n_one ? one[i] : two[i - n_one]);
		if (!list[i])
			return -ENOMEM;
	}
	return 0;
}

/* The tool's command for the end, with the job's id where it says {id}. */
static int
after_of(const struct tool *tool, const char *id, char ***ret)
{
	int r = join_lists(tool->after, NULL, ret);

	for (char **word = *ret; r == 0 && word && *word; word++) {
		char *at, *copy = NULL;

		while (r == 0 && (at = strstr(*word, TOOL_AFTER_ID)) != NULL) {
			if (asprintf(&copy, "%.*s%s%s", (int)(at - *word), *word, id, at + strlen(TOOL_AFTER_ID)) < 0)
				return -ENOMEM;
			free(*word);
			*word = copy;
		}
	}
	return r;
}

/* Where a tool that publishes works, and what becomes of it. */
static int
place_of(const struct tool *tool, const struct job *job, struct plan *p)
{
	p->scratch = strdup(tool->scratch);
	p->cache = strdup(tool->cache);
	p->entry = job->key ? strdup(job->key) : NULL;
	if (!p->scratch || !p->cache || !p->entry != !job->key)
		return -ENOMEM;
	return join_lists(tool->publish, NULL, &p->publish);
}

static int
make_plan(struct live *l, const struct job *job, char *const *secrets, enum plan_mode mode, struct plan **ret)
{
	struct helper *h = l->helper;
	const struct tool *tool = tools_find(h->tools, job->tool);
	scoped(free_plan) struct plan *p = plan_new();
	scoped(free_argv) char **env = NULL;
	const char *filter = NULL;
	int r;

	if (!tool)
		return -ENOENT;
	if (!p)
		return -ENOMEM;
	memcpy(p->id, l->id, sizeof p->id);
	p->attempt = l->attempt;
	p->mode = mode;
	/* A trusted tool where no jail can be built runs without one, bound by Landlock and the filter; one that says so without all. */
	p->jail = tool->no_jail || h->jail_blocked ? JAIL_NONE : JAIL_BWRAP;
	p->network = tool->network;
	p->strict = tool->strict;
	p->stdout_apart = tool->stdout_apart;
	p->limits = job->limits;
	p->kill_grace_usec = job->kill_grace_usec;
	p->groups = h->spool->groups;
	p->live = tool->live ? strdup(tool->live) : NULL;
	filter = tool->no_jail ? NULL : p->jail == JAIL_NONE && !tool->network ? h->filter_offline : h->filter;
	p->inputs = calloc(job->n_inputs + 1, sizeof *p->inputs);
	if (!p->inputs || (tool->live && !p->live))
		return -ENOMEM;
	r = spawn_plan(p, h->config, filter, h->cgroup);
	if (r == 0)
		r = join_lists(job->argv, NULL, &p->argv);
	if (r == 0)
		r = join_lists(job->env, secrets, &env);
	if (r == 0)
		r = join_lists(tool->environment, env, &p->env);
	if (r == 0)
		r = join_lists(tool->folders, NULL, &p->folders);
	if (r == 0)
		r = join_lists(tool->links, NULL, &p->links);
	if (r == 0 && tool->publish)
		r = place_of(tool, job, p);
	if (r == 0 && tool->after)
		r = after_of(tool, l->id, &p->after);
	for (size_t i = 0; r == 0 && i < job->n_inputs; i++) {
		p->inputs[i] = strdup(job->inputs[i].name);
		r = p->inputs[i] ? 0 : -ENOMEM;
	}
	if (r < 0)
		return r;
	*ret = take_ptr(p);
	return 0;
}

/* ---- spawning ---- */

int
start_supervisor(struct live *l, const struct job *job, char *const *secrets, enum plan_mode mode, int *job_fd, int *lock_fd)
{
	scoped(free_plan) struct plan *plan = NULL;
	scoped(close_fd) int control_fd = -EBADF;
	pid_t pid = -1;
	int pidfd, r = make_plan(l, job, secrets, mode, &plan);

	if (r == 0)
		r = spawn_supervisor(l->helper->config, plan, *job_fd, *lock_fd, &control_fd, &pid);
	if (r < 0)
		return r;
	/* Our child is not reaped before we do it: its pid is still its own. */
	pidfd = pidfd_open_pid(pid);
	if (pidfd < 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return pidfd;
	}
	close_fd(job_fd);
	close_fd(lock_fd);	/* from here on the supervisor's alone */
	l->control_fd = take_fd(control_fd);
	if (mode == PLAN_RUN)
		l->vain_starts++;
	start_follow(l, pidfd);
	return 0;
}

/* ---- the word ---- */

static int
on_control(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	(void)source;
	(void)fd;
	(void)events;
	hear_began(ctx);
	return 0;
}

static void
give_word(struct live *l)
{
	if (l->control_fd >= 0)
		(void)send(l->control_fd, PLAN_GO, strlen(PLAN_GO), MSG_NOSIGNAL);
	if (l->control_fd < 0 ||
	    sd_event_add_io(l->helper->event, &l->control, l->control_fd, EPOLLIN, on_control, l) < 0)
		close_fd(&l->control_fd);
	server_changed(l->helper, l->id);
}

/* The closed socket tells the supervisor to end without having begun, which is not its fault. */
static void
withdraw_start(struct live *l)
{
	if (l->control_fd < 0)
		return;
	close_fd(&l->control_fd);
	l->vain_starts--;
}

static void
start_recorded(struct write *write, int result)
{
	struct start_record *s = task_owner(write, struct start_record, write);
	struct helper *h = s->helper;
	struct live *l = live_find(h, s->id);

	if (result == 0)
		writer_applied(h->writer, write->half);	/* state.json was written before */
	else
		helper_stop_accepting(h, result, "the journal");
	if (l && l->attempt == s->attempt && l->state == LIVE_RUNNING) {
		/* Without its record it must not begin: the closed socket tells the supervisor so, and the job is queued again. */
		if (result == 0)
			give_word(l);
		else
			withdraw_start(l);
	}
	free(s);
	helper_check_leaving(h);
}

static void
record_start(struct live *l, const struct job_want *want)
{
	struct start_record *s = calloc(1, sizeof *s);
	struct redo_record record = { .type = REDO_START };
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	void *data = NULL;
	int r = s ? want_format(want, &text, &len) : -ENOMEM;

	if (r == 0) {
		record.text = text;
		record.text_len = len;
		memcpy(record.id, l->id, sizeof record.id);
		r = redo_encode(&record, &data, &s->write.len);
	}
	if (r < 0) {
		log_error("job %s: its start cannot be recorded: %s", l->id, strerror(-r));
		free(s);
		withdraw_start(l);
		return;
	}
	s->write.data = data;
	s->write.deadline_mono_usec = USEC_INFINITY;
	s->write.done = start_recorded;
	s->helper = l->helper;
	memcpy(s->id, l->id, sizeof s->id);
	s->attempt = l->attempt;
	writer_add(l->helper->writer, &s->write);
}

/* ---- starting ---- */

static void
prepare(struct task *task)
{
	struct start *s = task_owner(task, struct start, task);
	int r = 0;

	s->job_fd = r = spool_open_job(s->spool, s->live->id);
	if (r >= 0)
		s->lock_fd = r = job_lock(s->job_fd);
	if (r >= 0)
		r = job_load(s->job_fd, &s->job);
	if (r >= 0 && s->job->secrets)
		r = secrets_load(s->live->helper->secrets_fd, s->live->id, &s->secrets);
	if (r >= 0)
		r = accept_drop_work(s->spool, s->live->id);
	if (r >= 0)
		r = want_store(s->job_fd, s->spool->groups, &s->want);
	s->error = r < 0 ? r : 0;
}

static void
refuse_start(struct start *s, const char *message)
{
	struct job_result result = { .attempt = s->want.attempt, .verdict = VERDICT_REFUSED, .exit_code = -1 };

	log_error("job %s: %s: %s", s->live->id, message, strerror(-s->error));
	(void)strncpy(result.message, message, sizeof result.message - 1);
	end_job(s->live, take_fd(s->job_fd), take_fd(s->lock_fd), &result);
}

static void
refuse_unprotected(struct start *s, const char *why)
{
	struct job_result result = { .verdict = VERDICT_REFUSED, .exit_code = -1 };

	log_error("job %s is not started: %s", s->live->id, why);
	(void)snprintf(result.message, sizeof result.message, "%s", why);
	end_job(s->live, take_fd(s->job_fd), take_fd(s->lock_fd), &result);
	if (s->live->helper->jail_blocked)
		jail_look_again(s->live->helper);
}

/* Whether a tool that this host cannot hold is refused. */
static bool
is_unprotected(struct start *s)
{
	const struct helper *h = s->live->helper;
	const struct tool *tool = tools_find(h->tools, s->job->tool);
	char why[256];

	if (tool && !tool->trusted && h->jail_blocked)
		(void)snprintf(why, sizeof why, "no jail can be built on this host, which `spoolgate doctor` explains: %s", h->jail_blocked);
	else if (tool && tool->strict && !h->cgroup)
		(void)snprintf(why, sizeof why, "its limits must be exact (limits = strict), and no cgroup is delegated on this host");
	else
		return false;
	refuse_unprotected(s, why);
	return true;
}

/* It keeps its slot meanwhile: another would fare no better. */
static void
put_off(struct start *s)
{
	log_warning("job %s cannot be started yet: %s", s->live->id, strerror(-s->error));
	look_later(s->live);
}

/* Short of something that others may give back: no reason to end a job that has not begun. */
static bool
is_passing(int error)
{
	return error == -ENOSPC || error == -EDQUOT || error == -ENOMEM || error == -EAGAIN || error == -EMFILE || error == -ENFILE;
}

static void
act_on_prepared(struct start *s)
{
	struct live *l = s->live;

	if (s->error == -EWOULDBLOCK || s->error == -EBADMSG || s->error == -ENOENT) {
		/* Somebody has the lock, or the record is damaged: the look knows what to do. */
		close_fd(&s->lock_fd);
		look_at_job(l);
		return;
	}
	if (l->kill_recorded) {
		struct job_result result = { .verdict = VERDICT_KILLED, .exit_code = -1 };

		memcpy(result.by, l->by, sizeof result.by);
		end_job(l, take_fd(s->job_fd), take_fd(s->lock_fd), &result);
		return;
	}
	if (is_passing(s->error)) {
		put_off(s);
		return;
	}
	if (s->error == -ENOKEY) {
		struct job_result result = { .verdict = VERDICT_LOST, .exit_code = -1,
			.message = "its secret parameters went with the host's memory" };

		log_warning("job %s is lost: %s", l->id, result.message);
		end_job(l, take_fd(s->job_fd), take_fd(s->lock_fd), &result);
		return;
	}
	if (s->error < 0) {
		refuse_start(s, "it could not be prepared");
		return;
	}
	if (is_unprotected(s))
		return;
	l->attempt = s->want.attempt;
	s->error = start_supervisor(l, s->job, s->secrets, PLAN_RUN, &s->job_fd, &s->lock_fd);
	if (is_passing(s->error))
		put_off(s);
	else if (s->error < 0)
		refuse_start(s, s->error == -ENOENT ? "its tool, or the supervisor, is not there any more" :
		    "no supervisor could be started");
	else if (s->job->twice || live_is_transient(l))
		give_word(l);
	else
		record_start(l, &s->want);
}

static void
prepared(struct task *task)
{
	struct start *s = task_owner(task, struct start, task);

	live_set_busy(s->live, false);
	act_on_prepared(s);
	close_fd(&s->job_fd);
	close_fd(&s->lock_fd);
	(void)job_free(s->job);
	argv_free(s->secrets);
	free(s);
}

void
start_job(struct live *l)
{
	struct helper *h = l->helper;
	struct start *s = calloc(1, sizeof *s);

	l->state = LIVE_STARTING;
	if (!s) {
		look_at_job(l);
		return;
	}
	s->task.work = prepare;
	s->task.done = prepared;
	s->live = l;
	s->spool = l->spool;
	s->job_fd = s->lock_fd = -EBADF;
	s->want = (struct job_want){ .want = WANT_START, .attempt = l->attempt + 1, .at_usec = clock_wall() };
	memcpy(s->want.boot, h->boot, sizeof s->want.boot);
	live_set_busy(l, true);
	offload_run(h->io, &s->task);
}
