# Unit tests of src/spool.
if HAVE_CMOCKA
SPOOL_UNIT_TESTS = \
	tests/unit/test_redo \
	tests/unit/test_spool_accept \
	tests/unit/test_spool_check \
	tests/unit/test_spool_index \
	tests/unit/test_spool_job \
	tests/unit/test_spool_layout \
	tests/unit/test_spool_manifest \
	tests/unit/test_spool_record
check_PROGRAMS += $(SPOOL_UNIT_TESTS)
TESTS += $(SPOOL_UNIT_TESTS)
UNIT_TESTS += $(SPOOL_UNIT_TESTS)
SPOOL_TEST_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(CMOCKA_CFLAGS)
SPOOL_TEST_LIBS = $(SPOOL_LIBS) $(CMOCKA_LIBS)
SPOOL_TEST_HELP = tests/unit/spool_help.c tests/unit/spool_help.h

tests_unit_test_redo_SOURCES = tests/unit/test_redo.c $(SPOOL_TEST_HELP)
tests_unit_test_redo_CFLAGS = $(SPOOL_TEST_CFLAGS)
tests_unit_test_redo_LDADD = $(SPOOL_TEST_LIBS)
tests_unit_test_spool_accept_SOURCES = tests/unit/test_spool_accept.c $(SPOOL_TEST_HELP)
tests_unit_test_spool_accept_CFLAGS = $(SPOOL_TEST_CFLAGS)
tests_unit_test_spool_accept_LDADD = $(SPOOL_TEST_LIBS)
tests_unit_test_spool_check_SOURCES = tests/unit/test_spool_check.c $(SPOOL_TEST_HELP)
tests_unit_test_spool_check_CFLAGS = $(SPOOL_TEST_CFLAGS)
tests_unit_test_spool_check_LDADD = $(SPOOL_TEST_LIBS)
tests_unit_test_spool_index_SOURCES = tests/unit/test_spool_index.c $(SPOOL_TEST_HELP)
tests_unit_test_spool_index_CFLAGS = $(SPOOL_TEST_CFLAGS)
tests_unit_test_spool_index_LDADD = $(SPOOL_TEST_LIBS)
tests_unit_test_spool_job_SOURCES = tests/unit/test_spool_job.c $(SPOOL_TEST_HELP)
tests_unit_test_spool_job_CFLAGS = $(SPOOL_TEST_CFLAGS)
tests_unit_test_spool_job_LDADD = $(SPOOL_TEST_LIBS)
tests_unit_test_spool_layout_SOURCES = tests/unit/test_spool_layout.c $(SPOOL_TEST_HELP)
tests_unit_test_spool_layout_CFLAGS = $(SPOOL_TEST_CFLAGS)
tests_unit_test_spool_layout_LDADD = $(SPOOL_TEST_LIBS)
tests_unit_test_spool_manifest_SOURCES = tests/unit/test_spool_manifest.c $(SPOOL_TEST_HELP)
tests_unit_test_spool_manifest_CFLAGS = $(SPOOL_TEST_CFLAGS)
tests_unit_test_spool_manifest_LDADD = $(SPOOL_TEST_LIBS)
tests_unit_test_spool_record_SOURCES = tests/unit/test_spool_record.c $(SPOOL_TEST_HELP)
tests_unit_test_spool_record_CFLAGS = $(SPOOL_TEST_CFLAGS)
tests_unit_test_spool_record_LDADD = $(SPOOL_TEST_LIBS)
endif
