#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/scoped.h"
#include "helper/cache.h"
#include "helper/offload.h"
#include "proto/plan.h"

#define HOUR_USEC (3600 * USEC_PER_SEC)
#define YOUNG_USEC (600 * USEC_PER_SEC)	/* who was just told of an entry finds it */
#define LOOK_MSEC 200	/* between two looks after jobs that ended */

struct place {
	char *cache, *scratch;
	char *first;	/* the file that makes a folder an entry: what has it not is somebody else's */
};

struct entry {
	char name[NAME_MAX + 1];
	uint64_t used_usec, bytes;
};

struct look {
	struct task task;
	struct helper *helper;
	int active_fd;	/* the spool's */
	struct place *places;
	size_t n_places;
	uint64_t max_bytes, keep_usec;
	uint64_t bytes, entries, evicted;	/* found */
};

struct caches {
	struct helper *helper;
	sd_event_source *timer;
	bool looking, again;
	bool soon;	/* a look is due in a moment: who ends meanwhile does not put it off */
	uint64_t bytes, entries;
};

static int
make_folder(const char *path, gid_t gid)
{
	scoped(free_ptr) char *copy = strdup(path);
	scoped(close_fd) int fd = -EBADF;

	if (!copy)
		return -ENOMEM;
	for (char *p = strchr(copy + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		/* Others pass through, whatever the umask. */
		if (mkdir(copy, 0711) == 0 ? chmod(copy, 0711) < 0 : errno != EEXIST)
			return -errno;
		*p = '/';
	}
	fd = make_dir_at(AT_FDCWD, copy, 02710, gid);
	if (fd < 0)
		return fd;
	return faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

void
cache_folders(const struct tools *tools, const char *spool_path, unsigned read_gid, struct faults *f)
{
	struct stat st;

	/* Whoever checks a configuration with another account leaves nothing of his in it. */
	if (stat(spool_path, &st) < 0 || st.st_uid != geteuid())
		return;
	for (const struct tool *t = tools_after(tools, ""); t; t = tools_after(tools, t->name)) {
		const char *const paths[] = { t->cache, t->scratch };

		for (size_t i = 0; t->publish && i < 2; i++) {
			int r = make_folder(paths[i], (gid_t)read_gid);

			if (r < 0)
				faults_add(f, NULL, 0, "%s, where %s of tool %s lie, cannot be made or written: %s", paths[i],
				    i == 0 ? "the results" : "the work folders", t->name, strerror(-r));
		}
	}
}

static void
free_look(struct look **l)
{
	if (!*l)
		return;
	for (size_t i = 0; i < (*l)->n_places; i++) {
		free((*l)->places[i].cache);
		free((*l)->places[i].scratch);
		free((*l)->places[i].first);
	}
	free((*l)->places);
	free(*l);
}

static DIR *
open_folder(const char *path)
{
	DIR *dir = opendir(path);

	if (!dir && errno != ENOENT)
		log_warning("%s: %s", path, strerror(errno));
	return dir;
}

static bool
has_ended(const struct look *l, const char *id)
{
	return id_valid(id) && faccessat(l->active_fd, id, F_OK, 0) < 0 && errno == ENOENT;
}

static void
sweep_scratch(const struct look *l, const char *path)
{
	scoped(close_dir) DIR *dir = open_folder(path);
	struct dirent *d;

	while (dir && (d = readdir(dir)) != NULL)
		if (has_ended(l, d->d_name)) {
			int r = remove_tree_at(dirfd(dir), d->d_name);

			if (r < 0)
				log_warning("%s/%s: %s", path, d->d_name, strerror(-r));
		}
}

static int
by_use(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->used_usec < y->used_usec ? -1 : x->used_usec > y->used_usec;
}

static uint64_t
usec_of(struct timespec t)
{
	return t.tv_sec > 0 ? (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000 : 0;
}

/* Bytes of its files, and when the last of them was read or written. false: it is no entry. */
static bool
measure(int cache_fd, const char *first, struct entry *e)
{
	scoped(close_dir) DIR *dir = NULL;
	int fd = open_dir_at(cache_fd, e->name);
	struct dirent *d;
	struct stat st;
	bool ours = false;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (fd >= 0 && !dir)
		(void)close(fd);
	while (dir && (d = readdir(dir)) != NULL) {
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		ours |= strcmp(d->d_name, first) == 0;
		e->bytes += (uint64_t)st.st_blocks * 512;
		if (usec_of(st.st_atim) > e->used_usec)
			e->used_usec = usec_of(st.st_atim);
		if (usec_of(st.st_mtim) > e->used_usec)
			e->used_usec = usec_of(st.st_mtim);
	}
	return ours;
}

/* Out of its place first: it is never seen in part. */
static void
evict(int cache_fd, const struct entry *e)
{
	char id[ID_SIZE], old[sizeof PUBLISH_OLD + ID_SIZE];

	id_new(id);
	(void)snprintf(old, sizeof old, PUBLISH_OLD "%s", id);
	if (renameat(cache_fd, e->name, cache_fd, old) == 0)
		(void)remove_tree_at(cache_fd, old);
}

static void
look_at_cache(struct look *l, const struct place *p)
{
	scoped(close_dir) DIR *dir = open_folder(p->cache);
	scoped(free_ptr) struct entry *all = NULL;
	uint64_t now = clock_wall(), bytes = 0;
	struct dirent *d;
	size_t n = 0, room = 0, gone = 0;

	while (dir && (d = readdir(dir)) != NULL) {
		if (strncmp(d->d_name, PUBLISH_NEW, strlen(PUBLISH_NEW)) == 0 || strncmp(d->d_name, PUBLISH_OLD, strlen(PUBLISH_OLD)) == 0) {
			if (has_ended(l, d->d_name + strlen(PUBLISH_NEW)))
				(void)remove_tree_at(dirfd(dir), d->d_name);
			continue;
		}
		if (d->d_name[0] == '.')
			continue;
		if (n == room) {
			struct entry *grown = reallocarray(all, room ? room * 2 : 64, sizeof *all);

			if (!grown)
				return;
			all = grown;
			room = room ? room * 2 : 64;
		}
		all[n] = (struct entry){ .bytes = 0 };
		memcpy(all[n].name, d->d_name, strlen(d->d_name) + 1);
		if (measure(dirfd(dir), p->first, &all[n]))
			bytes += all[n++].bytes;
	}
	if (n > 0)
		qsort(all, n, sizeof *all, by_use);
	for (size_t i = 0; i < n && all[i].used_usec + YOUNG_USEC < now; i++) {
		bool old = l->keep_usec > 0 && all[i].used_usec + l->keep_usec <= now;
		bool kept = strncmp(all[i].name, PUBLISH_KEPT, strlen(PUBLISH_KEPT)) == 0;

		if (!old && (kept || bytes <= l->max_bytes))
			continue;
		evict(dirfd(dir), &all[i]);
		bytes -= all[i].bytes;
		gone++;
	}
	l->bytes += bytes;
	l->entries += n - gone;
	l->evicted += gone;
}

static void
look(struct task *task)
{
	struct look *l = task_owner(task, struct look, task);

	for (size_t i = 0; i < l->n_places; i++) {
		sweep_scratch(l, l->places[i].scratch);
		look_at_cache(l, &l->places[i]);
	}
}

static void begin_look(struct caches *c);

static int
on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	(void)source;
	(void)usec;
	begin_look(ctx);
	return 0;
}

static void
look_in(struct caches *c, uint64_t usec)
{
	(void)sd_event_source_set_time_relative(c->timer, usec);
	(void)sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static void
looked(struct task *task)
{
	scoped(free_look) struct look *l = task_owner(task, struct look, task);
	struct caches *c = l->helper->caches;

	c->looking = c->soon = false;
	c->bytes = l->bytes;
	c->entries = l->entries;
	if (l->evicted > 0)
		log_info("%llu entries of the cache were let go", (unsigned long long)l->evicted);
	c->soon = c->again;
	look_in(c, c->again ? LOOK_MSEC * USEC_PER_MSEC : HOUR_USEC);
	c->again = false;
	helper_check_leaving(l->helper);
}

static int
add_place(struct look *l, const struct tool *t)
{
	struct place *grown = reallocarray(l->places, l->n_places + 1, sizeof *grown);

	if (!grown)
		return -ENOMEM;
	l->places = grown;
	grown[l->n_places] = (struct place){ .cache = strdup(t->cache), .scratch = strdup(t->scratch), .first = strdup(t->publish[0]) };
	l->n_places++;
	grown += l->n_places - 1;
	return grown->cache && grown->scratch && grown->first ? 0 : -ENOMEM;
}

static void
begin_look(struct caches *c)
{
	struct helper *h = c->helper;
	scoped(free_look) struct look *l = calloc(1, sizeof *l);
	int r = l ? 0 : -ENOMEM;

	for (const struct tool *t = tools_after(h->tools, ""); r == 0 && t; t = tools_after(h->tools, t->name))
		if (t->publish)
			r = add_place(l, t);
	if (r < 0 || l->n_places == 0) {
		c->soon = false;
		return;
	}
	l->task = (struct task){ .work = look, .done = looked };
	l->helper = h;
	l->active_fd = h->spool->active_fd;
	l->max_bytes = config_number(h->config, "stan", "cache_max");
	l->keep_usec = config_number(h->config, "stan", "cache_keep");
	c->looking = true;
	offload_run(h->slow, &take_ptr(l)->task);
}

int
cache_new(struct helper *h, struct caches **ret)
{
	scoped(faults_done) struct faults f = { NULL, 0 };
	struct caches *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return -ENOMEM;
	c->helper = h;
	r = sd_event_add_time_relative(h->event, &c->timer, CLOCK_BOOTTIME, HOUR_USEC, USEC_PER_MSEC, on_timer, c);
	if (r < 0)
		return cache_free(c), r;
	/* At the very first start there was no spool when the configuration was read. */
	cache_folders(h->tools, config_string(h->config, "spool", "path"), h->accounts.read_gid, &f);
	for (size_t i = 0; i < f.n; i++)
		log_error("%s", f.texts[i]);
	h->caches = *ret = c;
	/* In the loop, for a helper that cannot begin has nobody who takes the look's result. */
	c->soon = true;
	look_in(c, 0);
	return 0;
}

struct caches *
cache_free(struct caches *c)
{
	if (!c)
		return NULL;
	(void)sd_event_source_disable_unref(c->timer);
	free(c);
	return NULL;
}

void
cache_job_ended(struct helper *h, const char *tool)
{
	const struct tool *t = tools_find(h->tools, tool);
	struct caches *c = h->caches;

	if (!c || !t || !t->publish)
		return;
	if (c->looking) {
		c->again = true;
	} else if (!c->soon) {
		c->soon = true;
		look_in(c, LOOK_MSEC * USEC_PER_MSEC);
	}
}

void
cache_sizes(const struct helper *h, uint64_t *ret_bytes, uint64_t *ret_entries)
{
	*ret_bytes = h->caches ? h->caches->bytes : 0;
	*ret_entries = h->caches ? h->caches->entries : 0;
}
