/* GET /tools, GET /tools/{}: what can be run here, as the helper describes it. */
#include "config.h"

#include <string.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "gate/api_native.h"
#include "gate/exchange.h"
#include "gate/problem.h"
#include "proto/client.h"

static const char *
tool_name(json_object *tool)
{
	const char *name = "";

	(void)json_get_string(tool, "name", &name);
	return name;
}

int
native_get_tools(struct exchange *x)
{
	scoped(caller_done) struct caller c = { .owner = "" };
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	scoped(put_json) json_object *all = json_object_new_array();
	scoped(put_json) json_object *page = NULL;
	json_object *obj = NULL;
	const char *after = "";
	bool more = true;
	int r = auth_require(x, SCOPE_ANY, &c);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	while (more && all) {
		json_object *next = NULL;

		r = client_tools(x->helper, after, &next, &more);
		if (r < 0)
			return native_refusal(x, r);
		json_object_put(page);
		page = next;
		for (size_t i = 0; i < json_object_array_length(page); i++) {
			json_object *tool = json_object_array_get_idx(page, i);

			after = tool_name(tool);
			if (caller_may_use(&c, after) && json_object_array_add(all, json_object_get(tool)) < 0)
				return -ENOMEM;
		}
		more = more && *after;
	}
	jsonw_add(&w, "tools", take_ptr(all));
	r = jsonw_finish(&w, &obj);
	return r < 0 ? r : native_answer(x, 200, obj);
}

int
native_get_tool(struct exchange *x)
{
	scoped(caller_done) struct caller c = { .owner = "" };
	scoped(put_json) json_object *page = NULL;
	const char *after = "";
	bool more = true;
	int r = auth_require(x, SCOPE_ANY, &c);

	if (r != 0)
		return r < 0 ? r : HANDLED;
	while (more && caller_may_use(&c, x->args[0])) {
		json_object *next = NULL;

		r = client_tools(x->helper, after, &next, &more);
		if (r < 0)
			return native_refusal(x, r);
		json_object_put(page);
		page = next;
		for (size_t i = 0; i < json_object_array_length(page); i++) {
			json_object *tool = json_object_array_get_idx(page, i);

			after = tool_name(tool);
			if (strcmp(after, x->args[0]) == 0)
				return native_answer(x, 200, json_object_get(tool));
		}
		more = more && *after;
	}
	return native_problem(x, 404, PLACE_NONE, NULL, "There is no such tool.");
}
