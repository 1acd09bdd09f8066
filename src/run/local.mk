# The supervisor of a job, and the init of its jail.
noinst_LIBRARIES += librun.a
librun_a_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
librun_a_SOURCES = \
	src/run/after.c src/run/after.h \
	src/run/bwrap.c src/run/bwrap.h \
	src/run/cgroup.c src/run/cgroup.h \
	src/run/descendants.c src/run/descendants.h \
	src/run/finish.c src/run/finish.h \
	src/run/init_message.h \
	src/run/inputs.c src/run/inputs.h \
	src/run/jail.c src/run/jail.h \
	src/run/log.c src/run/log.h \
	src/run/no_jail.c src/run/no_jail.h \
	src/run/outputs.c src/run/outputs.h \
	src/run/publish.c src/run/publish.h \
	src/run/supervise.c src/run/supervise.h \
	src/run/verdict.c src/run/verdict.h \
	src/run/walk.c src/run/walk.h \
	src/run/watch.c src/run/watch.h
RUN_LIBS = librun.a libproto.a libspool.a $(BASIC_LIBS)

# Both programs are static, for every job starts one of each: loading libcrypto alone would take as long as bubblewrap does to
# build the jail, and in a jail there is no library that init could count on. (Sanitizers need dynamic programs.)
RUN_STATIC_LDFLAGS = -static-pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -pthread

pkglibexec_PROGRAMS += spoolgate-run
spoolgate_run_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
spoolgate_run_SOURCES = src/run/main.c
spoolgate_run_LDADD = $(RUN_LIBS)
if !SANITIZERS
spoolgate_run_LDFLAGS = $(RUN_STATIC_LDFLAGS)
endif

pkglibexec_PROGRAMS += spoolgate-init
spoolgate_init_CFLAGS = $(BASE_CFLAGS) $(WARN_CFLAGS) $(INIT_CFLAGS)
spoolgate_init_SOURCES = src/run/init.c src/run/descendants.c src/run/descendants.h src/run/init_message.h \
	src/run/landlock.c src/run/landlock.h src/run/tree.c src/run/tree.h
spoolgate_init_LDFLAGS = $(RUN_STATIC_LDFLAGS)
spoolgate_init_LDADD =
if SANITIZERS
INIT_CFLAGS = -fPIE
else
INIT_CFLAGS = $(HARD_CFLAGS)
endif
