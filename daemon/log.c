#define SD_JOURNAL_SUPPRESS_LOCATION
#include "daemon/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

#define FIELDS_MAX 16
#define TEXT_BYTES 4096 /* of one value; longer ones are cut */
/* Escaping at most doubles a value that is printable already. */
#define LINE_BYTES (2 * TEXT_BYTES * (FIELDS_MAX + 2))

bool log_is_journal(int fd, const char *journal_stream)
{
	struct stat st;
	char here[64];
	if (!journal_stream || fstat(fd, &st) < 0)
		return false;
	snprintf(here, sizeof(here), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(here, journal_stream) == 0;
}

void log_init(struct log *l, int format, int level, int fd)
{
	const char *no_color = getenv("NO_COLOR");
	if (format == LOG_FORMAT_AUTO)
		format = log_is_journal(fd, getenv("JOURNAL_STREAM")) ? LOG_FORMAT_JOURNAL : LOG_FORMAT_TEXT;
	*l = (struct log){.level = level, .format = format, .fd = fd};
	l->colour = format == LOG_FORMAT_TEXT && isatty(fd) == 1 && !(no_color && no_color[0]);
}

static const char *level_name(int level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_INFO:
		return "info";
	default:
		return "debug";
	}
}

static const char *level_colour(int level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "\033[31m";
	case LOG_LEVEL_WARNING:
		return "\033[33m";
	case LOG_LEVEL_DEBUG:
		return "\033[2m";
	default:
		return "";
	}
}

static void add_text_value(struct buf *out, const char *value)
{
	char shown[TEXT_BYTES];
	text_copy_printable(shown, sizeof(shown), value);
	if (shown[0] && !strpbrk(shown, " \"=\\"))
		buf_add_text(out, shown);
	else
		buf_add_json_string(out, shown);
}

static void add_json_value(struct buf *out, const char *value)
{
	char shown[TEXT_BYTES];
	text_copy_printable(shown, sizeof(shown), value);
	buf_add_json_string(out, shown);
}

static void format_text(const struct log *l, const char *time, int level, const char *text,
			const struct log_field *fields, size_t n, struct buf *out)
{
	char shown[TEXT_BYTES];
	text_copy_printable(shown, sizeof(shown), text);
	buf_addf(out, "%s %s%-7s%s ", time, l->colour ? level_colour(level) : "", level_name(level),
		 l->colour && level_colour(level)[0] ? "\033[0m" : "");
	buf_add_text(out, shown);
	for (size_t i = 0; i < n && i < FIELDS_MAX; i++) {
		if (!fields[i].value || !fields[i].value[0])
			continue;
		buf_addf(out, " %s=", fields[i].key);
		add_text_value(out, fields[i].value);
	}
	buf_add_char(out, '\n');
}

static void format_json(const char *time, int level, const char *text, const struct log_field *fields, size_t n,
			struct buf *out)
{
	buf_addf(out, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", time, level_name(level));
	add_json_value(out, text);
	for (size_t i = 0; i < n && i < FIELDS_MAX; i++) {
		if (!fields[i].value || !fields[i].value[0])
			continue;
		buf_addf(out, ",\"%s\":", fields[i].key);
		add_json_value(out, fields[i].value);
	}
	buf_add_text(out, "}\n");
}

void log_format_line(const struct log *l, int64_t unix_ms, int level, const char *text, const struct log_field *fields,
		     size_t n, struct buf *out)
{
	char time[32];
	text_format_utc(unix_ms, time);
	if (l->format == LOG_FORMAT_JSON)
		format_json(time, level, text, fields, n, out);
	else
		format_text(l, time, level, text, fields, n, out);
}

/* ROLLOUT=hello-prod, from {"rollout", "hello-prod"}. */
static char *journal_field(const char *key, const char *value)
{
	char shown[TEXT_BYTES];
	text_copy_printable(shown, sizeof(shown), value);
	char *field = mem_printf("%s=%s", key, shown);
	for (char *c = field; *c != '='; c++)
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
	return field;
}

static int send_to_journal(int level, const char *text, const struct log_field *fields, size_t n)
{
	char *parts[FIELDS_MAX + 3];
	struct iovec iov[FIELDS_MAX + 3];
	size_t count = 0;
	parts[count++] = mem_printf("PRIORITY=%d", level);
	parts[count++] = mem_strdup("SYSLOG_IDENTIFIER=rolloutd");
	parts[count++] = journal_field("MESSAGE", text);
	for (size_t i = 0; i < n && i < FIELDS_MAX; i++)
		if (fields[i].value && fields[i].value[0])
			parts[count++] = journal_field(fields[i].key, fields[i].value);
	for (size_t i = 0; i < count; i++)
		iov[i] = (struct iovec){.iov_base = parts[i], .iov_len = strlen(parts[i])};
	int r = sd_journal_sendv(iov, (int)count);
	for (size_t i = 0; i < count; i++)
		free(parts[i]);
	return r;
}

static int64_t now_unix_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A line goes out with one write, so that lines of several processes do not mix. Nobody can be told when it fails. */
static void write_line(int fd, const char *line, size_t len)
{
	while (len > 0) {
		ssize_t written = write(fd, line, len);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return;
		line += written;
		len -= (size_t)written;
	}
}

void log_write(struct log *l, int level, const char *text, const struct log_field *fields, size_t n)
{
	if (level > l->level)
		return;
	if (l->format == LOG_FORMAT_JOURNAL && send_to_journal(level, text, fields, n) >= 0)
		return;
	struct buf line = BUF_INIT(LINE_BYTES);
	log_format_line(l, now_unix_ms(), level, text, fields, n, &line);
	write_line(l->fd, buf_text(&line), line.len);
	buf_deinit(&line);
}

void log_printf(struct log *l, int level, const char *fmt, ...)
{
	char text[TEXT_BYTES];
	va_list args;
	if (level > l->level)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_write(l, level, text, NULL, 0);
}
