/* stop.h - SIGTERM and SIGINT.
 * A person's first Ctrl-C ends the search and shows what was found; the second one ends the process. In service mode the
 * answer of a stopped run is known beforehand and somebody is waiting for it, perhaps with a SIGKILL in hand half a second
 * later, while the process may be deep in the solver, in an allocation or in a read. So there the handler itself writes the
 * answer, from memory prepared before, and exits; it uses nothing but write(2), unlink(2) and _exit(2), which are
 * async-signal-safe. */
#ifndef SPOOLGATE_TBN_STOP_H
#define SPOOLGATE_TBN_STOP_H

#include <stdbool.h>
#include <stdint.h>

enum { EXIT_OK = 0, EXIT_INPUT = 1, EXIT_EXCEPTION = 2, EXIT_STOPPED = 3, EXIT_TIMEOUT = 4 };

/* Installs the handlers. 0 or a negative errno. */
int stop_init(bool service);
/* What the answer would have to say now; live_temp (NULL: none) is removed on the way out and must stay valid. */
void stop_set_state(int64_t count, int64_t k, const char *live_temp);
bool stop_requested(void);
/* From here on an answer is on its way to standard output. In service mode signals wait until it is complete, for half an
 * answer would be none; a person's Ctrl-C ends the printing. */
void stop_finish(void);

#endif
