# Fuzz targets of src/proto.
FUZZ_TARGETS += tests/fuzz/fuzz_message tests/fuzz/fuzz_plan
tests_fuzz_fuzz_message_SOURCES = tests/fuzz/fuzz_message.c $(FUZZ_MAIN)
tests_fuzz_fuzz_message_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_fuzz_fuzz_message_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_message_LDADD = libproto.a $(SPOOL_LIBS)
tests_fuzz_fuzz_plan_SOURCES = tests/fuzz/fuzz_plan.c $(FUZZ_MAIN)
tests_fuzz_fuzz_plan_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_fuzz_fuzz_plan_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_plan_LDADD = libproto.a $(SPOOL_LIBS)
