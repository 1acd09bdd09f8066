/* command.h - the subcommands of spoolgate(1). Each gets its own argument vector (argv[0] is its name) and returns the exit
 * status. */
#ifndef SPOOLGATE_COMMAND_H
#define SPOOLGATE_COMMAND_H

/* Besides EXIT_SUCCESS and EXIT_FAILURE; spoolgate(1) documents them. Administration uses 0, 1 and 2 alone. */
enum {
	EXIT_USAGE = 2,
	EXIT_NOT_PASSED = 3,	/* wait, submit --wait: a job ended otherwise than passed */
	EXIT_CONNECTION = 4,	/* nobody answers, the certificate is not trusted, or the connection was cut */
	EXIT_NOT_FOUND = 5,
	EXIT_REFUSED = 6,	/* the server says that the request is wrong */
	EXIT_UNAUTHORIZED = 7,
	EXIT_UNAVAILABLE = 8,	/* the server cannot now, or failed */
	EXIT_TIMEOUT = 9,	/* --timeout or --time-limit passed */
	EXIT_DAMAGED = 10,	/* what came is not what the server announced */
	EXIT_FAULTY = 78,	/* a tool file has faults; as the programs say of their configuration */
};

int command_delete(int argc, char *argv[]);
int command_doctor(int argc, char *argv[]);
int command_drain(int argc, char *argv[]);
int command_fetch(int argc, char *argv[]);
int command_get(int argc, char *argv[]);
int command_kill(int argc, char *argv[]);
int command_list(int argc, char *argv[]);
int command_log(int argc, char *argv[]);
int command_post(int argc, char *argv[]);
int command_prune(int argc, char *argv[]);
int command_top(int argc, char *argv[]);
int command_queue(int argc, char *argv[]);
int command_reload(int argc, char *argv[]);
int command_restart(int argc, char *argv[]);
int command_resume(int argc, char *argv[]);
int command_status(int argc, char *argv[]);
int command_submit(int argc, char *argv[]);
int command_token(int argc, char *argv[]);
int command_tool(int argc, char *argv[]);
int command_tools(int argc, char *argv[]);
int command_verify(int argc, char *argv[]);
int command_wait(int argc, char *argv[]);

#endif
