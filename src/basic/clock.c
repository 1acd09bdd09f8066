#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
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
