/* A program in pieces (their size is the first byte) has the name that it has whole, where it is UTF-8, and none otherwise; and what a
 * compiler says comes out as UTF-8 without control bytes, without the jail's paths. */
#include "config.h"

#include <string.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "fuzz.h"
#include "gate/api_stan.h"

enum { TEXT_MAX = 1024 * 1024 };

static int
name_of(const uint8_t *data, size_t size, size_t piece, char ret[SHA1_HEX_SIZE])
{
	scoped(stan_source_done) struct stan_source s;

	MUST(stan_source_begin(&s, "salt") == 0);
	for (size_t at = 0; at < size; at += piece)
		stan_source_add(&s, data + at, size - at < piece ? size - at : piece);
	return stan_source_finish(&s, ret);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(strbuf_done) struct strbuf clean = STRBUF_INIT(TEXT_MAX);
	char whole[SHA1_HEX_SIZE], pieces[SHA1_HEX_SIZE];
	size_t piece = size > 0 && data[0] > 0 ? data[0] : 1;
	int r;

	if (size < 2 || size > TEXT_MAX / 8)
		return 0;
	data++;
	size--;
	r = name_of(data, size, size, whole);
	MUST((r == 0) == (utf8_valid((const char *)data, size) == 1));
	MUST(name_of(data, size, piece, pieces) == r);
	MUST(r < 0 || strcmp(whole, pieces) == 0);

	stan_clean_text(&clean, (const char *)data, size);
	MUST(strbuf_err(&clean) == 0);
	MUST(utf8_valid(strbuf_str(&clean), clean.len) == 1);
	for (size_t i = 0; i < clean.len; i++)
		MUST((unsigned char)clean.buf[i] >= ' ' || clean.buf[i] == '\t' || clean.buf[i] == '\n');
	return 0;
}
