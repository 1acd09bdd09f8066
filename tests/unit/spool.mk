# Unit tests of src/spool.
if HAVE_CMOCKA
SPOOL_UNIT_TESTS = \
	tests/unit/test_redo
check_PROGRAMS += $(SPOOL_UNIT_TESTS)
TESTS += $(SPOOL_UNIT_TESTS)
UNIT_TESTS += $(SPOOL_UNIT_TESTS)
SPOOL_TEST_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(CMOCKA_CFLAGS)
SPOOL_TEST_LIBS = $(SPOOL_LIBS) $(CMOCKA_LIBS)
SPOOL_TEST_HELP = tests/unit/spool_help.c tests/unit/spool_help.h

tests_unit_test_redo_SOURCES = tests/unit/test_redo.c $(SPOOL_TEST_HELP)
tests_unit_test_redo_CFLAGS = $(SPOOL_TEST_CFLAGS)
tests_unit_test_redo_LDADD = $(SPOOL_TEST_LIBS)
endif
