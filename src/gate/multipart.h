/* multipart.h - bodies of multipart/form-data (RFC 7578, RFC 2046 section 5.1), part by part, in bounded memory. */
#ifndef SPOOLGATE_GATE_MULTIPART_H
#define SPOOLGATE_GATE_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
	MULTIPART_BOUNDARY_MAX = 70,	/* RFC 2046 */
	MULTIPART_HEADERS_MAX = 8192,	/* of one part, together */
	MULTIPART_NAME_MAX = 255,	/* bytes of a name */
};

/* Where the body comes from: up to len bytes into buf; 0: its end; or a negative errno, which is passed on. */
typedef ssize_t multipart_source(void *ctx, char *buf, size_t len);

struct multipart;
/* From a Content-Type. -EINVAL: not multipart/form-data, or without a valid boundary; -ENOMEM. */
int multipart_new(const char *content_type, multipart_source *source, void *ctx, struct multipart **ret);
struct multipart *multipart_free(struct multipart *m);	/* accepts NULL, always returns NULL */
static inline void free_multipart(struct multipart **m) { *m = multipart_free(*m); }

struct part {
	char name[MULTIPART_NAME_MAX + 1];	/* of the form's field; any UTF-8 without control bytes */
	bool has_file_name;
};
/* Goes on to the next part, whatever is left of this one: 1: *ret is filled in; 0: that was the last. -EBADMSG: malformed, or cut
 * off; -E2BIG: its headers are too long; -EINVAL: it has no name, or one that is too long, no UTF-8, or with control bytes. */
int multipart_next(struct multipart *m, struct part *ret);
/* Reads from the part: up to len bytes; 0: its end. -EBADMSG: the body ends within it. */
ssize_t multipart_read(struct multipart *m, char *buf, size_t len);

#endif
