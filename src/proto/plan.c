#include "config.h"

#include <string.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "proto/message.h"
#include "proto/plan.h"

struct plan *
plan_new(void)
{
	struct plan *p = calloc(1, sizeof *p);

	if (p) {
		p->groups.read_gid = (gid_t)-1;
		p->groups.gate_gid = (gid_t)-1;
	}
	return p;
}

static void
free_list(char **list)
{
	for (char **item = list; item && *item; item++)
		free(*item);
	free(list);
}

struct plan *
plan_free(struct plan *p)
{
	if (!p)
		return NULL;
	free_list(p->argv);
	free_list(p->env);
	free_list(p->folders);
	free_list(p->inputs);
	free_list(p->links);
	free_list(p->after);
	free_list(p->publish);
	free(p->scratch);
	free(p->cache);
	free(p->entry);
	free(p->live);
	free(p->filter);
	free(p->cgroup);
	free(p->bwrap);
	free(p->init);
	free(p);
	return NULL;
}

static int
list_parse(json_object *obj, const char *name, char ***ret)
{
	json_object *array = NULL;
	char **list;
	size_t n;
	int r = json_get_array(obj, name, &array);

	if (r < 0)
		return -EBADMSG;
	n = json_object_array_length(array);
	list = calloc(n + 1, sizeof *list);
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		json_object *item = json_object_array_get_idx(array, i);

		const char *text = json_object_get_string(item);

		/* With a NUL inside it would be cut there. */
		r = json_object_is_type(item, json_type_string) && strlen(text) == (size_t)json_object_get_string_len(item) ? 0 : -EBADMSG;
		if (r == 0) {
			list[i] = strdup(text);
			r = list[i] ? 0 : -ENOMEM;
		}
		if (r < 0) {
			free_list(list);
			return r;
		}
	}
	*ret = list;
	return 0;
}

int
plan_format(const struct plan *p, char **ret_text, size_t *ret_len)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	json_object *limits = NULL;
	int r = limits_format(&p->limits, &limits);

	if (r < 0)
		return r;
	jsonw_int(&w, "v", RECORD_VERSION);
	jsonw_string(&w, "id", p->id);
	jsonw_int(&w, "attempt", p->attempt);
	jsonw_string(&w, "mode", p->mode == PLAN_FINISH ? "finish" : "run");
	jsonw_string(&w, "jail", p->jail == JAIL_NONE ? "none" : "bwrap");
	jsonw_strings(&w, "argv", p->argv);
	jsonw_strings(&w, "env", p->env);
	jsonw_strings(&w, "folders", p->folders);
	jsonw_strings(&w, "inputs", p->inputs);
	if (p->links && p->links[0])
		jsonw_strings(&w, "links", p->links);
	if (p->after && p->after[0])
		jsonw_strings(&w, "after", p->after);
	if (p->scratch) {
		jsonw_string(&w, "scratch", p->scratch);
		jsonw_string(&w, "cache", p->cache);
		jsonw_strings(&w, "publish", p->publish);
		if (p->entry)
			jsonw_string(&w, "entry", p->entry);
	}
	if (p->network)
		jsonw_bool(&w, "network", true);
	if (p->live)
		jsonw_string(&w, "live", p->live);
	if (p->filter)
		jsonw_string(&w, "filter", p->filter);
	if (p->cgroup)
		jsonw_string(&w, "cgroup", p->cgroup);
	if (p->strict)
		jsonw_bool(&w, "strict", true);
	jsonw_bool(&w, "stdout_apart", p->stdout_apart);
	jsonw_add(&w, "limits", limits);
	jsonw_int(&w, "kill_grace_usec", (int64_t)p->kill_grace_usec);
	jsonw_int(&w, "read_gid", p->groups.read_gid == (gid_t)-1 ? -1 : (int64_t)p->groups.read_gid);
	jsonw_int(&w, "gate_gid", p->groups.gate_gid == (gid_t)-1 ? -1 : (int64_t)p->groups.gate_gid);
	jsonw_string(&w, "bwrap", p->bwrap);
	jsonw_string(&w, "init", p->init);
	r = jsonw_finish(&w, &obj);
	return r < 0 ? r : json_format(obj, ret_text, ret_len);
}

static int
gid_parse(json_object *obj, const char *name, gid_t *ret)
{
	int64_t number;
	int r = json_get_int(obj, name, &number);

	if (r < 0 || number < -1 || number >= UINT32_MAX)
		return -EBADMSG;
	*ret = (gid_t)number;
	return 0;
}

static int
modes_parse(json_object *obj, struct plan *p)
{
	const char *mode, *jail, *id;
	uint64_t attempt;

	if (json_get_string(obj, "id", &id) < 0 || !id_valid(id) || json_get_uint(obj, "attempt", &attempt) < 0 ||
	    attempt > UINT32_MAX || json_get_string(obj, "mode", &mode) < 0 || json_get_string(obj, "jail", &jail) < 0)
		return -EBADMSG;
	memcpy(p->id, id, sizeof p->id);
	p->attempt = (unsigned)attempt;
	if (strcmp(mode, "run") != 0 && strcmp(mode, "finish") != 0)
		return -EBADMSG;
	if (strcmp(jail, "bwrap") != 0 && strcmp(jail, "none") != 0)
		return -EBADMSG;
	p->mode = strcmp(mode, "finish") == 0 ? PLAN_FINISH : PLAN_RUN;
	p->jail = strcmp(jail, "none") == 0 ? JAIL_NONE : JAIL_BWRAP;
	return 0;
}

static int
lists_parse(json_object *obj, struct plan *p)
{
	int r = list_parse(obj, "argv", &p->argv);

	if (r == 0)
		r = list_parse(obj, "env", &p->env);
	if (r == 0)
		r = list_parse(obj, "folders", &p->folders);
	if (r == 0)
		r = list_parse(obj, "inputs", &p->inputs);
	if (r == 0 && json_object_object_get_ex(obj, "links", NULL))
		r = list_parse(obj, "links", &p->links);
	if (r == 0 && json_object_object_get_ex(obj, "after", NULL))
		r = list_parse(obj, "after", &p->after);
	if (r == 0 && json_object_object_get_ex(obj, "scratch", NULL)) {
		r = list_parse(obj, "publish", &p->publish);
		if (r == 0)
			r = json_dup_string(obj, "scratch", &p->scratch);
		if (r == 0)
			r = json_dup_string(obj, "cache", &p->cache);
		if (r == 0 && json_object_object_get_ex(obj, "entry", NULL))
			r = json_dup_string(obj, "entry", &p->entry);
	}
	if (r == 0 && !p->argv[0])
		r = -EBADMSG;
	return r;
}

int
plan_parse(const char *text, size_t len, struct plan **ret)
{
	scoped(free_plan) struct plan *p = plan_new();
	scoped(put_json) json_object *obj = NULL;
	json_object *limits = NULL;
	int64_t version;
	int r;

	if (!p)
		return -ENOMEM;
	r = json_parse(text, len, &obj);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	if (json_get_int(obj, "v", &version) < 0)
		return -EBADMSG;
	if (version != RECORD_VERSION)
		return -EPROTONOSUPPORT;
	r = modes_parse(obj, p);
	if (r == 0)
		r = lists_parse(obj, p);
	if (r == 0)
		r = json_get_object(obj, "limits", &limits);
	if (r == 0)
		r = limits_parse(limits, &p->limits);
	if (r == 0)
		r = json_get_bool(obj, "stdout_apart", &p->stdout_apart);
	if (r == 0)
		r = json_get_uint(obj, "kill_grace_usec", &p->kill_grace_usec);
	if (r == 0)
		r = gid_parse(obj, "read_gid", &p->groups.read_gid);
	if (r == 0)
		r = gid_parse(obj, "gate_gid", &p->groups.gate_gid);
	if (r == 0)
		r = json_dup_string(obj, "bwrap", &p->bwrap);
	if (r == 0)
		r = json_dup_string(obj, "init", &p->init);
	if (r == 0 && json_object_object_get_ex(obj, "network", NULL))
		r = json_get_bool(obj, "network", &p->network);
	if (r == 0 && json_object_object_get_ex(obj, "filter", NULL))
		r = json_dup_string(obj, "filter", &p->filter);
	if (r == 0 && json_object_object_get_ex(obj, "cgroup", NULL))
		r = json_dup_string(obj, "cgroup", &p->cgroup);
	if (r == 0 && json_object_object_get_ex(obj, "strict", NULL))
		r = json_get_bool(obj, "strict", &p->strict);
	if (r == 0 && json_object_object_get_ex(obj, "live", NULL))
		r = json_dup_string(obj, "live", &p->live);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	*ret = take_ptr(p);
	return 0;
}

int
plan_receive(int fd, struct plan **ret)
{
	scoped(free_ptr) char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || st.st_size > MESSAGE_MAX)
		return -EBADMSG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	n = pread_full(fd, text, (size_t)st.st_size, 0);
	if (n < 0)
		return (int)n;
	return plan_parse(text, (size_t)n, ret);
}
