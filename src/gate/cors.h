/* cors.h - what browsers on other origins need (the fetch standard, "CORS protocol"). */
#ifndef SPOOLGATE_GATE_CORS_H
#define SPOOLGATE_GATE_CORS_H

struct exchange;

/* Any origin, without credentials: "Access-Control-Allow-Origin: *", or the request's origin echoed with "Vary: Origin". */
void cors_any_origin(struct exchange *x);
/* Answers a preflight: the methods where the request names one, the headers it asks for echoed. */
void cors_preflight(struct exchange *x, const char *methods);

#endif
