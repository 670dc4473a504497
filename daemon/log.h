/*
 * The daemon's log: one line an event, to a terminal, as JSON, or to the journal with fields of its own. Everything
 * that came from outside is made printable first, so a line stays a line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* As syslog counts them. */
enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* LOG_FORMAT_AUTO: the journal when stderr is connected to it, else text. */
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNAL };

struct log_field {
	const char *key; /* lower case letters and '_' */
	const char *value;
};

struct log {
	int level; /* lines above it are dropped */
	int format;
	bool colour;
	int fd;
};

/* Writes to fd (stderr, but for tests). Colour only when that is a terminal and NO_COLOR is unset or empty. */
void log_init(struct log *l, int format, int level, int fd);
void log_write(struct log *l, int level, const char *text, const struct log_field *fields, size_t n);
void log_printf(struct log *l, int level, const char *fmt, ...) printf_like(3, 4);

/* The line that log_write() would write, with its newline; for the journal, as text. */
void log_format_line(const struct log *l, int64_t unix_ms, int level, const char *text, const struct log_field *fields,
		     size_t n, struct buf *out);
/* "123:456", the form of JOURNAL_STREAM, compared with what fd is. */
bool log_is_journal(int fd, const char *journal_stream);
