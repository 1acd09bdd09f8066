/* command.h - the subcommands of spoolgate(1). Each gets its own argument vector (argv[0] is its name) and returns the exit
 * status. */
#ifndef SPOOLGATE_COMMAND_H
#define SPOOLGATE_COMMAND_H

enum { EXIT_USAGE = 2 };

int command_doctor(int argc, char *argv[]);
int command_drain(int argc, char *argv[]);
int command_queue(int argc, char *argv[]);
int command_reload(int argc, char *argv[]);
int command_restart(int argc, char *argv[]);
int command_resume(int argc, char *argv[]);

#endif
