# The engine against what is true by definition, and the command from outside. `make check` runs a slice of each; more with
# arguments, e.g. tests/tbn/differential 1000000 77.
TBN_RANDOM_TESTS = \
	tests/tbn/differential \
	tests/tbn/symmetry
check_PROGRAMS += $(TBN_RANDOM_TESTS)
TESTS += $(TBN_RANDOM_TESTS)
tests_tbn_differential_SOURCES = tests/tbn/differential.c tests/tbn/toy.c tests/tbn/toy.h
tests_tbn_differential_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/tbn
tests_tbn_differential_LDADD = $(TBN_LIBS)
tests_tbn_symmetry_SOURCES = tests/tbn/symmetry.c tests/tbn/toy.c tests/tbn/toy.h
tests_tbn_symmetry_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/tbn
tests_tbn_symmetry_LDADD = $(TBN_LIBS)

TBN_COMMAND_TESTS = \
	tests/tbn/test_command.py \
	tests/tbn/test_networks.py
TESTS += $(TBN_COMMAND_TESTS)
EXTRA_DIST += $(TBN_COMMAND_TESTS) tests/tbn/networks.py tests/tbn/brute.py tests/tbn/help.py tests/real/tbn-compare


FUZZ_TARGETS += tests/fuzz/fuzz_tbn
tests_fuzz_fuzz_tbn_SOURCES = tests/fuzz/fuzz_tbn.c $(FUZZ_MAIN)
tests_fuzz_fuzz_tbn_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_tbn_LDADD = libtbn.a $(BASIC_LIBS) $(CADICAL_LIBS)
