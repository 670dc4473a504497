/*
 * Sentences of a rollout's story: how they are made, and how numbers, times and people are put into them.
 */
#pragma once

#include "base/macros.h"
#include "story.h"

/* Adds a sentence, borrowed until the next one. `at_ms` 0: of no one time. */
struct story_sentence *prose_say(struct story_chapter *c, int64_t at_ms, enum story_tone tone, const char *fmt, ...)
    printf_like(4, 5);
/* Where the sentence's numbers are from. */
void prose_cite(struct story_sentence *s, const char *fmt, ...) printf_like(2, 3);

void prose_format_span(int64_t from_unix_ms, int64_t until_unix_ms, char out[static 32]);
/* As story_format_time, with the day of the rollout's beginning. */
void prose_format_at(const struct story *s, int64_t unix_ms, char out[static 40]);
/* "412 requests, of which 9 failed (2.18%)". */
void prose_format_counts(const struct counts *c, char *out, size_t size);
/* ", counted up to 22:31:00": metrics come late, and nobody reads them any more once a rollout has ended, so what is
 * counted is not always all. "" when it is, or `w` is NULL. */
void prose_format_counted(const struct story *s, const struct story_weight *w, char out[static 64]);
/* "uid=1000 pid=77" reads as "the user with uid 1000 (process 77)". */
void prose_format_by(const char *by, char *out, size_t size);
/* "10% of the traffic". */
void prose_format_weight(uint32_t bp, char out[static 32]);
/* "Version 1": with a capital, as it begins a sentence. */
void prose_begin(const char *text, char *out, size_t size);

/* The chapters' parts that have files of their own. */
void course_tell(const struct story *s, struct story_chapter *c);
/* Probes: how they were sent, what came of all of them, and of those within one weight. Nothing where none were. */
void probed_tell_plan(const struct story *s, struct story_chapter *c);
void probed_tell_all(const struct story *s, struct story_chapter *c);
void probed_tell_weight(const struct story *s, const struct story_weight *w, struct story_chapter *c);
