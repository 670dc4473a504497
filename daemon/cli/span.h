/* Times as people read them. */
#pragma once

#include <stdint.h>

#define SPAN_TIME_SIZE 40

/* "22:10:05" when it is of the same local day as `now`, else "2026-11-22 22:10:05"; "-" for 0. */
void span_format_time(int64_t unix_ms, int64_t now_unix_ms, char out[static SPAN_TIME_SIZE]);
/* "12,345,678". */
void span_format_count(int64_t n, char out[static SPAN_TIME_SIZE]);
/* Errors of invocations in percent: "0.52%"; "-" when there were none. */
void span_format_rate(int64_t errors, int64_t invocations, char out[static SPAN_TIME_SIZE]);
int64_t span_now_unix_ms(void);
/* For measuring what passes here: monotonic. */
int64_t span_now_ms(void);
