/* bwrap.h - the arguments of bubblewrap. */
#ifndef SPOOLGATE_RUN_BWRAP_H
#define SPOOLGATE_RUN_BWRAP_H

#include "proto/plan.h"

struct strbuf;

#define BWRAP_INIT_PATH "/run/spoolgate-init"	/* of the init inside */
enum { BWRAP_ARGS_FD = 7, BWRAP_PASSWD_FD = 8, BWRAP_GROUP_FD = 9 };	/* after those of init_message.h */

/* What a jail shows of the system, besides /proc and /dev; each list ends with NULL. */
extern const char *const bwrap_folders[];	/* of programs and libraries */
extern const char *const bwrap_files[];	/* what programs look for under another name */
extern const char *const bwrap_network_files[];	/* for names and certificates, where the network is the host's */

/* Appends all options, each ended by a NUL, as --args takes them; so that neither the environment nor anything else of the plan
 * stands on a command line. work_path is work/ as the host sees it. -EINVAL: a folder or a link's target is not
 * absolute, has "..", or is /. */
int bwrap_options(const struct plan *plan, const char *work_path, struct strbuf *ret);
/* The passwd and the group file of the jail: root and the job's own uid and gid. */
void bwrap_passwd(struct strbuf *ret);
void bwrap_group(struct strbuf *ret);

#endif
