/*
 * What happens in one seed: the world, the plans and what is done when, drawn before anything runs. A script is a plain
 * value, so a failing one can be made smaller and run again (shrink.h).
 *
 * First the intensities are drawn, each of them none, some or much, so that the seeds differ in kind: one is all
 * crashes, one all lost answers, one quiet but for a human. Then the events.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SCRIPT_FUNCTION "hello"
#define SCRIPT_VERSIONS 6
#define SCRIPT_ALIASES	2
#define SCRIPT_NAMES	3
#define SCRIPT_PLANS	8
#define SCRIPT_STEPS	4
#define SCRIPT_DEEDS	96
#define SCRIPT_FATES	24
#define SCRIPT_METRICS	6

#define SCRIPT_ALARM	  "sim-alarm"
#define SCRIPT_GAUGE_OK	  5   /* what a query sees, unless something is wrong */
#define SCRIPT_GAUGE_HIGH 100 /* … and then */

extern const char *const script_aliases[SCRIPT_ALIASES];
extern const char *const script_names[SCRIPT_NAMES]; /* of plans; the first two share an alias */

enum script_no_data { SCRIPT_HOLD, SCRIPT_PASS, SCRIPT_ROLLBACK };

enum script_metric_kind {
	SCRIPT_RATE,
	SCRIPT_COMPARE,
	SCRIPT_THROTTLES,
	SCRIPT_DURATION,
	SCRIPT_QUERY,
	SCRIPT_IN_ALARM,
	SCRIPT_METRIC_KINDS,
};

/* What a metric does not have is 0. */
struct script_metric {
	enum script_metric_kind kind;
	bool dry_run;
	bool ignores_probes;
	unsigned max_rate_percent; /* rate, throttles */
	unsigned min_invocations;  /* rate, compare, throttles, duration */
	unsigned failure_limit;	   /* rate, throttles, duration, query */
	unsigned false_alarm_percent, min_effect_percent;
	unsigned max_ms, max_ratio_percent; /* duration */
	int64_t warm_up_ms;
	unsigned max;	 /* query: of the gauge */
	bool expression; /* query: by metric math */
};

struct script_plan {
	unsigned name;	/* index into script_names; its alias follows from it */
	unsigned alias; /* index into script_aliases */
	unsigned version;
	unsigned n_steps;
	unsigned weight_percent[SCRIPT_STEPS];
	int64_t bake_ms[SCRIPT_STEPS];
	unsigned min_invocations[SCRIPT_STEPS];
	bool approve[SCRIPT_STEPS];
	int64_t final_bake_ms;
	int64_t every_ms, settle_ms, period_ms;
	struct script_metric metrics[SCRIPT_METRICS];
	unsigned n_metrics;
	int64_t probe_ms; /* one probe of each version in that time; 0: none */
	bool experiment;  /* its only step is one */
	bool ends_home;	  /* … and then: back */
	enum script_no_data no_data;
	int64_t hold_limit_ms;
	bool hold_limit_rolls_back;
	bool by_clock; /* pace: clock */
	bool failure_pauses;
	bool manual;
	bool pre_hook, post_hook;
};

/* How a version answers. */
struct script_version {
	unsigned error_permille;
	int64_t errors_after_ms;
	unsigned latency_ms;
	unsigned throttle_permille;
};

/* A fault of the simulated AWS, with its probability. */
struct script_fate {
	const char *operation;
	const char *fault;
	unsigned permille;
	int64_t delay_ms;
	bool applied;
};

enum deed_kind {
	DEED_PLAN,	    /* a: index of the plan whose file is dropped or changed */
	DEED_COMMAND,	    /* a: name, b: enum rollout_command */
	DEED_RETRY,	    /* a: name */
	DEED_HUMAN_WRITE,   /* a: alias, b: version, c: a second one with 30 %, or 0 */
	DEED_HUMAN_HOME,    /* a: alias; all traffic to what it has as its main version */
	DEED_HUMAN_SAME,    /* a: alias; the content it has already */
	DEED_HUMAN_DELETE,  /* a: alias; made again for_ms later */
	DEED_HUMAN_PUBLISH, /* another version */
	DEED_KILL,	    /* in the b-th operation of the disk from then, or at once; back for_ms later */
	DEED_POWER_CUT,	    /* the same; what was not synced may be lost or torn */
	DEED_REBOOT,	    /* the host's processes are killed, and what was written is synced; back for_ms later */
	DEED_RESTART,	    /* SIGTERM: it drains, and comes back */
	DEED_STOP,	    /* SIGSTOP for for_ms */
	DEED_CLOCK,	    /* the wall clock jumps by for_ms (may be negative) */
	DEED_SECOND,	    /* a second daemon is started on the same state */
	DEED_USURP,	    /* the lock is lost while the daemon is stopped for for_ms, and another one takes over */
	DEED_DISK_ERROR,    /* after a operations the disk fails for b of them; c: errno's kind */
	DEED_DISK_FULL,	    /* for for_ms */
	DEED_REGION_OUT,    /* for for_ms; a: how it answers */
	DEED_KEYS_OUT,	    /* no keys for for_ms */
	DEED_GAUGE,	    /* what queries see is high (b: 0) or has no value (1), for for_ms */
	DEED_ALARM,	    /* the alarm is in ALARM (b: 0) or has INSUFFICIENT_DATA (1), for for_ms */
	DEED_COUNT,
};

enum deed_trigger {
	TRIGGER_TIME,	/* at `at` milliseconds */
	TRIGGER_WRITE,	/* with the at-th UpdateAlias, before it leaves */
	TRIGGER_SENT,	/* with the at-th UpdateAlias, after it has left */
	TRIGGER_ANSWER, /* with the answer to the at-th UpdateAlias */
	TRIGGER_START,	/* in the middle of the at-th start of a daemon */
};

struct deed {
	enum deed_kind kind;
	enum deed_trigger trigger;
	int64_t at;
	int64_t for_ms;
	unsigned a, b, c;
	bool done;
};

struct script {
	uint64_t seed;
	int64_t slowness;	      /* how much longer bakes, polls and traffic's slices are: 1, or 10 */
	int64_t faults_end_ms;	      /* from here on nothing goes wrong any more */
	int64_t end_ms;		      /* by then everything has ended */
	unsigned rps[SCRIPT_ALIASES]; /* tenths of a request per second */
	int64_t metrics_delay_ms, metrics_jitter_ms, late_by_ms;
	unsigned late_percent;
	struct script_version versions[SCRIPT_VERSIONS + 1]; /* by number */
	struct script_plan plans[SCRIPT_PLANS];
	size_t n_plans;
	struct script_fate fates[SCRIPT_FATES];
	size_t n_fates;
	struct deed deeds[SCRIPT_DEEDS];
	size_t n_deeds;
	unsigned hook_trouble_percent;
	bool fresh_disk;	   /* the daemon makes its state; otherwise an empty one is there */
	bool mark;		   /* the configuration's `mark` */
	bool calm;		   /* nothing goes wrong: its one rollout has its end before faults_end_ms … */
	bool silent;		   /* … which is not success, as there is no traffic */
	bool clock_jumps;	   /* the wall clock is not to be compared with what happened before */
	bool has_gauge, has_alarm; /* a plan looks at it */
	bool alarm_at_first;	   /* in ALARM before anything starts */
};

/* The metric of that kind; NULL: the plan has none. */
const struct script_metric *script_metric_of(const struct script_plan *p, enum script_metric_kind kind);
/* Whether a step must have been told of in full before it passes: an alarm alone passes by itself. */
bool script_needs_metrics(const struct script_plan *p);
/* Whether the plan's probes count somewhere; with_dry: in what only runs dry as well. */
bool script_counts_probes(const struct script_plan *p, bool with_dry);
/* Whether both versions fail alike from the first request on, so that no comparison should find a difference. */
bool script_is_equal(const struct script *s, const struct script_plan *p);

void script_draw(uint64_t seed, struct script *ret);
/* The same over that long. */
void script_stretch(struct script *s, int64_t to_ms);
/* The plan's file. */
void script_plan_text(const struct script_plan *p, char *out, size_t size);
void script_print(const struct script *s, FILE *to);
const char *deed_kind_name(enum deed_kind k);
