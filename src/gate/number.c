#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/scoped.h"
#include "gate/number.h"

enum { DIGITS_MAX = 17 };	/* enough for any double */

/* Adds one unit in the last place to a string of digits; false: it would carry out. */
static bool
digits_increment(char *digits)
{
	for (size_t i = strlen(digits); i-- > 0;) {
		if (digits[i] != '9') {
			digits[i]++;
			return true;
		}
		digits[i] = '0';
	}
	return false;
}

static bool
reads_back(const char *digits, int exponent, double value)
{
	char text[48];

	(void)snprintf(text, sizeof text, "%c.%se%d", digits[0], digits + 1, exponent);
	return strtod(text, NULL) == value;
}

/* The fewest digits d.ddd and the exponent that read back as value, which is finite and positive. Below a power of two the
 * doubles lie twice as dense, so there the nearest text of n digits may not read back while its upper neighbour does. */
static void
shortest_digits(double value, char ret_digits[DIGITS_MAX + 1], int *ret_exponent)
{
	for (int n = 1; n <= DIGITS_MAX; n++) {
		char text[48];
		char up[DIGITS_MAX + 1];
		char *e;
		int exponent;

		(void)snprintf(text, sizeof text, "%.*e", n - 1, value);
		e = strchr(text, 'e');
		if (!e)	/* cannot be: value is finite */
			break;
		exponent = (int)strtol(e + 1, NULL, 10);
		*e = '\0';
		if (n > 1)
			memmove(text + 1, text + 2, strlen(text + 2) + 1);
		memcpy(ret_digits, text, (size_t)n);
		ret_digits[n] = '\0';
		*ret_exponent = exponent;
		if (reads_back(ret_digits, exponent, value))
			return;
		memcpy(up, ret_digits, sizeof up);
		if (digits_increment(up) && reads_back(up, exponent, value)) {
			memcpy(ret_digits, up, sizeof up);
			return;
		}
	}
}

void
number_repr(double value, char ret_text[NUMBER_REPR_SIZE])
{
	char digits[DIGITS_MAX + 1] = "0";
	const char *sign = signbit(value) ? "-" : "";
	int exponent = 0;
	int n;

	if (isnan(value)) {
		(void)snprintf(ret_text, NUMBER_REPR_SIZE, "nan");
		return;
	}
	if (isinf(value)) {
		(void)snprintf(ret_text, NUMBER_REPR_SIZE, "%sinf", sign);
		return;
	}
	if (fpclassify(value) != FP_ZERO)
		shortest_digits(fabs(value), digits, &exponent);
	n = (int)strlen(digits);
	while (n > 1 && digits[n - 1] == '0')
		digits[--n] = '\0';
	if (exponent < -4 || exponent >= 16)
		(void)snprintf(ret_text, NUMBER_REPR_SIZE, "%s%c%s%se%c%02d", sign, digits[0], n > 1 ? "." : "", digits + 1,
		    exponent < 0 ? '-' : '+', abs(exponent));
	else if (exponent < 0)
		(void)snprintf(ret_text, NUMBER_REPR_SIZE, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
	else if (n <= exponent + 1)
		(void)snprintf(ret_text, NUMBER_REPR_SIZE, "%s%s%.*s.0", sign, digits, exponent + 1 - n, "0000000000000000");
	else
		(void)snprintf(ret_text, NUMBER_REPR_SIZE, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
}

int
number_from_json(const char *text, size_t len, char *ret_text, size_t size)
{
	scoped(free_ptr) char *copy = NULL;
	char repr[NUMBER_REPR_SIZE];
	bool whole = true;

	for (size_t i = 0; i < len; i++)
		if (text[i] == '.' || text[i] == 'e' || text[i] == 'E')
			whole = false;
	if (whole) {
		if (len == 2 && text[0] == '-' && text[1] == '0') {
			text++;
			len--;
		}
		if (len >= size)
			return -ERANGE;
		memcpy(ret_text, text, len);
		ret_text[len] = '\0';
		return (int)len;
	}
	copy = strndup(text, len);
	if (!copy)
		return -ENOMEM;
	number_repr(strtod(copy, NULL), repr);
	if (strlen(repr) >= size)
		return -ERANGE;
	memcpy(ret_text, repr, strlen(repr) + 1);
	return (int)strlen(repr);
}
