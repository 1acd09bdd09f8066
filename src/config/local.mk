# What an administrator writes: spoolgate.conf and the tool files.
noinst_LIBRARIES += libconfig.a
libconfig_a_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(INIH_CFLAGS)
libconfig_a_SOURCES = \
	src/config/callbacks.c src/config/callbacks.h \
	src/config/config.c src/config/config.h \
	src/config/faults.c \
	src/config/ini_file.c src/config/ini_file.h \
	src/config/stan.c src/config/stan.h \
	src/config/tool.c src/config/tool.h \
	src/config/tool_argv.c \
	src/config/tool_check.c \
	src/config/tool_describe.c \
	src/config/tool_internal.h \
	src/config/tool_keys.c
CONFIG_LIBS = libconfig.a $(INIH_LIBS) -lm
