/* Preparing: what forbids a rollout to begin, what is waited for and how long, and when a version has soaked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "core_rig.h"

static void start(struct rig *g)
{
	rig_init(g);
	rig_simple(g, EVENT_START);
}

/* --- what forbids it --- */

struct obstacle {
	const char *name;
	void (*put)(struct rig *g, struct rollout_event *e);
	bool all_at_once; /* it forbids even that */
	const char *reason;
};

static void absent(struct rig *g, struct rollout_event *e)
{
	(void)g;
	e->prepared.canary_info.state = VERSION_ABSENT;
}

static void broken(struct rig *g, struct rollout_event *e)
{
	(void)g;
	e->prepared.canary_info.state = VERSION_BROKEN;
	(void)text_copy(e->prepared.canary_info.detail, LIMIT_REASON, "InvalidImage");
}

static void quarantined(struct rig *g, struct rollout_event *e)
{
	(void)g;
	e->prepared.quarantined = true;
}

static void points_at_latest(struct rig *g, struct rollout_event *e)
{
	(void)g;
	e->prepared.alias.target.version = VERSION_LATEST;
}

static void other_role(struct rig *g, struct rollout_event *e)
{
	(void)g;
	e->prepared.same_role = false;
}

static void in_alarm(struct rig *g, struct rollout_event *e)
{
	(void)e;
	g->spec.analysis.n_metrics = 2;
	g->metrics[1] = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = "hello-5xx"};
	g->alarms[1] = ALARM_ALARM;
}

static const struct obstacle obstacles[] = {
    {"absent", absent, true, "version 2 does not exist"},
    {"broken", broken, true, "cannot run: InvalidImage"},
    {"quarantined", quarantined, true, "version 2 is quarantined"},
    {"$LATEST", points_at_latest, false, "points at $LATEST, which cannot share traffic"},
    {"role", other_role, false, "differ in execution role"},
    {"alarm", in_alarm, true, "the alarm hello-5xx is in state ALARM already"},
};

/* Nothing is moved; AWS would refuse some of these anyway, but only after the first request had been sent. What forbids
 * only weights does not forbid a rollout that has none. */
static void what_forbids_it_ends_it_before_any_traffic(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(obstacles); i++) {
		for (int all_at_once = 0; all_at_once < 2; all_at_once++) {
			struct rig g;
			struct rollout_event e;

			start(&g);
			if (all_at_once)
				g.spec.n_steps = 0;
			rig_make_prepared(&g, &e);
			obstacles[i].put(&g, &e);
			rig_event(&g, &e);
			if (all_at_once && !obstacles[i].all_at_once) {
				assert_true(g.has_write);
			} else {
				rig_assert_phase(&g, PHASE_FAILED);
				assert_non_null(strstr(g.r.reason, obstacles[i].reason));
				assert_int_equal(g.writes, 0);
				assert_int_equal(g.ended_effects, 1);
			}
			rig_deinit(&g);
		}
	}
}

/* A second alarm is looked at although the first is fine, and a metric of another kind has no alarm state at all. */
static void every_alarm_is_looked_at(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	g.spec.analysis.n_metrics = 2;
	g.metrics[0] = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = "first"};
	g.metrics[1] = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = "second"};
	g.alarms[0] = ALARM_OK;
	g.alarms[1] = ALARM_ALARM;
	rig_answer_prepare(&g);
	rig_assert_phase(&g, PHASE_FAILED);
	assert_non_null(strstr(g.r.reason, "the alarm second"));
	rig_deinit(&g);
}

/* What runs dry is in nobody's way; and what an operator knows of is told, and does not forbid it. */
static void alarms_can_be_excused(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	g.spec.analysis.n_metrics = 2;
	g.metrics[0] = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = "first", .dry_run = true};
	g.metrics[1] = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = "second"};
	g.alarms[0] = ALARM_ALARM;
	rig_answer_prepare(&g);
	assert_true(g.has_write);
	assert_int_equal(g.r.excused_alarms, 0);
	rig_deinit(&g);

	for (uint32_t n = 0; n <= 2; n++) {
		start(&g);
		g.r.despite_alarms = true;
		g.spec.analysis.n_metrics = 2;
		g.metrics[0] = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = "first"};
		g.metrics[1] = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = "second"};
		g.alarms[0] = n > 1 ? ALARM_ALARM : ALARM_OK;
		g.alarms[1] = n > 0 ? ALARM_ALARM : ALARM_OK;
		rig_answer_prepare(&g);
		assert_true(g.has_write);
		assert_int_equal(g.r.excused_alarms, n == 0 ? 0 : n == 1 ? 2 : 3);
		assert_int_equal(rig_said(&g, ANNOUNCE_VERDICT, "the alarm second is in state ALARM already"), n == 1);
		assert_int_equal(rig_said(&g, ANNOUNCE_VERDICT, "2 alarms are in state ALARM already, first among"),
				 n == 2);
		rig_deinit(&g);
	}
}

/* An alias that has the version already is left alone, and nobody is asked about anything. */
static void nothing_to_do_is_a_success(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	g.spec.pre_gate = true;
	g.alias.target.version = 2;
	rig_answer_prepare(&g);
	rig_assert_phase(&g, PHASE_SUCCEEDED);
	assert_int_equal(g.writes, 0);
	assert_int_equal(g.gates_asked, 0);
	assert_int_equal(rollout_weight_bp(&g.r), WEIGHT_BP_MAX); /* as it is shown */
	assert_non_null(strstr(g.r.reason, "points at this version already"));
	rig_deinit(&g);
}

/* What cannot be expressed as one weight is somebody's work all the same. */
static void an_odd_alias_blocks_before_the_start(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	g.alias.odd = true;
	rig_answer_prepare(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	assert_non_null(strstr(g.r.reason, "further or uneven weights"));
	assert_string_equal(g.r.revision, g.alias.revision); /* what it goes on from, when it may */
	assert_int_equal(g.writes, 0);
	rig_deinit(&g);
}

/* --- how the look at AWS may end --- */

static void what_aws_will_say_again_ends_it(void **state)
{
	static const enum call_outcome outcomes[] = {CALL_NOT_FOUND, CALL_REFUSED, CALL_CONFLICT};

	(void)state;
	for (size_t i = 0; i < array_len(outcomes); i++) {
		struct rig g;

		start(&g);
		rig_end_prepare(&g, outcomes[i]);
		rig_assert_phase(&g, PHASE_FAILED);
		assert_string_equal(g.r.reason, "GetFunction: it did not work");
		rig_deinit(&g);
	}
}

static void what_may_pass_is_tried_again(void **state)
{
	static const enum call_outcome outcomes[] = {CALL_UNAVAILABLE, CALL_UNKNOWN};

	(void)state;
	for (size_t i = 0; i < array_len(outcomes); i++) {
		struct rig g;

		start(&g);
		rig_end_prepare(&g, outcomes[i]);
		rig_assert_phase(&g, PHASE_PREPARING);
		assert_true(rig_said(&g, ANNOUNCE_TROUBLE, "GetFunction: it did not work"));
		assert_false(g.has_prepare);
		assert_true(g.timer_boot_ms > g.now.boot_ms);
		(void)rig_turn(&g);
		assert_true(g.has_prepare);
		/* The same trouble is not said twice. */
		rig_end_prepare(&g, outcomes[i]);
		assert_false(rig_said(&g, ANNOUNCE_TROUBLE, ""));
		assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
		rig_deinit(&g);
	}
}

/* --- versions that are not ready yet --- */

static void send_pending(struct rig *g)
{
	struct rollout_event e;

	rig_make_prepared(g, &e);
	e.prepared.canary_info.state = VERSION_PENDING;
	(void)text_copy(e.prepared.canary_info.detail, LIMIT_REASON, "Creating");
	rig_event(g, &e);
}

static void a_version_in_the_making_is_waited_for(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	send_pending(&g);
	rig_assert_phase(&g, PHASE_PREPARING);
	assert_string_equal(g.r.trouble, "the new version is not active yet: Creating");
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

static void a_version_that_never_becomes_ready_ends_it(void **state)
{
	struct rig g;
	int64_t began;

	(void)state;
	start(&g);
	began = g.now.boot_ms;
	for (int i = 0; i < 1000 && g.r.phase == PHASE_PREPARING; i++) {
		if (g.has_prepare)
			send_pending(&g);
		else
			(void)rig_turn(&g);
	}
	rig_assert_phase(&g, PHASE_FAILED);
	assert_string_equal(g.r.reason, "the new version did not become active within 15 minutes: Creating");
	assert_in_range(g.now.boot_ms - began, 13 * MS_PER_MINUTE, 16 * MS_PER_MINUTE);
	rig_deinit(&g);
}

/* The word of the operator stays to be read while publishing goes on behind it. */
static void a_pause_is_not_talked_over(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	g.publishing = true;
	rig_expect(&g, COMMAND_PAUSE, ANSWER_DONE, "paused");
	rig_answer_prepare(&g);
	assert_string_equal(g.r.reason, "paused by uid=0 pid=1");
	assert_true(g.timer_boot_ms != INT64_MAX);
	rig_deinit(&g);
}

/* --- soaking --- */

static void start_soaking(struct rig *g, int64_t soak_ms, int64_t since_unix_ms)
{
	rig_init(g);
	g->spec.soak_ms = soak_ms;
	g->source_version = 2;
	g->source_since_unix_ms = since_unix_ms;
	rig_simple(g, EVENT_START);
	rig_answer_prepare(g);
}

/* What we know about the source already is enough: the rest is read at once, and it goes forward. */
static void what_has_soaked_already_goes_on_at_once(void **state)
{
	struct rig g;
	int64_t before;

	(void)state;
	rig_init(&g);
	before = g.now.boot_ms;
	start_soaking(&g, MS_PER_HOUR, g.now.unix_ms - 2 * MS_PER_HOUR);
	assert_string_equal(g.r.reason, "");
	(void)rig_turn(&g);
	rig_answer_prepare(&g);
	assert_true(g.has_write);
	assert_int_equal(g.now.boot_ms - before, 1);
	rig_deinit(&g);
}

/* A record from the future (another host's clock) does not count: it would never end, or end at once. */
static void a_record_from_the_future_does_not_count(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	start_soaking(&g, MS_PER_HOUR, g.now.unix_ms + MS_PER_HOUR);
	assert_int_equal(g.r.soak_from_unix_ms, g.now.unix_ms);
	rig_deinit(&g);
}

/* Looked at each minute; sooner where less than a minute is left, but never in a hurry. */
static void how_often_the_source_is_looked_at(void **state)
{
	struct rig g;

	(void)state;
	start_soaking(&g, 90 * MS_PER_SECOND, 0);
	assert_int_equal(g.timer_boot_ms - g.now.boot_ms, MS_PER_MINUTE);
	(void)rig_turn(&g);
	rig_answer_prepare(&g);
	assert_int_equal(g.timer_boot_ms - g.now.boot_ms, 30 * MS_PER_SECOND);
	rig_deinit(&g);

	start_soaking(&g, 20 * MS_PER_SECOND, 0);
	assert_int_equal(g.timer_boot_ms - g.now.boot_ms, 20 * MS_PER_SECOND);
	rig_deinit(&g);

	/* Without a soak, and with traffic split at the source, there is nothing to count down. */
	rig_init(&g);
	g.source_splits = true;
	rig_simple(&g, EVENT_START);
	rig_answer_prepare(&g);
	assert_int_equal(g.timer_boot_ms - g.now.boot_ms, 5 * MS_PER_SECOND);
	rig_deinit(&g);
}

/* "until 03:10Z" would be a riddle the evening before. */
static void the_end_of_a_soak_is_said_with_its_day(void **state)
{
	struct rig g;

	(void)state;
	start_soaking(&g, MS_PER_HOUR, 0);
	assert_non_null(strstr(g.r.reason, "(until 21:00Z)"));
	rig_deinit(&g);
	start_soaking(&g, 10 * MS_PER_HOUR, 0);
	assert_non_null(strstr(g.r.reason, "(until 2026-11-23T06:00Z)"));
	rig_deinit(&g);
}

/* A virtual machine put back to an earlier state has the same boot, and a clock that is behind the record's. */
static void a_machine_that_was_put_back_gives_no_time(void **state)
{
	struct rig g;
	int64_t from;

	(void)state;
	start_soaking(&g, MS_PER_HOUR, 0);
	from = g.r.soak_from_unix_ms;
	g.now.boot_ms -= 10 * MS_PER_MINUTE;
	rig_crash(&g, true);
	rig_answer_prepare(&g);
	assert_int_equal(g.r.soak_from_unix_ms, from);
	rig_deinit(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_forbids_it_ends_it_before_any_traffic),
	    cmocka_unit_test(every_alarm_is_looked_at),
	    cmocka_unit_test(alarms_can_be_excused),
	    cmocka_unit_test(nothing_to_do_is_a_success),
	    cmocka_unit_test(an_odd_alias_blocks_before_the_start),
	    cmocka_unit_test(what_aws_will_say_again_ends_it),
	    cmocka_unit_test(what_may_pass_is_tried_again),
	    cmocka_unit_test(a_version_in_the_making_is_waited_for),
	    cmocka_unit_test(a_version_that_never_becomes_ready_ends_it),
	    cmocka_unit_test(a_pause_is_not_talked_over),
	    cmocka_unit_test(what_has_soaked_already_goes_on_at_once),
	    cmocka_unit_test(a_record_from_the_future_does_not_count),
	    cmocka_unit_test(how_often_the_source_is_looked_at),
	    cmocka_unit_test(the_end_of_a_soak_is_said_with_its_day),
	    cmocka_unit_test(a_machine_that_was_put_back_gives_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
