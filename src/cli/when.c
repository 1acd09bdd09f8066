/* when.c - moments as people and RFC 3339 write them; show.h has the manual. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "basic/clock.h"
#include "cli/show.h"
#include "config/config.h"

#define LAST_SECOND 253402300799	/* 9999-12-31T23:59:59Z: RFC 3339 can write none that is later */

/* Exactly n decimal digits, which *p is moved over. */
static bool
read_digits(const char **p, size_t n, int *ret)
{
	int value = 0;

	for (size_t i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		value = value * 10 + (**p - '0');
	}
	*ret = value;
	return true;
}

static bool
read_char(const char **p, const char *any)
{
	if (**p == '\0' || !strchr(any, **p))
		return false;
	(*p)++;
	return true;
}

/* "2026-11-26", a day that there is. */
static bool
read_day(const char **p, struct tm *tm)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year, month, day;
	bool leap;

	if (!read_digits(p, 4, &year) || !read_char(p, "-") || !read_digits(p, 2, &month) || !read_char(p, "-") ||
	    !read_digits(p, 2, &day) || month < 1 || month > 12 || day < 1)
		return false;
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (day > days[month - 1] + (month == 2 && leap))
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	tm->tm_mday = day;
	return true;
}

/* "16:50", and ":00" where it follows; a leap second counts as the one before. */
static bool
read_time(const char **p, struct tm *tm, bool *ret_seconds)
{
	if (!read_digits(p, 2, &tm->tm_hour) || !read_char(p, ":") || !read_digits(p, 2, &tm->tm_min) || tm->tm_hour > 23 ||
	    tm->tm_min > 59)
		return false;
	*ret_seconds = read_char(p, ":");
	if (*ret_seconds && (!read_digits(p, 2, &tm->tm_sec) || tm->tm_sec > 60))
		return false;
	if (tm->tm_sec == 60)
		tm->tm_sec = 59;
	return true;
}

/* ".123456", beyond microseconds cut. */
static bool
read_fraction(const char **p, uint64_t *ret_usec)
{
	uint64_t unit = USEC_PER_SEC;
	int digit;

	*ret_usec = 0;
	if (!read_char(p, "."))
		return true;
	if (**p < '0' || **p > '9')
		return false;
	while (read_digits(p, 1, &digit)) {
		unit /= 10;
		*ret_usec += unit * (uint64_t)digit;
	}
	return true;
}

static int
from_seconds(time_t sec, uint64_t usec, uint64_t *ret)
{
	if (sec < 0 || sec > LAST_SECOND)
		return -EINVAL;
	*ret = (uint64_t)sec * USEC_PER_SEC + usec;
	return 0;
}

int
when_parse(const char *text, uint64_t *ret_wall_usec)
{
	struct tm tm = { 0 };
	const char *p = text;
	bool seconds, west;
	int hours = 0, minutes = 0;
	uint64_t usec;
	time_t sec;

	if (!read_day(&p, &tm) || !read_char(&p, "Tt ") || !read_time(&p, &tm, &seconds) || !seconds || !read_fraction(&p, &usec))
		return -EINVAL;
	west = *p == '-';
	if (!read_char(&p, "Zz") && !(read_char(&p, "+-") && read_digits(&p, 2, &hours) && read_char(&p, ":") &&
	    read_digits(&p, 2, &minutes) && hours < 24 && minutes < 60))
		return -EINVAL;
	if (*p != '\0')
		return -EINVAL;
	sec = timegm(&tm) - (west ? -1 : 1) * (hours * 3600 + minutes * 60);
	return from_seconds(sec, usec, ret_wall_usec);
}

int
when_parse_option(const char *text, uint64_t now_usec, uint64_t *ret_wall_usec)
{
	struct tm tm = { .tm_isdst = -1 };
	const char *p = text;
	uint64_t age;
	bool seconds;

	if (when_parse(text, ret_wall_usec) == 0)
		return 0;
	if (time_parse(text, &age) == 0) {
		*ret_wall_usec = age > now_usec ? 0 : now_usec - age;
		return 0;
	}
	if (!read_day(&p, &tm))
		return -EINVAL;
	if (*p != '\0' && (!read_char(&p, "Tt ") || !read_time(&p, &tm, &seconds) || *p != '\0'))
		return -EINVAL;
	return from_seconds(mktime(&tm), 0, ret_wall_usec);
}
