#include "config.h"

/* The plain functions, deprecated or not: EVP's look-up of a provider reads configuration and costs a program that lives for one
 * job more than all its hashing, and linked statically it brings the whole of libcrypto along. */
#define OPENSSL_API_COMPAT 10101

#include <errno.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/scoped.h"

struct sha256 {
	SHA256_CTX ctx;
};

struct sha256 *
sha256_new(void)
{
	struct sha256 *h = calloc(1, sizeof *h);

	if (h && SHA256_Init(&h->ctx) != 1)
		return sha256_free(h);
	return h;
}

struct sha256 *
sha256_free(struct sha256 *h)
{
	free(h);
	return NULL;
}

/* A hash that silently left bytes out would vouch for other content than there is. */
static void
must(int ok)
{
	if (ok != 1)
		abort();
}

static void
to_hex(const unsigned char *digest, size_t len, char *ret_hex)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		ret_hex[2 * i] = digits[digest[i] >> 4];
		ret_hex[2 * i + 1] = digits[digest[i] & 15];
	}
	ret_hex[2 * len] = '\0';
}

struct sha1 {
	SHA_CTX ctx;
};

struct sha1 *
sha1_new(void)
{
	struct sha1 *h = calloc(1, sizeof *h);

	if (h && SHA1_Init(&h->ctx) != 1)
		return sha1_free(h);
	return h;
}

struct sha1 *
sha1_free(struct sha1 *h)
{
	free(h);
	return NULL;
}

void
sha1_add(struct sha1 *h, const void *data, size_t len)
{
	must(SHA1_Update(&h->ctx, data, len));
}

void
sha1_finish(struct sha1 *h, char ret_hex[SHA1_HEX_SIZE])
{
	unsigned char digest[SHA_DIGEST_LENGTH];

	must(SHA1_Final(digest, &h->ctx));
	to_hex(digest, sizeof digest, ret_hex);
}

void
sha256_add(struct sha256 *h, const void *data, size_t len)
{
	must(SHA256_Update(&h->ctx, data, len));
}

void
sha256_finish(struct sha256 *h, char ret_hex[SHA256_HEX_SIZE])
{
	unsigned char digest[SHA256_LEN] = { 0 };

	must(SHA256_Final(digest, &h->ctx));
	must(SHA256_Init(&h->ctx));
	to_hex(digest, sizeof digest, ret_hex);
}

void
sha256_hex(const void *data, size_t len, char ret_hex[SHA256_HEX_SIZE])
{
	unsigned char digest[SHA256_LEN] = { 0 };
	SHA256_CTX ctx;

	must(SHA256_Init(&ctx));
	must(SHA256_Update(&ctx, data, len));
	must(SHA256_Final(digest, &ctx));
	to_hex(digest, sizeof digest, ret_hex);
}

int64_t
sha256_fd(int fd, int64_t max, char ret_hex[SHA256_HEX_SIZE])
{
	scoped(free_sha256) struct sha256 *h = sha256_new();
	unsigned char buf[32768];
	int64_t total = 0;

	if (!h)
		return -ENOMEM;
	for (;;) {
		ssize_t n = pread_full(fd, buf, sizeof buf, (off_t)total);

		if (n < 0)
			return n;
		if (n > max - total)
			return -EFBIG;
		sha256_add(h, buf, (size_t)n);
		total += n;
		if ((size_t)n < sizeof buf)
			break;
	}
	sha256_finish(h, ret_hex);
	return total;
}

/* crc_table[k][b] is the CRC of byte b followed by k zero bytes, so that eight bytes take eight independent look-ups. */
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;
static uint32_t crc_table[8][256];

static void
make_crc_table(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t crc = b;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) ? 0x82f63b78U : 0);	/* RFC 3720 B.4, bits reversed */
		crc_table[0][b] = crc;
	}
	for (size_t k = 1; k < 8; k++)
		for (size_t b = 0; b < 256; b++)
			crc_table[k][b] = crc_table[k - 1][b] >> 8 ^ crc_table[0][crc_table[k - 1][b] & 255];
}

static uint32_t
load_le32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	(void)pthread_once(&crc_once, make_crc_table);
	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		uint32_t low = crc ^ load_le32(p), high = load_le32(p + 4);

		crc = crc_table[7][low & 255] ^ crc_table[6][low >> 8 & 255] ^ crc_table[5][low >> 16 & 255] ^
		    crc_table[4][low >> 24] ^ crc_table[3][high & 255] ^ crc_table[2][high >> 8 & 255] ^
		    crc_table[1][high >> 16 & 255] ^ crc_table[0][high >> 24];
	}
	for (; len > 0; len--, p++)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 255];
	return ~crc;
}

bool
secret_equal(const char *a, const char *b)
{
	volatile unsigned char diff = 0;
	size_t at = 0;	/* stays at the NUL of a shorter a, so nothing tells where it ended */

	for (size_t i = 0;; i++) {
		unsigned char ca = (unsigned char)a[at], cb = (unsigned char)b[i];

		diff = (unsigned char)(diff | (ca ^ cb));
		at += (ca != 0);
		if (cb == 0)
			return diff == 0;
	}
}
