# Unit tests of src/basic. Each tests/unit/<component>.mk adds its programs to check_PROGRAMS, TESTS and UNIT_TESTS.
EXTRA_DIST += tests/unit/unit.h
if HAVE_CMOCKA
BASIC_UNIT_TESTS = \
	tests/unit/test_basic_address \
	tests/unit/test_basic_cgroup \
	tests/unit/test_basic_clock \
	tests/unit/test_basic_durable \
	tests/unit/test_basic_escape \
	tests/unit/test_basic_fd \
	tests/unit/test_basic_hash \
	tests/unit/test_basic_heap \
	tests/unit/test_basic_id \
	tests/unit/test_basic_json \
	tests/unit/test_basic_log \
	tests/unit/test_basic_proc \
	tests/unit/test_basic_strbuf \
	tests/unit/test_basic_tree
check_PROGRAMS += $(BASIC_UNIT_TESTS)
TESTS += $(BASIC_UNIT_TESTS)
UNIT_TESTS += $(BASIC_UNIT_TESTS)
BASIC_TEST_LIBS = $(BASIC_LIBS) $(CMOCKA_LIBS)
tests_unit_test_basic_address_LDADD = $(BASIC_TEST_LIBS)
tests_unit_test_basic_cgroup_LDADD = $(BASIC_TEST_LIBS)
tests_unit_test_basic_clock_LDADD = $(BASIC_TEST_LIBS)
tests_unit_test_basic_durable_LDADD = $(BASIC_TEST_LIBS)
tests_unit_test_basic_escape_LDADD = $(BASIC_TEST_LIBS)
tests_unit_test_basic_fd_LDADD = $(BASIC_TEST_LIBS)
tests_unit_test_basic_hash_LDADD = $(BASIC_TEST_LIBS)
tests_unit_test_basic_heap_LDADD = $(BASIC_TEST_LIBS)
tests_unit_test_basic_id_LDADD = $(BASIC_TEST_LIBS)
tests_unit_test_basic_json_LDADD = $(BASIC_TEST_LIBS)
tests_unit_test_basic_log_LDADD = $(BASIC_TEST_LIBS)
tests_unit_test_basic_proc_LDADD = $(BASIC_TEST_LIBS)
tests_unit_test_basic_strbuf_LDADD = $(BASIC_TEST_LIBS)
tests_unit_test_basic_tree_LDADD = $(BASIC_TEST_LIBS)
endif
