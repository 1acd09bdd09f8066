/* ini_file.h - one INI file through libinih, with what Debian's build of it lacks: the line number of a value, and a fault
 * instead of a silent cut where a line is longer than its 200 bytes. */
#ifndef SPOOLGATE_INI_FILE_H
#define SPOOLGATE_INI_FILE_H

#include "config/config.h"

/* Calls f for each section, with key NULL, and for each value: of a list ("key =" and one indented line an item) once per item,
 * with the same key and first set only at the line with the key. A value is never NULL, a section "" before the first one. Every
 * fault of syntax is collected, with its line. Returns 0; -ENOMEM; or the negative errno of opening or reading the file, which is
 * a fault too. */
int ini_file_read(int dir_fd, const char *name, const char *shown_path, struct faults *faults,
    void (*f)(const char *section, const char *key, const char *value, unsigned line, bool first, void *ctx), void *ctx);

#endif
