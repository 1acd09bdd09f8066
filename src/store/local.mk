# The gate's databases, which the command uses too.
noinst_LIBRARIES += libstore.a
libstore_a_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS) $(SQLITE_CFLAGS)
libstore_a_SOURCES = src/store/token.c src/store/token.h
STORE_LIBS = libstore.a $(SQLITE_LIBS)
