bin_PROGRAMS += spoolgate
spoolgate_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
spoolgate_SOURCES = \
	src/cli/admin.c \
	src/cli/command.h \
	src/cli/doctor.c \
	src/cli/main.c
spoolgate_LDADD = libproto.a $(CONFIG_LIBS) $(SPOOL_LIBS) $(BASIC_LIBS)
