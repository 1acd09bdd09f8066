/* config.h - spoolgate.conf, one INI file for all programs.
 *
 * Every key stands in one table in config.c with its type, range and default; there is no other way to read a setting. All faults are collected, each with file and line, so that they can be reported at once. doc/architecture.md,
 * "Configuration, secrets, logs"; spoolgate.conf(5) lists the keys. */
#ifndef SPOOLGATE_CONFIG_H
#define SPOOLGATE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Faults found while reading: texts "file:line: what is wrong", in order. */
struct faults {
	char **texts;
	size_t n;
};
void faults_add(struct faults *f, const char *file, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));	/* line 0: the file as a whole; file NULL: neither */
void faults_done(struct faults *f);

struct config;

/* Reads the file (path NULL: SYSCONFDIR/spoolgate/spoolgate.conf; a missing file is a fault, an empty one is none). Returns 0
 * also with faults: look at f->n. -ENOMEM. */
int config_load(const char *path, struct faults *f, struct config **ret);
struct config *config_free(struct config *c);
static inline void free_config(struct config **c) { *c = config_free(*c); }

/* Getters; section and key must stand in the table (assert) with that type. Strings are owned by c; NULL where unset and
 * without default. Sizes in bytes ("16M", "1G" in the file), times in microseconds ("90s", "5m", "7d", "500ms"). */
const char *config_string(const struct config *c, const char *section, const char *key);
uint64_t config_number(const struct config *c, const char *section, const char *key);
/* The same of a service's section, also for a name that is no section's: 0 where it has no such key. */
uint64_t config_service_number(const struct config *c, const char *service, const char *key);
bool config_bool(const struct config *c, const char *section, const char *key);
bool config_is_set(const struct config *c, const char *section, const char *key);	/* by the file */
bool config_section_is_set(const struct config *c, const char *section);	/* the file sets some key of it */

/* The text forms of sizes and times, for tool files too. -EINVAL, -ERANGE. */
int size_parse(const char *text, uint64_t *ret_bytes);
int time_parse(const char *text, uint64_t *ret_usec);

/* Account names to numbers, once: keys gate_user, admin_user, read_group, gate_group. An unknown name is a fault. Unset: the
 * caller's own uid; (gid_t)-1. */
struct accounts {
	unsigned own_uid, gate_uid, admin_uid;
	unsigned read_gid, gate_gid;	/* (gid_t)-1 where unset */
	bool shared;	/* all programs share one uid: an ordinary user's quickstart */
};
int config_accounts(const struct config *c, struct faults *f, struct accounts *ret);

#endif
