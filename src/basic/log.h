/* log.h - one line to stderr, as journald likes it: "<priority>message". Only programs call this; basic, spool and proto
 * never log. Control bytes in the message are replaced by '?', so that a client cannot forge a line. A line is at most
 * 2000 bytes, and one write(2). Where stderr is a terminal, "program: " stands in the priority's place. Bytes that are not
 * UTF-8 are replaced too, for journald would call the line a blob. Safe in threads after log_init; errno survives. */
#ifndef SPOOLGATE_LOG_H
#define SPOOLGATE_LOG_H

#include <syslog.h>	/* LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG */

void log_init(const char *program, int max_priority);	/* max_priority: LOG_INFO leaves LOG_DEBUG out; program is kept */
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
