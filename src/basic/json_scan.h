/* json_scan.h - what json_scan.c and json_parse.c share; nobody else includes it. */
#ifndef SPOOLGATE_JSON_SCAN_H
#define SPOOLGATE_JSON_SCAN_H

#include <stddef.h>

/* The character of the escape at p, which begins with a backslash, and the escape's length (12 for a surrogate pair); -1:
 * none within left bytes. */
int json_read_escape(const unsigned char *p, size_t left, size_t *ret_len);

#endif
