FUZZ_TARGETS += tests/fuzz/fuzz_spool_records tests/fuzz/fuzz_spool_redo
tests_fuzz_fuzz_spool_records_SOURCES = tests/fuzz/fuzz_spool_records.c $(FUZZ_MAIN)
tests_fuzz_fuzz_spool_records_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_spool_records_LDADD = $(SPOOL_LIBS)
tests_fuzz_fuzz_spool_redo_SOURCES = tests/fuzz/fuzz_spool_redo.c $(FUZZ_MAIN)
tests_fuzz_fuzz_spool_redo_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_spool_redo_LDADD = $(SPOOL_LIBS)
