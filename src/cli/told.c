#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/escape.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "cli/told.h"

enum { NAME_BYTES_MAX = 3 * 4096 + 16, RECEIPT_V = 1 };

static int
tell(struct told_list *l, const char *prefix, const char *name, json_object *of)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(NAME_BYTES_MAX);
	const char *sha256 = NULL;
	struct told *t;
	int r;

	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		struct told *grown = reallocarray(l->files, room, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		l->files = grown;
		l->room = room;
	}
	t = &l->files[l->n];
	*t = (struct told){ .name = NULL };
	if (json_get_uint(of, "bytes", &t->bytes) < 0 || json_get_string(of, "sha256", &sha256) < 0 ||
	    strlen(sha256) != SHA256_HEX_SIZE - 1)
		return -EBADMSG;
	memcpy(t->sha256, sha256, sizeof t->sha256);
	strbuf_addf(&s, "%s%s", prefix, name);
	r = strbuf_take(&s, &t->name, NULL);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	l->n++;
	return 0;
}

static int
tell_file(struct told_list *l, json_object *file)
{
	scoped(free_ptr) char *decoded = NULL;
	const char *name = NULL;

	if (json_get_string(file, "name", &name) < 0) {
		if (json_get_string(file, "encoded", &name) < 0)
			return -EBADMSG;
		if (percent_decode(name, strlen(name), &decoded) < 0)
			return -EBADMSG;
		name = decoded;
	}
	return tell(l, "files/", name, file);
}

static int
compare_told(const void *a, const void *b)
{
	return strcmp(((const struct told *)a)->name, ((const struct told *)b)->name);
}

static int
parse(const char *text, size_t len, struct told_list *l)
{
	static const char *const beside[] = { "log", "stdout" };
	json_object *list = NULL, *one = NULL;
	int64_t version = 0;
	int r = json_parse(text, len, &l->receipt);

	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	if (json_get_int(l->receipt, "v", &version) < 0)
		return -EBADMSG;
	if (version > RECEIPT_V)
		return -EPROTONOSUPPORT;
	r = json_get_array(l->receipt, "files", &list);
	if (r < 0)
		return r == -ENOENT ? -ENODATA : r;
	for (size_t i = 0; i < sizeof beside / sizeof *beside && r == 0; i++) {
		if (!json_object_object_get_ex(l->receipt, beside[i], &one))
			return -EBADMSG;
		if (one)
			r = json_object_is_type(one, json_type_object) ? tell(l, "", beside[i], one) : -EBADMSG;
	}
	for (size_t i = 0; r == 0 && i < json_object_array_length(list); i++)
		r = tell_file(l, json_object_array_get_idx(list, i));
	if (r < 0)
		return r;
	if (l->n)
		qsort(l->files, l->n, sizeof *l->files, compare_told);
	for (size_t i = 1; i < l->n; i++)
		if (strcmp(l->files[i].name, l->files[i - 1].name) == 0)
			return -EBADMSG;
	return 0;
}

int
told_parse(const char *text, size_t len, struct told_list *ret)
{
	struct told_list l = { NULL, NULL, 0, 0 };
	int r = parse(text, len, &l);

	if (r < 0)
		told_done(&l);
	else
		*ret = l;
	return r;
}

void
told_done(struct told_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->files[i].name);
	free(l->files);
	json_object_put(l->receipt);
	*l = (struct told_list){ NULL, NULL, 0, 0 };
}

struct told *
told_find(const struct told_list *l, const char *name)
{
	struct told key = { .name = (char *)(uintptr_t)name };

	return l->n ? bsearch(&key, l->files, l->n, sizeof key, compare_told) : NULL;
}
