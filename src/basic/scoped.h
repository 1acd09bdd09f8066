/* scoped.h - the one ownership idiom: the scope frees, take_ptr and take_fd mark where ownership leaves.
 * A scoped variable is always initialised: pointers with NULL, descriptors with -EBADF. */
#ifndef SPOOLGATE_SCOPED_H
#define SPOOLGATE_SCOPED_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define scoped(fn) __attribute__((cleanup(fn)))

#define take_ptr(p) __extension__({ __typeof__(p) t_ = (p); (p) = NULL; t_; })
#define take_fd(fd) __extension__({ int t_ = (fd); (fd) = -EBADF; t_; })

/* scoped(close_fd) int fd = -EBADF; errno survives. */
static inline void
close_fd(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		(void)close(*fd);
		errno = saved;
	}
	*fd = -EBADF;
}

/* scoped(free_ptr) char *text = NULL; (any malloc'd pointer) */
static inline void
free_ptr(void *pp)
{
	free(*(void **)pp);
}

/* scoped(close_stream) FILE *file = NULL; for reading */
static inline void
close_stream(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

/* scoped(close_dir) DIR *dir = NULL; */
static inline void
close_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

#endif
