#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"

/* A member of this type. */
static int
get_member(json_object *obj, const char *name, json_type type, json_object **ret)
{
	json_object *val = NULL;

	if (!json_object_is_type(obj, json_type_object))
		return -EBADMSG;
	if (!json_object_object_get_ex(obj, name, &val))
		return -ENOENT;
	if (!json_object_is_type(val, type))
		return -EBADMSG;
	*ret = val;
	return 0;
}

int
json_get_string(json_object *obj, const char *name, const char **ret)
{
	json_object *val = NULL;
	int r = get_member(obj, name, json_type_string, &val);

	if (r < 0)
		return r;
	if (strlen(json_object_get_string(val)) != (size_t)json_object_get_string_len(val))
		return -EBADMSG;
	*ret = json_object_get_string(val);
	return 0;
}

int
json_dup_string(json_object *obj, const char *name, char **ret)
{
	const char *text = NULL;
	char *copy = NULL;
	int r = json_get_string(obj, name, &text);

	if (r < 0)
		return r;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

int
json_get_int(json_object *obj, const char *name, int64_t *ret)
{
	json_object *val = NULL;
	int r = get_member(obj, name, json_type_int, &val);

	if (r < 0)
		return r;
	if (json_object_get_uint64(val) > INT64_MAX)	/* 0 for negative ones */
		return -EBADMSG;
	*ret = json_object_get_int64(val);
	return 0;
}

int
json_get_uint(json_object *obj, const char *name, uint64_t *ret)
{
	json_object *val = NULL;
	int r = get_member(obj, name, json_type_int, &val);

	if (r < 0)
		return r;
	if (json_object_get_int64(val) < 0)
		return -EBADMSG;
	*ret = json_object_get_uint64(val);
	return 0;
}

int
json_get_bool(json_object *obj, const char *name, bool *ret)
{
	json_object *val = NULL;
	int r = get_member(obj, name, json_type_boolean, &val);

	if (r < 0)
		return r;
	*ret = json_object_get_boolean(val) != 0;
	return 0;
}

int
json_get_array(json_object *obj, const char *name, json_object **ret)
{
	return get_member(obj, name, json_type_array, ret);
}

int
json_get_object(json_object *obj, const char *name, json_object **ret)
{
	return get_member(obj, name, json_type_object, ret);
}

struct jsonw
jsonw_new(void)
{
	struct jsonw w = { json_object_new_object(), 0 };

	if (!w.obj)
		w.err = -ENOMEM;
	return w;
}

void
jsonw_done(struct jsonw *w)
{
	put_json(&w->obj);
}

/* Adds val, which may be JSON null, that is NULL. */
static void
add(struct jsonw *w, const char *key, json_object *val)
{
	if (w->err == 0 && json_object_object_add(w->obj, key, val) == 0)
		return;
	json_object_put(val);
	if (w->err == 0)
		w->err = -ENOMEM;
}

void
jsonw_add(struct jsonw *w, const char *key, json_object *val)
{
	if (val)
		add(w, key, val);
	else if (w->err == 0)
		w->err = -ENOMEM;
}

void
jsonw_string(struct jsonw *w, const char *key, const char *val)
{
	if (val)
		jsonw_add(w, key, json_object_new_string(val));
	else
		jsonw_null(w, key);
}

void
jsonw_int(struct jsonw *w, const char *key, int64_t val)
{
	jsonw_add(w, key, json_object_new_int64(val));
}

void
jsonw_bool(struct jsonw *w, const char *key, bool val)
{
	jsonw_add(w, key, json_object_new_boolean(val));
}

void
jsonw_null(struct jsonw *w, const char *key)
{
	add(w, key, NULL);
}

void
jsonw_strings(struct jsonw *w, const char *key, char *const *list)
{
	json_object *array = json_object_new_array();

	for (; array && list && *list; list++) {
		json_object *item = json_object_new_string(*list);

		if (!item || json_object_array_add(array, item) < 0) {
			json_object_put(item);
			json_object_put(array);
			array = NULL;
		}
	}
	jsonw_add(w, key, array);
}

int
jsonw_finish(struct jsonw *w, json_object **ret)
{
	if (w->err < 0)
		return w->err;
	*ret = take_ptr(w->obj);
	return 0;
}

int
json_format(json_object *obj, char **ret_text, size_t *ret_len)
{
	size_t len = 0;
	const char *text = json_object_to_json_string_length(obj, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
	    &len);
	char *copy = NULL;

	if (!obj) {
		text = "null";
		len = 4;
	}
	if (!text)
		return -ENOMEM;
	/* NaN, an infinity, bytes that are no text: json-c prints them all. */
	if (json_scan(text, len, JSON_SCAN_DEPTH_LIMIT, NULL) < 0)
		return -EBADMSG;
	copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	copy[len] = '\0';
	*ret_text = copy;
	if (ret_len)
		*ret_len = len;
	return 0;
}

int
json_load_at(int dir_fd, const char *name, size_t max, json_object **ret)
{
	scoped(free_ptr) char *data = NULL;
	size_t len = 0;
	int r = read_file_at(dir_fd, name, max, &data, &len);

	if (r < 0)
		return r;
	r = json_parse(data, len, ret);
	return r == -E2BIG ? -EBADMSG : r;
}
