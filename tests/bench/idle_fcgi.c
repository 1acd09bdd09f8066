/* The do-nothing FastCGI program that the gate is measured against: as many threads as the gate's worker, one fixed answer. */
#include "config.h"

#include <fcgiapp.h>
#include <pthread.h>
#include <stdlib.h>

static void *
serve(void *arg)
{
	FCGX_Request request;

	(void)arg;
	if (FCGX_InitRequest(&request, 0, 0) != 0)
		return NULL;
	while (FCGX_Accept_r(&request) == 0) {
		(void)FCGX_PutS("Status: 200 OK\r\nContent-Type: application/json\r\n\r\n"
		    "{\"count\":1,\"k\":1,\"status\":\"Progress\"}\n", request.out);
		FCGX_Finish_r(&request);
	}
	return NULL;
}

int
main(int argc, char *argv[])
{
	int threads = argc > 1 ? atoi(argv[1]) : 4;
	pthread_t thread;

	if (FCGX_Init() != 0)
		return EXIT_FAILURE;
	for (int i = 1; i < threads; i++)
		if (pthread_create(&thread, NULL, serve, NULL) != 0)
			return EXIT_FAILURE;
	(void)serve(NULL);
	return EXIT_SUCCESS;
}
