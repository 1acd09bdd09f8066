#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "basic/escape.h"
#include "basic/fd.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "spool/accept.h"
#include "spool/check_internal.h"
#include "spool/index.h"
#include "spool/redo.h"
#include "spool/redo_internal.h"
#include "spool/spool_internal.h"

enum {
	TEXT_MAX = 1024,	/* of a finding */
	SETTLE_MSEC = 100,
	SETTLE_TRIES = 50,	/* a flush on a busy disk takes seconds, and much waits for one */
};

void
check_found(struct check *c, enum check_level level, int repaired, const char *format, ...)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(TEXT_MAX);
	va_list ap;

	if (c->quiet) {
		c->suspicious = true;
		return;
	}
	if (level == CHECK_STALE)
		c->rep.stale++;
	else
		c->rep.broken++;
	if (repaired > 0)
		c->rep.repaired++;
	else if (level == CHECK_BROKEN)
		c->broken_left++;
	va_start(ap, format);
	strbuf_vaddf(&s, format, ap);
	va_end(ap);
	if (repaired > 0)
		strbuf_addstr(&s, ": repaired");
	else if (repaired < 0)
		strbuf_addf(&s, ": not repaired: %s", strerror(-repaired));
	if (!c->say)
		return;
	/* A name may be a tool's, with any bytes. */
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.buf[i] < ' ' || s.buf[i] == 0x7f)
			s.buf[i] = '?';
	}
	c->say(level, strbuf_err(&s) < 0 ? "(a finding too long to tell)" : strbuf_str(&s), c->ctx);
}

static int
compare_notes(const void *a, const void *b)
{
	return memcmp(((const struct note *)a)->id, ((const struct note *)b)->id, ID_SIZE);
}

unsigned
check_note(const struct check *c, const char *id)
{
	struct note key = { .flags = 0 };
	const struct note *n = NULL;

	if (c->n_notes == 0)
		return 0;
	memcpy(key.id, id, ID_SIZE);
	n = bsearch(&key, c->notes, c->n_notes, sizeof *c->notes, compare_notes);
	return n ? n->flags : 0;
}

static int
add_note(const struct redo_record *rec, void *ctx)
{
	struct check *c = ctx;
	struct note n = { .flags = rec->type == REDO_ACCEPT ? NOTE_ACCEPT : rec->type == REDO_FORGET ? NOTE_FORGET : 0 };

	for (size_t i = 0; rec->type == REDO_ACCEPT && i < rec->n_blobs; i++) {
		if (!rec->blobs[i].data)
			n.flags |= NOTE_LARGE;
	}
	if (n.flags == 0)
		return 0;
	memcpy(n.id, rec->id, ID_SIZE);
	if (c->n_notes == c->cap_notes) {
		size_t cap = c->cap_notes ? 2 * c->cap_notes : 256;
		struct note *more = reallocarray(c->notes, cap, sizeof *more);

		if (!more)
			return -ENOMEM;
		c->notes = more;
		c->cap_notes = cap;
	}
	c->notes[c->n_notes++] = n;
	return 0;
}

/* One note an id. */
static void
merge_notes(struct check *c)
{
	size_t n = 0;

	if (c->n_notes > 0)
		qsort(c->notes, c->n_notes, sizeof *c->notes, compare_notes);
	for (size_t i = 0; i < c->n_notes; i++) {
		if (n > 0 && strcmp(c->notes[n - 1].id, c->notes[i].id) == 0)
			c->notes[n - 1].flags |= c->notes[i].flags;
		else
			c->notes[n++] = c->notes[i];
	}
	c->n_notes = n;
}

/* What was acknowledged and may not be in its place yet. Repairing does it: that is what every start-up does first. */
static int
read_journal(struct check *c)
{
	scoped(free_redo) struct redo *redo = NULL;
	int64_t n = redo_open_read(c->s, &redo);

	if (n == -ENOENT)
		return 0;
	if (n == -EBADMSG || n == -EPROTONOSUPPORT) {
		check_found(c, CHECK_BROKEN, 0, "the journal: %s", strerror((int)-n));
		return 0;
	}
	if (n >= 0 && c->repair) {
		n = accept_recover(c->s, redo);
		if (n >= 0)
			n = spool_sync(c->s);
		/* A record that cannot be done says so below, job by job. */
		if (n == -EBADMSG || n == -EPROTONOSUPPORT)
			check_found(c, CHECK_BROKEN, 0, "the journal's replay: %s", strerror((int)-n));
		else if (n < 0)
			return (int)n;
	}
	if (n >= 0 || n == -EBADMSG || n == -EPROTONOSUPPORT)
		n = redo_replay(redo, add_note, c);
	if (n == -EBADMSG || n == -EPROTONOSUPPORT)
		check_found(c, CHECK_BROKEN, 0, "the journal's records: %s", strerror((int)-n));
	else if (n < 0)
		return (int)n;
	merge_notes(c);
	return 0;
}

/* ---- looking, and looking again ---- */

static int
add_suspect(struct check *c, const struct suspect *s)
{
	struct suspect copy = *s;

	if (c->n_suspects == c->cap_suspects) {
		size_t cap = c->cap_suspects ? 2 * c->cap_suspects : 64;
		struct suspect *more = reallocarray(c->suspects, cap, sizeof *more);

		if (!more)
			return -ENOMEM;
		c->suspects = more;
		c->cap_suspects = cap;
	}
	if (s->text) {
		copy.text = strdup(s->text);
		if (!copy.text)
			return -ENOMEM;
	}
	c->suspects[c->n_suspects++] = copy;
	return 0;
}

static int
look_quietly(struct check *c, const struct suspect *s, bool *ret_suspicious)
{
	int r = 0;

	c->quiet = true;
	c->suspicious = false;
	r = s->look(c, s);
	c->quiet = false;
	*ret_suspicious = c->suspicious && r != -ENOENT;
	return r == -ENOENT ? 0 : r;
}

static int
look(struct check *c, const struct suspect *s)
{
	bool suspicious = false;
	int r = 0;

	if (!c->running) {
		r = s->look(c, s);
		return r == -ENOENT ? 0 : r;
	}
	r = look_quietly(c, s, &suspicious);
	return r >= 0 && suspicious ? add_suspect(c, s) : r;
}

/* What is in the middle of a change is another thing at another look. */
static int
look_again(struct check *c)
{
	const struct timespec pause = { 0, SETTLE_MSEC * 1000000L };
	int r = 0;

	for (int i = 0; i < SETTLE_TRIES && c->n_suspects > 0; i++) {
		size_t kept = 0;

		(void)nanosleep(&pause, NULL);
		for (size_t k = 0; k < c->n_suspects; k++) {
			bool suspicious = true;

			if (r >= 0)
				r = look_quietly(c, &c->suspects[k], &suspicious);
			if (r < 0 || suspicious)
				c->suspects[kept++] = c->suspects[k];
			else
				free(c->suspects[k].text);
		}
		c->n_suspects = kept;
		if (r < 0)
			return r;
	}
	for (size_t k = 0; k < c->n_suspects && r >= 0; k++) {
		r = c->suspects[k].look(c, &c->suspects[k]);
		r = r == -ENOENT ? 0 : r;
	}
	return r;
}

static int
look_at(struct check *c, int (*f)(struct check *, const struct suspect *), const char *id, const char *text, uint64_t usec)
{
	struct suspect s = { .look = f, .usec = usec };
	scoped(free_ptr) char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		return -ENOMEM;
	s.text = copy;
	if (id)
		memcpy(s.id, id, ID_SIZE);
	return look(c, &s);
}

/* ---- the folders ---- */

static int
visit_job(int dir_fd, const char *name, void *ctx)
{
	struct check *c = ctx;
	char path[JOB_PATH_SIZE];
	struct stat st;

	/* The two digits are those of the folder we are in: what lies at <xx>/<id> of its own id is this. */
	if (!id_valid(name)) {
		check_found(c, CHECK_BROKEN, 0, "jobs: %s is no job", name);
		return 0;
	}
	job_path(name, "", path);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		struct stat right;

		if (fstatat(c->s->jobs_fd, path, &right, AT_SYMLINK_NOFOLLOW) < 0 || right.st_ino != st.st_ino) {
			if (exists_at(dir_fd, name) == 1)	/* not deleted meanwhile */
				check_found(c, CHECK_BROKEN, 0, "job %s: in another's folder", name);
			return 0;
		}
	}
	c->rep.jobs++;
	job_path(name, FILE_RESULT, path);
	if (exists_at(c->s->jobs_fd, path) == 1)
		c->rep.finished++;
	return look_at(c, check_job, name, NULL, 0);
}

static int
visit_xx(int dir_fd, const char *name, void *ctx)
{
	struct check *c = ctx;
	scoped(close_fd) int fd = -EBADF;

	if (strspn(name, "0123456789abcdef") != 2 || name[2] != '\0') {
		check_found(c, CHECK_BROKEN, 0, "jobs: %s is no folder of jobs", name);
		return 0;
	}
	fd = open_dir_at(dir_fd, name);
	return fd < 0 ? fd : each_name(fd, visit_job, c);
}

/* A mark whose job is not there. text is the folder's name. */
static int
check_mark(struct check *c, const struct suspect *s)
{
	int dir_fd = strcmp(s->text, DIR_ACTIVE) == 0 ? c->s->active_fd : c->s->pending_fd, repaired = 0;
	char path[JOB_PATH_SIZE];

	job_path(s->id, "", path);
	if (exists_at(dir_fd, s->id) != 1)
		return -ENOENT;
	if (exists_at(c->s->jobs_fd, path) == 1 || (check_note(c, s->id) & (NOTE_ACCEPT | NOTE_FORGET)) == NOTE_ACCEPT)
		return 0;
	if (check_may_repair(c))
		repaired = unlink_at(dir_fd, s->id) < 0 ? -EIO : 1;
	check_found(c, CHECK_STALE, repaired, "%s: %s is no job", s->text, s->id);
	return 0;
}

static int
visit_mark(int dir_fd, const char *name, void *ctx)
{
	struct check *c = ctx;
	struct stat st, active;
	const char *folder = fstat(dir_fd, &st) == 0 && fstat(c->s->active_fd, &active) == 0 && st.st_ino == active.st_ino ?
	    DIR_ACTIVE : DIR_PENDING;

	if (!id_valid(name)) {
		check_found(c, CHECK_BROKEN, 0, "%s: %s is no id", folder, name);
		return 0;
	}
	if (strcmp(folder, DIR_ACTIVE) == 0)
		c->rep.active++;
	return look_at(c, check_mark, name, folder, 0);
}

/* An owner's name for a job that is not there, or is another's. */
static int
check_name(struct check *c, const struct suspect *s)
{
	scoped(close_fd) int fd = -EBADF;
	scoped(free_job) struct job *job = NULL;
	int r = index_has(c->s, s->text, s->usec, s->id), repaired = 0;

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	fd = spool_open_job(c->s, s->id);
	if (fd < 0 && fd != -ENOENT)
		return 0;	/* told with the job */
	if (fd == -ENOENT && (check_note(c, s->id) & (NOTE_ACCEPT | NOTE_FORGET)) == NOTE_ACCEPT)
		return 0;
	if (fd >= 0) {
		r = job_load(fd, &job);
		if (r < 0)
			return r == -ENOMEM ? r : 0;
		if (strcmp(job->owner, s->text) == 0 && job->accepted_usec == s->usec)
			return 0;
	}
	if (check_may_repair(c)) {
		repaired = index_remove(c->s, s->text, s->usec, s->id);
		repaired = repaired < 0 ? repaired : 1;
	}
	if (fd < 0)
		check_found(c, CHECK_STALE, repaired, "index: %s has a name for %s, which is no job", s->text, s->id);
	else
		check_found(c, CHECK_BROKEN, repaired, "index: %s has a name for %s, whose record says another", s->text, s->id);
	return 0;
}

static int
visit_name(const char *owner, uint64_t accepted_usec, const char *id, void *ctx)
{
	return look_at(ctx, check_name, id, owner, accepted_usec);
}

/* Whether a job's record has the key of "<service>/<key>". */
static bool
key_is_of(const char *text, const struct job *job)
{
	scoped(free_ptr) char *key = NULL;
	char name[ONCE_NAME_SIZE];

	if (name_decode(strchr(text, '/') + 1, &key) < 0)
		return false;
	once_name(job->once, name);
	return (job->key && strcmp(job->key, key) == 0) || (job->once[0] && strcmp(name, key) == 0);
}

/* text: <service>/<key> as they lie in index/key/. */
static int
check_key(struct check *c, const struct suspect *s)
{
	scoped(free_ptr) char *path = NULL, *service = NULL;
	scoped(close_fd) int fd = -EBADF;
	scoped(free_job) struct job *job = NULL;
	char id[ID_SIZE + 1] = { 0 };
	int repaired = 0;
	ssize_t n = 0;

	if (asprintf(&path, DIR_KEY "/%s", s->text) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	n = readlinkat(c->s->index_fd, path, id, sizeof id - 1);
	if (n < 0 && errno == ENOENT)
		return -ENOENT;
	fd = n > 0 && id_valid(id) ? spool_open_job(c->s, id) : -ENOENT;
	if (fd >= 0) {
		scoped(free_ptr) char *name = strndup(s->text, strcspn(s->text, "/"));

		if (!name || name_decode(name, &service) < 0 || job_load(fd, &job) < 0 || strcmp(job->id, id) != 0)
			return 0;	/* told elsewhere */
		if (strcmp(service, job->service) != 0)
			check_found(c, CHECK_BROKEN, 0, "index: the key %s is of another service than its job %s", s->text, id);
		if (strcmp(service, job->service) != 0 || key_is_of(s->text, job))
			return 0;
		if (check_may_repair(c))
			repaired = unlink_at(c->s->index_fd, path) < 0 ? -EIO : 1;
		check_found(c, CHECK_STALE, repaired, "index: the key %s is none of its job %s", s->text, id);
		return 0;
	}
	if (fd != -ENOENT || (id_valid(id) && check_note(c, id) == NOTE_ACCEPT))
		return 0;
	if (check_may_repair(c))
		repaired = unlink_at(c->s->index_fd, path) < 0 ? -EIO : 1;
	check_found(c, CHECK_STALE, repaired, "index: the key %s has no job", s->text);
	return 0;
}

struct key_visit {
	struct check *c;
	const char *service;
};

static int
visit_key(int dir_fd, const char *name, void *ctx)
{
	const struct key_visit *v = ctx;
	scoped(free_ptr) char *text = NULL;

	(void)dir_fd;
	if (asprintf(&text, "%s/%s", v->service, name) < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return look_at(v->c, check_key, NULL, text, 0);
}

static int
visit_service(int dir_fd, const char *name, void *ctx)
{
	struct key_visit v = { ctx, name };
	scoped(close_fd) int fd = open_dir_at(dir_fd, name);

	return fd < 0 ? fd : each_name(fd, visit_key, &v);
}

static int
check_index(struct check *c)
{
	scoped(close_fd) int key_fd = -EBADF;
	int r = index_each(c->s, visit_name, c);

	if (r < 0)
		return r;
	key_fd = open_dir_at(c->s->index_fd, DIR_KEY);
	if (key_fd == -ENOENT)
		return 0;
	return key_fd < 0 ? key_fd : each_name(key_fd, visit_service, c);
}

static int
visit_incoming(int dir_fd, const char *name, void *ctx)
{
	struct check *c = ctx;

	(void)dir_fd;
	if (!id_valid(name))
		check_found(c, CHECK_STALE, 0, "incoming: %s is no id", name);
	else if ((check_note(c, name) & (NOTE_ACCEPT | NOTE_FORGET)) != NOTE_ACCEPT)
		check_found(c, CHECK_STALE, 0, "incoming: %s was never accepted", name);
	return 0;
}

static int
visit_trash(int dir_fd, const char *name, void *ctx)
{
	(void)dir_fd;
	check_found(ctx, CHECK_STALE, 0, "trash: %s is not deleted yet", name);
	return 0;
}

/* Only where no helper is at work: else they are full of what is under way. */
static int
check_remains(struct check *c)
{
	int r = each_name(c->s->incoming_fd, visit_incoming, c);

	if (r >= 0)
		r = each_name(c->s->trash_fd, visit_trash, c);
	if (r >= 0 && c->repair) {
		r = incoming_sweep(c->s);
		if (r >= 0)
			r = trash_empty(c->s, 0);
		if (r > 0)
			c->rep.repaired += (uint64_t)r;
	}
	return r < 0 ? r : 0;
}

/* Accepted by a record: in jobs/, or able to be made by the replay. */
static int
check_accepted(struct check *c)
{
	for (size_t i = 0; i < c->n_notes; i++) {
		const struct note *n = &c->notes[i];
		char path[JOB_PATH_SIZE];
		int r = 0;

		job_path(n->id, "", path);
		if (!(n->flags & NOTE_ACCEPT) || (n->flags & NOTE_FORGET) || exists_at(c->s->jobs_fd, path) == 1)
			continue;
		check_found(c, CHECK_STALE, 0, "job %s: accepted, and not in its place yet", n->id);
		r = n->flags & NOTE_LARGE ? check_incoming_job(c, n->id) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int
visit_root(int dir_fd, const char *name, void *ctx)
{
	static const char *const known[] = { FILE_FORMAT, FILE_LOCK, FILE_REDO, "expiry.json", DIR_INCOMING, DIR_JOBS, DIR_ACTIVE,
		DIR_PENDING, DIR_INDEX, DIR_CACHE, DIR_VOLUMES, DIR_PACKS, DIR_TRASH, "lost+found" };
	struct check *c = ctx;
	int repaired = 0;

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(name, known[i]) == 0)
			return 0;
	}
	if (name[0] != '.') {
		check_found(c, CHECK_STALE, 0, "%s is no name of ours", name);
		return 0;
	}
	if (c->running)
		return 0;	/* a file that is being replaced */
	if (check_may_repair(c))
		repaired = unlinkat(dir_fd, name, 0) < 0 ? -errno : 1;
	check_found(c, CHECK_STALE, repaired, "a temporary file %s", name);
	return 0;
}

static int
check_all(struct check *c)
{
	int r = c->running ? 0 : read_journal(c);

	if (r >= 0)
		r = each_name(c->s->root_fd, visit_root, c);
	if (r >= 0)
		r = each_name(c->s->jobs_fd, visit_xx, c);
	if (r >= 0)
		r = each_name(c->s->active_fd, visit_mark, c);
	if (r >= 0)
		r = each_name(c->s->pending_fd, visit_mark, c);
	if (r >= 0)
		r = check_index(c);
	if (r >= 0)
		r = check_accepted(c);
	if (r >= 0 && !c->running)
		r = check_remains(c);
	return r < 0 ? r : look_again(c);
}

static int
open_all(struct spool *s)
{
	const struct {
		const char *name;
		int *fd;
	} folders[] = {
		{ DIR_ACTIVE, &s->active_fd }, { DIR_PENDING, &s->pending_fd }, { DIR_INCOMING, &s->incoming_fd },
		{ DIR_TRASH, &s->trash_fd },
	};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		*folders[i].fd = open_dir_at(s->root_fd, folders[i].name);
		if (*folders[i].fd < 0)
			return *folders[i].fd;
	}
	return 0;
}

/* What is made in a repair belongs to whom it would have belonged to: only the spool's own user may, and the groups are those
 * of the folders. */
static int
prepare_repair(struct spool *s)
{
	struct stat root, jobs, index;

	if (fstat(s->root_fd, &root) < 0 || fstat(s->jobs_fd, &jobs) < 0 || fstat(s->index_fd, &index) < 0)
		return -errno;
	if (root.st_uid != geteuid())
		return -EPERM;
	s->groups = (struct spool_groups){ .read_gid = jobs.st_gid, .gate_gid = index.st_gid };
	return 0;
}

static void
check_done(struct check *c)
{
	for (size_t i = 0; i < c->n_suspects; i++)
		free(c->suspects[i].text);
	free(c->suspects);
	free(c->notes);
}

int
spool_check(const char *path, bool running, bool repair, void (*say)(enum check_level level, const char *text, void *ctx),
    void *ctx, struct check_report *ret)
{
	scoped(free_spool) struct spool *s = NULL;
	scoped(close_fd) int lock = -EBADF;
	struct check c = { .running = running, .repair = repair, .say = say, .ctx = ctx };
	int r = running && repair ? -EINVAL : spool_open(path, &s);

	if (r >= 0)
		r = open_all(s);
	if (r >= 0 && repair)
		r = prepare_repair(s);
	if (r >= 0)
		r = boot_id(c.boot);
	if (r < 0)
		return r;
	if (!running) {
		/* Held, so that no helper begins in the middle; who may not even open it has to know that none does. */
		lock = spool_lock(s, NULL);
		if (lock == -EWOULDBLOCK)
			return -EBUSY;
		if (lock < 0 && (repair || (lock != -EACCES && lock != -EROFS)))
			return lock;
	}
	c.s = s;
	r = check_all(&c);
	check_done(&c);
	if (r < 0)
		return r;
	if (ret)
		*ret = c.rep;
	return c.broken_left > INT32_MAX ? INT32_MAX : (int)c.broken_left;
}
