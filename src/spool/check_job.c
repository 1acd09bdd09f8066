#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/scoped.h"
#include "spool/check_internal.h"
#include "spool/index.h"
#include "spool/meta.h"
#include "spool/spool_internal.h"

/* What a look at one job carries from question to question. */
struct view {
	struct check *c;
	const char *id;
	int fd;
	enum check_level level;	/* of what the journal's replay would mend */
	struct job *job;	/* NULL: unreadable, which was told */
	struct job_want want;
	struct job_run run;
	struct job_result result;
	int have_want, have_run, have_result;	/* 1, 0 missing, or the errno */
	bool pruned;
	enum callback_state callback;
};

static int
loaded(int r)
{
	return r >= 0 ? 1 : r == -ENOENT ? 0 : r;
}

/* Whether something that another process is about to change stays wrong: for 2 s without a helper; where one runs all is looked
 * at again anyhow. */
static bool
stays(struct view *v, bool (*wrong)(struct view *))
{
	for (int i = 0; i < 100; i++) {
		const struct timespec pause = { 0, 20000000 };

		if (!wrong(v))
			return false;
		if (v->c->running)
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

/* What a crash left of replace_file_at. */
static void
stale_file(struct check *c, const char *id, int dir_fd, const char *name)
{
	int repaired = check_may_repair(c) ? (unlinkat(dir_fd, name, 0) < 0 ? -errno : 1) : 0;

	check_found(c, CHECK_STALE, repaired, "job %s: a temporary file %s", id, name);
}

static int
check_name_of(int dir_fd, const char *name, void *ctx)
{
	static const char *const known[] = { FILE_JOB, JOB_IN, FILE_LOCK, FILE_STATE, FILE_RUN, FILE_META, JOB_WORK, JOB_LOG,
		JOB_STDOUT, FILE_ENDED, JOB_MANIFEST, JOB_RECEIPT, FILE_RESULT, FILE_RESULT_NEW };
	struct view *v = ctx;
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		bool folder = strcmp(name, JOB_IN) == 0 || strcmp(name, JOB_WORK) == 0;

		if (strcmp(name, known[i]) != 0)
			continue;
		if (folder ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
			check_found(v->c, CHECK_BROKEN, 0, "job %s: %s is of another type", v->id, name);
		/* A live tool may do to its own folder what it likes. */
		else if (strcmp(name, JOB_WORK) != 0 && (st.st_mode & 027))
			check_found(v->c, CHECK_BROKEN, 0, "job %s: %s has mode %04o", v->id, name, (unsigned)st.st_mode & 07777);
		return 0;
	}
	if (name[0] == '.')
		stale_file(v->c, v->id, dir_fd, name);
	else
		check_found(v->c, CHECK_BROKEN, 0, "job %s: %s is no file of ours", v->id, name);
	return 0;
}

struct inputs {
	struct check *c;
	const struct job *job;
	size_t strays;
};

static int
count_stray(int dir_fd, const char *name, void *ctx)
{
	struct inputs *in = ctx;

	if (name[0] == '.') {
		stale_file(in->c, in->job->id, dir_fd, name);
		return 0;
	}
	for (size_t i = 0; i < in->job->n_inputs; i++) {
		if (strcmp(name, in->job->inputs[i].name) == 0)
			return 0;
	}
	in->strays++;
	return 0;
}

int
check_inputs(struct check *c, enum check_level level, int job_fd, const struct job *job)
{
	scoped(close_fd) int in_fd = open_dir_at(job_fd, JOB_IN);
	struct inputs in = { c, job, 0 };
	int r = 0;

	if (in_fd < 0) {
		check_found(c, level, 0, "job %s: in: %s", job->id, strerror(-in_fd));
		return 0;
	}
	for (size_t i = 0; i < job->n_inputs; i++) {
		const struct job_input *input = &job->inputs[i];
		scoped(close_fd) int fd = -EBADF;
		char hex[SHA256_HEX_SIZE] = "";
		off_t size = 0;

		fd = open_regular_at(in_fd, input->name, &size);
		if (fd < 0)
			check_found(c, level, 0, "job %s: input %s: %s", job->id, input->name, strerror(-fd));
		else if ((uint64_t)size != input->size || sha256_fd(fd, INT64_MAX, hex) < 0 || strcmp(hex, input->sha256) != 0)
			check_found(c, level, 0, "job %s: input %s is not as it was accepted", job->id, input->name);
	}
	r = each_name(in_fd, count_stray, &in);
	if (r >= 0 && in.strays > 0)
		check_found(c, CHECK_BROKEN, 0, "job %s: %zu files in in/ that are no inputs", job->id, in.strays);
	return r;
}

static int
load_all(struct view *v)
{
	int r = job_load(v->fd, &v->job);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		check_found(v->c, v->level, 0, "job %s: job.json: %s", v->id, strerror(-r));
	else if (strcmp(v->job->id, v->id) != 0)
		check_found(v->c, v->level, 0, "job %s: its record is that of %s", v->id, v->job->id);
	/* The supervisor's files before the helper's: whatever happens in between only makes the second look newer. */
	v->have_result = loaded(result_load(v->fd, &v->result));
	v->have_run = loaded(run_load(v->fd, &v->run));
	v->have_want = loaded(want_load(v->fd, &v->want));
	if (v->have_result < 0)
		check_found(v->c, CHECK_BROKEN, 0, "job %s: result.json: %s", v->id, strerror(-v->have_result));
	if (v->have_run < 0 && v->have_result == 1)
		check_found(v->c, CHECK_BROKEN, 0, "job %s: run.json: %s", v->id, strerror(-v->have_run));
	/* Unfinished, it is what recovery reads: but torn, the replay or the rules for a lost one say what is right. */
	if (v->have_want != 1 && v->have_result != 1)
		check_found(v->c, v->level, 0, "job %s: state.json: %s", v->id, strerror(v->have_want < 0 ? -v->have_want : ENOENT));
	return 0;
}

/* Whether the service's own name of a job is this one. */
static bool
has_key(const struct view *v, const char *id, const char *key)
{
	scoped(close_fd) int fd = spool_open_job(v->c->s, id);
	scoped(free_job) struct job *job = NULL;

	return fd >= 0 && job_load(fd, &job) == 0 && job->key && strcmp(job->key, key) == 0 && strcmp(job->service, v->job->service) == 0;
}

/* A key leads to its job, or has gone on to a later one that has it too. */
static int
check_own_key(struct view *v, const char *key, bool is_once)
{
	char other[ID_SIZE];
	int r = index_key_get(v->c->s, v->job->service, key, other), repaired = 0;

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && (is_once || strcmp(other, v->id) == 0 || has_key(v, other, key)))
		return 0;
	if (check_may_repair(v->c))
		repaired = index_key_set(v->c->s, v->job->service, key, v->id) < 0 ? -EIO : 1;
	check_found(v->c, v->level, repaired, "job %s: its key leads to %s", v->id, r == 0 ? other : "nothing");
	return 0;
}

/* One place, the names that belong to it, and no others. */
static int
check_marks(struct view *v)
{
	struct check *c = v->c;
	int r = exists_at(c->s->active_fd, v->id), repaired = 0;

	if (r < 0)
		return r;
	if (v->have_result == 1 && r == 1) {
		if (check_may_repair(c))
			repaired = spool_clear_active(c->s, v->id) < 0 ? -EIO : 1;
		/* What a start-up does first. */
		check_found(c, CHECK_STALE, repaired, "job %s: finished, and still marked active", v->id);
	}
	if (v->have_result == 0 && r == 0) {
		if (check_may_repair(c))
			repaired = spool_mark_active(c->s, v->id) < 0 ? -EIO : 1;
		check_found(c, v->level, repaired, "job %s: not finished, and not marked active", v->id);
	}
	r = exists_at(c->s->pending_fd, v->id);
	if (r < 0)
		return r;
	if (r == 1 && v->have_result == 0 && !(v->job && v->job->callback))
		check_found(c, CHECK_BROKEN, 0, "job %s: owes a delivery before its end", v->id);
	if (r == 0 && v->job && v->job->callback && v->callback == CALLBACK_PENDING) {
		repaired = check_may_repair(c) ? spool_mark_pending(c->s, v->id) < 0 ? -EIO : 1 : 0;
		check_found(c, v->level, repaired, "job %s: its callback is not delivered, and not marked pending", v->id);
	}
	if (exists_at(c->s->incoming_fd, v->id) == 1)
		check_found(c, CHECK_BROKEN, 0, "job %s: in jobs and in incoming", v->id);
	if (exists_at(c->s->trash_fd, v->id) == 1)
		check_found(c, CHECK_BROKEN, 0, "job %s: in jobs and in trash", v->id);
	if (!v->job)
		return 0;
	r = index_has(c->s, v->job->owner, v->job->accepted_usec, v->id);
	if (r == 0) {
		repaired = check_may_repair(c) ? index_add(c->s, v->job->owner, v->job->accepted_usec, v->id) : 0;
		if (check_may_repair(c) && repaired == 0)
			repaired = 1;
		check_found(c, v->level, repaired, "job %s: its owner's index has no name for it", v->id);
	}
	if (r >= 0 && v->job->key)
		r = check_own_key(v, v->job->key, false);
	if (r >= 0 && v->job->once[0]) {
		char name[ONCE_NAME_SIZE];

		once_name(v->job->once, name);
		r = check_own_key(v, name, true);
	}
	return r < 0 ? r : 0;
}

static bool
still_locked(struct view *v)
{
	return job_locked(v->fd) == 1;
}

/* Locked, and neither begun nor about to. */
static bool
locked_without_run(struct view *v)
{
	struct job_run run;

	if (job_locked(v->fd) != 1 || exists_at(v->fd, FILE_RESULT) == 1)
		return false;
	return run_load(v->fd, &run) < 0 || run.attempt != v->want.attempt;
}

static bool
jail_lives(struct view *v)
{
	scoped(close_fd) int pidfd = v->run.init_pid > 0 ? process_open(v->run.init_pid, v->run.init_ticks) : -ESRCH;

	/* Dead and not reaped yet is dead. */
	return pidfd >= 0 && pidfd_wait(pidfd, 0) == 0;
}

static void
check_processes(struct view *v)
{
	struct check *c = v->c;
	int locked = job_locked(v->fd), repaired = 0;

	if (locked == -ENOENT) {
		if (check_may_repair(c)) {
			repaired = create_file_at(v->fd, FILE_LOCK, NULL, 0, MODE_OWN_FILE, (gid_t)-1, false);
			repaired = repaired < 0 ? repaired : 1;
		}
		check_found(c, v->level, repaired, "job %s: its lock is missing", v->id);
		return;
	}
	if (locked < 0)
		return;	/* whoever may not open it cannot ask */
	if (v->have_result == 1 && locked == 1 && stays(v, still_locked))
		check_found(c, CHECK_BROKEN, 0, "job %s: finished, and its lock is held", v->id);
	if (v->have_result == 1 && v->have_run == 1 && strcmp(v->run.boot, c->boot) == 0 && stays(v, jail_lives))
		check_found(c, CHECK_BROKEN, 0, "job %s: finished, and its jail lives on as process %d", v->id, (int)v->run.init_pid);
	if (v->have_result != 0 || v->have_want != 1)
		return;
	if (locked == 1 && v->want.want != WANT_KILL && stays(v, locked_without_run))
		check_found(c, CHECK_BROKEN, 0, "job %s: its lock is held, and no attempt %u has begun", v->id, v->want.attempt);
	/* Without a helper this is what recovery is for. */
	if (locked == 0 && c->running && v->want.want != WANT_QUEUED)
		check_found(c, CHECK_BROKEN, 0, "job %s: %s, and nobody is at it", v->id,
		    v->want.want == WANT_START ? "started" : "being killed");
}

/* Attempts: what is never overtakes what was wanted, durably, before it. */
static void
check_attempts(struct view *v)
{
	const struct job_result *res = &v->result;
	bool never_ran = res->verdict == VERDICT_KILLED || res->verdict == VERDICT_LOST || res->verdict == VERDICT_REFUSED;

	/* A tool that may run twice starts without a flushed record: a power cut may leave its older state beside its verdict. */
	if (!v->job || v->job->twice || v->have_want != 1 || v->level == CHECK_STALE)
		return;
	if (v->have_run == 1 && v->run.attempt > v->want.attempt)
		check_found(v->c, CHECK_BROKEN, 0, "job %s: attempt %u has begun, %u was the last that was wanted", v->id,
		    v->run.attempt, v->want.attempt);
	if (v->have_result != 1)
		return;
	if (res->attempt == 0 ? !never_ran && !res->shared : res->attempt != v->want.attempt)
		check_found(v->c, CHECK_BROKEN, 0, "job %s: the verdict \"%s\" is of attempt %u, %u was wanted", v->id,
		    verdict_name(res->verdict), res->attempt, v->want.attempt);
}

/* Files that should be gone, and a file that says so of a job that goes on. */
static int
check_meta(struct view *v)
{
	static const char *const gone[] = { JOB_IN, JOB_WORK, JOB_LOG, JOB_STDOUT };
	struct job_meta meta;
	int r = meta_load(v->fd, &meta);

	if (r == -EBADMSG || r == -EPROTONOSUPPORT)
		check_found(v->c, v->level, 0, "job %s: meta.json: %s", v->id, strerror(-r));
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	meta_done(&meta);
	v->pruned = meta.pruned_usec > 0;
	v->callback = meta.callback.state;
	if (v->pruned && v->have_result != 1)
		check_found(v->c, CHECK_BROKEN, 0, "job %s: pruned before its end", v->id);
	for (size_t i = 0; v->pruned && i < sizeof gone / sizeof *gone; i++) {
		int repaired = 0;

		if (exists_at(v->fd, gone[i]) != 1)
			continue;
		if (check_may_repair(v->c))
			repaired = prune_files(v->c->s, v->id) < 0 ? -EIO : 1;
		check_found(v->c, CHECK_STALE, repaired, "job %s: pruned, and %s is there", v->id, gone[i]);
	}
	return 0;
}

static int
check_view(struct view *v)
{
	struct stat st;
	int r = load_all(v);

	if (r < 0)
		return r;
	if (fstat(v->fd, &st) < 0)
		return -errno;
	if ((st.st_mode & 07777) != MODE_PASS)
		check_found(v->c, v->level, 0, "job %s: its folder has mode %04o", v->id, (unsigned)st.st_mode & 07777);
	r = each_name(v->fd, check_name_of, v);
	if (r >= 0)
		r = check_meta(v);
	if (r >= 0)
		r = check_marks(v);
	if (r >= 0 && v->job && !v->pruned)
		r = check_inputs(v->c, v->level, v->fd, v->job);
	if (r < 0)
		return r;
	check_processes(v);
	check_attempts(v);
	if (v->have_result != 1)
		return 0;
	if (exists_at(v->fd, FILE_RESULT_NEW) == 1) {
		r = check_may_repair(v->c) ? (unlink_at(v->fd, FILE_RESULT_NEW) < 0 ? -EIO : 1) : 0;
		check_found(v->c, CHECK_STALE, r, "job %s: a second verdict", v->id);
	}
	return check_outputs(v->c, v->fd, v->id, &v->result);
}

int
check_job(struct check *c, const struct suspect *s)
{
	struct view v = { .c = c, .id = s->id, .fd = -EBADF };
	unsigned flags = check_note(c, s->id);
	char path[JOB_PATH_SIZE];
	int r = 0;

	job_path(s->id, "", path);
	v.fd = openat(c->s->jobs_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (v.fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (v.fd < 0) {
		check_found(c, CHECK_BROKEN, 0, "job %s: %s", s->id, strerror(errno));
		return 0;
	}
	if (flags & NOTE_FORGET) {
		check_found(c, CHECK_STALE, 0, "job %s: its deletion is recorded and not done yet", s->id);
		(void)close(v.fd);
		return 0;
	}
	v.level = flags & NOTE_ACCEPT ? CHECK_STALE : CHECK_BROKEN;
	r = check_view(&v);
	/* Forgotten while we looked: what was missing was on its way out. */
	if (c->running && exists_at(c->s->jobs_fd, path) == 0) {
		c->suspicious = false;
		r = -ENOENT;
	}
	(void)job_free(v.job);
	(void)close(v.fd);
	return r;
}

int
check_incoming_job(struct check *c, const char *id)
{
	scoped(close_fd) int fd = open_dir_at(c->s->incoming_fd, id);
	scoped(free_job) struct job *job = NULL;
	int r = fd < 0 ? fd : job_load(fd, &job);

	if (r < 0) {
		check_found(c, CHECK_BROKEN, 0, "job %s: accepted, and neither in jobs nor whole in incoming: %s", id, strerror(-r));
		return r == -ENOMEM ? r : 0;
	}
	return check_inputs(c, CHECK_BROKEN, fd, job);
}
