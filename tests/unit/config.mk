# Unit tests of src/config.
EXTRA_DIST += tests/unit/config_help.h
if HAVE_CMOCKA
CONFIG_UNIT_TESTS = \
	tests/unit/test_config \
	tests/unit/test_tool \
	tests/unit/test_tool_argv
check_PROGRAMS += $(CONFIG_UNIT_TESTS)
TESTS += $(CONFIG_UNIT_TESTS)
UNIT_TESTS += $(CONFIG_UNIT_TESTS)
CONFIG_TEST_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(CMOCKA_CFLAGS)
CONFIG_TEST_LIBS = $(CONFIG_LIBS) $(SPOOL_LIBS) $(CMOCKA_LIBS)
tests_unit_test_config_CFLAGS = $(CONFIG_TEST_CFLAGS)
tests_unit_test_config_LDADD = $(CONFIG_TEST_LIBS)
tests_unit_test_tool_CFLAGS = $(CONFIG_TEST_CFLAGS)
tests_unit_test_tool_LDADD = $(CONFIG_TEST_LIBS)
tests_unit_test_tool_argv_CFLAGS = $(CONFIG_TEST_CFLAGS)
tests_unit_test_tool_argv_LDADD = $(CONFIG_TEST_LIBS)
endif
