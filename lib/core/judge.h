/*
 * Inside the verdict only: what the judgements of the kinds of metrics share. Each kind judges by itself and fills a
 * metric_result; verdict.c makes one verdict of them.
 */
#pragma once

#include "core/verdict.h"

/* What one pass over the settled samples gives. */
struct tally {
	struct counts step;
	struct counts stable_step;
	struct counts all;
	struct counts stable;
	struct counts probe_canary; /* of the whole rollout */
	struct counts probe_stable;
};

/*
 * The period in which the canary got all traffic. From then on CloudWatch counts the alias as a whole and no version of
 * it, so what the canary served after that is what the versions' counts leave of the alias's.
 */
struct promotion {
	int64_t start_unix_ms;
	struct counts canary; /* of the whole period */
	struct counts after;  /* of those: after the promotion. Not seen: nothing is left, or it cannot be told */
};

struct judge {
	const struct verdict_question *q;
	struct promotion promotion;
	struct tally tally;
};

/* Walks the settled samples of the rollout: sets *ret_first and returns the index behind the last one. */
size_t judge_settled(const struct judge *j, size_t *ret_first);
/* The canary's counts of one period. */
const struct counts *judge_canary(const struct judge *j, const struct sample *s);
void judge_sum_up(struct counts *sum, const struct counts *c); /* nothing, if they were not seen */

/*
 * judge_probes.c: requests of rolloutd's own. They are counted here, so a period of theirs waits for nothing but its
 * end; until then it may grow, and is not looked at.
 */

/* As judge_settled, for those. It never ends before that one does. */
size_t judge_over(const struct judge *j, size_t *ret_first);
/* The same, with the probes in all counts of requests: for metrics that count them. */
void judge_add_probes(struct judge *j);
/* The canary's requests of a sample that a metric counts: those that CloudWatch knows, before `settled`, and probes. */
struct counts judge_counted(const struct judge *j, const struct spec_metric *m, size_t index, size_t settled);
/* ", probes included", or "" where there are none. */
const char *judge_probes_note(const struct judge *j, const struct spec_metric *m);

/* Each returns true when the canary fails, with `why` written; otherwise `gap`, and `why` when there is one. */
bool judge_rate(const struct judge *j, const struct spec_metric *m, struct metric_result *ret);
bool judge_compare(const struct judge *j, const struct spec_metric *m, struct metric_result *ret);
bool judge_series(const struct judge *j, size_t index, struct metric_result *ret);
bool judge_alarm(const struct judge *j, size_t index, struct metric_result *ret);

/* Records a reason to stay undecided, if it is the strongest so far. */
void judge_gap(struct metric_result *ret, enum verdict_gap gap, const char *why);
/* Whether settled, complete data covers the step's bake; otherwise says what is missing. */
void judge_cover(const struct judge *j, struct metric_result *ret);
/* The same for what ends at that time; `what` for people: "this weight's bake". */
void judge_cover_until(const struct judge *j, int64_t until_unix_ms, const char *what, struct metric_result *ret);
/* Whether the canary has served so many requests in the step's window; otherwise says what is missing. */
void judge_minimum(const struct judge *j, uint64_t need, struct metric_result *ret);

/* Periods are whole seconds: "2026-11-22T20:03:00Z". */
void judge_format_time(int64_t unix_ms, char out[static 32]);
/* "in the period from 2026-11-22T20:03:00Z", and with a limit above 1 ", the last of 3 that failed". */
void judge_format_period(int64_t start_unix_ms, uint32_t failure_limit, char out[static 96]);
/* For people: two decimals of a percent, four below a tenth of one. */
void judge_format_rate(const struct counts *c, char out[static 16]);
