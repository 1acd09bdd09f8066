/* What a server sends and a user types: text is shown harmless and within its columns, a name that is taken stays in its folder, a
 * value becomes JSON that can be written. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "cli/save.h"
#include "cli/show.h"
#include "cli/value.h"
#include "fuzz.h"

static void
check_shown(const char *text, size_t len)
{
	scoped(strbuf_done) struct strbuf all = STRBUF_INIT(16 << 20), cut = STRBUF_INIT(16 << 20), again = STRBUF_INIT(64 << 20);

	show_text(&all, text, len);
	MUST(strbuf_err(&all) == 0 && utf8_valid(strbuf_str(&all), all.len));
	for (size_t i = 0; i < all.len; i++)
		MUST((unsigned char)all.buf[i] >= 0x20 && all.buf[i] != 0x7f);
	show_text(&again, strbuf_str(&all), all.len);
	MUST(strcmp(strbuf_str(&again), strbuf_str(&all)) == 0);
	show_cut(&cut, text, 20);
	MUST(cut.len <= 20 * 4);
}

static void
check_name(const char *text)
{
	if (save_name_fault(text))
		return;
	MUST(text[0] != '/' && text[0] != '\0' && strcmp(text, "..") != 0 && strncmp(text, "../", 3) != 0 && !strstr(text, "/../") &&
	    !strstr(text, "//"));
	MUST(strlen(text) < 3 || strcmp(text + strlen(text) - 3, "/..") != 0);
}

static void
check_value(const char *text, size_t len)
{
	static const char *const types[] = { "integer", "number", "boolean", "choice", "text" };

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		scoped(put_json) json_object *parameter = json_object_new_object(), *value = NULL;
		scoped(strbuf_done) struct strbuf why = STRBUF_INIT(4096);
		scoped(free_ptr) char *out = NULL;
		int r;

		MUST(parameter && json_object_object_add(parameter, "type", json_object_new_string(types[i])) == 0);
		r = value_parse(parameter, text, len, &why, &value);
		MUST(r == 0 || (r == -EINVAL && why.len > 0));
		MUST(r < 0 || json_format(value, &out, NULL) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(free_ptr) char *text = malloc(size + 1);
	uint64_t usec;

	MUST(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	check_shown(text, size);
	check_name(text);
	(void)when_parse(text, 0, &usec);
	check_value(text, size);
	return 0;
}
