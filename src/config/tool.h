/* tool.h - tool files: what a command-line program needs to be run as a job. One INI file a tool in the folder of
 * [helper] tools, named <tool>.tool; spoolgate-tool(5).
 *
 *	[tool]
 *	title =				; for people, as description and version are
 *	command =			; one argument a line; {name} stands for a parameter's value or an input's name, {job} for
 *		spoolgate-tbn		; the working folder. A line that names a parameter or an input that was not given is left out.
 *		--gen={gen}
 *		{problem.txt}		; a program without a slash is looked for in the libexec folder, then in /usr/bin
 *	environment =			; NAME=VALUE a line; the whole environment besides PATH, HOME, LANG
 *	folders =			; read-only in the jail, each at its own path, a line each
 *	link =				; NAME /absolute/path a line: a symbolic link in the working folder; its target is read-only
 *	network = no			; yes: the host's network
 *	stdout = apart			; or: log (the default)
 *	live = progress.json		; a file that the tool replaces by rename while it works
 *	trust = untrusted		; or: trusted, for programs that may run where no jail can be built
 *	jail = bwrap			; or: none, for a trusted tool that starts containers itself
 *	after =				; with jail = none: a command, one argument a line, run at every end with {id} until it ends with 0
 *	limits = approximate		; or: strict, not where no cgroup keeps memory and processes exactly
 *	twice = yes			; it may run twice (after a crash of the host or a supervisor)
 *	serial = no			; yes: one of its jobs runs at a time
 *	cache-key = no			; yes: jobs that are equal in arguments, environment and inputs, and in flight together, are one run
 *	durable = yes			; no: its jobs lie in memory, nothing is flushed, and they are forgotten soon after their end
 *	kill-grace = 500ms
 *	service = stan			; its jobs come in through this service alone, and /v1 does not show it
 *	publish =			; files, one a line, that a run which passed leaves in a folder of the cache, with their siblings NAME.gz and
 *					; NAME.br; nothing else of it is kept: run/publish.h
 *	keep = 7d			; how long a finished job is kept; 0: for ever
 *	keep-files = 1d			; how long its files are kept, where that is less
 *	[parameter gen]
 *	type = text			; text, integer, number, boolean or choice
 *	description =			; for people; an input may have one too
 *	default =			; what counts where it is not given
 *	environment = GEN		; the tool finds the value in this variable
 *	true = --verbose		; what {name} is for a boolean; without it the line is left out; false likewise
 *	choices =			; of a choice, one a line
 *	max = 400			; bytes of a text; greatest value; min likewise
 *	secret = no			; yes: it is kept in memory alone and found in the environment alone
 *	required = no
 *	[input problem.txt]
 *	max = 4M
 *	required = yes
 *	[limits]
 *	wall = 90s			; cpu, memory, address-space, processes, file, open-files, log, stdout, output, output-files
 *
 * A key of what this version does not serve (volumes) is known, and a fault that says so: a tool file never promises what does not happen.
 */
#ifndef SPOOLGATE_TOOL_H
#define SPOOLGATE_TOOL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "spool/job.h"

enum parameter_type { PARAMETER_TEXT, PARAMETER_INTEGER, PARAMETER_NUMBER, PARAMETER_BOOLEAN, PARAMETER_CHOICE };

struct parameter {
	char *name;
	char *description;	/* NULL: none; likewise below */
	enum parameter_type type;
	bool required;
	char *preset;	/* `default`: what counts where it is not given, as a submission would write it; NULL: nothing */
	char *on, *off;	/* what a boolean is in an argument (`true`, `false`); NULL: its line is left out */
	char **choices;	/* of a choice; NULL-terminated */
	char *variable;	/* of the environment, which has the value; NULL: none */
	bool secret;	/* it is in no record, no journal and no argument vector */
	struct { unsigned section, preset, words, choices, range, variable, secret; } lines;	/* of the file, for faults; 0: not said */
	bool has_min, has_max;
	double min, max;	/* of the value; of a text its length in bytes (max 4096 unless said) */
};

struct input {
	char *name;
	char *description;
	bool required;
	uint64_t max_bytes;
};

/* A file that a run leaves, for people: what is kept does not depend on it. */
struct output {
	char *name;	/* below the working folder; may have * and ? */
	char *description;	/* NULL: none */
};

struct tool {
	char *name;
	char sha256[SHA256_HEX_SIZE];	/* of the file's bytes */
	char *title, *description, *version;	/* for people; NULL: none */
	char **command;	/* NULL-terminated; command[0] is the program's absolute path */
	char **environment;	/* NULL-terminated, complete */
	char **folders;	/* NULL-terminated */
	char **after;	/* NULL-terminated: the command for every end of a tool without a jail, {id} in it the job's; NULL: none */
	char **links;	/* NULL-terminated, "NAME /absolute/path" each; NULL: none */
	bool network;
	bool stdout_apart;
	char *live;	/* NULL: none */
	bool trusted;	/* it may run without a jail where none can be built */
	bool no_jail;	/* it runs without one everywhere */
	bool strict;	/* not with approximate limits */
	bool twice;
	bool serial;	/* one of its jobs runs at a time */
	bool transient;	/* durable = no */
	bool cache_key;	/* equal work is done once */
	char *service;	/* its jobs come from this service alone; NULL: from any */
	char **publish;	/* NULL-terminated names of files; NULL: it keeps its outputs with the job */
	char *cache, *scratch;	/* with publish: absolute paths of the folders where entries and work/ lie; tools_place */
	uint64_t kill_grace_usec;
	uint64_t keep_usec;
	uint64_t files_usec;	/* its files go so long after its end; 0: with the job */
	struct limits limits;
	struct parameter *parameters;
	size_t n_parameters;
	struct input *inputs;
	size_t n_inputs;
	struct output *outputs;
	size_t n_outputs;
};

#define TOOL_AFTER_ID "{id}"

struct tool *tool_free(struct tool *t);
static inline void free_tool(struct tool **t) { *t = tool_free(*t); }
/* Reads one tool file; name is the file's without ".tool". Faults are collected; *ret is set where there is none. */
int tool_load(int dir_fd, const char *file_name, const char *shown_path, struct faults *f, struct tool **ret);

struct tools;	/* all tools of a folder, by name */
int tools_load(const char *path, struct faults *f, struct tools **ret);
struct tools *tools_free(struct tools *t);
static inline void free_tools(struct tools **t) { *t = tools_free(*t); }
const struct tool *tools_find(const struct tools *t, const char *name);	/* NULL: unknown */
/* The tool whose name is the first after this one in alphabetical order; "" : the very first. NULL: there is none. */
const struct tool *tools_after(const struct tools *t, const char *name);
/* What anybody may know of a tool, for the native API: names, types and bounds of its parameters and inputs, its limits. NULL: no
 * memory. */
json_object *tool_describe(const struct tool *t);
size_t tools_count(const struct tools *t);
bool tools_have_transient(const struct tools *t);	/* one says durable = no */
/* Where tools that publish have their folders unless somebody said so: <spool>/cache/<tool> and <spool>/scratch/<tool>. -ENOMEM. */
int tools_place(struct tools *t, const char *spool_path);
/* For who adds to a tool what only the configuration knows. NULL: unknown. */
struct tool *tools_get(const struct tools *t, const char *name);
/* Adds a copy to a list that NULL ends. -E2BIG: it has 256 items; -ENOMEM. */
int tool_list_add(char ***list, const char *text);
uint64_t tools_shortest_keep(const struct tools *t);	/* 0: none of them forgets by age */

/* Checks parameters (name -> string or number; NULL: none) and which inputs were given, and builds the argument vector (NULL-
 * terminated, the caller frees with argv_free). -EINVAL: an unknown, missing or superfluous name, a wrong type, a value out of
 * range, a text with NUL or control bytes; ret_refusal (where not NULL) tells which and why. */
struct tool_refusal {
	char member[160];	/* a JSON pointer: "/parameters/gen", "/inputs/problem.txt"; "": none is at fault */
	char why[256];	/* a sentence for people */
};
/* One value against what the tool file says of its parameter. */
int tool_check_value(const struct parameter *p, json_object *value, struct tool_refusal *ret_refusal);
int tool_build_argv(const struct tool *t, json_object *params, const char *const *input_names, size_t n_inputs,
    char ***ret_argv, struct tool_refusal *ret_refusal);
/* What parameters, those that are secret or those that are not, add to the environment, NAME=VALUE each, of parameters that tool_build_argv has accepted; *ret is
 * NULL-terminated, the caller frees with argv_free. -EFBIG: one is too long; -ENOMEM. */
int tool_build_env(const struct tool *t, json_object *params, bool secret, char ***ret);
void argv_free(char **argv);
static inline void free_argv(char ***argv) { argv_free(*argv); *argv = NULL; }
const struct input *tool_find_input(const struct tool *t, const char *name);

#endif
