# The engine of the stableconfigs service, and a command of its own. It starts once for every job, so it links what it needs
# and nothing else.
noinst_LIBRARIES += libtbn.a
libtbn_a_SOURCES = \
	src/tbn/bound.c src/tbn/bound.h \
	src/tbn/count.c \
	src/tbn/fault.c src/tbn/fault.h \
	src/tbn/formula.c src/tbn/formula.h \
	src/tbn/formula_rules.c \
	src/tbn/names.c src/tbn/names.h \
	src/tbn/network.c src/tbn/network.h \
	src/tbn/output.c src/tbn/output.h \
	src/tbn/pairings.c src/tbn/pairings.h \
	src/tbn/parse.c src/tbn/parse.h \
	src/tbn/part.c src/tbn/part.h \
	src/tbn/progress.c src/tbn/progress.h \
	src/tbn/sat.c src/tbn/sat.h \
	src/tbn/search.c src/tbn/search.h \
	src/tbn/stop.c src/tbn/stop.h \
	src/tbn/text.c src/tbn/text.h \
	src/tbn/union.h \
	src/tbn/vec.h
TBN_LIBS = libtbn.a libbasic.a $(CADICAL_LIBS)

bin_PROGRAMS += spoolgate-tbn
spoolgate_tbn_SOURCES = src/tbn/main.c
spoolgate_tbn_LDADD = $(TBN_LIBS)
# Static, it is running in under a millisecond; the dynamic linker alone takes more.
if !SANITIZERS
if !FUZZING
spoolgate_tbn_LDFLAGS = $(AM_LDFLAGS) -static-pie
endif
endif
dist_doc_DATA += doc/tbn.md
