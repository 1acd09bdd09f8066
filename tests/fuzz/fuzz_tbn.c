/* Three texts separated by NUL: a number, monomer lines, constraint lines. Whatever they are, the parser says yes or a message
 * with a class; what it accepts and is small is solved, in two ways that must agree, and prints valid JSON. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "fuzz.h"
#include "tbn/bound.h"
#include "tbn/output.h"
#include "tbn/parse.h"
#include "tbn/search.h"

enum { SMALL_MONOMERS = 40, SMALL_PAIRS = 60, CONFIGS = 40, PRINT_MAX = 16 * 1024 * 1024 };

static struct slice
next_part(struct slice *rest)
{
	const char *nul = rest->n > 0 ? memchr(rest->p, '\0', rest->n) : NULL;
	size_t len = nul ? (size_t)(nul - rest->p) : rest->n;
	struct slice part = { rest->p, len };

	rest->p += nul ? len + 1 : len;
	rest->n -= nul ? len + 1 : len;
	return part;
}

static void
check_count(struct slice text)
{
	scoped(free_ptr) char *copy = strndup(text.p, text.n);
	int64_t count = 0;

	MUST(copy);
	MUST(parse_count(copy, &count) == 0 || count == 0);
}

static bool
is_small(const struct network *net)
{
	uint64_t pairs = 0;

	for (size_t i = 0; i < net->ncomponents; i++)
		pairs += net->components[i].pairs;
	return net->nmonomers <= SMALL_MONOMERS && pairs <= SMALL_PAIRS;
}

static void
check_printed(struct search *s, enum output_form form)
{
	scoped(close_fd) int fd = memory_file("fuzz");
	scoped(free_ptr) char *text = calloc(1, PRINT_MAX);
	ssize_t len;

	MUST(fd >= 0 && text);
	MUST(output_result(fd, s, form, "COMPLETE", NULL) == 0);
	len = pread_full(fd, text, PRINT_MAX, 0);
	MUST(len > 0);
	MUST(form == OUTPUT_TEXT || json_scan(text, (size_t)len, JSON_DEPTH_MAX, NULL) == 0);
}

struct outcome {
	int64_t entropy, found, top;
	bool complete;
};

static struct outcome
solve(const struct network *net, const struct part_options *options)
{
	struct outcome outcome = { 0, 0, 0, false };
	struct progress progress;
	struct search search;

	MUST(progress_init(&progress, NULL, false, 200000, 0) == 0);
	MUST(search_init(&search, net, &progress, options, CONFIGS, 1) == 0);
	if (search_entropy(&search) == 0 && search_configurations(&search) == 0) {
		outcome = (struct outcome){ search.entropy, search.found, search.top, true };
		MUST(search.entropy >= 1 && search.entropy <= (int64_t)net->nmonomers);
		MUST(search.found <= CONFIGS && (search.found > 0 || net->nconstraints > 0));
		check_printed(&search, OUTPUT_COMPACT);
		check_printed(&search, OUTPUT_JSON);
		check_printed(&search, OUTPUT_TEXT);
	}
	search_done(&search);
	progress_done(&progress);
	return outcome;
}

static void
check_solving(struct network *net)
{
	static const struct part_options plain = { .symmetry = false, .eager_max = 0 }, best = { .symmetry = true, .walk = true, .eager_max = 1000000 };
	struct outcome a = solve(net, &plain), b;

	MUST(bound_network(net) == 0);
	b = solve(net, &best);
	if (a.complete && b.complete)
		MUST(a.entropy == b.entropy && a.found == b.found && (a.found == 0 || a.top == b.top));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { (const char *)data, size };
	struct slice number = next_part(&rest), problem = next_part(&rest);
	struct network net = { 0 };
	struct fault fault = { .class = FAULT_NONE };
	int r;

	check_count(number);
	r = parse_problem(&net, problem, &fault);
	if (r == 0)
		r = parse_constraints(&net, rest, &fault);
	if (r == 0)
		r = network_analyse(&net);
	if (r == 0)
		r = check_constraints(&net, &fault);
	MUST(r == 0 || r == -EINVAL || r == -EFBIG);
	if (r == -EINVAL)
		MUST(fault.class == FAULT_TBN && fault.message);
	if (r == 0 && utf8_bad_line(problem) == 0 && is_small(&net))
		check_solving(&net);
	network_done(&net);
	fault_done(&fault);
	return 0;
}
