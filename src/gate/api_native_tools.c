/* GET /tools, GET /tools/{}: what can be run here, as the helper describes it. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "gate/api_native.h"
#include "gate/exchange.h"
#include "gate/problem.h"
#include "proto/client.h"

/* Adds to the list the tools that the caller may use, or the one of this name. 0, 1: the answer is set, or a negative errno. */
static int
collect(struct exchange *x, const struct caller *c, const char *wanted, json_object *list)
{
	scoped(put_json) json_object *page = NULL;
	const char *after = "";	/* points into the page */
	bool more = true;

	while (more) {
		json_object *next = NULL;
		int r = client_tools(x->helper, after, &next, &more);

		if (r < 0) {
			r = native_refusal(x, r);
			return r < 0 ? r : 1;
		}
		json_object_put(page);
		page = next;
		after = "";
		for (size_t i = 0; i < json_object_array_length(page); i++) {
			json_object *tool = json_object_array_get_idx(page, i);

			if (json_get_string(tool, "name", &after) < 0)
				return -EPROTO;
			if (caller_may_use(c, after) && (!wanted || strcmp(after, wanted) == 0) &&
			    json_object_array_add(list, json_object_get(tool)) < 0) {
				json_object_put(tool);
				return -ENOMEM;
			}
		}
		more = more && *after;
	}
	return 0;
}

int
native_get_tools(struct exchange *x)
{
	scoped(caller_done) struct caller c = { .owner = "" };
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *list = json_object_new_array();
	json_object *obj = NULL;
	int r = auth_require(x, SCOPE_ANY, &c);

	if (r == 0)
		r = list ? collect(x, &c, NULL, list) : -ENOMEM;
	if (r != 0)
		return r < 0 ? r : HANDLED;
	jsonw_add(&w, "tools", take_ptr(list));
	r = jsonw_finish(&w, &obj);
	return r < 0 ? r : native_answer(x, 200, obj);
}

int
native_get_tool(struct exchange *x)
{
	scoped(caller_done) struct caller c = { .owner = "" };
	scoped(put_json) json_object *list = json_object_new_array();
	int r = auth_require(x, SCOPE_ANY, &c);

	if (r == 0)
		r = list ? collect(x, &c, x->args[0], list) : -ENOMEM;
	if (r != 0)
		return r < 0 ? r : HANDLED;
	if (json_object_array_length(list) == 0)
		return native_problem(x, 404, PLACE_NONE, NULL, "There is no such tool.");
	return native_answer(x, 200, json_object_get(json_object_array_get_idx(list, 0)));
}
