/* hash.h - SHA-256 and SHA-1 by libcrypto, constant-time comparison. */
#ifndef SPOOLGATE_HASH_H
#define SPOOLGATE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_LEN = 32, SHA256_HEX_SIZE = 65 };

struct sha256;	/* one running hash */
struct sha256 *sha256_new(void);	/* NULL: no memory */
struct sha256 *sha256_free(struct sha256 *h);	/* accepts NULL, always returns NULL */
void sha256_add(struct sha256 *h, const void *data, size_t len);
void sha256_finish(struct sha256 *h, char ret_hex[SHA256_HEX_SIZE]);	/* and begin anew */
static inline void free_sha256(struct sha256 **h) { *h = sha256_free(*h); }

void sha256_hex(const void *data, size_t len, char ret_hex[SHA256_HEX_SIZE]);
/* Hashes fd from its start by offset, at most max bytes; returns the bytes hashed. -EFBIG over max. */
int64_t sha256_fd(int fd, int64_t max, char ret_hex[SHA256_HEX_SIZE]);

/* SHA-1 (FIPS 180-4), for names that an old interface makes of it: nothing of ours is safe because of it. */
enum { SHA1_HEX_SIZE = 41 };
struct sha1;
struct sha1 *sha1_new(void);	/* NULL: no memory */
struct sha1 *sha1_free(struct sha1 *h);	/* accepts NULL, always returns NULL */
void sha1_add(struct sha1 *h, const void *data, size_t len);
void sha1_finish(struct sha1 *h, char ret_hex[SHA1_HEX_SIZE]);
static inline void free_sha1(struct sha1 **h) { *h = sha1_free(*h); }

/* HMAC-SHA-256 (RFC 2104). */
void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, unsigned char ret[SHA256_LEN]);

/* CRC-32C (Castagnoli) of data, continued from crc (0 to begin): for records on our own disk, no protection against intent. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* Compares two secrets in a time that depends on b's length alone. */
bool secret_equal(const char *a, const char *b);

#endif
