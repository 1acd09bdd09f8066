# Fuzz targets. A component's fragment adds its own to FUZZ_TARGETS and gives its _SOURCES (with $(FUZZ_MAIN)) and _LDADD.
# With --enable-fuzzing (CC=clang) each is a libFuzzer program; otherwise it replays tests/fuzz/corpus/<name> in `make check`.
if FUZZING
FUZZ_MAIN =
noinst_PROGRAMS += $(FUZZ_TARGETS)
else
FUZZ_MAIN = tests/fuzz/replay.c
check_PROGRAMS += $(FUZZ_TARGETS)
TESTS += $(FUZZ_TARGETS)
endif
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/fuzz.h

FUZZ_TARGETS += tests/fuzz/fuzz_json
tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz_json.c $(FUZZ_MAIN)
tests_fuzz_fuzz_json_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_json_LDADD = $(BASIC_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_https_url
tests_fuzz_fuzz_https_url_SOURCES = tests/fuzz/fuzz_https_url.c $(FUZZ_MAIN)
tests_fuzz_fuzz_https_url_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_https_url_LDADD = $(BASIC_LIBS)
