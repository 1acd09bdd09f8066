/* id.h - job ids: 128 random bits, 32 lower-case hex digits on disk.
 * Services that show a UUID or a 22-character token show the same bits in another spelling, of which only the canonical
 * one is accepted. */
#ifndef SPOOLGATE_ID_H
#define SPOOLGATE_ID_H

#include <stdbool.h>
#include <stddef.h>

enum { ID_LEN = 32, ID_SIZE = ID_LEN + 1, UUID_LEN = 36, UUID_SIZE = UUID_LEN + 1, TOKEN_LEN = 22, TOKEN_SIZE = TOKEN_LEN + 1 };

/* A new id from getrandom(2); never fails once the kernel's pool is ready. */
void id_new(char ret_id[ID_SIZE]);
bool id_valid(const char *text);	/* exactly 32 lower-case hex digits */

/* As 8-4-4-4-12 lower-case hex. The bits are random in all places, so version and variant are not those of RFC 9562. */
void id_to_uuid(const char id[ID_SIZE], char ret_uuid[UUID_SIZE]);
int id_from_uuid(const char *uuid, char ret_id[ID_SIZE]);	/* -EINVAL unless canonical */
/* As 22 characters of base64url without padding (RFC 4648 section 5). */
void id_to_token(const char id[ID_SIZE], char ret_token[TOKEN_SIZE]);
int id_from_token(const char *token, char ret_id[ID_SIZE]);	/* -EINVAL unless canonical: the unused bits are zero */

/* len random bytes as 2 * len hex digits and a NUL; for secrets and temporary names. */
void random_hex(char *ret_text, size_t bytes);

/* The same in half the bytes, for tables of many. */
struct id_packed { unsigned char bytes[ID_LEN / 2]; };
void id_pack(const char *id, struct id_packed *ret);	/* a valid one */
void id_unpack(const struct id_packed *packed, char ret_id[ID_SIZE]);

#endif
