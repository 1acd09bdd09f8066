/* secret.h - values of parameters that a tool's file declares secret. They are in no record, journal or argument vector: from the
 * acceptance until the end of their job they are a file of 0600 in [helper] secrets, a folder of ours on a tmpfs. A restart of the helper
 * keeps them; a power cut or a reboot loses them, and the job then ends as lost. */
#ifndef SPOOLGATE_SECRET_H
#define SPOOLGATE_SECRET_H

#include "config/tool.h"
#include "helper/helper.h"

/* Faults of the configuration: tools want secrets, and there is no tmpfs for them. */
void secrets_check(const struct config *config, const struct tools *tools, struct faults *f);
/* Makes and opens the folder where a tool wants it: h->secrets_fd. -EPERM: it is another's or open to others; -EMEDIUMTYPE: on no tmpfs. */
int secrets_open(struct helper *h);
/* Removes those of jobs that are not live any more; at a start. */
void secrets_sweep(struct helper *h);

/* NAME=VALUE texts, NULL-terminated. In a thread. -ENOTSUP: there is no folder. */
int secrets_store(int secrets_fd, const char *id, char *const *values);
/* -ENOKEY: they are gone. The caller frees with argv_free. */
int secrets_load(int secrets_fd, const char *id, char ***ret);
void secrets_remove(int secrets_fd, const char *id);	/* of any job, also one that has none */

#endif
