/* text.h - pieces of the input: UTF-8, lines, and words as Python's str.split() separates them. */
#ifndef SPOOLGATE_TBN_TEXT_H
#define SPOOLGATE_TBN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of somebody else's memory; may hold NUL. */
struct slice {
	const char *p;
	size_t n;
};

bool slice_equal(struct slice a, struct slice b);
bool slice_is(struct slice a, const char *text);

/* Decodes the code point at p (p < end). Returns its length in bytes, or 0 where there is no valid one: overlong forms,
 * surrogates and values beyond U+10FFFF are none. */
size_t utf8_decode(const char *p, const char *end, uint32_t *ret_code);
/* 0, or the number (from 1) of the first line that is not UTF-8. */
size_t utf8_bad_line(struct slice text);

/* Takes the next line off text, without its newline; false at the end. A last line needs no newline. */
bool next_line(struct slice *text, struct slice *ret_line);
/* Takes the next word off line; false when only white space is left. line must be UTF-8. */
bool next_word(struct slice *line, struct slice *ret_word);

#endif
