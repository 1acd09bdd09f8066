/* Apart from hash.c: HMAC() brings the whole of libcrypto along, which a supervisor does without. */
#include "config.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "basic/hash.h"

void
hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, unsigned char ret[SHA256_LEN])
{
	unsigned n = 0;

	/* What is not signed must not go out as if it were. */
	if (!HMAC(EVP_sha256(), key, (int)key_len, data, len, ret, &n) || n != SHA256_LEN)
		abort();
}
