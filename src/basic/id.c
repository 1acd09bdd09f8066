#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "basic/id.h"

static const char hex_digits[] = "0123456789abcdef";
static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void
random_bytes(unsigned char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = getrandom(buf, len, 0);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			abort();	/* a guessable id would be worse than none */
		}
		buf += n;
		len -= (size_t)n;
	}
}

void
random_hex(char *ret_text, size_t bytes)
{
	unsigned char raw[64] = { 0 };

	while (bytes > 0) {
		size_t n = bytes < sizeof raw ? bytes : sizeof raw;

		random_bytes(raw, n);
		for (size_t i = 0; i < n; i++) {
			*ret_text++ = hex_digits[raw[i] >> 4];
			*ret_text++ = hex_digits[raw[i] & 15];
		}
		bytes -= n;
	}
	*ret_text = '\0';
	explicit_bzero(raw, sizeof raw);
}

void
id_new(char ret_id[ID_SIZE])
{
	random_hex(ret_id, ID_LEN / 2);
}

bool
id_valid(const char *text)
{
	return strspn(text, hex_digits) == ID_LEN && text[ID_LEN] == '\0';
}

/* Where a UUID has its dashes. */
static bool
is_dash_place(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

void
id_to_uuid(const char id[ID_SIZE], char ret_uuid[UUID_SIZE])
{
	assert(id_valid(id));
	for (size_t i = 0; i < UUID_LEN; i++)
		ret_uuid[i] = is_dash_place(i) ? '-' : *id++;
	ret_uuid[UUID_LEN] = '\0';
}

int
id_from_uuid(const char *uuid, char ret_id[ID_SIZE])
{
	char id[ID_SIZE] = { 0 };
	size_t n = 0;

	if (strnlen(uuid, UUID_SIZE) != UUID_LEN)
		return -EINVAL;
	for (size_t i = 0; i < UUID_LEN; i++) {
		if (!is_dash_place(i))
			id[n++] = uuid[i];
		else if (uuid[i] != '-')
			return -EINVAL;
	}
	if (!id_valid(id))
		return -EINVAL;
	memcpy(ret_id, id, sizeof id);
	return 0;
}

static unsigned
hex_value(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* 128 bits are 21 characters of six bits and one of two bits, followed by four zero bits. */
void
id_to_token(const char id[ID_SIZE], char ret_token[TOKEN_SIZE])
{
	unsigned acc = 0, bits = 0;
	size_t n = 0;

	assert(id_valid(id));
	for (size_t i = 0; i < ID_LEN; i++) {
		acc = (acc << 4 | hex_value(id[i])) & 0xfff;
		bits += 4;
		if (bits >= 6) {
			bits -= 6;
			ret_token[n++] = base64url[acc >> bits & 63];
		}
	}
	ret_token[n++] = base64url[acc << (6 - bits) & 63];
	assert(n == TOKEN_LEN);
	ret_token[n] = '\0';
}

int
id_from_token(const char *token, char ret_id[ID_SIZE])
{
	char id[ID_SIZE] = { 0 };
	unsigned acc = 0, bits = 0;
	size_t n = 0;

	if (strnlen(token, TOKEN_SIZE) != TOKEN_LEN)
		return -EINVAL;
	for (size_t i = 0; i < TOKEN_LEN; i++) {
		const char *at = strchr(base64url, token[i]);

		if (!at)
			return -EINVAL;
		acc = (acc << 6 | (unsigned)(at - base64url)) & 0xfff;
		for (bits += 6; bits >= 4 && n < ID_LEN; bits -= 4)
			id[n++] = hex_digits[acc >> (bits - 4) & 15];
	}
	if ((acc & ((1U << bits) - 1)) != 0)
		return -EINVAL;
	memcpy(ret_id, id, sizeof id);
	return 0;
}

void
id_pack(const char *id, struct id_packed *ret)
{
	for (size_t i = 0; i < ID_LEN / 2; i++) {
		char a = id[2 * i], b = id[2 * i + 1];

		ret->bytes[i] = (unsigned char)((a <= '9' ? a - '0' : a - 'a' + 10) << 4 | (b <= '9' ? b - '0' : b - 'a' + 10));
	}
}

void
id_unpack(const struct id_packed *packed, char ret_id[ID_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < ID_LEN / 2; i++) {
		ret_id[2 * i] = digits[packed->bytes[i] >> 4];
		ret_id[2 * i + 1] = digits[packed->bytes[i] & 15];
	}
	ret_id[ID_LEN] = '\0';
}
