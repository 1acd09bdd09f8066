/* stan.h - settings of the Stan compile service: section [stan] of spoolgate.conf, and the variables of the server that it replaces,
 * which win (contract stan, section 3): TINYSTAN or TINYSTAN_DIR, and SWS_PASSCODE, SWS_RESTART_TOKEN, SWS_JOB_DIR, SWS_BUILT_MODEL_DIR,
 * SWS_COMPILATION_TIMEOUT, SWS_LOG_LEVEL in any case. Besides, EMSDK, PATH, LANG, LC_*, EM_* and EMSDK_* of the environment are what
 * the compiler gets. The service is on when one of its own settings is given; then each fault is reported. */
#ifndef SPOOLGATE_STAN_H
#define SPOOLGATE_STAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "basic/hash.h"
#include "config/config.h"
#include "config/tool.h"

#define STAN_TOOL "stan"
/* What tells a client that the compiler does not work (yet); README.md has it too. */
#define STAN_PREPARE "TINYSTAN is prepared by its owner, by building one model in it: emmake make in that folder"

struct stan_settings {
	bool on;
	char *tinystan;	/* absolute */
	char *emsdk;	/* NULL: none */
	char *path;	/* PATH for the compiler */
	char *passcode;	/* never empty; NULL: there is a fault, or `whole` was asked for and its file is the gate's alone */
	char *restart_token;	/* NULL: /restart is off */
	char *job_dir, *cache;	/* absolute; NULL: inside the spool */
	uint64_t timeout_usec;
	int log_priority;	/* of syslog(3): the least important line that is written */
	char *salt;	/* of model ids; "" */
	char **origins;	/* NULL-terminated */
	char **variables;	/* NULL-terminated NAME=VALUE: of the compiler's environment besides PATH and TINYSTAN */
};

/* Reads both, and salt and secrets from their files. whole: also looks at TINYSTAN and for the compiler's programs, as the helper
 * must, for which the files of the secrets need not be readable.
 * -ENOMEM; else 0, also with faults; *ret is usable in any case. */
int stan_load(const struct config *config, bool whole, struct faults *f, struct stan_settings *ret);
void stan_done(struct stan_settings *s);

/* What the compiler is made of, by paths, sizes and times: another value means that it has to be tried again. */
int stan_fingerprint(const struct stan_settings *s, char ret_hex[SHA1_HEX_SIZE]);

/* Adds to the tool what it needs: environment, folders, time, places. A tool that is not there is a fault. -ENOMEM. */
int stan_fill_tool(const struct stan_settings *s, struct tools *tools, struct faults *f);

#endif
