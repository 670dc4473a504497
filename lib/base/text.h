/*
 * Small text work: numbers, durations, percents, names. Every parser takes the whole string or fails; none depends on
 * the locale. Parsers return 0 or -EINVAL (not of the form) or -ERANGE (of the form, but outside the range).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"

must_use int text_parse_u64(const char *s, uint64_t max, uint64_t *ret_v);
must_use int text_parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret_v);

/* "90s", "5m", "2h", "1d", "250ms", "1h30m"; each unit at most once, falling; a bare number only when it is 0.
 * Gives milliseconds, 0 … max_ms. */
must_use int text_parse_duration(const char *s, int64_t max_ms, int64_t *ret_ms);
/* The shortest form that text_parse_duration reads back to the same value: "1h30m", "250ms", "0s". */
void text_format_duration(int64_t ms, char out[static 32]);
/* For people: "1h 5m", "4m 10s", "12s", "0.4s". */
void text_format_span(int64_t ms, char out[static 32]);

/* "5%", "12.5%": at most two decimals. Gives basis points, 0 … 10000. */
must_use int text_parse_percent_bp(const char *s, uint32_t *ret_bp);
/* "1%", "0.05%": at most four decimals. Gives parts per million, 0 … 1000000. */
must_use int text_parse_percent_ppm(const char *s, uint32_t *ret_ppm);
void text_format_bp(uint32_t bp, char out[static 16]);	 /* "12.5%" */
void text_format_ppm(uint32_t ppm, char out[static 16]); /* "0.05%" */

/* ISO 8601 in UTC: "2026-11-22T22:10:05.123Z"; and the form that SigV4 wants: "20261122T221005Z". */
void text_format_utc(int64_t unix_ms, char out[static 32]);
void text_format_amz_date(int64_t unix_ms, char out[static 17]);
/* Reads "2026-11-22T22:10:05Z" and the same with fractions; to milliseconds since the epoch. */
must_use int text_parse_utc(const char *s, int64_t *ret_unix_ms);

bool text_is_utf8(const char *s, size_t len);	  /* valid UTF-8 without NUL */
bool text_is_name(const char *s, size_t max_len); /* [a-z0-9-]{1,max_len}, not starting or ending with '-' */
bool text_starts_with(const char *s, const char *prefix);
bool text_ends_with(const char *s, const char *suffix);

bool text_is_loopback(const char *s, size_t len); /* 127.0.0.0/8 as four plain numbers */

/* The byte that "%41" at the start of `s` stands for, in hex digits of either case; -1: there is none such. */
int text_percent_byte(const char *s, size_t len);

/* Damerau-Levenshtein distance (restricted), at most `limit` + 1. Strings longer than 64 give limit + 1. */
unsigned text_distance(const char *a, const char *b, unsigned limit);

/* Copies with truncation; out is always NUL-terminated. Returns whether it fitted. */
bool text_copy(char *out, size_t out_size, const char *s);

/* Copies, replacing control bytes and broken UTF-8 by '?': for showing text that came from outside. */
void text_copy_printable(char *out, size_t out_size, const char *s);

/* Exact compare in time that depends on the length only. */
bool text_equal_secret(const char *a, const char *b);
