/* descendants.h - ending what a tool without a jail left behind. */
#ifndef SPOOLGATE_DESCENDANTS_H
#define SPOOLGATE_DESCENDANTS_H

/* SIGKILL to every child of this single-threaded process. The children of those become this process's own if it is a subreaper
 * (PR_SET_CHILD_SUBREAPER), so killing and reaping in turn until waitpid(2) says ECHILD ends them all, sessions and process
 * groups notwithstanding. A tool that forks faster than it is killed is not caught this way; that takes a jail. Returns how many
 * it found, or a negative errno. Nothing is allocated. */
int kill_children(void);
/* Both in turn, until there are none. */
void kill_and_reap_all(void);

#endif
