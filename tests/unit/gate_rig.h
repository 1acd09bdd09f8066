/* gate_rig.h - a gate's worker in this process, spoken to over real FastCGI connections, with a spool and a helper of the test's
 * own. cmocka's conventions: a failure here is the test's. */
#ifndef SPOOLGATE_GATE_RIG_H
#define SPOOLGATE_GATE_RIG_H

#include <json-c/json.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "unit.h"

#include "gate/gate.h"
#include "gate/worker.h"
#include "proto/message.h"
#include "spool/layout.h"
#include "spool/record.h"

enum { RIG_DEADLINE_MSEC = 20000 };	/* an event that does not come by then never comes */

/* FastCGI, as nginx speaks it. */
struct fcgi_answer {
	int status;	/* of the header Status; 0: the connection ended without an answer */
	char *headers;	/* with CRLF, as sent */
	char *body;	/* has a NUL behind it */
	size_t len;
	bool ended;	/* FCGI_END_REQUEST came */
};
/* params: NAME, value, ..., NULL. declared: CONTENT_LENGTH, -1: none sent. Sends a whole request. */
void fcgi_send(int fd, const char *const *params, const char *body, size_t len, long declared);
void fcgi_record(int fd, unsigned char type, const void *data, size_t len);
void fcgi_receive(int fd, struct fcgi_answer *ret);
void fcgi_answer_done(struct fcgi_answer *a);
/* The value of a header, malloc'd; NULL: not there. */
char *fcgi_header(const struct fcgi_answer *a, const char *name);

/* A helper: a thread that answers messages by a function of the test's. */
struct fake_helper;
/* Returns the answer without its number (owned by the caller), NULL: close the connection. */
typedef json_object *fake_answer_fn(struct fake_helper *h, const struct message *m, void *ctx);
struct fake_helper *fake_helper_new(const char *path, fake_answer_fn *answer, void *ctx);
void fake_helper_free(struct fake_helper *h);
/* Says {"event":"changed","id":id} on every connection that has sent a watch. */
void fake_helper_changed(struct fake_helper *h, const char *id);
/* Waits until n ids in all have been watched. */
void fake_helper_await_watches(struct fake_helper *h, unsigned n);
json_object *fake_ok(void);
json_object *fake_refusal(int err, unsigned retry_after);

struct rig {
	struct temp_dir *dir;
	char listen_path[600], helper_path[600], spool_path[600], state_path[600], config_path[600];
	int listen_fd;
	struct spool *spool;
	struct gate *gate;
	struct worker *worker;
};
/* extra: more lines of spoolgate.conf, "" none. spool: whether one is made. */
void rig_start(struct rig *rig, struct temp_dir *dir, const struct service *const *services, size_t n, const char *extra, bool spool);
void rig_stop(struct rig *rig);
int rig_connect(const struct rig *rig);
/* One request of a service, from the path; params may be NULL. */
struct fcgi_answer rig_ask(const struct rig *rig, const char *service, const char *method, const char *uri, const char *const *params,
    const char *body);

/* Puts a job into the spool; the rest of its folder is the test's. Returns the folder. */
int rig_job(const struct rig *rig, const char *service, const char *id);
void rig_finish_job(const struct rig *rig, int job_fd, enum verdict verdict, int exit_code);
void rig_write(int dir_fd, const char *name, const char *text);

#define RIG_ID "0123456789abcdef0123456789abcdef"

#endif
