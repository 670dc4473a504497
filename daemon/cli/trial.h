/* What is told of an experiment, in sentences and in the report's table and chart. */
#pragma once

#include "story.h"

#define TRIAL_PART_SIZE 32

/* Sentences; none where it had no traffic. */
void trial_tell(const struct story *s, struct story_chapter *c);

/* Both sides have requests, so there is a difference. */
bool trial_is_known(const struct story_experiment *x);
/* The canary's share of requests that failed less the stable version's, in percent; both have requests. */
double trial_difference(const struct counts *canary, const struct counts *stable);
/* A bound is rounded to the side on which it still holds. */
enum trial_rounding { TRIAL_DOWN, TRIAL_NEAREST, TRIAL_UP };
/* "+0.17%", "−0.26%", "0%". */
void trial_format_signed(double percent, enum trial_rounding to, char out[static TRIAL_PART_SIZE]);
/* "version 2 fails less often". */
void trial_format_finding(const struct story *s, char *out, size_t size);
/* What came of it: "As planned, all traffic went back to version 1 at 15:28:04: …", without a full stop. */
void trial_format_end(const struct story *s, char *out, size_t size);
