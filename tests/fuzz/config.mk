FUZZ_TARGETS += tests/fuzz/fuzz_tool
tests_fuzz_fuzz_tool_SOURCES = tests/fuzz/fuzz_tool.c $(FUZZ_MAIN)
tests_fuzz_fuzz_tool_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_fuzz_fuzz_tool_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_tool_LDADD = $(CONFIG_LIBS) $(SPOOL_LIBS)
