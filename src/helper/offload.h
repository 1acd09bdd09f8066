/* offload.h - threads for what may wait for a disk, so that the loop never does.
 * A task is a struct with a struct task in it. work runs in a thread of the pool and touches nothing but its own struct and
 * what never changes (the spool's descriptors); done then runs in the loop, in the order in which the works ended. */
#ifndef SPOOLGATE_OFFLOAD_H
#define SPOOLGATE_OFFLOAD_H

#include <stddef.h>
#include <systemd/sd-event.h>

struct task {
	void (*work)(struct task *task);
	void (*done)(struct task *task);	/* owns the task from here on */
	struct task *next;
};

#define task_owner(task_, type_, member_) ((type_ *)(void *)((char *)(task_) - offsetof(type_, member_)))

struct offload;
int offload_new(sd_event *event, unsigned threads, struct offload **ret);
/* Lets the works that have begun end, drops nothing: waiting tasks are still done, but their done is not called any more.
 * Accepts NULL, returns NULL. */
struct offload *offload_free(struct offload *o);
void offload_run(struct offload *o, struct task *task);
/* Tasks handed in whose done has not run yet. */
size_t offload_pending(const struct offload *o);

#endif
