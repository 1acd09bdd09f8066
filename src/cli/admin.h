/* admin.h - asking the helper over its admin socket. */
#ifndef SPOOLGATE_CLI_ADMIN_H
#define SPOOLGATE_CLI_ADMIN_H

#include <json-c/json.h>

struct client;

/* The helper that the configuration names (NULL: the installed one). What is wrong is told on standard error. */
int admin_connect(const char *config_path, struct client **ret);
/* One request, {"op": ...}. A negative errno where it was refused or nobody is there, which is told on standard error in the name of the
 * command. */
int admin_ask(const char *command, const char *config_path, json_object *request, json_object **ret_answer);

#endif
