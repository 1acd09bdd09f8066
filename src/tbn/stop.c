#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tbn/stop.h"

static volatile sig_atomic_t requested;
static bool service_mode;
/* Lock-free on every machine this runs on, hence usable in the handler. */
static _Atomic int64_t state_count, state_k;
static _Atomic(const char *) state_live_temp;

static size_t
put_text(char *to, size_t at, const char *text)
{
	while (*text)
		to[at++] = *text++;
	return at;
}

static size_t
put_number(char *to, size_t at, int64_t value)
{
	char digits[20];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	while (n > 0)
		to[at++] = digits[--n];
	return at;
}

static void
on_signal(int signo)
{
	char text[192];	/* the fixed words and two numbers of at most 19 digits */
	const char *live_temp;
	size_t len = 0;

	(void)signo;
	if (!service_mode) {
		if (requested)
			_exit(EXIT_STOPPED);
		requested = 1;
		return;
	}
	live_temp = atomic_load(&state_live_temp);
	if (live_temp)
		(void)unlink(live_temp);
	len = put_text(text, len, "{\"message\":\"Early Termination at count [");
	len = put_number(text, len, atomic_load(&state_count));
	len = put_text(text, len, "] min polymers [");
	len = put_number(text, len, atomic_load(&state_k));
	len = put_text(text, len, "].\",\"status\":\"TBNException\"}\n");
	(void)!write(STDOUT_FILENO, text, len);
	_exit(EXIT_STOPPED);
}

int
stop_init(bool service)
{
	struct sigaction action;

	service_mode = service;
	memset(&action, 0, sizeof action);
	action.sa_handler = on_signal;
	action.sa_flags = SA_RESTART;
	(void)sigemptyset(&action.sa_mask);
	(void)sigaddset(&action.sa_mask, SIGTERM);
	(void)sigaddset(&action.sa_mask, SIGINT);
	if (sigaction(SIGTERM, &action, NULL) < 0 || sigaction(SIGINT, &action, NULL) < 0)
		return -errno;
	return 0;
}

void
stop_set_state(int64_t count, int64_t k, const char *live_temp)
{
	atomic_store(&state_count, count);
	atomic_store(&state_k, k);
	atomic_store(&state_live_temp, live_temp);
}

bool
stop_requested(void)
{
	return requested != 0;
}

void
stop_finish(void)
{
	sigset_t set;

	if (!service_mode) {
		(void)signal(SIGTERM, SIG_DFL);
		(void)signal(SIGINT, SIG_DFL);
		return;
	}
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}
