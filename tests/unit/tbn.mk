# Unit tests of src/tbn.
EXTRA_DIST += tests/unit/tbn_help.h
if HAVE_CMOCKA
TBN_UNIT_TESTS = \
	tests/unit/test_tbn_count \
	tests/unit/test_tbn_network \
	tests/unit/test_tbn_output \
	tests/unit/test_tbn_parse \
	tests/unit/test_tbn_progress \
	tests/unit/test_tbn_sat \
	tests/unit/test_tbn_search \
	tests/unit/test_tbn_text
check_PROGRAMS += $(TBN_UNIT_TESTS)
TESTS += $(TBN_UNIT_TESTS)
UNIT_TESTS += $(TBN_UNIT_TESTS)
TBN_TEST_LIBS = $(TBN_LIBS) $(CMOCKA_LIBS)
tests_unit_test_tbn_count_LDADD = $(TBN_TEST_LIBS)
tests_unit_test_tbn_network_LDADD = $(TBN_TEST_LIBS)
tests_unit_test_tbn_output_LDADD = $(TBN_TEST_LIBS)
tests_unit_test_tbn_parse_LDADD = $(TBN_TEST_LIBS)
tests_unit_test_tbn_progress_LDADD = $(TBN_TEST_LIBS)
tests_unit_test_tbn_sat_LDADD = $(TBN_TEST_LIBS)
tests_unit_test_tbn_search_LDADD = $(TBN_TEST_LIBS)
tests_unit_test_tbn_text_LDADD = $(TBN_TEST_LIBS)
endif
