/* jail.h - whether bubblewrap can build a jail on this host, which an administrator may have forbidden (user namespaces). */
#ifndef SPOOLGATE_HELPER_JAIL_H
#define SPOOLGATE_HELPER_JAIL_H

#include "helper/helper.h"

/* Builds one and looks. Sets or clears h->jail_blocked and logs a change. At the start, before the loop. */
void jail_look(struct helper *h);
/* The same in a thread; at most once a second. After a reload, and after a job was refused. */
void jail_look_again(struct helper *h);
/* What an administrator can do where user namespaces are blocked. */
#define JAIL_HINT "sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000, and " \
	"kernel.apparmor_restrict_unprivileged_userns=0 where there is AppArmor"

#endif
