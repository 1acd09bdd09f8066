/* What json_scan accepts, json-c parses too, and into the same tree where it can; what we then print, we read again as the
 * same; a member's raw text is its value; what json_quote writes, we read again. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "fuzz.h"

static void
check_members(const char *text, size_t len, json_object *obj)
{
	json_object_object_foreach(obj, name, val) {
		const char *raw = NULL;
		size_t raw_len = 0;
		scoped(put_json) json_object *again = NULL;
		size_t i = 0;

		while (name[i] > 0)
			i++;
		if (name[i] != '\0')
			continue;	/* only ASCII names are promised */
		MUST(json_member_text(text, len, name, &raw, &raw_len) == 0);
		MUST(raw >= text && raw + raw_len <= text + len);
		MUST(json_parse(raw, raw_len, &again) == 0);
		MUST(json_object_equal(val, again));
	}
}

static void
check_quote(const char *text, size_t len, bool ascii)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(SIZE_MAX);
	scoped(put_json) json_object *obj = NULL;

	json_quote(&s, text, len, ascii);
	if (strbuf_err(&s) == -EBADMSG) {
		MUST(!utf8_valid(text, len));
		return;
	}
	MUST(strbuf_err(&s) == 0);
	MUST(json_parse(s.buf, s.len, &obj) == 0);
	MUST((size_t)json_object_get_string_len(obj) == len);
	MUST(len == 0 || memcmp(json_object_get_string(obj), text, len) == 0);
}

/* Nineteen digits in a row: json-c rounds what no longer fits. */
static bool
has_big_integer(const char *text, size_t len)
{
	size_t digits = 0;

	for (size_t i = 0; i < len && digits < 19; i++)
		digits = text[i] >= '0' && text[i] <= '9' ? digits + 1 : 0;
	return digits == 19;
}

static void
check_json_c(const char *text, size_t len, json_object *ours)
{
	json_tokener *tok = json_tokener_new_ex(JSON_DEPTH_MAX + 2);	/* it counts a scalar as a level */
	char *copy = strndup(text, len);	/* a number at the top ends at the NUL */
	json_object *theirs = NULL;

	MUST(tok && copy);
	theirs = json_tokener_parse_ex(tok, copy, (int)len + 1);
	MUST(json_tokener_get_error(tok) == json_tokener_success);
	if (!memmem(text, len, "\\u", 2) && !has_big_integer(text, len))
		MUST(json_object_equal(ours, theirs));
	json_object_put(theirs);
	json_tokener_free(tok);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	scoped(put_json) json_object *obj = NULL, *again = NULL;
	scoped(free_ptr) char *printed = NULL;
	size_t printed_len = 0, offset = SIZE_MAX;
	int r = json_scan(text, size, JSON_DEPTH_MAX, &offset);

	MUST(r == 0 || r == -EBADMSG || r == -E2BIG);
	MUST(r == 0 ? offset == SIZE_MAX : offset <= size);
	check_quote(text, size, true);
	check_quote(text, size, false);
	if (r < 0) {
		MUST(json_parse(text, size, &obj) == r);
		return 0;
	}
	MUST(utf8_valid(text, size));
	r = json_parse(text, size, &obj);
	if (r == -EBADMSG) {
		MUST(memmem(text, size, "\\u0000", 6) != NULL);	/* in a member's name */
		return 0;
	}
	MUST(r == 0);
	check_json_c(text, size, obj);
	if (json_object_is_type(obj, json_type_object))
		check_members(text, size, obj);
	MUST(json_format(obj, &printed, &printed_len) == 0);
	MUST(json_parse(printed, printed_len, &again) == 0);
	MUST(json_object_equal(obj, again));
	return 0;
}
