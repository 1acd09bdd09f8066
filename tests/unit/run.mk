# Unit tests of src/run; test_run_whole and test_run_jail start spoolgate-run and spoolgate-init of the build folder.
if HAVE_CMOCKA
RUN_UNIT_TESTS = \
	tests/unit/test_run_init \
	tests/unit/test_run_jail \
	tests/unit/test_run_log \
	tests/unit/test_run_publish \
	tests/unit/test_run_races \
	tests/unit/test_run_verdict \
	tests/unit/test_run_walk \
	tests/unit/test_run_whole
check_PROGRAMS += $(RUN_UNIT_TESTS)
TESTS += $(RUN_UNIT_TESTS)
UNIT_TESTS += $(RUN_UNIT_TESTS)
RUN_TEST_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(CMOCKA_CFLAGS)
RUN_TEST_LIBS = $(RUN_LIBS) $(CMOCKA_LIBS)
tests_unit_test_run_init_CFLAGS = $(RUN_TEST_CFLAGS)
tests_unit_test_run_init_LDADD = $(RUN_TEST_LIBS)
tests_unit_test_run_jail_CFLAGS = $(RUN_TEST_CFLAGS)
tests_unit_test_run_jail_SOURCES = tests/unit/test_run_jail.c tests/unit/run_case.c tests/unit/run_case.h
tests_unit_test_run_jail_LDADD = $(RUN_TEST_LIBS)
tests_unit_test_run_log_CFLAGS = $(RUN_TEST_CFLAGS)
tests_unit_test_run_log_LDADD = $(RUN_TEST_LIBS)
tests_unit_test_run_publish_CFLAGS = $(RUN_TEST_CFLAGS)
tests_unit_test_run_publish_SOURCES = tests/unit/test_run_publish.c tests/unit/run_case.c tests/unit/run_case.h
tests_unit_test_run_publish_LDADD = $(RUN_TEST_LIBS)
tests_unit_test_run_races_CFLAGS = $(RUN_TEST_CFLAGS)
tests_unit_test_run_races_LDADD = $(RUN_TEST_LIBS)
tests_unit_test_run_verdict_CFLAGS = $(RUN_TEST_CFLAGS)
tests_unit_test_run_verdict_LDADD = $(RUN_TEST_LIBS)
tests_unit_test_run_walk_CFLAGS = $(RUN_TEST_CFLAGS)
tests_unit_test_run_walk_LDADD = $(RUN_TEST_LIBS)
tests_unit_test_run_whole_CFLAGS = $(RUN_TEST_CFLAGS)
tests_unit_test_run_whole_SOURCES = tests/unit/test_run_whole.c tests/unit/run_case.c tests/unit/run_case.h
tests_unit_test_run_whole_LDADD = $(RUN_TEST_LIBS)
endif
