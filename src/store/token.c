#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/hash.h"
#include "basic/scoped.h"
#include "basic/strbuf.h"
#include "store/token.h"

enum {
	SCHEMA = 1,	/* PRAGMA user_version of a database of this release */
	BUSY_MSEC = 5000,
	PATH_LIMIT = 4096,
	TOOLS_LIMIT = 8192,
	RANDOM_BYTES = 32,
};

static const char prefix[] = "sgt_";

static const struct {
	const char *name;
	enum scope scope;
} scope_names[] = {
	{ "submit", SCOPE_SUBMIT },
	{ "read", SCOPE_READ },
	{ "kill", SCOPE_KILL },
	{ "admin", SCOPE_ADMIN },
};

struct tokens {
	sqlite3 *db;	/* serialized: several threads may use it */
};

int
scopes_parse(const char *text, unsigned *ret)
{
	static const char between[] = ", \t\n";
	unsigned all = 0;

	for (const char *p = text + strspn(text, between); *p; p += strspn(p, between)) {
		size_t len = strcspn(p, between);
		unsigned found = 0;

		for (size_t i = 0; i < sizeof scope_names / sizeof scope_names[0]; i++)
			if (strlen(scope_names[i].name) == len && strncmp(scope_names[i].name, p, len) == 0)
				found = scope_names[i].scope;
		if (!found)
			return -EINVAL;
		all |= found;
		p += len;
	}
	*ret = all;
	return 0;
}

void
scopes_format(unsigned scopes, char ret_text[SCOPES_TEXT_SIZE])
{
	size_t n = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < sizeof scope_names / sizeof scope_names[0]; i++)
		if (scopes & scope_names[i].scope)
			n += (size_t)snprintf(ret_text + n, SCOPES_TEXT_SIZE - n, "%s%s", n ? "," : "", scope_names[i].name);
}

void
token_done(struct token *t)
{
	free(t->tools);
	t->tools = NULL;
}

bool
token_name_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strspn(name, allowed);

	return len > 0 && len <= TOKEN_NAME_MAX && name[len] == '\0' && name[0] != '.' && name[0] != '-';
}

/* SQLite's word as an errno. */
static int
error_of(sqlite3 *db)
{
	switch (db ? sqlite3_extended_errcode(db) & 0xff : SQLITE_NOMEM) {
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_CANTOPEN:
		return sqlite3_system_errno(db) ? -sqlite3_system_errno(db) : -EACCES;
	default:
		return -EIO;
	}
}

static void
finalize(sqlite3_stmt **s)
{
	(void)sqlite3_finalize(*s);
}

static int
prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret)
{
	return sqlite3_prepare_v2(db, sql, -1, ret, NULL) == SQLITE_OK ? 0 : error_of(db);
}

static int
schema_version(sqlite3 *db, int *ret)
{
	scoped(finalize) sqlite3_stmt *s = NULL;
	int r = prepare(db, "PRAGMA user_version", &s);

	if (r < 0)
		return r;
	if (sqlite3_step(s) != SQLITE_ROW)
		return error_of(db);
	*ret = sqlite3_column_int(s, 0);
	return 0;
}

/* Makes the tables of an empty database; two that do it at once do it one after the other. */
static int
make_schema(sqlite3 *db)
{
	static const char sql[] =
	    "BEGIN IMMEDIATE;"
	    "CREATE TABLE IF NOT EXISTS token (name TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, scopes INTEGER NOT NULL,"
	    " tools TEXT, created INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT;"
	    "PRAGMA user_version = 1;"
	    "COMMIT;";

	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : error_of(db);
}

int
tokens_open(const char *folder, bool make, struct tokens **ret)
{
	scoped(close_tokens) struct tokens *t = calloc(1, sizeof *t);
	scoped(strbuf_done) struct strbuf path = STRBUF_INIT(PATH_LIMIT);
	int version = 0;
	int r;

	if (!t)
		return -ENOMEM;
	strbuf_addf(&path, "%s/spoolgate.db", folder);
	r = strbuf_err(&path);
	if (r < 0)
		return r == -EFBIG ? -ENAMETOOLONG : r;
	if (make) {	/* SQLite would make it with the umask's mode, and its companions like it */
		scoped(close_fd) int fd = open(strbuf_str(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0)
			return -errno;
	} else if (access(strbuf_str(&path), F_OK) < 0) {
		return -errno;
	}
	if (sqlite3_open_v2(strbuf_str(&path), &t->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW, NULL) !=
	    SQLITE_OK)
		return error_of(t->db);
	(void)sqlite3_busy_timeout(t->db, BUSY_MSEC);
	r = schema_version(t->db, &version);
	if (r == 0 && version > SCHEMA)
		return -EPROTONOSUPPORT;
	/* Readers and a writer do not hold each other up. */
	if (r == 0 && version == 0 && make &&
	    sqlite3_exec(t->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) != SQLITE_OK)
		r = error_of(t->db);
	if (r == 0 && version == 0)
		r = make ? make_schema(t->db) : -ENOENT;
	if (r < 0)
		return r;
	*ret = take_ptr(t);
	return 0;
}

struct tokens *
tokens_close(struct tokens *t)
{
	if (!t)
		return NULL;
	(void)sqlite3_close_v2(t->db);
	free(t);
	return NULL;
}

/* 256 random bits as base64url without padding (RFC 4648 section 5). */
static int
new_text(char ret[TOKEN_TEXT_SIZE])
{
	unsigned char bytes[RANDOM_BYTES];
	unsigned char text[4 * ((RANDOM_BYTES + 2) / 3) + 1];

	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return -EIO;
	(void)EVP_EncodeBlock(text, bytes, sizeof bytes);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i] == '=' ? '\0' : text[i];
	memcpy(ret, prefix, sizeof prefix - 1);
	memcpy(ret + sizeof prefix - 1, text, TOKEN_TEXT_SIZE - sizeof prefix + 1);
	return 0;
}

int
tokens_add(struct tokens *all, struct token *t, char ret_text[TOKEN_TEXT_SIZE])
{
	scoped(finalize) sqlite3_stmt *s = NULL;
	char hash[SHA256_HEX_SIZE];
	int r;

	if (!token_name_valid(t->name) || t->scopes == 0 || (t->tools && (t->tools[0] != '\n' || strlen(t->tools) > TOOLS_LIMIT)))
		return -EINVAL;
	r = new_text(ret_text);
	if (r == 0)
		r = prepare(all->db, "INSERT INTO token (name, hash, scopes, tools, created, expires) VALUES (?, ?, ?, ?, ?, ?)", &s);
	if (r < 0)
		return r;
	sha256_hex(ret_text, strlen(ret_text), hash);
	t->created_usec = clock_wall();
	(void)sqlite3_bind_text(s, 1, t->name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(s, 2, hash, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 3, t->scopes);
	(void)sqlite3_bind_text(s, 4, t->tools, -1, SQLITE_STATIC);	/* NULL becomes NULL */
	(void)sqlite3_bind_int64(s, 5, (sqlite3_int64)t->created_usec);
	(void)sqlite3_bind_int64(s, 6, (sqlite3_int64)t->expires_usec);
	return sqlite3_step(s) == SQLITE_DONE ? 0 : error_of(all->db);
}

int
tokens_revoke(struct tokens *all, const char *name)
{
	scoped(finalize) sqlite3_stmt *s = NULL;
	int r = prepare(all->db, "DELETE FROM token WHERE name = ? RETURNING name", &s);

	if (r < 0)
		return r;
	(void)sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
	switch (sqlite3_step(s)) {
	case SQLITE_ROW:
		return sqlite3_step(s) == SQLITE_DONE ? 0 : error_of(all->db);
	case SQLITE_DONE:
		return -ENOENT;
	default:
		return error_of(all->db);
	}
}

/* The row that s stands on: name, scopes, tools, created, expires. */
static int
take_row(sqlite3_stmt *s, struct token *ret)
{
	const char *tools = (const char *)sqlite3_column_text(s, 2);

	*ret = (struct token){ .scopes = (unsigned)sqlite3_column_int(s, 1), .created_usec = (uint64_t)sqlite3_column_int64(s, 3),
		.expires_usec = (uint64_t)sqlite3_column_int64(s, 4) };
	(void)snprintf(ret->name, sizeof ret->name, "%s", (const char *)sqlite3_column_text(s, 0));
	if (!tools)
		return 0;
	ret->tools = strdup(tools);
	return ret->tools ? 0 : -ENOMEM;
}

int
tokens_each(struct tokens *all, int (*f)(const struct token *t, void *ctx), void *ctx)
{
	scoped(finalize) sqlite3_stmt *s = NULL;
	int r = prepare(all->db, "SELECT name, scopes, tools, created, expires FROM token ORDER BY name", &s);
	int step = SQLITE_ROW;

	while (r >= 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		scoped(token_done) struct token t = { .name = "" };

		r = take_row(s, &t);
		if (r == 0)
			r = f(&t, ctx);
	}
	return r < 0 ? r : step == SQLITE_DONE ? 0 : error_of(all->db);
}

int
tokens_find(struct tokens *all, const char *text, struct token *ret)
{
	scoped(finalize) sqlite3_stmt *s = NULL;
	scoped(token_done) struct token t = { .name = "" };
	char hash[SHA256_HEX_SIZE];
	int r;

	if (strlen(text) != TOKEN_TEXT_SIZE - 1 || strncmp(text, prefix, sizeof prefix - 1) != 0)
		return -ENOENT;
	/* Found by its hash: how far two hashes agree tells nothing of a token. */
	sha256_hex(text, TOKEN_TEXT_SIZE - 1, hash);
	r = prepare(all->db, "SELECT name, scopes, tools, created, expires FROM token WHERE hash = ?", &s);
	if (r < 0)
		return r;
	(void)sqlite3_bind_text(s, 1, hash, -1, SQLITE_STATIC);
	switch (sqlite3_step(s)) {
	case SQLITE_ROW:
		r = take_row(s, &t);
		break;
	case SQLITE_DONE:
		return -ENOENT;
	default:
		return error_of(all->db);
	}
	if (r == 0 && t.expires_usec && t.expires_usec <= clock_wall())
		return -ENOENT;
	if (r < 0)
		return r;
	*ret = t;
	t.tools = NULL;
	return 0;
}
