sbin_PROGRAMS += spoolgated
spoolgated_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(SYSTEMD_CFLAGS) $(SECCOMP_CFLAGS)
spoolgated_SOURCES = \
	src/helper/cache.c src/helper/cache.h \
	src/helper/cgroup.c src/helper/cgroup.h \
	src/helper/condition.c src/helper/condition.h \
	src/helper/cull.c src/helper/cull.h \
	src/helper/deliver.c src/helper/deliver.h \
	src/helper/end.c src/helper/end.h \
	src/helper/expire.c src/helper/expire.h \
	src/helper/filter.c src/helper/filter.h \
	src/helper/fingerprint.c src/helper/fingerprint.h \
	src/helper/helper.h \
	src/helper/group.c src/helper/group.h \
	src/helper/jail.c src/helper/jail.h \
	src/helper/kill.c src/helper/kill.h \
	src/helper/live.c src/helper/live.h \
	src/helper/main.c \
	src/helper/offload.c src/helper/offload.h \
	src/helper/meta.c src/helper/meta.h \
	src/helper/pack.c src/helper/pack.h \
	src/helper/queue.c src/helper/queue.h \
	src/helper/resume.c src/helper/resume.h \
	src/helper/secret.c src/helper/secret.h \
	src/helper/server.c src/helper/server.h \
	src/helper/host.c src/helper/host.h \
	src/helper/probe.c src/helper/probe.h \
	src/helper/probe_tables.c src/helper/probe_tables.h \
	src/helper/spawn.c src/helper/spawn.h \
	src/helper/start.c src/helper/start.h \
	src/helper/try.c src/helper/try.h \
	src/helper/stats.c src/helper/stats.h \
	src/helper/submission.c src/helper/submission.h \
	src/helper/submit.c src/helper/submit.h \
	src/helper/weight.c src/helper/weight.h \
	src/helper/top.c src/helper/top.h \
	src/helper/writer.c src/helper/writer.h
spoolgated_LDADD = libproto.a $(CONFIG_LIBS) $(SPOOL_LIBS) $(BASIC_LIBS) $(SYSTEMD_LIBS) $(SECCOMP_LIBS)
