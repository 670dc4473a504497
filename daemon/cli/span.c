#include "span.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t span_now_unix_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t span_now_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void span_format_time(int64_t unix_ms, int64_t now_unix_ms, char out[static SPAN_TIME_SIZE])
{
	time_t at = (time_t)(unix_ms / 1000), now = (time_t)(now_unix_ms / 1000);
	struct tm a, n;

	if (unix_ms == 0 || !localtime_r(&at, &a) || !localtime_r(&now, &n)) {
		memcpy(out, "-", 2);
		return;
	}
	bool same_day = a.tm_year == n.tm_year && a.tm_yday == n.tm_yday;
	strftime(out, SPAN_TIME_SIZE, same_day ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &a);
}

void span_format_count(int64_t n, char out[static SPAN_TIME_SIZE])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%jd", (intmax_t)(n < 0 ? 0 : n));
	char *to = out;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
}

void span_format_rate(int64_t errors, int64_t invocations, char out[static SPAN_TIME_SIZE])
{
	if (invocations <= 0) {
		memcpy(out, "-", 2);
		return;
	}
	double percent = 100.0 * (double)errors / (double)invocations;
	/* A few errors among millions must not read as none. */
	if (errors > 0 && percent < 0.01)
		memcpy(out, "<0.01%", 7);
	else
		snprintf(out, SPAN_TIME_SIZE, "%.2f%%", percent);
}
