#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/descendants.h"

/* "12 34 56 " read in pieces; a pid cut in two by the end of a piece is carried over. */
int
kill_children(void)
{
	char buf[512];
	int found = 0;
	long pid = 0;
	int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, buf, sizeof buf);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] >= '0' && buf[i] <= '9') {
				pid = pid * 10 + (buf[i] - '0');
				continue;
			}
			if (pid > 1) {
				(void)kill((pid_t)pid, SIGKILL);
				found++;
			}
			pid = 0;
		}
	}
	(void)close(fd);
	return found;
}

void
kill_and_reap_all(void)
{
	pid_t pid = 0;

	do {
		int status = 0;

		(void)kill_children();
		pid = waitpid(-1, &status, 0);
	} while (pid > 0 || errno == EINTR);
}
