#include "config.h"

#include <string.h>

#include "basic/durable.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "spool/expiry_mark.h"

#define FILE_NAME "expiry.json"

int
expiry_mark_load(const struct spool *s, struct expiry_mark *ret)
{
	scoped(put_json) json_object *obj = NULL;
	struct expiry_mark mark = { 0 };
	const char *boot;
	int64_t version;
	int r = json_load_at(s->root_fd, FILE_NAME, SMALL_RECORD_MAX, &obj);

	if (r < 0)
		return r;
	if (json_get_int(obj, "v", &version) < 0 || version != RECORD_VERSION ||
	    json_get_uint(obj, "wall_usec", &mark.wall_usec) < 0 || json_get_uint(obj, "mono_usec", &mark.mono_usec) < 0 ||
	    json_get_string(obj, "boot", &boot) < 0 || strlen(boot) >= sizeof mark.boot)
		return -EBADMSG;
	memcpy(mark.boot, boot, strlen(boot) + 1);
	*ret = mark;
	return 0;
}

int
expiry_mark_store(const struct spool *s, const struct expiry_mark *mark)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *obj = NULL;
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	int r;

	jsonw_int(&w, "v", RECORD_VERSION);
	jsonw_int(&w, "wall_usec", (int64_t)mark->wall_usec);
	jsonw_int(&w, "mono_usec", (int64_t)mark->mono_usec);
	jsonw_string(&w, "boot", mark->boot);
	r = jsonw_finish(&w, &obj);
	if (r == 0)
		r = json_format(obj, &text, &len);
	return r < 0 ? r : replace_file_at(s->root_fd, FILE_NAME, text, len, 0600, (gid_t)-1);
}
