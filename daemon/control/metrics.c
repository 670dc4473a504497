#include "daemon/control/metrics.h"

#include <inttypes.h>

#include "daemon/accounts.h"

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
	head(out, name, type, help);
	buf_addf(out, "%s %" PRIu64 "\n", name, value);
}

static void format_phases(const struct engine_stats *s, struct buf *out)
{
	head(out, "rolloutd_rollouts", "gauge", "Live rollouts by phase.");
	for (int phase = PHASE_PENDING; phase <= PHASE_BLOCKED; phase++)
		buf_addf(out, "rolloutd_rollouts{phase=\"%s\"} %" PRIu64 "\n", rollout_phase_name(phase),
			 s->by_phase[phase]);
}

static void count_service(void *ctx, const struct view_service *v)
{
	uint64_t *by_phase = ctx;
	by_phase[v->unreadable ? PHASE_BLOCKED : v->phase]++;
}

static void format_services(struct engine *e, struct buf *out)
{
	uint64_t by_phase[PHASE_BLOCKED + 1] = {0};
	engine_each_service(e, count_service, by_phase);
	head(out, "rolloutd_services", "gauge", "Services by phase; succeeded: as declared.");
	for (int phase = PHASE_PENDING; phase <= PHASE_BLOCKED; phase++)
		buf_addf(out, "rolloutd_services{phase=\"%s\"} %" PRIu64 "\n", rollout_phase_name(phase),
			 by_phase[phase]);
}

static void format_calls(const struct engine_stats *s, struct buf *out)
{
	head(out, "rolloutd_aws_calls_total", "counter", "Calls to AWS by operation, each try counted.");
	for (int o = 0; o < OPERATION_COUNT; o++)
		buf_addf(out, "rolloutd_aws_calls_total{operation=\"%s\"} %" PRIu64 "\n", engine_operation_name(o),
			 s->calls[o]);
	single(out, "rolloutd_aws_call_errors_total", "counter", "Calls to AWS that failed.", s->call_errors);
	single(out, "rolloutd_aws_throttled_total", "counter", "Answers of AWS that asked to slow down.", s->throttled);
	single(out, "rolloutd_aws_retries_total", "counter", "Calls to AWS that were tried again.", s->retries);
	head(out, "rolloutd_clock_ahead_seconds", "gauge",
	     "What this host's clock is ahead of AWS's; 0: within two seconds of it.");
	buf_addf(out, "rolloutd_clock_ahead_seconds %" PRId64 "\n", s->host_ahead_ms / MS_PER_SECOND);
	single(out, "rolloutd_aws_calls_queued", "gauge", "Calls that wait for their quota.", s->calls_queued);
	single(out, "rolloutd_aws_calls_in_flight", "gauge", "Calls that were sent and not answered yet.",
	       s->calls_in_flight);
	single(out, "rolloutd_cloudwatch_metrics_total", "counter", "Metrics asked for, as CloudWatch bills them.",
	       s->metrics_queried);
	single(out, "rolloutd_probes_total", "counter", "Probes of versions that were answered, or timed out.",
	       s->probes_answered);
	single(out, "rolloutd_probe_errors_total", "counter", "Probes of versions that failed.", s->probes_failed);
	single(out, "rolloutd_probes_skipped_total", "counter",
	       "Probes of versions that were due and do not count: the last one was under way, or AWS did not answer.",
	       s->probes_skipped);
}

static void format_engine(const struct engine_stats *s, struct buf *out)
{
	single(out, "rolloutd_engine_turns_total", "counter", "Turns of the engine.", s->turns);
	single(out, "rolloutd_commits_total", "counter", "Transactions made durable.", s->commits);
	single(out, "rolloutd_commit_failures_total", "counter", "Transactions that could not be made durable.",
	       s->commit_failures);
	single(out, "rolloutd_stale_answers_total", "counter", "Answers that nobody waited for any more.",
	       s->stale_answers);
}

static void format_loop(const struct backend *b, struct buf *out)
{
	struct turn_stats s;
	turn_stats(b->turn, &s);
	single(out, "rolloutd_loop_turns_total", "counter", "Turns of the event loop.", s.turns);
	single(out, "rolloutd_loop_stalls_total", "counter", "Turns that kept the loop busy for more than 5 ms.",
	       s.stalls);
	head(out, "rolloutd_loop_longest_turn_seconds", "gauge", "The longest turn since the start.");
	buf_addf(out, "rolloutd_loop_longest_turn_seconds %.6f\n", (double)s.longest_us / 1e6);
}

static void format_accounts(const struct backend *b, struct buf *out)
{
	struct buf failing = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES), ends = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES);
	struct provider_status s;
	const char *name;
	size_t at = 0;
	head(out, "rolloutd_account_keys", "gauge",
	     "1: the account has AWS keys to sign with. Accounts that are in use.");
	head(&failing, "rolloutd_account_failing", "gauge",
	     "1: the account's AWS files, or its source of keys, were in trouble when last asked.");
	head(&ends, "rolloutd_account_keys_expire_timestamp_seconds", "gauge", "End of its keys, where they have one.");
	while (b->accounts && accounts_next_used(b->accounts, &at, &name, &s)) {
		buf_addf(out, "rolloutd_account_keys{account=\"%s\"} %d\n", name, s.has_keys);
		buf_addf(&failing, "rolloutd_account_failing{account=\"%s\"} %d\n", name, *s.error != '\0');
		if (s.has_keys && s.expires_unix_ms != INT64_MAX)
			buf_addf(&ends, "rolloutd_account_keys_expire_timestamp_seconds{account=\"%s\"} %.3f\n", name,
				 (double)s.expires_unix_ms / 1000);
	}
	buf_add_text(out, buf_text(&failing));
	buf_add_text(out, buf_text(&ends));
	buf_deinit(&failing);
	buf_deinit(&ends);
}

static void format_files(const struct backend *b, struct buf *out)
{
	struct dropin_counts counts;
	dropin_count(b->dropin, &counts);
	single(out, "rolloutd_plan_files", "gauge", "Files in the plans folder.", counts.files);
	single(out, "rolloutd_plan_files_bad", "gauge", "Files in the plans folder that are wrong, or were refused.",
	       counts.bad);
}

/* Names, aliases and phases need no escaping: none may have a quote, a backslash or a line break. */
static void format_weight(void *ctx, const struct view_rollout *v)
{
	struct buf *out = ctx;
	if (v->unreadable || rollout_ended(v->state))
		return;
	buf_addf(out, "rolloutd_rollout_weight_ratio{name=\"%s\",alias=\"%s\",phase=\"%s\"} %.4f\n", v->name, v->alias,
		 rollout_phase_name(v->state->phase), rollout_weight_bp(v->state) / 10000.0);
}

void metrics_format(const struct backend *b, struct buf *out)
{
	struct engine_stats s;
	engine_stats(b->engine, &s);
	head(out, "rolloutd_build_info", "gauge", "The version that runs; the value is always 1.");
	buf_addf(out, "rolloutd_build_info{version=\"%s\"} 1\n", ROLLOUTD_VERSION);
	head(out, "process_start_time_seconds", "gauge", "Start of the daemon since the epoch.");
	buf_addf(out, "process_start_time_seconds %.3f\n", (double)b->started_unix_ms / 1000);
	format_phases(&s, out);
	format_services(b->engine, out);
	format_calls(&s, out);
	format_engine(&s, out);
	format_loop(b, out);
	format_accounts(b, out);
	format_files(b, out);
	head(out, "rolloutd_rollout_weight_ratio", "gauge", "The canary's share of the traffic of each live rollout.");
	if (engine_each(b->engine, format_weight, out) != 0)
		buf_add_text(out, "# the rollouts could not be read\n");
}
