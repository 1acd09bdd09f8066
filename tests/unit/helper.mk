# Unit tests of src/helper: the queue and the two modules with threads. The rest is driven over its sockets, tests/http/test_helper_*.py.
if HAVE_CMOCKA
HELPER_UNIT_TESTS = \
	tests/unit/test_offload \
	tests/unit/test_queue \
	tests/unit/test_writer
check_PROGRAMS += $(HELPER_UNIT_TESTS)
TESTS += $(HELPER_UNIT_TESTS)
UNIT_TESTS += $(HELPER_UNIT_TESTS)
HELPER_TEST_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(SYSTEMD_CFLAGS) $(CMOCKA_CFLAGS)
HELPER_TEST_LIBS = $(SPOOL_LIBS) $(SYSTEMD_LIBS) $(CMOCKA_LIBS)

tests_unit_test_offload_SOURCES = tests/unit/test_offload.c src/helper/offload.c src/helper/offload.h
tests_unit_test_offload_CFLAGS = $(HELPER_TEST_CFLAGS)
tests_unit_test_offload_LDADD = $(HELPER_TEST_LIBS)
tests_unit_test_queue_SOURCES = tests/unit/test_queue.c src/helper/queue.c src/helper/queue.h
tests_unit_test_queue_CFLAGS = $(HELPER_TEST_CFLAGS)
tests_unit_test_queue_LDADD = $(HELPER_TEST_LIBS)
tests_unit_test_writer_SOURCES = tests/unit/test_writer.c src/helper/writer.c src/helper/writer.h $(SPOOL_TEST_HELP)
tests_unit_test_writer_CFLAGS = $(HELPER_TEST_CFLAGS)
tests_unit_test_writer_LDADD = $(HELPER_TEST_LIBS)
endif
