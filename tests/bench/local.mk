# What tests/bench/run measures against; built by `make bench-programs`, in no other target.
EXTRA_PROGRAMS += tests/bench/fill_spool tests/bench/idle_fcgi tests/bench/loops tests/bench/stamp
tests_bench_fill_spool_SOURCES = tests/bench/fill_spool.c
tests_bench_fill_spool_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_bench_fill_spool_LDADD = $(SPOOL_LIBS)
tests_bench_idle_fcgi_SOURCES = tests/bench/idle_fcgi.c
tests_bench_idle_fcgi_CFLAGS = $(AM_CFLAGS) $(FCGI_CFLAGS)
tests_bench_idle_fcgi_LDADD = $(FCGI_LIBS)
tests_bench_loops_SOURCES = tests/bench/loops.c
tests_bench_loops_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_bench_loops_LDADD = libproto.a $(SPOOL_LIBS)
tests_bench_stamp_SOURCES = tests/bench/stamp.c
tests_bench_stamp_LDFLAGS = $(SAN_CFLAGS) -static
CLEANFILES += $(EXTRA_PROGRAMS)
.PHONY: bench-programs
bench-programs: tests/bench/fill_spool tests/bench/idle_fcgi tests/bench/loops tests/bench/stamp
