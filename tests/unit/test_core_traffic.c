/* The alias: how a write or a look may end, what is recognised as ours, late answers, and crashes in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "core_rig.h"

/* The first weight is asked for. */
static void writing(struct rig *g)
{
	rig_init(g);
	rig_simple(g, EVENT_START);
	rig_answer_prepare(g);
	assert_true(g->has_write);
}

static void progressing(struct rig *g)
{
	rig_init(g);
	rig_simple(g, EVENT_START);
	rig_run_to_weight(g, 1);
}

/* After the first weight landed, with the next one asked for, so that the alias is to be looked at when that fails. */
static void looking(struct rig *g)
{
	progressing(g);
	rig_run_to_write(g);
	rig_answer_write(g, FATE_LOST_BEFORE);
	assert_true(g->has_read);
}

/* A succeeded rollout that is being taken back looks first. */
static void reopened(struct rig *g)
{
	rig_init(g);
	rig_simple(g, EVENT_START);
	assert_true(rig_run_until(g, PHASE_SUCCEEDED));
	assert_int_equal(rig_command(g, COMMAND_ROLLBACK), ANSWER_DONE);
	assert_true(g->has_read);
}

/* --- how a look may end --- */

static void a_look_that_may_work_later_is_tried_again(void **state)
{
	static const enum call_outcome outcomes[] = {CALL_UNAVAILABLE, CALL_UNKNOWN};

	(void)state;
	for (size_t i = 0; i < array_len(outcomes); i++) {
		struct rig g;

		looking(&g);
		rig_end_read(&g, outcomes[i]);
		rig_assert_phase(&g, PHASE_PROGRESSING);
		assert_false(g.has_read);
		assert_string_equal(g.r.trouble, "GetAlias: it did not work");
		assert_true(g.timer_boot_ms > g.now.boot_ms);
		assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
		assert_string_equal(g.r.trouble, "");
		rig_deinit(&g);
	}
}

static void a_look_that_cannot_work_blocks(void **state)
{
	static const struct {
		enum call_outcome outcome;
		const char *reason;
	} cases[] = {
	    {CALL_NOT_FOUND, "the alias does not exist any more"},
	    {CALL_REFUSED, "the alias cannot be read any more: GetAlias: it did not work"},
	    {CALL_CONFLICT, "the alias cannot be read any more"},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct rig g;

		looking(&g);
		rig_end_read(&g, cases[i].outcome);
		rig_assert_phase(&g, PHASE_BLOCKED);
		assert_non_null(strstr(g.r.reason, cases[i].reason));
		assert_int_equal(g.timer_boot_ms, INT64_MAX); /* nothing happens by itself from here */
		rig_deinit(&g);
		/* A success stays a success when it cannot be taken back. */
		reopened(&g);
		rig_end_read(&g, cases[i].outcome);
		rig_assert_phase(&g, PHASE_SUCCEEDED);
		assert_non_null(strstr(g.r.reason, cases[i].reason));
		rig_deinit(&g);
	}
}

/* Only an alias that is not there is as good as home; one that cannot be read may hold anything. */
static void an_unreadable_alias_is_not_home(void **state)
{
	struct rig g;

	(void)state;
	looking(&g);
	rig_end_read(&g, CALL_REFUSED);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	rig_end_read(&g, CALL_REFUSED);
	rig_assert_phase(&g, PHASE_BLOCKED);
	rig_deinit(&g);
}

/* Deleted before the canary ever had traffic: nothing was rolled back. */
static void a_deleted_alias_without_traffic_is_a_failure(void **state)
{
	struct rig g;

	(void)state;
	writing(&g);
	rig_answer_write(&g, FATE_LOST_BEFORE);
	g.alias_gone = true;
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_FAILED);
	assert_non_null(strstr(g.r.reason, "nothing to send back"));
	rig_deinit(&g);
}

/* --- how a write may end --- */

/* No way forward leads home; no way home needs an operator. */
static void a_write_that_aws_will_never_take(void **state)
{
	static const enum call_outcome outcomes[] = {CALL_REFUSED, CALL_NOT_FOUND};

	(void)state;
	for (size_t i = 0; i < array_len(outcomes); i++) {
		struct rig g;

		writing(&g);
		rig_end_write(&g, outcomes[i]);
		rig_assert_phase(&g, PHASE_ROLLING_BACK);
		assert_non_null(strstr(g.r.reason, "AWS refuses the next weight: UpdateAlias: it did not work"));
		rig_deinit(&g);

		progressing(&g);
		assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
		assert_true(g.write.home);
		rig_end_write(&g, outcomes[i]);
		rig_assert_phase(&g, PHASE_BLOCKED);
		assert_non_null(strstr(g.r.reason, "AWS refuses to send all traffic to version 1"));
		rig_deinit(&g);
	}
}

/* Refused for the revision again and again, with the alias as it was: an old view. The looks do not become a storm. */
static void conflicts_that_do_not_end_are_slowed_down(void **state)
{
	struct rig g;
	uint32_t rounds = 0;
	int64_t before;

	(void)state;
	progressing(&g);
	before = g.now.boot_ms;
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	while (g.now.boot_ms - before < MS_PER_MINUTE) {
		if (g.has_write) {
			rig_end_write(&g, CALL_CONFLICT);
			rounds++;
		} else {
			assert_true(rig_turn(&g));
		}
	}
	assert_in_range(rounds, 10, 120);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	rig_deinit(&g);
}

/* An earlier try is still unaccounted for when this one is turned away: what was asked for stays on record. */
static void a_throttled_try_does_not_forget_a_lost_one(void **state)
{
	struct rig g;

	(void)state;
	writing(&g);
	rig_answer_write(&g, FATE_LATE);
	rig_answer_read(&g);
	assert_true(g.has_write);
	rig_answer_write(&g, FATE_THROTTLED);
	assert_true(g.r.unsure);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	assert_true(g.write.home);
	rig_deliver_late(&g);
	rig_answer_write(&g, FATE_OK); /* a conflict, as the late one was faster */
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_ROLLING_BACK); /* recognised, and not somebody else's */
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	rig_deinit(&g);
}

/* Called back too late: the weight landed, and the way home begins from there. */
static void a_weight_that_was_called_back_and_landed_goes_home(void **state)
{
	struct rig g;

	(void)state;
	/* The first one: only now has the canary had traffic. */
	writing(&g);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	assert_int_equal(g.cancelled_seq, g.write.seq);
	rig_answer_write(&g, FATE_OK);
	assert_int_equal(g.r.first_traffic_unix_ms, g.now.unix_ms);
	assert_true(g.write.home);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	rig_deinit(&g);
	/* A later one: it has had some all along. */
	progressing(&g);
	rig_run_to_write(&g);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	rig_answer_write(&g, FATE_OK);
	assert_true(g.r.first_traffic_unix_ms < g.now.unix_ms);
	assert_true(g.write.home);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	rig_deinit(&g);
}

/* AWS answers a write with the alias as it then was: when that is not what was asked for, somebody was faster. */
static void an_answer_with_other_content_is_foreign(void **state)
{
	static const struct alias_view views[] = {
	    {.target = {1, 2, 1000}, .odd = true},
	    {.target = {.version = 9}},
	};

	(void)state;
	for (size_t i = 0; i < array_len(views); i++) {
		struct rig g;
		struct rollout_event e = {.kind = EVENT_WRITTEN};

		writing(&g);
		e.seq = g.write.seq;
		e.alias.alias = views[i];
		g.has_write = false;
		rig_event(&g, &e);
		rig_assert_phase(&g, PHASE_BLOCKED);
		assert_true(rig_said(&g, ANNOUNCE_FOREIGN, "rolloutd had left it at version 1"));
		rig_deinit(&g);
	}
}

/* --- what is taken over at an operator's word --- */

static void resume_takes_over_what_is_a_weight_of_ours(void **state)
{
	static const struct {
		struct alias_target target;
		bool odd, taken;
	} cases[] = {
	    {{.version = 1}, false, true}, {{1, 2, 3000}, false, true},	   {{1, 9, 3000}, false, false},
	    {{.version = 1}, true, false}, {{.version = 2}, false, false}, {{2, 1, 3000}, false, false},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct rig g;

		progressing(&g);
		rig_human(&g, (struct alias_target){.version = 9});
		assert_true(rig_run_until(&g, PHASE_BLOCKED));
		rig_human(&g, cases[i].target);
		g.alias.odd = cases[i].odd;
		assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_DONE);
		rig_answer_read(&g);
		rig_assert_phase(&g, cases[i].taken ? PHASE_PROGRESSING : PHASE_BLOCKED);
		assert_int_equal(g.has_write, cases[i].taken);
		rig_deinit(&g);
	}
}

/* The way home may begin at anything; what cannot be expressed is written over even where it looks like home. */
static void rollback_takes_over_anything(void **state)
{
	static const struct alias_view views[] = {
	    {.target = {.version = 9}}, {.target = {.version = 1}, .odd = true}, {.target = {9, 8, 100}, .odd = true}};

	(void)state;
	for (size_t i = 0; i < array_len(views); i++) {
		struct rig g;

		progressing(&g);
		rig_human(&g, views[i].target);
		g.alias.odd = views[i].odd;
		assert_true(rig_run_until(&g, PHASE_BLOCKED));
		assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
		rig_answer_read(&g);
		assert_true(g.has_write);
		rig_answer_write(&g, FATE_OK);
		rig_assert_phase(&g, PHASE_ROLLED_BACK);
		assert_false(g.alias.odd);
		assert_int_equal(g.alias.target.version, 1);
		assert_int_equal(g.alias.target.weight_bp, 0);
		rig_deinit(&g);
	}
}

/* The word is for what is found at once. What is found later, or after a restart, must be what the operator was told:
 * somebody may have helped himself in the meantime. */
static void a_word_on_what_was_told_does_not_cover_what_came_since(void **state)
{
	static const enum rollout_command words[] = {COMMAND_ROLLBACK, COMMAND_RESUME};

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		bool by_crash = i & 1, changed = i & 2;
		struct rig g;

		progressing(&g);
		rig_human(&g, (struct alias_target){1, 2, 3000});
		assert_true(rig_run_until(&g, PHASE_BLOCKED));
		assert_int_equal(rig_command(&g, words[i / 4]), ANSWER_DONE);
		if (by_crash)
			rig_crash(&g, true);
		else
			rig_end_read(&g, CALL_UNAVAILABLE);
		assert_true(g.r.take_over);
		if (changed)
			rig_human(&g, (struct alias_target){1, 2, 3500});
		while (!g.has_read)
			assert_true(rig_turn(&g));
		rig_answer_read(&g);
		assert_int_equal(g.has_write, !changed);
		assert_int_equal(g.r.phase == PHASE_BLOCKED, changed);
		if (changed) { /* told again, and asked again */
			assert_non_null(strstr(g.r.reason, "the alias was changed again: it holds version 1 (65%)"));
			assert_int_equal(rig_command(&g, words[i / 4]), ANSWER_DONE);
			rig_answer_read(&g);
			assert_true(g.has_write);
		}
		rig_deinit(&g);
	}
}

/* Taken over with a share that a human had given the canary, and dropped before a weight of ours landed: that share has
 * to go home as well, although nothing of ours ever held. */
static void a_share_that_was_taken_over_goes_home(void **state)
{
	struct rig g;

	(void)state;
	writing(&g);
	rig_answer_write(&g, FATE_LOST_BEFORE);
	rig_human(&g, (struct alias_target){.version = 9});
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	rig_human(&g, (struct alias_target){1, 2, 3000});
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_DONE);
	rig_answer_read(&g);
	assert_true(g.has_write);
	rig_answer_write(&g, FATE_THROTTLED);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	rig_assert_phase(&g, PHASE_ROLLING_BACK);
	assert_true(g.has_write);
	assert_true(g.write.home);
	rig_answer_write(&g, FATE_OK);
	assert_int_equal(g.alias.target.weight_bp, 0);
	assert_true(rollout_ended(&g.r));
	rig_deinit(&g);
}

/* A weight of ours that was left behind is not ours any more: whoever goes back to it by hand means something by it. */
static void an_earlier_weight_is_foreign(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 2);
	rig_human(&g, (struct alias_target){1, 2, 1000});
	assert_true(rig_run_until(&g, PHASE_BLOCKED));
	assert_true(g.human_wrote);
	rig_deinit(&g);
}

/* An alias with further weights beside the very one that was left there is not as it was left. */
static void an_odd_alias_is_foreign(void **state)
{
	struct rig g;

	(void)state;
	looking(&g);
	g.alias.odd = true;
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	assert_non_null(strstr(g.r.reason, "somebody else changed the alias"));
	rig_deinit(&g);
}

/* --- old views --- */

/* AWS may answer a read with the alias as it was before our own last change. That is nobody's write, and nothing to go
 * on from: a rollout that believed it would be blocked, or write the same weight once more. */
static void an_old_view_is_looked_at_again(void **state)
{
	struct rig g;
	struct rollout_event e = {.kind = EVENT_ALIAS_READ};
	struct alias_view before;

	(void)state;
	writing(&g);
	before = g.alias;
	rig_answer_write(&g, FATE_OK);
	rig_run_to_write(&g);
	rig_answer_write(&g, FATE_LOST_BEFORE);
	e.seq = g.read_seq;
	e.alias.alias = before;
	g.has_read = false;
	rig_event(&g, &e);
	rig_assert_phase(&g, PHASE_PROGRESSING);
	assert_true(rig_said(&g, ANNOUNCE_TROUBLE, "as it was before its last change"));
	assert_false(g.has_write);
	assert_false(g.has_read);
	assert_int_equal(rollout_weight_bp(&g.r), 1000);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_int_equal(g.n_weights, 3);
	assert_string_equal(g.r.trouble, "");
	rig_deinit(&g);
}

/*
 * What is taken for the past may be the present. The alias is saved by hand twice as it is, and of that only the second
 * time is seen; then AWS shows the first, which nobody here knows, so that the second seems to be the one before. A
 * rollback that waited for another answer would wait for ever.
 */
static void an_old_view_that_stays_is_believed(void **state)
{
	struct rig g;
	struct rollout_event e = {.kind = EVENT_ALIAS_READ};
	struct alias_view between;

	(void)state;
	progressing(&g);
	rig_human(&g, g.alias.target);
	between = g.alias;
	rig_human(&g, g.alias.target);
	rig_run_to_write(&g);
	rig_answer_write(&g, FATE_OK); /* refused for its revision */
	assert_true(g.has_read);
	rig_answer_read(&g);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	rig_answer_write(&g, FATE_THROTTLED); /* the weight that was called back */
	rig_run_to_write(&g);
	assert_true(g.write.home);
	rig_answer_write(&g, FATE_LOST_BEFORE);
	assert_true(g.has_read);
	e.seq = g.read_seq;
	e.alias.alias = between;
	g.has_read = false;
	rig_event(&g, &e);
	assert_string_equal(g.r.revision, between.revision);
	assert_string_equal(g.r.old_revision, g.alias.revision);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_int_equal(g.alias.target.version, g.r.stable);
	assert_int_equal(g.r.old_views, 0);
	rig_deinit(&g);
}

/* The same at the beginning: an earlier rollout has just changed the alias, and its old content is no stable version to
 * come back to. */
static void a_start_does_not_believe_an_old_view(void **state)
{
	struct rig g;
	struct rollout_event start = {.kind = EVENT_START, .start = {.old_revision = "rev-0"}};

	(void)state;
	rig_init(&g);
	rig_event(&g, &start);
	rig_answer_prepare(&g);
	rig_assert_phase(&g, PHASE_PREPARING);
	assert_false(g.r.prepared);
	assert_false(g.has_prepare);
	assert_true(g.timer_boot_ms > g.now.boot_ms && g.timer_boot_ms != INT64_MAX);
	g.alias.target.version = 3;
	(void)snprintf(g.alias.revision, REVISION_SIZE, "rev-1");
	(void)rig_turn(&g);
	rig_answer_prepare(&g);
	assert_int_equal(g.r.stable, 3);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

/* The answer was lost, and the alias holds what it held before, under a new revision: the weight may have landed and
 * been taken back by somebody who had a reason. It is not asked for once more; on the way home there is no doubt. */
static void what_may_have_been_taken_back_is_not_asked_for_again(void **state)
{
	struct rig g;

	(void)state;
	writing(&g);
	rig_answer_write(&g, FATE_LOST_AFTER);
	rig_human(&g, (struct alias_target){.version = 1});
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	assert_false(g.has_write);
	rig_deinit(&g);

	writing(&g);
	rig_answer_write(&g, FATE_LOST_AFTER);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	rig_human(&g, (struct alias_target){.version = 1});
	rig_answer_read(&g);
	assert_true(rollout_ended(&g.r));
	assert_int_equal(g.alias.target.version, 1);
	rig_deinit(&g);
}

/* --- late answers --- */

/* Each kind of answer, with a number that nobody waits for any more: counted, and nothing else. */
static void an_answer_to_an_older_request_changes_nothing(void **state)
{
	static const enum rollout_event_kind kinds[] = {EVENT_PREPARED, EVENT_ALIAS_READ,  EVENT_WRITTEN, EVENT_POLLED,
							EVENT_GATED,	EVENT_PROVISIONED, EVENT_RELEASED};

	(void)state;
	for (size_t i = 0; i < array_len(kinds); i++) {
		struct rig g;
		struct rollout before;
		struct rollout_event e = {.kind = kinds[i]};

		writing(&g);
		before = g.r;
		e.seq = g.r.seq + 1;
		rig_event(&g, &e);
		assert_int_equal(g.r.stale, 1);
		g.r.stale = 0;
		assert_memory_equal(&g.r, &before, sizeof(before));
		/* The right number for another kind of request. */
		e.seq = g.r.seq;
		if (kinds[i] != EVENT_WRITTEN) {
			rig_event(&g, &e);
			assert_int_equal(g.r.stale, 1);
			assert_int_equal(g.r.wait, WAIT_WRITE);
		}
		rig_deinit(&g);
	}
}

/* The engine tries a write again by itself, and says so: shown to whoever asks what is going on, while it goes on. */
static void a_write_that_is_being_tried_again_is_told(void **state)
{
	struct rig g;
	struct rollout_event e = {.kind = EVENT_DELAYED};

	(void)state;
	writing(&g);
	(void)text_copy(e.alias.error, LIMIT_REASON, "UpdateAlias: throttled, tried again");
	e.seq = g.write.seq - 1; /* of an earlier one */
	rig_event(&g, &e);
	assert_string_equal(g.r.trouble, "");
	e.seq = g.write.seq;
	rig_event(&g, &e);
	assert_true(rig_said(&g, ANNOUNCE_TROUBLE, "UpdateAlias: throttled"));
	rig_assert_phase(&g, PHASE_PROGRESSING);
	assert_true(g.has_write);
	rig_answer_write(&g, FATE_OK);
	assert_true(rig_said(&g, ANNOUNCE_RECOVERED, "UpdateAlias: throttled"));
	/* Answered meanwhile. */
	rig_event(&g, &e);
	assert_string_equal(g.r.trouble, "");
	rig_deinit(&g);
}

/* --- crashes --- */

/* Killed between the intent and its answer: the write may have landed or may still land. It is looked up. */
static void a_crash_with_a_write_under_way_looks_first(void **state)
{
	static const bool applied[] = {false, true};

	(void)state;
	for (size_t i = 0; i < array_len(applied); i++) {
		struct rig g;

		writing(&g);
		if (applied[i]) {
			g.alias.target = g.write.target;
			(void)snprintf(g.alias.revision, REVISION_SIZE, "rev-after");
		}
		rig_crash(&g, true);
		assert_true(g.r.unsure);
		assert_true(g.has_read);
		assert_false(g.has_write);
		rig_answer_read(&g);
		assert_int_equal(g.has_write, !applied[i]);
		assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
		rig_deinit(&g);
	}
}

/* A restart is no operator's word. */
static void a_crash_does_not_unblock(void **state)
{
	struct rig g;

	(void)state;
	progressing(&g);
	rig_human(&g, (struct alias_target){.version = 9});
	assert_true(rig_run_until(&g, PHASE_BLOCKED));
	rig_crash(&g, true);
	rig_assert_phase(&g, PHASE_BLOCKED);
	assert_false(g.has_read);
	assert_int_equal(g.timer_boot_ms, INT64_MAX);
	rig_deinit(&g);
}

/* A virtual machine put back to an earlier state: the same boot, and a mark that lies in the future. The bake goes on
 * from what had been counted; it does not stand still until the clock has caught up. */
static void a_mark_from_the_future_is_moved_to_now(void **state)
{
	struct rig g;
	int64_t baked;

	(void)state;
	progressing(&g);
	(void)rig_turn(&g);
	baked = g.r.baked_ms;
	g.now.boot_ms = g.r.bake_mark_boot_ms - MS_PER_MINUTE;
	g.landed_boot_ms = g.now.boot_ms;
	rig_crash(&g, true);
	assert_int_equal(g.r.bake_mark_boot_ms, g.now.boot_ms);
	assert_int_equal(rollout_baked_ms(&g.r, g.now.boot_ms + 1000), baked + 1000);
	rig_deinit(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_look_that_may_work_later_is_tried_again),
	    cmocka_unit_test(a_look_that_cannot_work_blocks),
	    cmocka_unit_test(an_unreadable_alias_is_not_home),
	    cmocka_unit_test(a_deleted_alias_without_traffic_is_a_failure),
	    cmocka_unit_test(a_write_that_aws_will_never_take),
	    cmocka_unit_test(conflicts_that_do_not_end_are_slowed_down),
	    cmocka_unit_test(a_throttled_try_does_not_forget_a_lost_one),
	    cmocka_unit_test(a_weight_that_was_called_back_and_landed_goes_home),
	    cmocka_unit_test(an_answer_with_other_content_is_foreign),
	    cmocka_unit_test(resume_takes_over_what_is_a_weight_of_ours),
	    cmocka_unit_test(rollback_takes_over_anything),
	    cmocka_unit_test(a_word_on_what_was_told_does_not_cover_what_came_since),
	    cmocka_unit_test(a_share_that_was_taken_over_goes_home),
	    cmocka_unit_test(an_earlier_weight_is_foreign),
	    cmocka_unit_test(an_odd_alias_is_foreign),
	    cmocka_unit_test(an_old_view_is_looked_at_again),
	    cmocka_unit_test(an_old_view_that_stays_is_believed),
	    cmocka_unit_test(a_start_does_not_believe_an_old_view),
	    cmocka_unit_test(what_may_have_been_taken_back_is_not_asked_for_again),
	    cmocka_unit_test(an_answer_to_an_older_request_changes_nothing),
	    cmocka_unit_test(a_write_that_is_being_tried_again_is_told),
	    cmocka_unit_test(a_crash_with_a_write_under_way_looks_first),
	    cmocka_unit_test(a_crash_does_not_unblock),
	    cmocka_unit_test(a_mark_from_the_future_is_moved_to_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
