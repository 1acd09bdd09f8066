/* A tool whose first instruction is to say what time it is: nanoseconds of CLOCK_BOOTTIME. Static, so that nothing is loaded. */
#include "config.h"

#include <stdio.h>
#include <time.h>

int
main(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return printf("%lld\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec) < 0;
}
