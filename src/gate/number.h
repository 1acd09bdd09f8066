/* number.h - numbers as other languages print them. */
#ifndef SPOOLGATE_GATE_NUMBER_H
#define SPOOLGATE_GATE_NUMBER_H

#include <stddef.h>

enum { NUMBER_REPR_SIZE = 40 };	/* what the compiler can prove to be enough, sanitized builds included */

/* A double as Python's repr() prints it: the fewest digits that read back the same, an exponent below 1e-4 and from 1e16 on,
 * ".0" where it is whole: 4.0, 1e+308, 2.5, inf, nan. */
void number_repr(double value, char ret_text[NUMBER_REPR_SIZE]);

/* A JSON number (as json_scan accepts it) as Python prints what json.loads makes of it: an integer digit for digit ("-0" is 0),
 * anything with a point or an exponent as repr() of the float. Returns the length; -ERANGE: the text is longer than size. */
int number_from_json(const char *text, size_t len, char *ret_text, size_t size);

#endif
