/* fuzz.h - what a fuzz target defines. It ends the process (abort, assert, a sanitizer) where it finds a mistake of ours.
 * --enable-fuzzing links it with libFuzzer, an ordinary build with replay.c. */
#ifndef SPOOLGATE_FUZZ_H
#define SPOOLGATE_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert(), whatever NDEBUG says. */
#define MUST(condition) \
	do { \
		if (!(condition)) { \
			(void)fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

#endif
