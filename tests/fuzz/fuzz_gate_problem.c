/* The body of POST /task: whatever it is, the lines that it becomes are those that json-c's objects say. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "fuzz.h"
#include "gate/api_stableconfigs_problem.h"

/* [["a","b"],["c"]] the slow way; false: of another shape. */
static bool
lines_of(json_object *array, struct strbuf *s)
{
	if (!json_object_is_type(array, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		json_object *line = json_object_array_get_idx(array, i);

		if (!json_object_is_type(line, json_type_array))
			return false;
		for (size_t j = 0; j < json_object_array_length(line); j++) {
			json_object *token = json_object_array_get_idx(line, j);
			const char *text = NULL;
			size_t len = 0;

			if (!json_object_is_type(token, json_type_string))
				return false;
			text = json_object_get_string(token);
			len = (size_t)json_object_get_string_len(token);
			if (memchr(text, '\0', len))
				return false;
			if (j > 0)
				strbuf_addch(s, ' ');
			for (size_t k = 0; k < len; k++)
				strbuf_addch(s, text[k] == '\n' ? ' ' : text[k]);
		}
		strbuf_addch(s, '\n');
	}
	return true;
}

static void
check_lines(json_object *top, const char *name, const struct lines *lines)
{
	scoped(strbuf_done) struct strbuf expected = STRBUF_INIT(SIZE_MAX);

	MUST(lines_of(json_object_object_get(top, name), &expected));
	MUST(expected.len == lines->len);
	MUST(lines->len == 0 || memcmp(expected.buf, lines->text, lines->len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(free_ptr) char *text = malloc(size ? size : 1);
	scoped(put_json) json_object *top = NULL;
	struct problem p;
	const char *why = NULL;
	int r = 0;

	MUST(text);
	if (size)
		memcpy(text, data, size);
	r = problem_parse(text, size, &p, &why);
	if (r < 0) {
		MUST(r == -EINVAL && why && *why);
		return 0;
	}
	MUST(json_parse((const char *)data, size, &top) == 0);
	check_lines(top, "monomers", &p.monomers);
	if (json_object_object_get_ex(top, "constraints", NULL))
		check_lines(top, "constraints", &p.constraints);
	MUST(p.has_constraints == (p.constraints.len > 0));
	MUST(*p.gen && strlen(p.gen) < PROBLEM_NUMBER_SIZE && *p.init_k && strlen(p.init_k) < PROBLEM_NUMBER_SIZE);
	return 0;
}
