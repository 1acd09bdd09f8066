/* problem.h - errors of the native API: problem documents (RFC 9457), which name the member at fault.
 *
 *	{"type":"about:blank","title":"Unprocessable Content","status":422,"detail":"...","request_id":"...",
 *	 "errors":[{"pointer":"/parameters/gen","detail":"..."}]}
 *
 * `errors` is there where a place is at fault: a member of the body (`pointer`, RFC 6901), a query parameter (`parameter`), a part
 * of a multipart body (`part`), or a request header (`header`). */
#ifndef SPOOLGATE_GATE_PROBLEM_H
#define SPOOLGATE_GATE_PROBLEM_H

struct exchange;

enum problem_place { PLACE_NONE, PLACE_POINTER, PLACE_PARAMETER, PLACE_PART, PLACE_HEADER };

/* Sets the answer; headers that were set before stay. name is the place's; bytes that are no UTF-8 in it or in the text become
 * U+FFFD. Returns HANDLED. */
int native_problem(struct exchange *x, int status, enum problem_place place, const char *name, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The same with Retry-After in seconds (0: none). */
int native_problem_retry(struct exchange *x, int status, unsigned retry_sec, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Answers a failure of a call to the helper in x->helper: a refusal by its errno, with the member at fault where the helper names
 * one. HANDLED, or the errno where it is our own fault. */
int native_refusal(struct exchange *x, int err);

#endif
