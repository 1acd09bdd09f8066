# Unit tests of src/cli: what needs no server.
if HAVE_CMOCKA
CLI_UNIT_TESTS = \
	tests/unit/test_cli_save \
	tests/unit/test_cli_settings \
	tests/unit/test_cli_show \
	tests/unit/test_cli_url \
	tests/unit/test_cli_value
check_PROGRAMS += $(CLI_UNIT_TESTS)
TESTS += $(CLI_UNIT_TESTS)
UNIT_TESTS += $(CLI_UNIT_TESTS)
CLI_TEST_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(CMOCKA_CFLAGS)
CLI_TEST_LIBS = $(CLI_LIBS) $(CMOCKA_LIBS)
tests_unit_test_cli_save_CFLAGS = $(CLI_TEST_CFLAGS)
tests_unit_test_cli_save_LDADD = $(CLI_TEST_LIBS)
tests_unit_test_cli_settings_CFLAGS = $(CLI_TEST_CFLAGS)
tests_unit_test_cli_settings_LDADD = $(CLI_TEST_LIBS)
tests_unit_test_cli_show_CFLAGS = $(CLI_TEST_CFLAGS)
tests_unit_test_cli_show_LDADD = $(CLI_TEST_LIBS)
tests_unit_test_cli_url_CFLAGS = $(CLI_TEST_CFLAGS)
tests_unit_test_cli_url_LDADD = $(CLI_TEST_LIBS)
tests_unit_test_cli_value_CFLAGS = $(CLI_TEST_CFLAGS)
tests_unit_test_cli_value_LDADD = $(CLI_TEST_LIBS)
endif

FUZZ_TARGETS += tests/fuzz/fuzz_cli
tests_fuzz_fuzz_cli_SOURCES = tests/fuzz/fuzz_cli.c $(FUZZ_MAIN)
tests_fuzz_fuzz_cli_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_fuzz_fuzz_cli_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_cli_LDADD = $(CLI_LIBS)
