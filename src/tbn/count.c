#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "tbn/parse.h"

/* A number is read digit by digit: it may be longer than any machine type, and 1e-400 must still round up to 1. */
struct decimal {
	const char *digits;	/* integer and fraction digits with at most one '.' among them */
	size_t len;
	int64_t point;	/* how many digits stand before the decimal point; may be negative or beyond the end */
	bool negative;
};

static const int64_t EXPONENT_MAX = 1000000000;

static int
scan_exponent(const char **p, int64_t *ret_exponent)
{
	bool negative = **p == '-';
	int64_t value = 0;

	if (**p == '-' || **p == '+')
		(*p)++;
	if (!isdigit((unsigned char)**p))
		return -EINVAL;
	for (; isdigit((unsigned char)**p); (*p)++)
		if (value < EXPONENT_MAX)
			value = value * 10 + (**p - '0');
	*ret_exponent = negative ? -value : value;
	return 0;
}

static int
scan_decimal(const char *p, struct decimal *ret_d)
{
	struct decimal d = { NULL, 0, 0, *p == '-' };
	int64_t exponent = 0;
	size_t count = 0;
	bool point = false;

	if (*p == '-' || *p == '+')
		p++;
	d.digits = p;
	for (; isdigit((unsigned char)*p) || (*p == '.' && !point); p++) {
		if (*p == '.')
			point = true;
		else
			count++;
		if (*p != '.' && !point)
			d.point++;
	}
	if (count == 0)
		return -EINVAL;
	d.len = (size_t)(p - d.digits);
	if (*p == 'e' || *p == 'E') {
		p++;
		if (scan_exponent(&p, &exponent) < 0)
			return -EINVAL;
	}
	if (*p != '\0')
		return -EINVAL;
	d.point += exponent;
	*ret_d = d;
	return 0;
}

/* The integer part, and whether anything but zeros follows it. */
static int64_t
integer_part(const struct decimal *d, bool *ret_fraction)
{
	int64_t value = 0, at = 0;
	bool fraction = false;

	for (size_t i = 0; i < d->len; i++) {
		int digit = d->digits[i] - '0';

		if (d->digits[i] == '.')
			continue;
		if (at++ >= d->point)
			fraction |= digit != 0;
		else if (value > (INT64_MAX - digit) / 10)
			value = INT64_MAX;
		else
			value = value * 10 + digit;
	}
	/* the zeros that a positive exponent appends */
	for (; at < d->point && value > 0 && value < INT64_MAX; at++)
		value = value > INT64_MAX / 10 ? INT64_MAX : value * 10;
	*ret_fraction = fraction;
	return value;
}

static const struct {
	const char *text;
	int64_t count;
} words[] = {
	{ "true", 1 }, { "True", 1 }, { "false", 0 }, { "False", 0 }, { "inf", INT64_MAX }, { "-inf", -INT64_MAX },
};

int
parse_count(const char *text, int64_t *ret_count)
{
	struct decimal d = { NULL, 0, 0, false };
	bool fraction = false;
	int64_t value;

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(text, words[i].text) == 0) {
			*ret_count = words[i].count;
			return 0;
		}
	if (scan_decimal(text, &d) < 0)
		return -EINVAL;
	value = integer_part(&d, &fraction);
	if (d.negative)
		value = -value;
	else if (fraction && value < INT64_MAX)
		value++;
	*ret_count = value;
	return 0;
}
