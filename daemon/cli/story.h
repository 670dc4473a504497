/*
 * A rollout's record, read into what its story is told from: the same for explain, report and replay. All strings and
 * JSON are borrowed of the record, which must outlive it. What a record lacks reads as nothing.
 */
#pragma once

#include "cli.h"
#include "core/samples.h"

/* The newest counts of one metric period. */
struct story_period {
	int64_t start_unix_ms;
	struct counts canary; /* as it is judged: once it has all traffic, they are of the alias */
	struct counts stable;
	struct counts probe_canary; /* rolloutd's own requests, which are in none of the others */
	struct counts probe_stable;
	const json_t *values; /* of metrics with values of their own; NULL: none */
};

/* One weight, from when it landed until the next one did. */
struct story_weight {
	int64_t from_unix_ms;
	int64_t until_unix_ms; /* the end of the rollout or now, of the last one */
	uint32_t weight_bp;    /* the canary's share */
	bool home;	       /* all traffic back on stable */
	struct counts canary;  /* of the periods from that one on in which it landed */
	struct counts stable;
	struct counts probe_canary;
	struct counts probe_stable;
	int64_t counted_from_unix_ms; /* those periods, as far as they were read */
	int64_t counted_until_unix_ms;
	bool counted_short; /* it went on after those */
};

struct story_judgement {
	int64_t at_unix_ms;
	int64_t through_unix_ms;
	uint32_t weight_bp;
	const char *verdict;
	const char *gap;
	const char *text;
	size_t metric; /* of the record's metrics; one beyond: the step's own minimum */
	const json_t *detail;
};

/* Requests of rolloutd's own, of all periods. */
struct story_probes {
	const char *event; /* the file; NULL: the plan has no probe */
	int64_t every_ms;
	struct counts canary;
	struct counts stable;
	int64_t from_unix_ms; /* the periods in which any were answered; 0: none were */
	int64_t until_unix_ms;
	int64_t skipped; /* turns that came to nothing */
};

/* Two versions beside each other, and what the daemon found: as of the end, or so far. */
struct story_experiment {
	bool is;   /* the plan is one */
	bool back; /* `then: back` */
	bool concluded;
	const char *text;    /* the finding in one clause; "" before there was traffic */
	const char *finding; /* "no-data" "open" "canary" "stable" */
	struct counts canary;
	struct counts stable;
	double low; /* of the difference of the failed shares, in percent; NAN: not known */
	double high;
	int64_t counted_from_unix_ms; /* the periods of the counts; 0: there are none */
	int64_t counted_until_unix_ms;
	uint32_t weight_bp;
	int64_t asked_ms; /* for how long */
	int64_t from_unix_ms;
	int64_t until_unix_ms; /* 0: it runs */
};

struct story {
	const json_t *record;
	const json_t *rollout; /* as `status` has it */
	const json_t *metrics;
	const json_t *events;
	const char *name;
	int64_t attempt;
	const char *phase;
	int64_t now_unix_ms;
	int64_t created_unix_ms;
	int64_t first_traffic_unix_ms; /* 0: never */
	int64_t promoted_unix_ms;
	int64_t ended_unix_ms;	      /* 0: it lives */
	int64_t until_unix_ms;	      /* of what there is to tell: the end, or now */
	int64_t read_through_unix_ms; /* metrics were read up to here; 0: never, or not known */
	int64_t period_ms;
	char stable[32]; /* "version 1" */
	char canary[32];
	struct story_period *periods;
	size_t n_periods;
	struct story_weight *weights;
	size_t n_weights;
	struct story_judgement *judgements;
	size_t n_judgements;
	struct story_probes probes;
	struct story_experiment experiment;
};

/* NULL after a complaint: the record is none, or cannot be read. Freed by story_free. */
struct story *story_read(struct cli *cli, const json_t *record);
void story_free(struct story *s); /* NULL is fine */

/* Asks the daemon for the record of the command's NAME and --attempt. As cli_get. */
must_use int story_get(struct cli *cli, const char *name, json_t **ret_record);

/* The share of the traffic that the canary has in "version 1 (90%) and version 2 (10%)", "version 2". Text that does
 * not say it gives false. */
bool story_parse_target(const char *text, const char *canary, uint32_t *ret_bp);
/* Whether it has gone back as planned: an experiment whose time is over is no failure. */
bool story_is_concluded(const struct story *s);
void story_add_counts(struct counts *sum, const struct counts *c);
/* The metric with that number; NULL for the step's own minimum. */
const json_t *story_metric(const struct story *s, size_t metric);
/* What the deciding metric's evidence says, as a number of rollouts: "1 of 5400"; false when it weighs none. */
bool story_odds(const struct story *s, const struct story_judgement *j, char ret_seen[static 32],
		char ret_accepted[static 32]);

/* --- the story in words --- */

enum story_tone { TONE_PLAIN, TONE_GOOD, TONE_WARN, TONE_BAD, TONE_DIM };

struct story_sentence {
	int64_t at_unix_ms; /* 0: of no one time */
	enum story_tone tone;
	char *text;   /* owned */
	char *source; /* owned: where its numbers are from; "" */
};

struct story_chapter {
	const char *title;
	struct story_sentence *sentences;
	size_t n;
	size_t cap;
};

#define STORY_CHAPTERS 4 /* what it was, how it was watched, what happened, what holds now */

struct telling {
	struct story_chapter chapters[STORY_CHAPTERS];
};

struct telling *telling_new(const struct story *s);
void telling_free(struct telling *t); /* NULL is fine */

/* "2026-11-23 15:28:02 UTC", or with `day` of the same day "15:28:02". */
void story_format_time(int64_t unix_ms, int64_t day_unix_ms, char out[static 40]);
