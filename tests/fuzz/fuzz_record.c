/*
 * What a damaged database hands to the decoders: a rollout's record, or a service's. The first byte chooses, and has
 * the bits of what happens next. A record is refused with a sentence, or it is one that the encoder writes again; and
 * a rollout that was read goes on from it whatever comes, within the bounds of its plan.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "engine/item.h"
#include "engine/service.h"
#include "fuzz.h"

#define NOW_UNIX_MS INT64_C(1795385405000)
#define NOW_BOOT_MS INT64_C(86400000)

static const struct spec_step steps[] = {
    {.weight_bp = 1000, .bake_ms = 60000},
    {.weight_bp = 5000, .bake_ms = 300000, .min_invocations = 100, .approve = true},
};
static const struct spec_metric metrics[] = {
    {.kind = SPEC_METRIC_ERRORS, .max_rate_ppm = 10000, .min_invocations = 50},
    {.kind = SPEC_METRIC_ALARM, .alarm = "hello-5xx"},
};
static const struct rollout_spec spec = {
    .steps = steps,
    .n_steps = array_len(steps),
    .final_bake_ms = 900000,
    .analysis = {.every_ms = 60000,
		 .settle_ms = 60000,
		 .period_ms = 60000,
		 .hold_limit_ms = 3600000,
		 .on_hold_limit = SPEC_PAUSE,
		 .metrics = metrics,
		 .n_metrics = array_len(metrics)},
    .pre_gate = true,
    .post_gate = true,
};

static void check_effects(const struct rollout_effects *effects)
{
	require(effects->len <= LIMIT_EFFECTS);
	for (size_t i = 0; i < effects->len; i++) {
		const struct rollout_effect *e = &effects->items[i];
		if (e->kind == EFFECT_WRITE_ALIAS)
			require(e->write.target.weight_bp <= WEIGHT_BP_MAX && e->seq > 0);
		if (e->kind == EFFECT_ANNOUNCE)
			require(strnlen(e->announce.text, LIMIT_REASON) < LIMIT_REASON);
	}
}

static void step(struct rollout *r, struct rollout_event *event)
{
	static const struct samples none;
	struct rollout_effects effects = {.len = 0};
	enum rollout_answer answer;
	char text[LIMIT_REASON] = "";
	event->now = (struct instant){.unix_ms = NOW_UNIX_MS, .boot_ms = NOW_BOOT_MS};
	event->entropy = 0x9e3779b97f4a7c15;
	if (event->seq == 0)
		event->seq = r->seq;
	rollout_step(&spec, r, &none, event, &effects, &answer, text);
	check_effects(&effects);
}

/* The restart, then what an operator and AWS may do next, as the bits say. */
static void go_on(struct rollout r, unsigned bits)
{
	static const enum alarm_state alarms[LIMIT_METRICS] = {ALARM_OK, ALARM_OK};
	step(&r, &(struct rollout_event){.kind = EVENT_RESUMED, .resumed = {.same_boot = bits & 1}});
	if (bits & 2)
		step(&r, &(struct rollout_event){.kind = EVENT_ALIAS_READ,
						 .alias = {.outcome = bits & 4 ? CALL_OK : CALL_UNKNOWN,
							   .alias = {.target = r.live, .revision = "r1"}}});
	step(&r,
	     &(struct rollout_event){.kind = EVENT_POLLED,
				     .seq = r.poll_seq,
				     .polled = {.complete = true, .through_unix_ms = NOW_UNIX_MS, .alarms = alarms}});
	step(&r, &(struct rollout_event){.kind = EVENT_TIMER});
	if (bits & 8)
		step(&r, &(struct rollout_event){
			     .kind = EVENT_COMMAND,
			     .command = {.command = (bits >> 4) % (COMMAND_ROLLBACK + 1), .by = "uid 0"}});
	step(&r, &(struct rollout_event){.kind = EVENT_WRITTEN,
					 .alias = {.outcome = bits & 4 ? CALL_OK : CALL_CONFLICT,
						   .alias = {.target = r.live, .revision = "r2"}}});
	step(&r, &(struct rollout_event){.kind = EVENT_TIMER});
	struct verdict_question question;
	static const struct samples none;
	const struct instant now = {.unix_ms = NOW_UNIX_MS, .boot_ms = NOW_BOOT_MS};
	rollout_question(&spec, &r, &none, now, &question);
	struct verdict_result result;
	verdict_judge(&question, &result);
	(void)rollout_next_step_unix_ms(&spec, &r, now);
	(void)rollout_baked_ms(&r, NOW_BOOT_MS);
	(void)rollout_bake_ms(&spec, &r);
	require(rollout_weight_bp(&r) <= WEIGHT_BP_MAX);
}

static void fuzz_rollout(const char *json, unsigned bits)
{
	struct buf once cleanup(buf_deinit) = BUF_INIT(LIMIT_RECORD_BYTES);
	struct buf twice cleanup(buf_deinit) = BUF_INIT(LIMIT_RECORD_BYTES);
	char boot_id[BOOT_ID_SIZE], again_id[BOOT_ID_SIZE], error[LIMIT_REASON] = "";
	struct rollout r, again;
	if (record_decode(json, &r, boot_id, error, sizeof(error)) != 0) {
		fuzz_check_sentence(error, sizeof(error));
		return;
	}
	record_encode(&r, boot_id, &once);
	require(buf_ok(&once) && text_is_utf8(buf_text(&once), once.len));
	int rc = record_decode(buf_text(&once), &again, again_id, error, sizeof(error));
	require(rc == 0);
	record_encode(&again, again_id, &twice);
	require(strcmp(buf_text(&once), buf_text(&twice)) == 0 && strcmp(boot_id, again_id) == 0);
	go_on(r, bits);
}

static void fuzz_service(const char *json)
{
	static const struct service_alias aliases[] = {{.name = "dev"}, {.name = "prod"}};
	static const struct service_spec service = {
	    .name = "hello", .aliases = aliases, .n_aliases = array_len(aliases)};
	struct buf once cleanup(buf_deinit) = BUF_INIT(LIMIT_RECORD_BYTES);
	struct buf twice cleanup(buf_deinit) = BUF_INIT(LIMIT_RECORD_BYTES);
	char error[LIMIT_REASON] = "";
	struct service_state s, again;
	if (service_record_decode(json, &service, &s, error, sizeof(error)) != 0) {
		fuzz_check_sentence(error, sizeof(error));
		return;
	}
	service_record_encode(&s, &service, &once);
	int rc = service_record_decode(buf_text(&once), &service, &again, error, sizeof(error));
	require(buf_ok(&once) && rc == 0);
	service_record_encode(&again, &service, &twice);
	require(strcmp(buf_text(&once), buf_text(&twice)) == 0);
}

void fuzz_one(const uint8_t *data, size_t size)
{
	if (size < 1)
		return;
	cleanup(mem_free_p) char *json = fuzz_text(data + 1, size - 1);
	if (data[0] & 1)
		fuzz_service(json);
	else
		fuzz_rollout(json, data[0] >> 1);
}
