# Makes a zip of a finished job.
pkglibexec_PROGRAMS += spoolgate-pack
spoolgate_pack_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(ZIP_CFLAGS)
spoolgate_pack_SOURCES = src/pack/main.c
spoolgate_pack_LDADD = $(SPOOL_LIBS) $(BASIC_LIBS) $(ZIP_LIBS)
