# The FastCGI program. Everything but main.c is a library, for the tests.
noinst_LIBRARIES += libgate.a
libgate_a_CFLAGS = $(AM_CFLAGS) -DOPENAPI_FILE='"$(srcdir)/src/gate/openapi.json"' \
	-DDOCS_FILE='"$(srcdir)/src/gate/docs.html"' $(JSON_CFLAGS) $(FCGI_CFLAGS) $(SYSTEMD_CFLAGS)
libgate_a_SOURCES = \
	src/gate/api_metrics.c \
	src/gate/api_native.c src/gate/api_native.h \
	src/gate/api_native_docs.c \
	src/gate/api_native_events.c \
	src/gate/api_native_files.c \
	src/gate/api_native_job.c \
	src/gate/api_native_list.c \
	src/gate/api_native_log.c \
	src/gate/api_native_submit.c \
	src/gate/api_native_tools.c \
	src/gate/api_native_uploads.c \
	src/gate/api_stableconfigs.c \
	src/gate/api_stableconfigs_problem.c src/gate/api_stableconfigs_problem.h \
	src/gate/api_stan.c src/gate/api_stan.h \
	src/gate/api_stan_compile.c \
	src/gate/api_stan_events.c \
	src/gate/api_stan_source.c \
	src/gate/auth.c src/gate/auth.h \
	src/gate/body.c src/gate/body.h \
	src/gate/cors.c src/gate/cors.h \
	src/gate/exchange.c src/gate/exchange.h \
	src/gate/gate.c src/gate/gate.h \
	src/gate/input_file.c src/gate/input_file.h \
	src/gate/keeper.c src/gate/keeper.h \
	src/gate/metrics.c src/gate/metrics.h \
	src/gate/metrics_helper.c src/gate/metrics_helper.h \
	src/gate/metrics_text.c src/gate/metrics_text.h \
	src/gate/multipart.c src/gate/multipart.h \
	src/gate/number.c src/gate/number.h \
	src/gate/problem.c src/gate/problem.h \
	src/gate/request.c src/gate/request.h \
	src/gate/response.c src/gate/response.h \
	src/gate/router.c src/gate/router.h \
	src/gate/service.h \
	src/gate/services.c \
	src/gate/stream.c src/gate/stream.h \
	src/gate/uploads.c src/gate/uploads.h \
	src/gate/waiting.c src/gate/waiting.h \
	src/gate/worker.c src/gate/worker.h
EXTRA_DIST += src/gate/openapi.json src/gate/docs.html
src/gate/libgate_a-api_native_docs.$(OBJEXT): $(srcdir)/src/gate/openapi.json $(srcdir)/src/gate/docs.html
GATE_LIBS = libgate.a libproto.a $(STORE_LIBS) libspool.a $(CONFIG_LIBS) $(BASIC_LIBS) $(FCGI_LIBS) $(SYSTEMD_LIBS) -lm

pkglibexec_PROGRAMS += spoolgate.fcgi
spoolgate_fcgi_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
spoolgate_fcgi_SOURCES = src/gate/main.c
spoolgate_fcgi_LDADD = $(GATE_LIBS)
