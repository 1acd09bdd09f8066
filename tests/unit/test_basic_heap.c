#include "config.h"

#include <stdlib.h>

#include "basic/heap.h"
#include "unit.h"

struct one {
	uint64_t key;
	unsigned number;
};

static void
test_heap_gives_the_least_first(void **state)
{
	struct heap h = HEAP_INIT(struct one);
	struct one got;
	unsigned seed = 7, in = 0, out = 0;

	(void)state;
	assert_true(heap_first(&h) == UINT64_MAX);
	for (unsigned turn = 0; turn < 20; turn++) {
		uint64_t last = 0;

		for (unsigned i = 0; i < 100; i++, in++) {
			struct one one = { .key = (uint64_t)(rand_r(&seed) % 50), .number = in };

			assert_int_equal(heap_push(&h, &one), 0);
		}
		for (unsigned i = 0; i < 90; i++, out++) {
			assert_true(heap_first(&h) >= last);
			last = heap_first(&h);
			heap_pop(&h, &got);
			assert_true(got.key == last);
		}
	}
	assert_int_equal(h.n, in - out);
	heap_empty(&h);
	assert_true(heap_first(&h) == UINT64_MAX);
	heap_done(&h);
}

static void
test_heap_loses_nothing(void **state)
{
	struct heap h = HEAP_INIT(struct one);
	bool seen[1000] = { false };
	struct one got;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(heap_push(&h, &(struct one){ .key = (i * 7919U) % 1000, .number = i }), 0);
	for (unsigned i = 0; i < 1000; i++) {
		heap_pop(&h, &got);
		assert_true(got.key == i && got.key == (got.number * 7919U) % 1000);
		assert_false(seen[got.number]);
		seen[got.number] = true;
	}
	heap_done(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_gives_the_least_first),
		cmocka_unit_test(test_heap_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
