/* tool_argv.c - from the values of a submission to an argument vector. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "config/tool.h"

enum { ARGUMENT_MAX = 16 * 1024 };

/* A JSON pointer (RFC 6901) to kind/name; of a name that is too long to be any, the parent alone. */
static void
point_to(char *ret, size_t size, const char *kind, const char *name)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(size - 1);

	strbuf_addf(&s, "/%s/", kind);
	for (const char *c = name; *c; c++) {
		if (*c == '~' || *c == '/')
			strbuf_addstr(&s, *c == '~' ? "~0" : "~1");
		else
			strbuf_addch(&s, *c);
	}
	if (strbuf_err(&s) < 0)
		(void)snprintf(ret, size, "/%s", kind);
	else
		(void)snprintf(ret, size, "%s", strbuf_str(&s));
}

/* Fills in a refusal: the member is a pointer to "<kind>/<name>", or none where name is NULL. */
static int
refuse(struct tool_refusal *ret, const char *kind, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int
refuse(struct tool_refusal *ret, const char *kind, const char *name, const char *format, ...)
{
	va_list ap;

	if (!ret)
		return -EINVAL;
	va_start(ap, format);
	(void)vsnprintf(ret->why, sizeof ret->why, format, ap);
	va_end(ap);
	ret->member[0] = '\0';
	if (name)
		point_to(ret->member, sizeof ret->member, kind, name);
	return -EINVAL;
}

void
argv_free(char **argv)
{
	for (char **a = argv; a && *a; a++)
		free(*a);
	free(argv);
}

const struct input *
tool_find_input(const struct tool *t, const char *name)
{
	for (size_t i = 0; i < t->n_inputs; i++)
		if (strcmp(t->inputs[i].name, name) == 0)
			return &t->inputs[i];
	return NULL;
}

static const struct parameter *
find_parameter(const struct tool *t, const char *name, size_t len)
{
	for (size_t i = 0; i < t->n_parameters; i++)
		if (strlen(t->parameters[i].name) == len && strncmp(t->parameters[i].name, name, len) == 0)
			return &t->parameters[i];
	return NULL;
}

static const char parameters[] = "parameters";
static const char inputs[] = "inputs";

static int
check_text(const struct parameter *p, json_object *value, struct tool_refusal *ret)
{
	const char *text;
	size_t len;

	if (!json_object_is_type(value, json_type_string))
		return refuse(ret, parameters, p->name, "%s must be a text", p->name);
	text = json_object_get_string(value);
	len = (size_t)json_object_get_string_len(value);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return refuse(ret, parameters, p->name, "%s has a control character", p->name);
	if ((p->has_min && (double)len < p->min) || (p->has_max && (double)len > p->max))
		return refuse(ret, parameters, p->name, "%s is too short or too long", p->name);
	return 0;
}

static int
check_number(const struct parameter *p, json_object *value, struct tool_refusal *ret)
{
	bool integer = json_object_is_type(value, json_type_int);
	double number;

	if (!integer && !json_object_is_type(value, json_type_double))
		return refuse(ret, parameters, p->name, "%s must be %s", p->name,
		    p->type == PARAMETER_INTEGER ? "an integer" : "a number");
	/* json_parse makes a double of an integer beyond 64 bits, which remembers how it was written. */
	if (!integer && p->type == PARAMETER_INTEGER)
		return refuse(ret, parameters, p->name, strpbrk(json_object_get_string(value), ".eE") ? "%s must be an integer" :
		    "%s is out of its range", p->name);
	number = json_object_get_double(value);
	if (!isfinite(number) || (p->has_min && number < p->min) || (p->has_max && number > p->max))
		return refuse(ret, parameters, p->name, "%s is out of its range", p->name);
	return 0;
}

static int
check_choice(const struct parameter *p, json_object *value, struct tool_refusal *ret)
{
	const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";

	for (char **c = p->choices; c && *c; c++)
		if (strcmp(*c, text) == 0 && strlen(text) == (size_t)json_object_get_string_len(value))
			return 0;
	return refuse(ret, parameters, p->name, "%s is none of its choices", p->name);
}

int
tool_check_value(const struct parameter *p, json_object *value, struct tool_refusal *ret)
{
	switch (p->type) {
	case PARAMETER_TEXT:
		return check_text(p, value, ret);
	case PARAMETER_INTEGER:
	case PARAMETER_NUMBER:
		return check_number(p, value, ret);
	case PARAMETER_BOOLEAN:
		return json_object_is_type(value, json_type_boolean) ? 0 :
		    refuse(ret, parameters, p->name, "%s must be true or false", p->name);
	case PARAMETER_CHOICE:
		return check_choice(p, value, ret);
	}
	return -EINVAL;
}

static int
check_parameters(const struct tool *t, json_object *params, struct tool_refusal *ret)
{
	int r = 0;

	if (params && !json_object_is_type(params, json_type_object))
		return refuse(ret, parameters, NULL, "the parameters must be an object");
	if (params) {
		json_object_object_foreach(params, name, value) {
			const struct parameter *p = find_parameter(t, name, strlen(name));

			if (!p)
				return refuse(ret, parameters, name, "there is no such parameter");
			r = tool_check_value(p, value, ret);
			if (r < 0)
				return r;
		}
	}
	for (size_t i = 0; i < t->n_parameters; i++)
		if (t->parameters[i].required && (!params || !json_object_object_get_ex(params, t->parameters[i].name, NULL)))
			return refuse(ret, parameters, t->parameters[i].name, "the parameter %s is missing", t->parameters[i].name);
	return 0;
}

static bool
is_given(const char *const *names, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(names[i]) == len && strncmp(names[i], name, len) == 0)
			return true;
	return false;
}

static int
check_inputs(const struct tool *t, const char *const *names, size_t n, struct tool_refusal *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (!tool_find_input(t, names[i]))
			return refuse(ret, inputs, names[i], "there is no such input");
		if (is_given(names, i, names[i], strlen(names[i])))
			return refuse(ret, inputs, names[i], "the input %.100s is given twice", names[i]);
	}
	for (size_t i = 0; i < t->n_inputs; i++)
		if (t->inputs[i].required && !is_given(names, n, t->inputs[i].name, strlen(t->inputs[i].name)))
			return refuse(ret, inputs, t->inputs[i].name, "the input %s is missing", t->inputs[i].name);
	return 0;
}

/* The text of a value, given or the default; 0: it has none, so the line is left out. */
static int
add_value(struct strbuf *s, const struct parameter *p, json_object *value)
{
	const char *text = p->preset;
	bool on;

	if (p->type == PARAMETER_BOOLEAN) {
		on = value ? json_object_get_boolean(value) != 0 : p->preset && strcmp(p->preset, "true") == 0;
		text = on ? p->on : p->off;
	} else if (value && p->type == PARAMETER_NUMBER && !json_object_is_type(value, json_type_int)) {
		strbuf_addf(s, "%.17g", json_object_get_double(value));
		return 1;
	} else if (value) {
		text = json_object_get_string(value);
	}
	if (!text)
		return 0;
	strbuf_addstr(s, text);
	return 1;
}

/* One line of the command; 0: left out, 1: *ret_arg. */
static int
build_argument(const struct tool *t, const char *item, json_object *params, const char *const *names, size_t n, char **ret_arg)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(ARGUMENT_MAX);
	const char *p = item;
	int r;

	while (*p) {
		const char *end = *p == '{' ? strchr(p, '}') : NULL;
		const struct parameter *parameter;
		json_object *value = NULL;
		size_t len;

		if (!end) {
			strbuf_addch(&s, *p++);
			continue;
		}
		len = (size_t)(end - p) - 1;
		parameter = find_parameter(t, p + 1, len);
		if (len == 3 && strncmp(p + 1, "job", 3) == 0) {
			/* Where a trusted tool runs without a jail there is no /job. It begins in the folder. */
			strbuf_addstr(&s, t->trusted ? "." : "/job");
		} else if (parameter) {
			if (params)
				(void)json_object_object_get_ex(params, parameter->name, &value);
			if (add_value(&s, parameter, value) == 0)
				return 0;
		} else {
			if (!is_given(names, n, p + 1, len))
				return 0;
			strbuf_add(&s, p + 1, len);
		}
		p = end + 1;
	}
	r = strbuf_take(&s, ret_arg, NULL);
	return r < 0 ? r : 1;
}

int
tool_build_env(const struct tool *t, json_object *params, bool secret, char ***ret)
{
	scoped(free_argv) char **env = calloc(t->n_parameters + 1, sizeof *env);
	size_t n = 0;

	if (!env)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_parameters; i++) {
		const struct parameter *p = &t->parameters[i];
		scoped(strbuf_done) struct strbuf s = STRBUF_INIT(ARGUMENT_MAX);
		json_object *value = NULL;
		int r;

		if (!p->variable || p->secret != secret)
			continue;
		if (params)
			(void)json_object_object_get_ex(params, p->name, &value);
		strbuf_addf(&s, "%s=", p->variable);
		if (add_value(&s, p, value) == 0)
			continue;
		r = strbuf_take(&s, &env[n], NULL);
		if (r < 0)
			return r;
		n++;
	}
	*ret = take_ptr(env);
	return 0;
}

int
tool_build_argv(const struct tool *t, json_object *params, const char *const *input_names, size_t n_inputs,
    char ***ret_argv, struct tool_refusal *ret_refusal)
{
	scoped(free_argv) char **argv = NULL;
	size_t n_items = 0, n = 0;
	int r;

	r = check_parameters(t, params, ret_refusal);
	if (r < 0)
		return r;
	r = check_inputs(t, input_names, n_inputs, ret_refusal);
	if (r < 0)
		return r;
	while (t->command[n_items])
		n_items++;
	argv = calloc(n_items + 1, sizeof *argv);
	if (!argv)
		return -ENOMEM;
	argv[n] = strdup(t->command[0]);
	if (!argv[n++])
		return -ENOMEM;
	for (size_t i = 1; i < n_items; i++) {
		r = build_argument(t, t->command[i], params, input_names, n_inputs, &argv[n]);
		if (r < 0)
			return r == -EFBIG ? refuse(ret_refusal, parameters, NULL, "an argument is too long") : r;
		if (r > 0)
			n++;
	}
	*ret_argv = take_ptr(argv);
	return 0;
}
