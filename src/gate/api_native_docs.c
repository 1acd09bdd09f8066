/* GET /openapi.json and GET /docs: the native API's description for programs and for people, both built into the program. */
#include "config.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/hash.h"
#include "basic/scoped.h"
#include "gate/api_native.h"
#include "gate/exchange.h"

/* The makefile says where the files are, and makes this one depend on them. */
__asm__(".pushsection .rodata\n"
    "openapi_begin: .incbin \"" OPENAPI_FILE "\"\n"
    "openapi_end:\n"
    "docs_begin: .incbin \"" DOCS_FILE "\"\n"
    "docs_end:\n"
    ".popsection\n");
extern const char openapi_begin[] __attribute__((visibility("hidden")));
extern const char openapi_end[] __attribute__((visibility("hidden")));
extern const char docs_begin[] __attribute__((visibility("hidden")));
extern const char docs_end[] __attribute__((visibility("hidden")));

static int
answer_document(struct exchange *x, const char *content_type, const char *begin, const char *end)
{
	size_t len = (size_t)(end - begin);
	const char *known = request_header(&x->req, "HTTP_IF_NONE_MATCH");
	char hash[SHA256_HEX_SIZE], tag[SHA256_HEX_SIZE + 2];
	char *text = NULL;

	sha256_hex(begin, len, hash);
	(void)snprintf(tag, sizeof tag, "\"%s\"", hash);
	response_header(&x->res, "ETag", tag);
	if (known && strcmp(known, tag) == 0) {
		response_empty(&x->res, 304);
		return HANDLED;
	}
	text = malloc(len);
	if (text)
		memcpy(text, begin, len);
	response_body(&x->res, 200, content_type, text, len);
	return HANDLED;
}

int
native_get_openapi(struct exchange *x)
{
	return answer_document(x, "application/json", openapi_begin, openapi_end);
}

/* The page may run its own script and no other, and talk to this server alone (Content Security Policy, level 3). */
static int
add_policy(struct response *res)
{
	static const char open_tag[] = "<script>", close_tag[] = "</script>";
	const char *script = memmem(docs_begin, (size_t)(docs_end - docs_begin), open_tag, sizeof open_tag - 1);
	const char *end = NULL;
	unsigned char hash[SHA256_DIGEST_LENGTH];
	unsigned char text[4 * ((SHA256_DIGEST_LENGTH + 2) / 3) + 1];

	if (script) {
		script += sizeof open_tag - 1;
		end = memmem(script, (size_t)(docs_end - script), close_tag, sizeof close_tag - 1);
	}
	if (!end)
		return -EBADMSG;
	(void)SHA256((const unsigned char *)script, (size_t)(end - script), hash);
	(void)EVP_EncodeBlock(text, hash, sizeof hash);
	response_headerf(res, "Content-Security-Policy", "default-src 'none'; script-src 'sha256-%s'; style-src 'unsafe-inline'; "
	    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", (const char *)text);
	return 0;
}

int
native_get_docs(struct exchange *x)
{
	int r = add_policy(&x->res);

	return r < 0 ? r : answer_document(x, "text/html; charset=utf-8", docs_begin, docs_end);
}
