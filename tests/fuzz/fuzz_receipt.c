/* Whatever stands in a receipt: it is refused, or it tells files, each once, in order, that are found by their names. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/scoped.h"
#include "cli/told.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(told_done) struct told_list l = { NULL, NULL, 0, 0 };
	scoped(free_ptr) char *text = malloc(size + 1);
	int r;

	MUST(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	r = told_parse(text, size, &l);
	MUST(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT || r == -ENODATA);
	MUST((l.receipt != NULL) == (r == 0));
	for (size_t i = 0; i < l.n; i++) {
		const char *name = l.files[i].name;

		MUST(strcmp(name, "log") == 0 || strcmp(name, "stdout") == 0 || strncmp(name, "files/", 6) == 0);
		MUST(strlen(l.files[i].sha256) == 64);
		MUST(i == 0 || strcmp(l.files[i - 1].name, name) < 0);
		MUST(told_find(&l, name) == &l.files[i]);
	}
	MUST(told_find(&l, "receipt.json") == NULL);
	return 0;
}
