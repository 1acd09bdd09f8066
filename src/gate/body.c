#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "basic/scoped.h"
#include "gate/body.h"

enum { CHUNK = 16 * 1024 };

int
body_read(FCGX_Stream *in, int64_t declared, size_t max, char **ret_text, size_t *ret_len)
{
	scoped(free_ptr) char *text = NULL;
	size_t len = 0;
	size_t cap = 0;

	if (declared >= 0 && (uint64_t)declared > max)
		return -EFBIG;
	for (;;) {
		size_t want = declared >= 0 ? (size_t)declared : max;
		size_t ask = want - len + 1;	/* one byte more tells an end from an excess */
		int n;

		if (cap - len <= 1) {	/* the NUL needs a place */
			size_t grown = cap < CHUNK ? CHUNK : cap * 2;
			char *more;

			if (grown > want + 2)
				grown = want + 2;
			more = realloc(text, grown);
			if (!more)
				return -ENOMEM;
			text = more;
			cap = grown;
		}
		if (ask > cap - len - 1)
			ask = cap - len - 1;
		n = FCGX_GetStr(text + len, (int)ask, in);
		len += (size_t)n;
		if (len > want)
			return declared >= 0 ? -EPROTO : -EFBIG;
		if ((size_t)n < ask)
			break;
	}
	if (FCGX_GetError(in) != 0)
		return -EPIPE;
	if (declared >= 0 && len < (size_t)declared)
		return -EPROTO;
	text[len] = '\0';
	*ret_text = take_ptr(text);
	*ret_len = len;
	return 0;
}
