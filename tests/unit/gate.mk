# Unit tests of src/gate. gate_rig speaks FastCGI to a worker within the test's process.
if HAVE_CMOCKA
GATE_UNIT_TESTS = \
	tests/unit/test_gate_keeper \
	tests/unit/test_gate_metrics \
	tests/unit/test_gate_multipart \
	tests/unit/test_gate_number \
	tests/unit/test_gate_request \
	tests/unit/test_gate_stan \
	tests/unit/test_gate_stableconfigs \
	tests/unit/test_gate_stableconfigs_problem \
	tests/unit/test_gate_waiting
check_PROGRAMS += $(GATE_UNIT_TESTS)
TESTS += $(GATE_UNIT_TESTS)
UNIT_TESTS += $(GATE_UNIT_TESTS)
GATE_TEST_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(FCGI_CFLAGS) $(CMOCKA_CFLAGS)
GATE_TEST_LIBS = $(GATE_LIBS) $(CMOCKA_LIBS)
GATE_TEST_RIG = tests/unit/gate_rig.c tests/unit/gate_rig.h

tests_unit_test_gate_keeper_SOURCES = tests/unit/test_gate_keeper.c $(GATE_TEST_RIG)
tests_unit_test_gate_keeper_CFLAGS = $(GATE_TEST_CFLAGS) -DGATE_PROGRAM='"$(abs_builddir)/spoolgate.fcgi"'
tests_unit_test_gate_keeper_LDADD = $(GATE_TEST_LIBS)
tests_unit_test_gate_metrics_CFLAGS = $(GATE_TEST_CFLAGS)
tests_unit_test_gate_metrics_LDADD = $(GATE_TEST_LIBS)
tests_unit_test_gate_multipart_CFLAGS = $(GATE_TEST_CFLAGS)
tests_unit_test_gate_multipart_LDADD = $(GATE_TEST_LIBS)
tests_unit_test_gate_number_CFLAGS = $(GATE_TEST_CFLAGS)
tests_unit_test_gate_number_LDADD = $(GATE_TEST_LIBS)
tests_unit_test_gate_request_CFLAGS = $(GATE_TEST_CFLAGS)
tests_unit_test_gate_request_LDADD = $(GATE_TEST_LIBS)
tests_unit_test_gate_stan_CFLAGS = $(GATE_TEST_CFLAGS)
tests_unit_test_gate_stan_LDADD = $(GATE_TEST_LIBS)
tests_unit_test_gate_stableconfigs_SOURCES = tests/unit/test_gate_stableconfigs.c $(GATE_TEST_RIG)
tests_unit_test_gate_stableconfigs_CFLAGS = $(GATE_TEST_CFLAGS)
tests_unit_test_gate_stableconfigs_LDADD = $(GATE_TEST_LIBS)
tests_unit_test_gate_stableconfigs_problem_CFLAGS = $(GATE_TEST_CFLAGS)
tests_unit_test_gate_stableconfigs_problem_LDADD = $(GATE_TEST_LIBS)
tests_unit_test_gate_waiting_SOURCES = tests/unit/test_gate_waiting.c $(GATE_TEST_RIG)
tests_unit_test_gate_waiting_CFLAGS = $(GATE_TEST_CFLAGS)
tests_unit_test_gate_waiting_LDADD = $(GATE_TEST_LIBS)
endif
