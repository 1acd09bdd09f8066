# What `spoolgate doctor` runs in a jail in a tool's place. Like the jail's init it is static and has no sanitizer, which would
# want what the jail refuses and take what is to be measured.
pkglibexec_PROGRAMS += spoolgate-probe
spoolgate_probe_CFLAGS = $(BASE_CFLAGS) $(WARN_CFLAGS) $(INIT_CFLAGS)
spoolgate_probe_SOURCES = src/probe/calls.c src/probe/limits.c src/probe/main.c src/probe/probe.h src/probe/walls.c
spoolgate_probe_LDFLAGS = $(RUN_STATIC_LDFLAGS)
spoolgate_probe_LDADD =
