/* spool_help.h - a spool in a folder of its own, and jobs to put into it. */
#ifndef SPOOLGATE_SPOOL_HELP_H
#define SPOOLGATE_SPOOL_HELP_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>

#include "spool/job.h"
#include "spool/layout.h"
#include "spool/redo.h"

struct fixture {
	char *path;	/* of the spool; its parent is removed at the end */
	char *parent;
	struct spool *s;
};

/* cmocka's setup and teardown; *state is the struct fixture. */
int spool_setup(void **state);
int spool_teardown(void **state);
/* Closes the spool and opens it again, as a new process would. */
void spool_again(struct fixture *f);

/* A job with id made of one digit repeated, or a random one for '\0', and these inputs (texts, NULL-terminated name, text, ...). */
struct job *help_job(char digit, const char *owner, const char *const *inputs);
/* The record that accepts it; text is the caller's to free after the record's last use. */
void help_accept_record(const struct job *job, const char *const *inputs, struct redo_record *ret, struct redo_blob *blobs,
    char **ret_text);
/* incoming_begin, _input, _finish, without publishing. */
void help_incoming(const struct fixture *f, struct job *job, const char *const *inputs);
/* The whole way, without the journal. */
void help_accept(const struct fixture *f, struct job *job, const char *const *inputs);

void help_write(int dir_fd, const char *name, const char *text);
char *help_read(int dir_fd, const char *name);	/* the caller frees; NULL: not there */
bool help_exists(int dir_fd, const char *name);
unsigned help_mode(int dir_fd, const char *name);

#endif
