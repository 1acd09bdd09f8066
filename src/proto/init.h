/* init.h - what anybody may ask of spoolgate-init: whether it can be started, for instance in a jail. */
#ifndef SPOOLGATE_PROTO_INIT_H
#define SPOOLGATE_PROTO_INIT_H

#define INIT_PROGRAM_HELLO "--hello"	/* alone: prints INIT_HELLO and ends */
#define INIT_HELLO "hello\n"

#endif
