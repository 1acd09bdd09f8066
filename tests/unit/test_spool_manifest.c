#include "config.h"

#include "spool_help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "spool/manifest.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DASHES "----------------------------------------------------------------"

static void
test_manifest_has_one_line_an_entry(void **state)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(4096);
	struct manifest_entry file = { HASH, 1234567890123, 0100640, (char []){ "a b/\n%/\xff.txt" } };
	struct manifest_entry folder = { "", 99, 042750, (char []){ "a b/\n%" } };

	(void)state;
	assert_int_equal(manifest_add(&s, &folder), 0);
	assert_int_equal(manifest_add(&s, &file), 0);
	assert_string_equal(strbuf_str(&s), DASHES " 0 2750 a%20b/%0A%25/\n" HASH " 1234567890123 0640 a%20b/%0A%25/%FF.txt\n");
}

static void
test_manifest_add_refuses_paths_that_lead_elsewhere(void **state)
{
	char *const bad[] = { (char []){ "" }, (char []){ "/a" }, (char []){ "a/" }, (char []){ "a//b" }, (char []){ "." },
		(char []){ ".." }, (char []){ "a/../b" }, (char []){ "a/." } };
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(64);

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(manifest_add(&s, &(struct manifest_entry){ HASH, 0, 0640, bad[i] }), -EINVAL);
	assert_int_equal(s.len, 0);
	assert_int_equal(manifest_add(&s, &(struct manifest_entry){ HASH, 0, 0640, (char []){ "..a" } }), -EFBIG);
}

struct seen {
	struct manifest_entry e[4];
	size_t n;
};

static int
see(const struct manifest_entry *e, void *ctx)
{
	struct seen *s = ctx;

	if (s->n == 4)
		return -ECANCELED;
	s->e[s->n] = *e;
	s->e[s->n++].path = strdup(e->path);
	return 0;
}

static void
test_manifest_comes_back(void **state)
{
	const struct fixture *f = *state;
	struct seen s = { .n = 0 };

	assert_int_equal(manifest_each(f->s->root_fd, 4096, see, &s), -ENOENT);
	help_write(f->s->root_fd, "manifest", DASHES " 0 2750 d%2F/\n" HASH " 18446744073709551615 0640 d%2F/f\n");
	assert_int_equal(manifest_each(f->s->root_fd, 4096, see, &s), -EBADMSG);	/* a '/' inside a name */
	help_write(f->s->root_fd, "manifest", DASHES " 0 2750 d/\n" HASH " 18446744073709551615 0640 d/%FF\n");
	assert_int_equal(manifest_each(f->s->root_fd, 4096, see, &s), 0);
	assert_int_equal(s.n, 2);
	assert_string_equal(s.e[0].path, "d");
	assert_string_equal(s.e[0].sha256, "");
	assert_int_equal(s.e[0].mode, 02750);
	assert_string_equal(s.e[1].path, "d/\xff");
	assert_string_equal(s.e[1].sha256, HASH);
	assert_int_equal(s.e[1].size, UINT64_MAX);
	assert_int_equal(manifest_each(f->s->root_fd, 100, see, &s), -EBADMSG);
	for (size_t i = 0; i < s.n; i++)
		free(s.e[i].path);
}

static int
pass(const struct manifest_entry *e, void *ctx)
{
	(void)ctx;
	return strlen(e->path) > 0 ? 0 : -EINVAL;
}

static void
test_manifest_refuses_damage(void **state)
{
	static const char *const bad[] = {
		HASH " 1 0640 f", "\n", HASH "\n", HASH " 1\n", HASH " 1 0640\n", HASH " 1 0640 \n", HASH " 1  0640 f\n",
		HASH " -1 0640 f\n", HASH " 01 0640 f\n", HASH " 18446744073709551616 0640 f\n", HASH " 1 640 f\n", HASH " 1 0648 f\n",
		HASH " 1 00640 f\n", HASH " 1 0640 ../f\n", HASH " 1 0640 /f\n", HASH " 1 0640 f/\n", HASH " 1 0640 f%0\n",
		HASH " 1 0640 f%00\n", "0" HASH " 1 0640 f\n", DASHES " 1 2750 f/\n", DASHES " 0 2750 f\n", DASHES " 0 2750 /\n",
		HASH " 1 0640 f\n" HASH " 1 0640", " " HASH " 1 0640 f\n",
	};
	const struct fixture *f = *state;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		help_write(f->s->root_fd, "manifest", bad[i]);
		assert_int_equal(manifest_each(f->s->root_fd, 4096, pass, NULL), -EBADMSG);
	}
	help_write(f->s->root_fd, "manifest", "");
	assert_int_equal(manifest_each(f->s->root_fd, 4096, pass, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manifest_has_one_line_an_entry),
		cmocka_unit_test(test_manifest_add_refuses_paths_that_lead_elsewhere),
		cmocka_unit_test_setup_teardown(test_manifest_comes_back, spool_setup, spool_teardown),
		cmocka_unit_test_setup_teardown(test_manifest_refuses_damage, spool_setup, spool_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
