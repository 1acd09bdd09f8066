/* api_stan.h - what the parts of the Stan compile service share. Sections named here are those of its API (contract stan). */
#ifndef SPOOLGATE_GATE_API_STAN_H
#define SPOOLGATE_GATE_API_STAN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "basic/hash.h"
#include "basic/strbuf.h"
#include "config/stan.h"
#include "gate/exchange.h"
#include "proto/plan.h"
#include "spool/record.h"

#define STAN_TEST PUBLISH_KEPT "self-test-"	/* before a compiler's fingerprint: the name of its self-test, which is no model's */

enum {
	STAN_SOURCE_MAX = 10485760,	/* bytes of a program, inclusive; section 2.3 */
	STAN_ENTRY_SIZE = sizeof STAN_TEST + SHA1_HEX_SIZE,	/* of a model's or a self-test's name in the cache */
};

struct stan_state {
	struct stan_settings settings;
	char *cache;	/* absolute path of the folder of compiled models */
	uint64_t failures_usec;	/* how long a failure that is the program's own fault is remembered */
	char test_id[STAN_ENTRY_SIZE];	/* the self-test's entry in the cache: it stands for this very compiler */
	atomic_bool tested;	/* this process has seen that entry */
};

/* {"message": ...}, which the page shows. */
void stan_message(struct exchange *x, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Compares the header Authorization with a secret; answers and returns false where it is another (section 2.3). */
bool stan_authorized(struct exchange *x, const char *secret);

/* A file of a model in the cache, opened as a hostile one. -ENOENT, ... */
int stan_open_file(const struct stan_state *s, const char *model_id, const char *name);
bool stan_in_cache(const struct stan_state *s, const char *model_id);

bool stan_is_model_id(const char *text);	/* 40 lower-case hexadecimal digits */

handle_fn stan_post_compile;
handle_fn stan_get_events;
/* Has the compiler tried where nobody has yet; at a worker's start. */
void stan_warm(struct exchange *x);

/* A program while it arrives: strict UTF-8, hashed with CRLF and CR as LF (section 4). */
struct stan_source {
	struct sha1 *hash;
	unsigned char more;	/* bytes that the character under way still needs */
	unsigned char low, high;	/* bounds of the next of them */
	bool after_cr;
	bool bad;	/* it is no UTF-8 */
};
int stan_source_begin(struct stan_source *s, const char *salt);	/* -ENOMEM */
void stan_source_add(struct stan_source *s, const void *data, size_t len);
/* The model id. -EINVAL: it is no UTF-8. */
int stan_source_finish(struct stan_source *s, char ret_id[SHA1_HEX_SIZE]);
void stan_source_done(struct stan_source *s);

/* Appends what a compiler wrote to its standard error, for people: without the noise of make and the paths of the jail, bytes that
 * are no UTF-8 replaced. At most three bytes come of one. */
enum { STAN_TEXT_MAX = 64 * 1024 };	/* how much of it a client gets to read */
void stan_clean_text(struct strbuf *ret, const char *text, size_t len);

#endif
