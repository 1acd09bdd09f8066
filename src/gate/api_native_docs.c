/* GET /openapi.json: the native API's description, which is built into the program. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/hash.h"
#include "basic/scoped.h"
#include "gate/api_native.h"
#include "gate/exchange.h"

/* OPENAPI_FILE comes from the makefile, which also makes this file depend on it. */
__asm__(".pushsection .rodata\n"
    "openapi_begin: .incbin \"" OPENAPI_FILE "\"\n"
    "openapi_end:\n"
    ".popsection\n");
extern const char openapi_begin[] __attribute__((visibility("hidden")));
extern const char openapi_end[] __attribute__((visibility("hidden")));

int
native_get_openapi(struct exchange *x)
{
	size_t len = (size_t)(openapi_end - openapi_begin);
	const char *known = request_header(&x->req, "HTTP_IF_NONE_MATCH");
	char hash[SHA256_HEX_SIZE], tag[SHA256_HEX_SIZE + 2];
	char *text = NULL;

	sha256_hex(openapi_begin, len, hash);
	(void)snprintf(tag, sizeof tag, "\"%s\"", hash);
	response_header(&x->res, "ETag", tag);
	if (known && strcmp(known, tag) == 0) {
		response_empty(&x->res, 304);
		return HANDLED;
	}
	text = malloc(len);
	if (text)
		memcpy(text, openapi_begin, len);
	response_body(&x->res, 200, "application/json", text, len);
	return HANDLED;
}
