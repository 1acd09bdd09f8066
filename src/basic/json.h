/* json.h - json-c, behind one strict scanner.
 *
 * json-c's own parser (0.16) lets NaN, raw control bytes and lone surrogates pass, rounds big integers and breaks some escapes
 * beyond the BMP, so it is not used: every text goes through json_scan(), which accepts exactly RFC 8259 in UTF-8 (RFC 3629: no surrogates, no overlong forms), with a
 * bound on depth. A lone surrogate escape (\ud800) is refused too: no UTF-8 text can hold it. Duplicate members are
 * accepted, the last one counts. */
#ifndef SPOOLGATE_JSON_H
#define SPOOLGATE_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	JSON_DEPTH_MAX = 32,	/* nesting of arrays and objects; json_parse's default */
	JSON_SCAN_DEPTH_LIMIT = 1024,	/* a larger depth_max counts as this one */
};

static inline void
put_json(json_object **o)
{
	json_object_put(*o);
	*o = NULL;
}

/* 0, or -EBADMSG: not RFC 8259 (ret_offset, where not NULL, tells where), -E2BIG: nested deeper than depth_max. */
int json_scan(const char *text, size_t len, unsigned depth_max, size_t *ret_offset);

/* Scans, then builds the tree; the caller owns *ret, which is NULL for the text null. NUL escapes (\u0000) in strings are kept:
 * use json_object_get_string_len. An integer beyond 64 bits becomes a double (one beyond a double's range, of any number, is
 * infinite); json_format writes either as it was written. Errors as json_scan, and -ENOMEM; -EBADMSG also for a NUL in a
 * member's name, which json-c would cut there, and beyond INT_MAX bytes. */
int json_parse(const char *text, size_t len, json_object **ret);

/* The raw text of the last member of this name of a top-level object that json_scan accepted: how a number was written,
 * which json-c forgets. name is compared after unescaping simple ASCII names (no escapes needed). -ENOENT: no such member,
 * or the top level is no object. *ret_value points into text. */
int json_member_text(const char *text, size_t len, const char *name, const char **ret_value, size_t *ret_len);

/* Members of an object. -ENOENT: not there; -EBADMSG: of another type, or out of range, or obj is no object. ret_ is left
 * alone on failure. */
int json_get_string(json_object *obj, const char *name, const char **ret);	/* owned by obj; -EBADMSG also with a NUL inside */
int json_dup_string(json_object *obj, const char *name, char **ret);
int json_get_int(json_object *obj, const char *name, int64_t *ret);
int json_get_uint(json_object *obj, const char *name, uint64_t *ret);
int json_get_bool(json_object *obj, const char *name, bool *ret);
int json_get_array(json_object *obj, const char *name, json_object **ret);	/* borrowed */
int json_get_object(json_object *obj, const char *name, json_object **ret);	/* borrowed */

/* Building: the first error sticks. jsonw_finish hands the object over or tells the error; jsonw_done frees. */
struct jsonw {
	json_object *obj;
	int err;
};
struct jsonw jsonw_new(void);
void jsonw_done(struct jsonw *w);
/* Adds val under key and owns it from here on, on failure too; NULL is a failed constructor. */
void jsonw_add(struct jsonw *w, const char *key, json_object *val);
void jsonw_string(struct jsonw *w, const char *key, const char *val);	/* val NULL: JSON null */
void jsonw_int(struct jsonw *w, const char *key, int64_t val);
void jsonw_bool(struct jsonw *w, const char *key, bool val);
void jsonw_null(struct jsonw *w, const char *key);
void jsonw_strings(struct jsonw *w, const char *key, char *const *list);	/* an array; list ends with NULL, or is NULL: [] */
int jsonw_finish(struct jsonw *w, json_object **ret);

/* The text as we store and send it: members in the order they were added, no blanks, "/" not escaped, UTF-8 as it is. The
 * caller frees; ret_len may be NULL. -EBADMSG: obj holds what JSON cannot (NaN, an infinity, a string that is not UTF-8), or
 * is nested deeper than JSON_SCAN_DEPTH_LIMIT; -ENOMEM. */
int json_format(json_object *obj, char **ret_text, size_t *ret_len);

struct strbuf;
/* Appends a JSON string literal. ascii: everything beyond ASCII as \uXXXX in lower-case hex (surrogate pairs beyond the
 * BMP), as Python's json.dumps writes it; otherwise UTF-8 as it is. text must be valid UTF-8: -EBADMSG sticks in s. */
void json_quote(struct strbuf *s, const char *text, size_t len, bool ascii);

/* Reads and parses a file of at most max bytes, as read_file_at. -EBADMSG: damaged. */
int json_load_at(int dir_fd, const char *name, size_t max, json_object **ret);

/* Appends text as UTF-8, whatever it is: each byte that belongs to no character becomes U+FFFD. */
void utf8_add(struct strbuf *s, const char *text, size_t len);
/* 1 if text is valid UTF-8 (RFC 3629), 0 if not. */
int utf8_valid(const char *text, size_t len);

#endif
