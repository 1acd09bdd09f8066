#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "basic/json.h"
#include "basic/strbuf.h"
#include "cli/value.h"

/* The member of this name of a Tool's list. */
static json_object *
find(json_object *tool, const char *list, const char *name)
{
	json_object *array = NULL;
	const char *other;

	if (json_get_array(tool, list, &array) < 0)
		return NULL;
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		json_object *one = json_object_array_get_idx(array, i);

		if (json_get_string(one, "name", &other) == 0 && strcmp(other, name) == 0)
			return one;
	}
	return NULL;
}

json_object *
tool_parameter(json_object *tool, const char *name)
{
	return find(tool, "parameters", name);
}

json_object *
tool_input(json_object *tool, const char *name)
{
	return find(tool, "inputs", name);
}

void
tool_names(struct strbuf *s, json_object *tool, const char *list)
{
	json_object *array = NULL;
	const char *name;
	size_t before = s->len;

	if (json_get_array(tool, list, &array) == 0)
		for (size_t i = 0; i < json_object_array_length(array); i++)
			if (json_get_string(json_object_array_get_idx(array, i), "name", &name) == 0)
				strbuf_addf(s, "%s%s", s->len > before ? ", " : "", name);
	if (s->len == before)
		strbuf_addstr(s, "none");
}

static int
parse_integer(const char *text, struct strbuf *why, json_object **ret)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (*end != '\0' || end == text || strchr(" \t\n\v\f\r", text[0])) {
		strbuf_addstr(why, "it has to be an integer");
		return -EINVAL;
	}
	if (errno == ERANGE) {
		strbuf_addstr(why, "it is beyond 64 bits");
		return -EINVAL;
	}
	*ret = json_object_new_int64(value);
	return *ret ? 0 : -ENOMEM;
}

/* What is a number in JSON goes as it was written; what only C knows as one (".5", "+1", "5.") by its value. */
static int
parse_number(const char *text, size_t len, struct strbuf *why, json_object **ret)
{
	char *end;
	double value;

	if (len > 0 && strspn(text, "0123456789+-.eE") == len) {
		value = strtod(text, &end);
		if (*end == '\0' && isfinite(value)) {
			if (json_parse(text, len, ret) == 0)
				return 0;
			*ret = json_object_new_double(value);
			return *ret ? 0 : -ENOMEM;
		}
	}
	strbuf_addstr(why, "it has to be a number");
	return -EINVAL;
}

static int
parse_boolean(const char *text, struct strbuf *why, json_object **ret)
{
	static const struct { const char *word; bool value; } words[] = {
		{ "true", true }, { "yes", true }, { "on", true }, { "1", true },
		{ "false", false }, { "no", false }, { "off", false }, { "0", false },
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcasecmp(words[i].word, text) != 0)
			continue;
		*ret = json_object_new_boolean(words[i].value);
		return *ret ? 0 : -ENOMEM;
	}
	strbuf_addstr(why, "it has to be true or false");
	return -EINVAL;
}

/* One of "choices", which has what it says. */
static int
parse_choice(json_object *parameter, const char *text, struct strbuf *why, json_object **ret)
{
	json_object *choices = NULL;
	bool found = false;

	if (json_get_array(parameter, "choices", &choices) < 0)
		found = true;	/* the server will know */
	strbuf_addstr(why, "it has to be one of:");
	for (size_t i = 0; choices && i < json_object_array_length(choices); i++) {
		const char *one = json_object_get_string(json_object_array_get_idx(choices, i));

		strbuf_addf(why, " %s", one ? one : "null");
		found = found || (one && strcmp(one, text) == 0);
	}
	if (!found)
		return -EINVAL;
	*ret = json_object_new_string(text);
	return *ret ? 0 : -ENOMEM;
}

int
value_parse(json_object *parameter, const char *text, size_t len, struct strbuf *why, json_object **ret)
{
	const char *type = "text";

	(void)json_get_string(parameter, "type", &type);
	if (memchr(text, '\0', len) || utf8_valid(text, len) == 0) {
		strbuf_addstr(why, "it has to be UTF-8 text without NUL bytes");
		return -EINVAL;
	}
	if (strcmp(type, "integer") == 0)
		return parse_integer(text, why, ret);
	if (strcmp(type, "number") == 0)
		return parse_number(text, len, why, ret);
	if (strcmp(type, "boolean") == 0)
		return parse_boolean(text, why, ret);
	if (strcmp(type, "choice") == 0)
		return parse_choice(parameter, text, why, ret);
	*ret = json_object_new_string_len(text, (int)len);
	return *ret ? 0 : -ENOMEM;
}
