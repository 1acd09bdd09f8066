# Unit tests of src/proto.
if HAVE_CMOCKA
PROTO_UNIT_TESTS = \
	tests/unit/test_client \
	tests/unit/test_message \
	tests/unit/test_plan
check_PROGRAMS += $(PROTO_UNIT_TESTS)
TESTS += $(PROTO_UNIT_TESTS)
UNIT_TESTS += $(PROTO_UNIT_TESTS)
PROTO_TEST_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(CMOCKA_CFLAGS)
PROTO_TEST_LIBS = libproto.a $(SPOOL_LIBS) $(CMOCKA_LIBS)
tests_unit_test_client_CFLAGS = $(PROTO_TEST_CFLAGS)
tests_unit_test_client_LDADD = $(PROTO_TEST_LIBS)
tests_unit_test_message_CFLAGS = $(PROTO_TEST_CFLAGS)
tests_unit_test_message_LDADD = $(PROTO_TEST_LIBS)
tests_unit_test_plan_CFLAGS = $(PROTO_TEST_CFLAGS)
tests_unit_test_plan_LDADD = $(PROTO_TEST_LIBS)
endif
