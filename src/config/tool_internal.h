/* tool_internal.h - what the parts of the tool file's reader share. */
#ifndef SPOOLGATE_TOOL_INTERNAL_H
#define SPOOLGATE_TOOL_INTERNAL_H

#include "basic/strbuf.h"
#include "config/tool.h"

enum { TOOL_LIST_MAX = 256, TOOL_TEXT_MAX = 4096, TOOL_SEEN_MAX = 1024 * 1024 };

struct loading {
	struct tool *tool;
	struct faults *faults;
	const char *path;
	struct strbuf seen;	/* section, a unit separator, key and a newline for each value so far */
	unsigned jail_line, after_line;
	unsigned command_lines[TOOL_LIST_MAX];	/* of each line of the command, where it stands */
};

/* Whether it may name a tool or a parameter: 1 to 64 of A-Z a-z 0-9 _ - , not beginning with "-". */
bool tool_name_valid(const char *name);
/* What ini_file_read calls; ctx is a struct loading. */
void tool_on_value(const char *section, const char *key, const char *value, unsigned line, bool first, void *ctx);
/* What can be judged when the whole file is read: faults are added, the program is found, defaults are filled in. -ENOMEM. */
int tool_check_whole(struct loading *l);

#endif
