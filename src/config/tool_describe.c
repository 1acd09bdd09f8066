/* tool_describe.c - a tool as the native API shows it: what a submission may say, and what it may use. No path, no command. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <math.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "config/tool.h"

static void
add_text(struct jsonw *w, const char *key, const char *text)
{
	if (text && *text)
		jsonw_string(w, key, text);
}

static void
add_seconds(struct jsonw *w, const char *key, uint64_t usec)
{
	if (usec)
		jsonw_add(w, key, json_object_new_double((double)usec / (double)USEC_PER_SEC));
}

static void
add_count(struct jsonw *w, const char *key, uint64_t n)
{
	if (n)
		jsonw_add(w, key, json_object_new_uint64(n));
}

/* As an integer where it is one: a bound is read as a double from the file. */
static json_object *
number(double n)
{
	return n == floor(n) && fabs(n) < 1e15 ? json_object_new_int64((int64_t)n) : json_object_new_double(n);
}

static json_object *
preset(const struct parameter *p)
{
	json_object *value = NULL;

	if (p->type == PARAMETER_TEXT || p->type == PARAMETER_CHOICE)
		return json_object_new_string(p->preset);
	(void)json_parse(p->preset, strlen(p->preset), &value);	/* the loader has looked at it */
	return value;
}

static json_object *
describe_parameter(const struct parameter *p)
{
	static const char *const types[] = { [PARAMETER_TEXT] = "text", [PARAMETER_INTEGER] = "integer", [PARAMETER_NUMBER] = "number",
		[PARAMETER_BOOLEAN] = "boolean", [PARAMETER_CHOICE] = "choice" };
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *obj = NULL;

	jsonw_string(&w, "name", p->name);
	jsonw_string(&w, "type", types[p->type]);
	if (p->secret)
		jsonw_bool(&w, "secret", true);
	jsonw_bool(&w, "required", p->required);
	if (p->has_min)
		jsonw_add(&w, "minimum", number(p->min));
	if (p->has_max)
		jsonw_add(&w, "maximum", number(p->max));
	if (p->choices)
		jsonw_strings(&w, "choices", p->choices);
	if (p->preset)
		jsonw_add(&w, "default", preset(p));
	add_text(&w, "description", p->description);
	return jsonw_finish(&w, &obj) < 0 ? NULL : obj;
}

static json_object *
describe_input(const struct input *in)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *obj = NULL;

	jsonw_string(&w, "name", in->name);
	jsonw_bool(&w, "required", in->required);
	jsonw_add(&w, "max_bytes", json_object_new_uint64(in->max_bytes));
	add_text(&w, "description", in->description);
	return jsonw_finish(&w, &obj) < 0 ? NULL : obj;
}

static json_object *
describe_limits(const struct limits *m)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *obj = NULL;

	add_seconds(&w, "wall_seconds", m->wall_usec);
	add_seconds(&w, "cpu_seconds", m->cpu_usec);
	add_count(&w, "memory_bytes", m->memory_bytes);
	add_count(&w, "processes", m->processes);
	add_count(&w, "output_bytes", m->output_bytes);
	add_count(&w, "output_files", m->output_files);
	add_count(&w, "log_bytes", m->log_bytes);
	add_count(&w, "stdout_bytes", m->stdout_bytes);
	return jsonw_finish(&w, &obj) < 0 ? NULL : obj;
}

static json_object *
describe_output(const struct output *out)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *obj = NULL;

	jsonw_string(&w, "name", out->name);
	add_text(&w, "description", out->description);
	return jsonw_finish(&w, &obj) < 0 ? NULL : obj;
}

json_object *
tool_describe(const struct tool *t)
{
	scoped(jsonw_done) struct jsonw w = jsonw_new();
	json_object *params = json_object_new_array();
	json_object *inputs = json_object_new_array();
	json_object *outputs = json_object_new_array();
	json_object *obj = NULL;
	bool ok = params && inputs && outputs;

	for (size_t i = 0; ok && i < t->n_parameters; i++) {
		json_object *one = describe_parameter(&t->parameters[i]);

		ok = one && json_object_array_add(params, one) == 0;
	}
	for (size_t i = 0; ok && i < t->n_inputs; i++) {
		json_object *one = describe_input(&t->inputs[i]);

		ok = one && json_object_array_add(inputs, one) == 0;
	}
	for (size_t i = 0; ok && i < t->n_outputs; i++) {
		json_object *one = describe_output(&t->outputs[i]);

		ok = one && json_object_array_add(outputs, one) == 0;
	}
	jsonw_string(&w, "name", t->name);
	add_text(&w, "title", t->title);
	add_text(&w, "description", t->description);
	add_text(&w, "version", t->version);
	jsonw_add(&w, "parameters", params);
	jsonw_add(&w, "inputs", inputs);
	jsonw_add(&w, "outputs", outputs);
	jsonw_string(&w, "stdout", t->stdout_apart ? "apart" : "log");
	jsonw_bool(&w, "live", t->live != NULL);
	jsonw_add(&w, "limits", describe_limits(&t->limits));
	add_seconds(&w, "keep_seconds", t->keep_usec);
	add_seconds(&w, "keep_files_seconds", t->files_usec);
	return ok && jsonw_finish(&w, &obj) == 0 ? obj : NULL;
}
