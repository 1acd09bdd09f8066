#include "config.h"

#include <errno.h>
#include <string.h>

#include "basic/fd.h"
#include "tbn/progress.h"
#include "unit.h"

/* Polls until something happens or stop comes; the clock alone makes it happen. */
static int
poll_until_shown(struct progress *p, struct temp_dir *dir, char **ret_text)
{
	for (;;) {
		size_t len = 0;
		int r = progress_poll(p);

		if (r < 0)
			return r;
		if (read_file_at(dir->fd, "live", 1000, ret_text, &len) >= 0)
			return 0;
	}
}

static void
test_progress_is_shown_whole_and_seldom(void **state)
{
	struct temp_dir *dir = *state;
	struct progress p;
	char path[600], *text = NULL;

	(void)snprintf(path, sizeof path, "%s/live", dir->path);
	assert_int_equal(progress_init(&p, path, false, 60 * 1000000, 0), 0);
	progress_set(&p, 3, 17);
	assert_int_equal(progress_poll(&p), 0);
	assert_int_equal(faccessat(dir->fd, "live", F_OK, 0), -1);	/* a short run shows nothing */
	assert_int_equal(poll_until_shown(&p, dir, &text), 0);
	assert_string_equal(text, "{\"count\":3,\"k\":17,\"status\":\"Progress\"}\n");
	assert_int_equal(faccessat(dir->fd, "live.new", F_OK, 0), -1);
	free(text);
	progress_done(&p);
}

static void
test_progress_goes_on_where_it_cannot_be_shown(void **state)
{
	struct temp_dir *dir = *state;
	struct progress p;
	char path[600];
	int r = 0;

	(void)snprintf(path, sizeof path, "%s/missing/live", dir->path);
	assert_int_equal(progress_init(&p, path, false, 300000, 0), 0);
	progress_set(&p, 1, 1);
	while (r == 0)
		r = progress_poll(&p);
	assert_int_equal(r, -ETIME);
	assert_true(p.live_broken);
	progress_done(&p);
}

static void
test_progress_stops_over_its_memory(void **state)
{
	struct progress p;
	int r = 0;

	(void)state;
	assert_int_equal(progress_init(&p, NULL, false, 60 * 1000000, 1), 0);	/* one byte */
	while (r == 0)
		r = progress_poll(&p);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(progress_poll(&p), -ENOSPC);
	progress_done(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEMP_DIR_TEST(test_progress_is_shown_whole_and_seldom),
		TEMP_DIR_TEST(test_progress_goes_on_where_it_cannot_be_shown),
		cmocka_unit_test(test_progress_stops_over_its_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
