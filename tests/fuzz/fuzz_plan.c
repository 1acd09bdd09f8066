/* A plan of any bytes is refused, or can be written and read again as the same. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/scoped.h"
#include "fuzz.h"
#include "proto/plan.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(free_plan) struct plan *plan = NULL, *again = NULL;
	scoped(free_ptr) char *text = NULL, *second = NULL;
	size_t len = 0, second_len = 0;
	int r = plan_parse((const char *)data, size, &plan);

	MUST(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
	MUST((r == 0) == (plan != NULL));
	if (r < 0)
		return 0;
	MUST(plan->argv && plan->argv[0] && plan->env && plan->folders && plan->inputs && plan->bwrap && plan->init);
	MUST(id_valid(plan->id));
	MUST(plan_format(plan, &text, &len) == 0);
	MUST(plan_parse(text, len, &again) == 0);
	MUST(plan_format(again, &second, &second_len) == 0);
	MUST(len == second_len && memcmp(text, second, len) == 0);
	return 0;
}
