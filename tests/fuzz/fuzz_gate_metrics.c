/* Whatever a helper says of itself, what comes out has the form of metrics and labels of ours. */
#include "config.h"

#include <string.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "fuzz.h"
#include "gate/metrics_helper.h"

static const struct service one = { .name = "one" };
static const struct service two = { .name = "two" };
static const struct service *const both[] = { &one, &two };

enum { TEXT_MAX = 64 * 1024 };

static void
check_line(const char *line, size_t len)
{
	size_t digits = 0;

	MUST(len > 0);
	for (size_t i = 0; i < len; i++)
		MUST(line[i] >= ' ' && line[i] <= '~');
	if (line[0] == '#')
		return;
	MUST(len > 10 && memcmp(line, "spoolgate_", 10) == 0);
	while (digits < len && strchr("0123456789.", line[len - 1 - digits]))
		digits++;
	MUST(digits > 0 && digits < len && line[len - 1 - digits] == ' ');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(TEXT_MAX);
	scoped(put_json) json_object *stats = NULL;

	if (json_parse((const char *)data, size, &stats) < 0 || !stats)
		return 0;
	metrics_add_helper(&s, stats, both, 2);
	MUST(strbuf_err(&s) == 0);
	for (const char *p = strbuf_str(&s); *p;) {
		const char *end = strchr(p, '\n');

		MUST(end != NULL);
		check_line(p, (size_t)(end - p));
		p = end + 1;
	}
	return 0;
}
