/* when.c - moments as people write them; show.h has the manual. */
#include "config.h"

#include <errno.h>
#include <time.h>

#include "basic/clock.h"
#include "cli/show.h"
#include "config/config.h"

/* A local date, or date and time. */
static int
parse_local(const char *text, uint64_t *ret_wall_usec)
{
	static const char *const formats[] = { "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S" };

	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *end = strptime(text, formats[i], &tm);
		int day = tm.tm_mday;
		time_t sec;

		if (!end || *end != '\0')
			continue;
		sec = mktime(&tm);
		if (sec < 0 || tm.tm_mday != day)	/* the 30th of February would be one of March */
			return -EINVAL;
		*ret_wall_usec = (uint64_t)sec * USEC_PER_SEC;
		return 0;
	}
	return -EINVAL;
}

int
when_parse(const char *text, uint64_t now_usec, uint64_t *ret_wall_usec)
{
	uint64_t age;

	if (clock_parse(text, ret_wall_usec) == 0)
		return 0;
	if (time_parse(text, &age) < 0)
		return parse_local(text, ret_wall_usec);
	*ret_wall_usec = age > now_usec ? 0 : now_usec - age;
	return 0;
}
