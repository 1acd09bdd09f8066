/* A multipart body of boundary "b", given in pieces whose size is the first byte: it is refused, or its parts say what the same
 * body says when it comes in one piece. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/hash.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "fuzz.h"
#include "gate/multipart.h"

struct body {
	const uint8_t *data;
	size_t left, piece;
};

static ssize_t
source(void *ctx, char *buf, size_t len)
{
	struct body *b = ctx;

	MUST(len > 0);
	if (len > b->piece)
		len = b->piece;
	if (len > b->left)
		len = b->left;
	if (len)
		memcpy(buf, b->data, len);
	b->data += len;
	b->left -= len;
	return (ssize_t)len;
}

/* What the body comes to, and a checksum over names and data. */
static int
walk(const uint8_t *data, size_t size, size_t piece, size_t take, uint32_t *ret_sum)
{
	struct body body = { data, size, piece };
	scoped(free_multipart) struct multipart *m = NULL;
	struct part part;
	uint32_t sum = 0;
	char buf[300];
	int r;

	MUST(multipart_new("multipart/form-data; boundary=b", source, &body, &m) == 0);
	while ((r = multipart_next(m, &part)) > 0) {
		ssize_t n;

		MUST(*part.name && strlen(part.name) <= MULTIPART_NAME_MAX && utf8_valid(part.name, strlen(part.name)));
		sum = crc32c(sum, part.name, strlen(part.name) + 1);
		while ((n = multipart_read(m, buf, take)) > 0) {
			MUST((size_t)n <= take);
			sum = crc32c(sum, buf, (size_t)n);
		}
		if (n < 0)
			return (int)n;
		MUST(multipart_read(m, buf, take) == 0);
	}
	*ret_sum = sum;
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t one = 0, other = 0;
	int r;

	if (size == 0)
		return 0;
	r = walk(data + 1, size - 1, SIZE_MAX, 300, &one);
	MUST(r == 0 || r == -EBADMSG || r == -E2BIG || r == -EINVAL);
	/* Where several things are wrong it depends on the pieces which is met first, but not whether one is. */
	MUST((walk(data + 1, size - 1, (size_t)data[0] + 1, 1 + data[0] % 7U, &other) == 0) == (r == 0));
	MUST(r < 0 || one == other);
	return 0;
}
