# Messages between gate, command, helper and supervisor: one definition for all ends.
noinst_LIBRARIES += libproto.a
libproto_a_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
libproto_a_SOURCES = \
	src/proto/client.c src/proto/client.h \
	src/proto/message.c src/proto/message.h src/proto/init.h \
	src/proto/plan.c src/proto/plan.h
