/* check_internal.h - between the parts of the check: check.c walks the spool's folders, check_job.c looks at one job,
 * check_outputs.c at what a finished one has kept. */
#ifndef SPOOLGATE_CHECK_INTERNAL_H
#define SPOOLGATE_CHECK_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "basic/id.h"
#include "basic/proc.h"
#include "spool/check.h"
#include "spool/job.h"
#include "spool/layout.h"
#include "spool/record.h"

/* What the journal's records say of a job; only where no helper is at work. */
enum { NOTE_ACCEPT = 1, NOTE_FORGET = 2, NOTE_LARGE = 4 };	/* LARGE: inputs that lie outside the journal */

struct note {
	char id[ID_SIZE];
	unsigned flags;
};

struct check;

/* Something that was not as it should be while a helper was at work: looked at again. */
struct suspect {
	int (*look)(struct check *c, const struct suspect *s);
	char id[ID_SIZE];	/* "" where text says it all */
	char *text;	/* an owner, a name; NULL */
	uint64_t usec;
};

struct check {
	struct spool *s;
	bool running, repair;
	bool quiet;	/* findings only set suspicious */
	bool suspicious;
	char boot[BOOT_ID_SIZE];
	struct note *notes;	/* sorted by id */
	size_t n_notes, cap_notes;
	struct suspect *suspects;
	size_t n_suspects, cap_suspects;
	struct check_report rep;
	uint64_t broken_left;	/* not repaired */
	void (*say)(enum check_level level, const char *text, void *ctx);
	void *ctx;
};

/* A finding. repaired: 0 nothing was tried, 1 it was mended, a negative errno where that failed. */
void check_found(struct check *c, enum check_level level, int repaired, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static inline bool
check_may_repair(const struct check *c)
{
	return c->repair && !c->quiet;
}
unsigned check_note(const struct check *c, const char *id);

/* A job at its place. -ENOENT: it is gone. */
int check_job(struct check *c, const struct suspect *s);
/* Everything a job's folder in incoming/ must have when its record says that the large inputs lie there. */
int check_incoming_job(struct check *c, const char *id);
/* in/ holds exactly the inputs, of the right size and hash. */
int check_inputs(struct check *c, enum check_level level, int job_fd, const struct job *job);
/* work/, the manifest, the log of a finished job. */
int check_outputs(struct check *c, int job_fd, const char *id, const struct job_result *result);

#endif
