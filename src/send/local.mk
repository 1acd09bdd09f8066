# Calls somebody else: one attempt.
pkglibexec_PROGRAMS += spoolgate-send
spoolgate_send_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(CURL_CFLAGS)
spoolgate_send_SOURCES = src/send/main.c
spoolgate_send_LDADD = $(BASIC_LIBS) $(CURL_LIBS)
