/*
 * What a damaged database hands to the decoders: a rollout's record, or a service's. The first byte chooses, the next
 * two are the seed of what happens after. A record is refused with a sentence, or it is one that the encoder writes
 * again; and a rollout that was read goes on from it whatever comes, within the bounds of its plan.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/prng.h"
#include "base/text.h"
#include "engine/item.h"
#include "engine/service.h"
#include "fuzz.h"

#define NOW_UNIX_MS INT64_C(1795385405000)
#define NOW_BOOT_MS INT64_C(86400000)
#define EVENTS	    24

static const struct spec_step steps[] = {
    {.weight_bp = 1000, .bake_ms = 60000},
    {.weight_bp = 5000, .bake_ms = 300000, .min_invocations = 100, .approve = true},
};
static const struct spec_metric metrics[] = {
    {.kind = SPEC_METRIC_ERRORS, .max_rate_ppm = 10000, .min_invocations = 50, .failure_limit = 1},
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

/* What happens to a rollout, drawn from the input's first bytes. */
struct fate {
	struct rollout r;
	struct instant now;
	struct prng random;
	struct samples samples;
};

/* Rows of the table of samples: most of them as they are written, some damaged. */
static void load_samples(struct fate *f)
{
	static const int64_t odd[] = {INT64_MIN, INT64_MAX, -1, 0, RECORD_MS_MAX, RECORD_MS_MAX + 1};
	for (uint64_t n = prng_below(&f->random, 12); n > 0; n--) {
		struct store_sample x = {.start_unix_ms = NOW_UNIX_MS / 60000 * 60000 - (int64_t)n * 60000};
		if (prng_below(&f->random, 4) == 0)
			x.start_unix_ms = odd[prng_below(&f->random, array_len(odd))];
		for (size_t i = 0; i < array_len(x.counts); i++)
			x.counts[i] = prng_below(&f->random, 4) ? (int64_t)prng_below(&f->random, 1000)
								: odd[prng_below(&f->random, array_len(odd))];
		require(record_load_sample(&f->samples, &x) == 0);
	}
	for (size_t i = 1; i < f->samples.len; i++)
		require(f->samples.items[i - 1].start_unix_ms < f->samples.items[i].start_unix_ms);
}

static void step(struct fate *f, struct rollout_event *event)
{
	struct rollout_effects effects = {.len = 0};
	enum rollout_answer answer;
	char text[LIMIT_REASON] = "";
	event->now = f->now;
	event->entropy = prng_next(&f->random);
	rollout_step(&spec, &f->r, &f->samples, event, &effects, &answer, text);
	check_effects(&effects);
}

static struct alias_view draw_alias(struct fate *f)
{
	struct alias_view v = {.target = f->r.live, .revision = "r2"};
	if (prng_below(&f->random, 4) == 0)
		v.target.version = prng_below(&f->random, 4);
	if (prng_below(&f->random, 4) == 0)
		v.target.weight_bp = (uint32_t)prng_below(&f->random, WEIGHT_BP_MAX + 1);
	return v;
}

/* An answer to what the rollout waits for, whatever it says. */
static void answer_wait(struct fate *f)
{
	static const enum rollout_event_kind kinds[] = {
	    [WAIT_NOTHING] = EVENT_TIMER, [WAIT_PREPARE] = EVENT_PREPARED, [WAIT_READ] = EVENT_ALIAS_READ,
	    [WAIT_WRITE] = EVENT_WRITTEN, [WAIT_GATE] = EVENT_GATED,	   [WAIT_PROVISION] = EVENT_PROVISIONED};
	static const enum alarm_state alarms[LIMIT_METRICS] = {ALARM_OK, ALARM_OK};
	struct rollout_event *e cleanup(mem_free_p) = mem_alloc(sizeof(*e));
	enum call_outcome outcome = prng_below(&f->random, 3) ? CALL_OK : prng_below(&f->random, CALL_UNKNOWN + 1);
	e->kind = kinds[f->r.wait];
	e->seq = f->r.seq;
	switch (e->kind) {
	case EVENT_PREPARED:
		e->prepared.outcome = outcome;
		e->prepared.alias = draw_alias(f);
		e->prepared.canary = f->r.canary ? f->r.canary : 2;
		e->prepared.canary_info.state = e->prepared.stable_info.state = VERSION_READY;
		e->prepared.same_role = true;
		e->prepared.alarms = alarms;
		e->prepared.stable_provisioned = (uint32_t)prng_below(&f->random, 2);
		break;
	case EVENT_ALIAS_READ:
	case EVENT_WRITTEN:
		e->alias.outcome = outcome;
		e->alias.alias = draw_alias(f);
		break;
	case EVENT_GATED:
		e->gated.outcome = outcome;
		break;
	case EVENT_PROVISIONED:
		e->provisioned.outcome = outcome;
		break;
	default:
		break;
	}
	step(f, e);
}

static void poll(struct fate *f)
{
	static const enum alarm_state alarms[LIMIT_METRICS] = {ALARM_OK, ALARM_OK};
	step(f, &(struct rollout_event){.kind = EVENT_POLLED,
					.seq = f->r.poll_seq,
					.polled = {.complete = prng_below(&f->random, 4) > 0,
						   .through_unix_ms = f->now.unix_ms,
						   .alarms = alarms}});
}

static void ask(struct fate *f)
{
	const struct rollout *r = &f->r;
	struct verdict_question question;
	struct verdict_result result;
	rollout_question(&spec, r, &f->samples, f->now, &question);
	verdict_judge(&question, &result);
	(void)rollout_next_step_unix_ms(&spec, r, f->now);
	(void)rollout_baked_ms(r, f->now.boot_ms);
	(void)rollout_bake_ms(&spec, r);
	require(rollout_weight_bp(r) <= WEIGHT_BP_MAX);
}

/* The restart, then what AWS, time and an operator may do next. */
static void go_on(const struct rollout *r, uint64_t seed)
{
	struct fate *f cleanup(mem_free_p) = mem_alloc(sizeof(*f));
	f->r = *r;
	f->now = (struct instant){.unix_ms = NOW_UNIX_MS, .boot_ms = NOW_BOOT_MS};
	prng_init(&f->random, seed);
	load_samples(f);
	step(f, &(struct rollout_event){.kind = EVENT_RESUMED, .resumed = {.same_boot = prng_below(&f->random, 2)}});
	for (size_t i = 0; i < EVENTS; i++) {
		switch (prng_below(&f->random, 8)) {
		case 0:
			poll(f);
			break;
		case 1:
			step(f,
			     &(struct rollout_event){
				 .kind = EVENT_COMMAND,
				 .command = {.command = prng_below(&f->random, COMMAND_ROLLBACK + 1), .by = "uid 0"}});
			break;
		case 2:
			if (rollout_may_start(&spec, &f->r))
				step(f, &(struct rollout_event){.kind = EVENT_START});
			break;
		case 3:
			step(f, &(struct rollout_event){.kind = EVENT_TIMER});
			break;
		default:
			answer_wait(f);
		}
		ask(f);
		f->now.unix_ms += 61000;
		f->now.boot_ms += 61000;
	}
	samples_deinit(&f->samples);
}

static void fuzz_rollout(const char *json, uint64_t seed)
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
	/* The engine parks one that its plan has no place for. */
	if (rollout_fits(&spec, &r))
		go_on(&r, seed);
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
	if (size < 3)
		return;
	cleanup(mem_free_p) char *json = fuzz_text(data + 3, size - 3);
	if (data[0] & 1)
		fuzz_service(json);
	else
		fuzz_rollout(json, (uint64_t)data[1] << 8 | data[2]);
}
