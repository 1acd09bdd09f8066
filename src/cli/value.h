/* value.h - a parameter's value, from the text of the command line to JSON, as the tool's own description types it. */
#ifndef SPOOLGATE_VALUE_H
#define SPOOLGATE_VALUE_H

#include <json-c/json.h>
#include <stddef.h>

struct strbuf;

/* The description of a parameter or an input in a Tool of the API, borrowed; NULL: the tool has none of this name. */
json_object *tool_parameter(json_object *tool, const char *name);
json_object *tool_input(json_object *tool, const char *name);
/* Appends the names of a list of a Tool ("parameters", "inputs"), with ", " between; "none" where it is empty. */
void tool_names(struct strbuf *s, json_object *tool, const char *list);

/* Types len bytes of text. Ranges are the server's to check. -EINVAL: why says what it has to be; -ENOMEM. The caller owns *ret. */
int value_parse(json_object *parameter, const char *text, size_t len, struct strbuf *why, json_object **ret);

#endif
