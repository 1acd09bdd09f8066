# No policy, no logging, no globals: every program links it.
noinst_LIBRARIES += libbasic.a
libbasic_a_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(CRYPTO_CFLAGS)
libbasic_a_SOURCES = \
	src/basic/address.c src/basic/address.h \
	src/basic/cgroup.c src/basic/cgroup.h \
	src/basic/clock.c src/basic/clock.h \
	src/basic/durable.c src/basic/durable.h \
	src/basic/escape.c src/basic/escape.h \
	src/basic/fd.c src/basic/fd.h \
	src/basic/hash.c src/basic/hash.h src/basic/hmac.c \
	src/basic/heap.c src/basic/heap.h \
	src/basic/histogram.c src/basic/histogram.h \
	src/basic/https_url.c src/basic/https_url.h \
	src/basic/id.c src/basic/id.h \
	src/basic/json.c src/basic/json.h \
	src/basic/json_parse.c \
	src/basic/json_scan.c src/basic/json_scan.h \
	src/basic/log.c src/basic/log.h \
	src/basic/memory_fs.c src/basic/memory_fs.h \
	src/basic/proc.c src/basic/proc.h \
	src/basic/scoped.h \
	src/basic/strbuf.c src/basic/strbuf.h
BASIC_LIBS = libbasic.a $(JSON_LIBS) $(CRYPTO_LIBS)
