# The command. Everything but main.c is a library, for the tests.
noinst_LIBRARIES += libcli.a
libcli_a_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(CURL_CFLAGS) $(ZIP_CFLAGS)
libcli_a_SOURCES = \
	src/cli/admin.c src/cli/admin.h \
	src/cli/bundle.c src/cli/bundle.h \
	src/cli/command.h \
	src/cli/doctor.c \
	src/cli/doctor_host.c src/cli/doctor_host.h \
	src/cli/download.c src/cli/download.h \
	src/cli/fetch.c \
	src/cli/follow.c src/cli/follow.h \
	src/cli/http.c src/cli/http.h \
	src/cli/input.c src/cli/input.h \
	src/cli/job.c \
	src/cli/list.c \
	src/cli/prune.c \
	src/cli/raw.c \
	src/cli/save.c src/cli/save.h \
	src/cli/session.c src/cli/session.h \
	src/cli/settings.c src/cli/settings.h \
	src/cli/show.c src/cli/show.h \
	src/cli/status.c \
	src/cli/submit.c \
	src/cli/token.c \
	src/cli/told.c src/cli/told.h \
	src/cli/tool_check.c \
	src/cli/top.c \
	src/cli/tools.c \
	src/cli/url.c src/cli/url.h \
	src/cli/value.c src/cli/value.h \
	src/cli/verify.c \
	src/cli/wait.c \
	src/cli/when.c
CLI_LIBS = libcli.a libproto.a $(STORE_LIBS) $(CONFIG_LIBS) $(SPOOL_LIBS) $(CURL_LIBS) $(ZIP_LIBS) -lm

bin_PROGRAMS += spoolgate
spoolgate_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
spoolgate_SOURCES = src/cli/main.c
spoolgate_LDADD = $(CLI_LIBS)

completiondir = $(datadir)/bash-completion/completions
dist_completion_DATA = src/cli/completion/spoolgate
