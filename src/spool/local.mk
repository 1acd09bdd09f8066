# The spool on disk: the only code that knows its names and formats.
noinst_LIBRARIES += libspool.a
libspool_a_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
libspool_a_SOURCES = \
	src/spool/accept.c src/spool/accept.h src/spool/accept_internal.h \
	src/spool/check.c src/spool/check.h src/spool/check_internal.h \
	src/spool/check_job.c \
	src/spool/check_outputs.c \
	src/spool/expiry_mark.c src/spool/expiry_mark.h \
	src/spool/index.c src/spool/index.h \
	src/spool/job.c src/spool/job.h \
	src/spool/layout.c src/spool/layout.h \
	src/spool/manifest.c src/spool/manifest.h \
	src/spool/meta.c src/spool/meta.h \
	src/spool/pack.c src/spool/pack.h \
	src/spool/receipt.c src/spool/receipt.h \
	src/spool/record.c src/spool/record.h src/spool/record_internal.h \
	src/spool/redo.c src/spool/redo.h src/spool/redo_internal.h \
	src/spool/redo_record.c \
	src/spool/replay.c \
	src/spool/result.c \
	src/spool/share.c src/spool/share.h \
	src/spool/spool_internal.h
SPOOL_LIBS = libspool.a $(BASIC_LIBS)
