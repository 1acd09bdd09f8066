#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "basic/clock.h"

/* 9999-12-31T23:59:59.999999Z: the last moment that RFC 3339 can write. */
#define LAST_USEC (253402300800ULL * USEC_PER_SEC - 1)

static pthread_once_t offset_once = PTHREAD_ONCE_INIT;
static _Atomic int64_t offset_usec;

static void
read_offset(void)
{
	const char *text = getenv("SPOOLGATE_CLOCK_OFFSET");
	char *end = NULL;
	long long sec = 0;

	if (!text || !*text)
		return;
	errno = 0;
	sec = strtoll(text, &end, 10);
	if (errno == 0 && *end == '\0' && sec < INT64_MAX / (int64_t)USEC_PER_SEC &&
	    sec > INT64_MIN / (int64_t)USEC_PER_SEC)
		atomic_fetch_add(&offset_usec, sec * (int64_t)USEC_PER_SEC);
}

static uint64_t
read_clock(clockid_t id)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(id, &ts);	/* cannot fail: the ids are Linux's own and the pointer is ours */
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
clock_wall(void)
{
	uint64_t now = read_clock(CLOCK_REALTIME);
	int64_t offset = 0;

	(void)pthread_once(&offset_once, read_offset);
	offset = atomic_load(&offset_usec);
	if (offset < 0 && 0 - (uint64_t)offset > now)
		return 0;
	return now + (uint64_t)offset;
}

uint64_t
clock_mono(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

void
clock_shift(int64_t usec)
{
	(void)pthread_once(&offset_once, read_offset);
	atomic_fetch_add(&offset_usec, usec);
}

void
clock_format(uint64_t wall_usec, char ret_text[CLOCK_TEXT_SIZE])
{
	struct tm tm = { 0 };
	time_t sec = 0;
	size_t n = 0;

	if (wall_usec > LAST_USEC)
		wall_usec = LAST_USEC;
	sec = (time_t)(wall_usec / USEC_PER_SEC);
	(void)gmtime_r(&sec, &tm);
	n = strftime(ret_text, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(ret_text + n, CLOCK_TEXT_SIZE - n, ".%06uZ", (unsigned)(wall_usec % USEC_PER_SEC));
}

/* n digits as a number; -1: there are fewer. */
static int
digits(const char *text, int n)
{
	int number = 0;

	for (int i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		number = number * 10 + (text[i] - '0');
	}
	return number;
}

/* "Z", "+01:00" and the like, as seconds east. */
static int
offset_parse(const char *text, int *ret_sec)
{
	int hours, minutes;

	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0) {
		*ret_sec = 0;
		return 0;
	}
	if ((*text != '+' && *text != '-') || (hours = digits(text + 1, 2)) < 0 || hours > 23 || text[3] != ':' ||
	    (minutes = digits(text + 4, 2)) < 0 || minutes > 59 || text[6] != '\0')
		return -EINVAL;
	*ret_sec = (hours * 60 + minutes) * (*text == '-' ? -60 : 60);
	return 0;
}

int
clock_parse(const char *text, uint64_t *ret_wall_usec)
{
	struct tm tm = { .tm_year = digits(text, 4) };
	struct tm again;
	uint64_t fraction = 0;
	int offset = 0;
	time_t sec;

	if (tm.tm_year < 0 || text[4] != '-' || (tm.tm_mon = digits(text + 5, 2)) < 1 || text[7] != '-' ||
	    (tm.tm_mday = digits(text + 8, 2)) < 1 || (text[10] != 'T' && text[10] != 't' && text[10] != ' ') ||
	    (tm.tm_hour = digits(text + 11, 2)) < 0 || text[13] != ':' || (tm.tm_min = digits(text + 14, 2)) < 0 ||
	    text[16] != ':' || (tm.tm_sec = digits(text + 17, 2)) < 0)
		return -EINVAL;
	text += 19;
	if (*text == '.') {
		uint64_t unit = USEC_PER_SEC / 10;

		if (digits(++text, 1) < 0)
			return -EINVAL;
		for (; *text >= '0' && *text <= '9'; text++, unit /= 10)
			fraction += (uint64_t)(*text - '0') * unit;
	}
	if (offset_parse(text, &offset) < 0)
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	again = tm;
	sec = timegm(&again);	/* puts a 30th of February into March */
	if (again.tm_mon != tm.tm_mon || again.tm_mday != tm.tm_mday || again.tm_hour != tm.tm_hour || again.tm_min != tm.tm_min ||
	    again.tm_sec != tm.tm_sec)
		return -EINVAL;
	*ret_wall_usec = sec < offset ? 0 : (uint64_t)(sec - offset) * USEC_PER_SEC + fraction;
	return 0;
}
