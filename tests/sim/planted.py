#!/usr/bin/python3 -B
"""Faults planted in the core, the engine and the store, each of which the simulator must find.

    tests/sim/planted.py                plants one after the other, builds, and runs the seed that finds it
    tests/sim/planted.py NAME...        only these
    tests/sim/planted.py --find NAME... looks for a seed that finds it
    tests/sim/planted.py --write NAME   the changed file, on standard output (for the Makefile)
    tests/sim/planted.py --source NAME  its name
    tests/sim/planted.py --table        the table of docs/TESTING.md

A fault is a piece of a file and what stands in its place; the build replaces the one object and links it before the
library. Nothing of it is in any other build. The ones that name a bug (`was a bug`) bring back what the simulator
found: their seeds are its regression tests.
"""

import argparse
import os
import re
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("SIM_BUILD", "build/sim")
FIND_SEEDS = int(os.environ.get("FIND_SEEDS", "40000"))
FIND_STEP = 3000


class Fault:
    def __init__(self, name, seed, what, path, *changes):
        self.name, self.seed, self.what, self.path, self.changes = name, seed, what, path, changes

    def text(self):
        with open(os.path.join(TOP, self.path), encoding="utf-8") as f:
            text = f.read()
        for old, new in self.changes:
            if text.count(old) != 1:
                sys.exit(f"planted.py: {self.name}: {self.path} has {text.count(old)} of:\n{old}\n"
                         "The code has changed: mend the fault's text.")
            text = text.replace(old, new)
        return text


FAULTS = [
    # --- 1 intent first ---
    Fault("send-before-intent", 39, "calls leave before the turn is on the disk", "lib/engine/engine.c",
          ("\tstart_pending(e);\n\tcommit(e);\n", "\tstart_pending(e);\n\tempty_outbox(e);\n\tcommit(e);\n")),
    Fault("no-intents", 1, "intents are not written", "lib/engine/commit.c",
          ("n < e->n_intents && r == 0;", "n < e->n_intents && r < 0;")),
    Fault("send-while-disk-fails", 39, "forward writes leave though the disk fails", "lib/engine/engine.c",
          ("\t\treturn (e->store_failing || e->draining) && !o->effect.write.home;",
           "\t\treturn e->draining && !o->effect.write.home;")),
    # --- 2 only asked-for weights ---
    Fault("other-weight", 1, "a step's weight is a basis point too high", "lib/core/traffic.c",
          ("spec->steps[step].weight_bp};", "spec->steps[step].weight_bp + 1};")),
    Fault("leave-routing", 2, "the promotion leaves a weight for the old version", "lib/core/traffic.c",
          ("\treturn (struct alias_target){.version = r->canary};",
           "\treturn (struct alias_target){r->canary, r->stable, 1};")),
    # --- 3 no advance without evidence ---
    Fault("no-data-is-enough", 27, "a step without any data counts as passed", "lib/core/watch.c",
          ("\tif (v->verdict == VERDICT_PASS)\n\t\treturn true;",
           "\tif (v->verdict == VERDICT_PASS || v->gap == VERDICT_GAP_NO_DATA)\n\t\treturn true;")),
    Fault("ignore-min-invocations", 25, "a step does not wait for its min_invocations", "lib/core/verdict.c",
          ("\tret->min_met = own_minimum->tally.step.invocations >= q->step_min_invocations;",
           "\tret->min_met = own_minimum != NULL;")),
    Fault("part-is-complete", 4, "an answer with gaps counts as complete", "lib/core/watch.c",
          ("\tif (t->event->polled.complete && t->event->polled.through", "\tif (t->event->polled.through")),
    Fault("skip-last-period", 3, "the last period of a bake is not waited for", "lib/core/verdict.c",
          ("\tint64_t need = verdict_period_end(until_unix_ms, q->analysis->period_ms);",
           "\tint64_t need = verdict_period_start(until_unix_ms, q->analysis->period_ms);"),
          ("\treturn verdict_period_end(until_unix_ms, a->period_ms) + a->settle_ms;",
           "\treturn verdict_period_start(until_unix_ms, a->period_ms) + a->settle_ms;")),
    Fault("unsettled-is-enough", 4, "metrics are believed before they have settled", "lib/core/watch.c",
          ("verdict_period_start(t->now.unix_ms - a->settle_ms, a->period_ms);",
           "verdict_period_start(t->now.unix_ms, a->period_ms);"),
          (".now_unix_ms = now.unix_ms,", ".now_unix_ms = now.unix_ms + spec->analysis.settle_ms,")),
    Fault("bake-by-wall-clock", 1411, "bakes are counted by the wall clock", "lib/core/watch.c",
          ("\tint64_t baked = rollout_baked_ms(r, t->now.boot_ms);\n\n\tif (r->applied && r->pause == 0) {",
           "\tint64_t baked = t->now.unix_ms - r->step_from_unix_ms;\n\n\tif (r->applied && r->pause == 0) {")),
    # --- judgements, probes, experiments ---
    Fault("dry-run-acts", 41, "what only runs dry rolls back", "lib/core/verdict.c",
          ("\t\tif (fails && !a->metrics[i].dry_run && failed == a->n_metrics)",
           "\t\tif (fails && failed == a->n_metrics)")),
    Fault("correction-is-added", 37, "what CloudWatch corrects is added to what was known", "lib/engine/poll_queries.c",
          ("\t\tchanged = set(&c->errors, n);", "\t\tchanged = set(&c->errors, c->errors == n ? n : c->errors + n);")),
    Fault("correction-is-dropped", 37, "what CloudWatch corrects is not taken", "lib/engine/poll_queries.c",
          ("\t\tchanged = set(&c->errors, n);", "\t\tchanged = c->errors == 0 && set(&c->errors, n);")),
    Fault("restart-counts-twice", 113, "a restart counts each version of a period", "lib/engine/record.c",
          ("\t\t*counts[n] = (struct counts){.seen = x->counts[2 * n] >= 0};\n"
           "\t\tcounts[n]->invocations = counts[n]->seen ? (uint64_t)x->counts[2 * n] : 0;",
           "\t\tcounts[n]->seen = x->counts[2 * n] >= 0;\n"
           "\t\tcounts[n]->invocations += counts[n]->seen ? (uint64_t)x->counts[2 * n] : 0;")),
    Fault("restart-forgets-evidence", 101, "a restart forgets what was told before", "lib/engine/flight.c",
          ("\treturn record_load_sample(&i->samples, x);", "\treturn x->start_unix_ms < 0;")),
    Fault("restart-forgets-errors", 32225, "was a bug: a restart forgets errors that were told before their requests",
          "lib/engine/record.c",
          ("\t\tcounts[n]->errors = x->counts[2 * n + 1] > 0 ?",
           "\t\tcounts[n]->errors = counts[n]->seen && x->counts[2 * n + 1] > 0 ?")),
    Fault("step-forgets-evidence", 3, "each step begins without the evidence of those before", "lib/core/verdict.c",
          ("\t*ret_first = samples_find(q->samples, verdict_period_start(q->rollout_from_unix_ms, period));",
           "\t*ret_first = samples_find(q->samples, verdict_period_start(q->step_from_unix_ms, period));")),
    Fault("last-period-unsettled", 4, "the last period of a bake does not settle", "lib/core/verdict.c",
          ("\tif (q->now_unix_ms < at) {", "\tif (q->now_unix_ms < at - q->analysis->settle_ms) {"),
          ("\tint64_t settled = verdict_period_start(q->now_unix_ms - q->analysis->settle_ms,",
           "\tint64_t settled = verdict_period_start(q->now_unix_ms - (q->now_unix_ms < q->step_until_unix_ms ?\n"
           "\t\t\t\t\t\t\t\t\t\t q->analysis->settle_ms : 0),")),
    Fault("failure-limit-off-by-one", 99, "one period more than failure_limit must fail", "lib/core/judge_series.c",
          ("++ret->failed >= x->m->failure_limit)", "++ret->failed > x->m->failure_limit)")),
    Fault("one-period-is-enough", 190, "failure_limit of errors is not kept", "lib/core/judge_rate.c",
          ("++failed < m->failure_limit)", "++failed < 1)")),
    Fault("warm-up-ignored", 12, "durations are judged from the first request on", "lib/core/judge_series.c",
          ("\tif (x->m->warm_up_ms == 0)", "\tif (x->m->warm_up_ms < UINT32_MAX)")),
    Fault("alarm-ignored", 57, "an alarm in ALARM is passed over", "lib/core/judge_alarm.c",
          ("\t\tif (!excused)\n\t\t\treturn true;", "\t\tif (!excused && state == ALARM_OK)\n\t\t\treturn true;")),
    Fault("false-alarms", 12, "the comparison acts a hundred times too soon", "lib/core/evidence.c",
          ("\treturn -log((1 - BOUND_PART) * false_alarm);", "\treturn -log(fmin(0.99, 100 * false_alarm));")),
    Fault("period-weighed-twice", 12, "the comparison weighs each period twice", "lib/core/judge_compare.c",
          ("\t\t\tevidence_add(ret, &b.canary, &b.stable);",
           "\t\t\tevidence_add(ret, &b.canary, &b.stable), evidence_add(ret, &b.canary, &b.stable);")),
    Fault("last-block-left-out", 2, "the comparison leaves out the last period", "lib/core/judge_compare.c",
          ("\tevidence_init(ret, min_effect(m));", "\tevidence_init(ret, min_effect(m));\n\tend -= end > i;")),
    Fault("probes-after-home", 94, "probes go on while all traffic goes home", "lib/engine/probing.c",
          ("\tbool probed = !i->engine->draining && rollout_is_probed(&i->plan->spec, &i->state);",
           "\tbool probed = !i->engine->draining && i->plan->spec.probe.payload &&\n"
           "\t\t      i->state.first_traffic_unix_ms != 0 && !rollout_ended(&i->state);")),
    Fault("probes-too-often", 1, "probes are sent twice as often", "lib/engine/probing.c",
          ("\tp->due_ms += spec->probe.every_ms;", "\tp->due_ms += spec->probe.every_ms / 2;")),
    Fault("probes-always-count", 45, "probes that are to be ignored count", "lib/plan/metric.c",
          ("\tm->count_probes = probed && f[ERRORS_PROBES].number == 0;", "\tm->count_probes = probed;")),
    Fault("experiment-goes-on", 183, "an experiment that ends at home goes on to 100 %", "lib/core/watch.c",
          ("\tif (t->spec->experiment_ends_home && !r->full) {", "\tif (t->spec->experiment_ends_home && r->full) {")),
    Fault("experiment-ends-early", 21, "an experiment is over before its last period was judged", "lib/core/watch.c",
          ("\tif (needs_evidence(t) && !r->allowed) {",
           "\tif (needs_evidence(t) && !r->allowed && !t->spec->experiment_ends_home) {")),
    Fault("restart-begins-bake-anew", 35778, "a restart forgets how long a weight has baked", "lib/core/step.c",
          ("\tr->take_told = r->take_over;", "\tr->take_told = r->take_over;\n\tr->baked_ms = 0;\n"
           "\tr->bake_mark_boot_ms = t->now.boot_ms;")),
    # --- 4 failure goes home ---
    Fault("ignore-failure", 5, "a failing canary goes on", "lib/core/watch.c",
          ("\treturn v->verdict == VERDICT_FAIL ||\n", "\treturn false ||\n"),
          ("\tif (v->verdict == VERDICT_PASS)\n\t\treturn true;",
           "\tif (v->verdict != VERDICT_UNDECIDED)\n\t\treturn true;")),
    Fault("restart-forgets-home", 182, "a restart forgets that a rollout is on its way home", "lib/core/step.c",
          ("\tif (r->wait == WAIT_WRITE)\n\t\tr->unsure = true;",
           "\tr->goal = GOAL_FORWARD;\n\tif (r->wait == WAIT_WRITE)\n\t\tr->unsure = true;")),
    Fault("home-waits-its-turn", 579, "the way home waits behind everything else", "lib/engine/calls.c",
          (": home ? PRIORITY_HOME", ": home ? PRIORITY_PATIENT")),
    Fault("notice-first", 3, "the way home leaves after what is told and looked at", "lib/engine/engine.c",
          ("\t\tif (held_back(e, &o)) {",
           "\t\tif (held_back(e, &o) || (o.effect.kind == EFFECT_WRITE_ALIAS && o.effect.write.home &&\n"
           "\t\t\t\t\t  e->stats.turns % 8 != 0)) {")),
    Fault("answer-before-record", 66, "a command is answered before it is on the disk", "lib/engine/commands.c",
          ("\te->recheck_pending = true;\n\tengine_turn(e);\n\tif (answer",
           "\te->recheck_pending = true;\n\tif (answer")),
    # --- 5 never over another writer ---
    Fault("drop-revision", 2, "writes carry no RevisionId", "lib/engine/calls.c",
          ("\t\t\t\t  s->effect.write.revision,", '\t\t\t\t  "",')),
    Fault("go-on-from-anything", 59, "what somebody else has written is taken for ours", "lib/core/traffic.c",
          ("\t\tif (!may_take_over(t, view)) {", "\t\tif (!may_take_over(t, view) && view->odd) {")),
    Fault("word-for-anything", 95435028104430, "was a bug: an operator's word on a blocked rollout outlives a crash "
          "and what was written since", "lib/core/traffic.c",
          ("\tif (!r->take_over || is_newer_than_word(t, view))", "\tif (!r->take_over)")),
    Fault("forget-late-write", 3, "a write without an answer is forgotten", "lib/core/traffic.c",
          ("\tcase CALL_UNKNOWN:\n\t\tr->unsure = true;",
           "\tcase CALL_UNKNOWN:\n\t\tr->asked[0] = r->asked[1] = 0;\n\t\tr->unsure = false;")),
    Fault("assume-landed", 4, "a write without an answer counts as done", "lib/core/traffic.c",
          ("\tcase CALL_UNKNOWN:\n\t\tr->unsure = true;",
           "\tcase CALL_UNKNOWN:\n\t\tr->live = traffic_wanted(t->spec, r);\n\t\tlanded(t);\n\t\tbreak;\n"
           "\t\tr->unsure = true;")),
    Fault("last-intent-only", 1307, "only the last intent is remembered, not their history", "lib/core/traffic.c",
          ("\tt->r->asked[bit / 64] |=", "\tt->r->asked[0] = t->r->asked[1] = 0;\n\tt->r->asked[bit / 64] |=")),
    Fault("believe-old-view", 1028, "was a bug: an old view of the alias is taken for somebody's write",
          "lib/core/traffic.c",
          ("\tif (r->old_revision[0] == '\\0' ||", "\tif (true || r->old_revision[0] == '\\0' ||")),
    Fault("ask-again-what-was-taken-back", 1355,
          "was a bug: what a human took back while the daemon was dead is asked for again", "lib/core/traffic.c",
          ("\treturn r->goal == GOAL_FORWARD && r->unsure &&", "\treturn false && r->unsure &&")),
    # --- 6 one writer at a time ---
    Fault("no-lock", 8, "a second daemon may open the state", "lib/store/sqlite.c",
          ("\tif (s->locked)\n\t\treturn 0;\n", "\tif (s->locked || r == 1)\n\t\treturn 0;\n")),
    Fault("no-fence", 5155, "a daemon does not see that another has taken over", "lib/store/sqlite.c",
          ("\tif (!r && epoch != store->epoch)", "\tif (!r && epoch < store->epoch)")),
    Fault("queue-asks-nobody", 5155, "was a bug: what waits to be sent leaves though the state was taken over",
          "lib/engine/engine.c",
          ("\tif (!e->fenced && e->owned_turn != e->stats.turns) {", "\tif (false) {")),
    Fault("start-beside", 3, "a rollout starts while another is under way on its alias", "lib/engine/engine.c",
          ("\t\tif (older_lives(i) || owner)\n", "\t\tif (older_lives(i))\n")),
    Fault("leave-early", 1, "a rollout on its way home does not own its alias", "lib/core/rollout.c",
          ("\treturn !rollout_ended(r) && r->phase != PHASE_PENDING;",
           "\treturn !rollout_ended(r) && r->phase != PHASE_PENDING && r->goal == GOAL_FORWARD;")),
    # --- what must agree, and what was given up ---
    Fault("pre-hook-ignored", 34, "a hook that says no before the traffic is not listened to", "lib/core/gates.c",
          ('\t\t\tprepare_fail(t, "%.250s", t->event->gated.text);', "\t\t\topen_gate(t, pre);")),
    Fault("post-hook-ignored", 158, "a hook that says no at the end is not listened to", "lib/core/gates.c",
          ("\t\t\twatch_failed(t, t->event->gated.text);", "\t\t\topen_gate(t, pre);")),
    Fault("quarantine-ignored", 111, "a version that was rolled back is shipped again", "lib/core/prepare.c",
          ("\telse if (t->event->prepared.quarantined)", "\telse if (t->event->prepared.quarantined && false)")),
    Fault("quick-rollback-does-not-count", 6674,
          "was a bug: what is rolled back before its first answer is not quarantined", "lib/core/command.c",
          ("(r->first_traffic_unix_ms != 0 || traffic_may_come(t))", "(r->first_traffic_unix_ms != 0)")),
    Fault("failure-does-not-pause", 736, "on_failure: pause goes on", "lib/core/watch.c",
          ("\telse if (!(t->r->pause & PAUSE_FAILURE))\n", "\telse if (false)\n")),
    Fault("pause-ignored", 743, "an operator's pause is not kept", "lib/core/command.c",
          ("\tr->pause |= PAUSE_OPERATOR;\n", "")),
    Fault("approve-ignored", 13, "a step does not wait for approval", "lib/core/watch.c",
          ("t->spec->steps[r->step].approve) {", "t->spec->steps[r->step].approve && false) {")),
    Fault("manual-ignored", 23, "start: manual starts by itself", "lib/core/rollout.c",
          ("(!spec->start_manual || r->advance);", "true;")),
    Fault("wrong-stable", 12, "the stable version is taken for 1", "lib/core/prepare.c",
          ("\tr->stable = t->event->prepared.alias.target.version;", "\tr->stable = 1;")),
    Fault("final-bake-skipped", 5, "the last bake is skipped", "lib/core/rollout.c",
          ("spec->steps[r->step].bake_ms : spec->final_bake_ms;", "spec->steps[r->step].bake_ms : 0;")),
    Fault("leftovers-overwritten", 148, "weights that nobody here asked for are written over", "lib/core/prepare.c",
          ("\t} else if (alias->odd || alias->target.weight_bp > 0) {", "\t} else if (alias->odd) {")),
    Fault("secret-in-store", 1, "a secret key is written into the records", "lib/engine/commit.c",
          ("\tif (!i->unreadable)\n\t\trecord_encode",
           "\tif (!i->unreadable) {\n\t\tstruct aws_credentials keys = {0};\n\t\tchar error[256];\n"
           "\t\tif (e->ports.credentials(e->ports.ctx, \"default\", &keys, error, sizeof(error)) == 0)\n"
           "\t\t\tsnprintf(i->state.stable_hash, sizeof(i->state.stable_hash), \"%s\", "
           "keys.secret_access_key);\n\t}\n\tif (!i->unreadable)\n\t\trecord_encode"),
          ('#include "engine/chain.h"', '#include "engine/chain.h"\n#include "aws/credentials.h"')),
    Fault("home-starts-late", 59, "the way home waits for two minutes", "lib/core/traffic.c",
          ("\tr->attempts = 0;\n\tr->retry_boot_ms = 0;\n\tr->poll_pending = false;",
           "\tr->attempts = 0;\n\tr->retry_boot_ms = t->now.boot_ms + 2 * MS_PER_MINUTE;\n"
           "\tr->poll_pending = false;")),
    Fault("never-advance", 104, "no step is ever left", "lib/core/watch.c",
          ("\tif (needs_evidence(t) && !r->allowed) {", "\tif (!by_hand) {")),
    Fault("drain-sends-forward", 210, "a daemon that shuts down begins new steps", "lib/engine/engine.c",
          ("\t\treturn (e->store_failing || e->draining) && !o->effect.write.home;",
           "\t\treturn e->store_failing && !o->effect.write.home;")),
    Fault("past-not-read-again", 2346, "corrections of the past are not read", "lib/core/watch.c",
          ("\tfrom = through - REREAD_MS < r->read_through_unix_ms ? through - REREAD_MS : r->read_through_unix_ms;",
           "\tfrom = r->read_through_unix_ms;")),
    Fault("end-without-look", 1105, "a rollout ends without a last look at the alias", "lib/core/watch.c",
          ("\t\tif (!r->finishing || t->event->kind != EVENT_ALIAS_READ) {", "\t\tif (false) {")),
    Fault("hold-for-ever", 377, "hold_limit is not kept", "lib/core/watch.c",
          ("\tif (baked - r->hold_from_baked_ms < t->spec->analysis.hold_limit_ms)",
           "\tif (baked - r->hold_from_baked_ms < t->spec->analysis.hold_limit_ms + 1000 * MS_PER_DAY)")),
    Fault("no-data-does-not-roll-back", 239, "no_data: rollback holds", "lib/core/watch.c",
          ("t->spec->analysis.no_data == SPEC_NO_DATA_ROLLBACK);", "false);")),
    # --- 7 a crash costs nothing ---
    Fault("restart-takes-next-step", 15, "a restart skips a step", "lib/core/step.c",
          ("\tif (r->wait == WAIT_WRITE)\n\t\tr->unsure = true;",
           "\tif (r->applied && r->step < t->spec->n_steps) {\n\t\tr->step++;\n\t\tr->applied = false;\n\t}\n"
           "\tif (r->wait == WAIT_WRITE)\n\t\tr->unsure = true;")),
    Fault("no-sync", 5, "commits are not synced", "lib/store/sqlite.c",
          ('"PRAGMA synchronous = FULL; ', '"PRAGMA synchronous = OFF; ')),
    # --- 8 the end is clean ---
    Fault("home-seems-enough", 1307, "home is not written when it seems to be home, though a write is still under way",
          "lib/core/traffic.c",
          ("\tif (alias_target_equal(&wanted, &r->live) && !r->unsure) {",
           "\tif (alias_target_equal(&wanted, &r->live)) {")),
    Fault("end-at-the-ask", 1, "the way home counts as done when it is asked for", "lib/core/traffic.c",
          ("\tif (alias_target_equal(&wanted, &r->live) && !r->unsure) {",
           "\tif (r->goal == GOAL_HOME || (alias_target_equal(&wanted, &r->live) && !r->unsure)) {")),
    # --- 9 no secret ---
    Fault("tell-secret", 2, "a secret key is logged", "lib/engine/dispatch.c",
          ("\tstruct http_request request;\n\tint r = build",
           "\td->ports.log(d->ports.ctx, 7, keys.secret_access_key);\n"
           "\tstruct http_request request;\n\tint r = build")),
    # --- 10 bounded ---
    Fault("retry-at-once", 3299, "what failed is tried again without a pause", "lib/core/step.c",
          ("\tt->r->retry_boot_ms = t->now.boot_ms + wait;", "\tt->r->retry_boot_ms = t->now.boot_ms + 0 * wait;")),
    # --- everything ends ---
    Fault("retry-never", 2043, "what failed is never tried again", "lib/core/step.c",
          ("\tt->r->retry_boot_ms = t->now.boot_ms + wait;",
           "\tt->r->retry_boot_ms = t->now.boot_ms + wait + 1000 * MS_PER_DAY;")),
]


def fault(name):
    for f in FAULTS:
        if f.name == name:
            return f
    sys.exit(f"planted.py: there is no fault {name}")


def build(f):
    program = f"{BUILD}/planted/{f.name}/rollout-sim"
    mode = os.path.basename(BUILD)
    done = subprocess.run(["make", "--no-print-directory", "-j2", f"MODE={mode}", f"CC={os.environ.get('CC', 'gcc')}",
                           "say=@:", program], cwd=TOP, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"planted.py: {f.name} does not build:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return os.path.join(TOP, program)


def violation(output):
    m = re.search(r"^seed (\d+): invariant violated: (.*)$", output, re.M)
    return (int(m.group(1)), m.group(2)) if m else None


def run(program, seed):
    """(seed, invariant) when it is found. A crash of the program is a find as well: it is a require that saw it."""
    done = subprocess.run([program, "--seeds", "1", "--from", str(seed), "--jobs", "1"], capture_output=True,
                          text=True, timeout=120)
    found = violation(done.stdout)
    if not found and done.returncode != 0:
        m = re.search(r"require\((.*)\) failed", done.stderr)
        return (seed, f"a require: {m.group(1)}") if m else None
    return found


def find(program):
    for first in range(int(os.environ.get("FIND_FROM", "1")), FIND_SEEDS, FIND_STEP):
        done = subprocess.run([program, "--seeds", str(FIND_STEP), "--from", str(first), "--jobs", "2", "--stop"],
                              capture_output=True, text=True)
        found = violation(done.stdout)
        if found:
            return found
        if done.returncode != 0:
            print(done.stderr[-500:])
            return None
    return None


def table():
    return "\n".join(f"| `{f.name}` | {f.seed} | {f.what} |" for f in FAULTS)


def documented():
    with open(os.path.join(TOP, "docs/TESTING.md"), encoding="utf-8") as f:
        if table() in f.read():
            return True
    print("docs/TESTING.md has another table of planted faults: `tests/sim/planted.py --table` prints this one")
    return False


def main():
    p = argparse.ArgumentParser()
    p.add_argument("names", nargs="*")
    p.add_argument("--find", action="store_true")
    p.add_argument("--write", action="store_true")
    p.add_argument("--source", action="store_true")
    p.add_argument("--table", action="store_true")
    args = p.parse_args()
    faults = [fault(n) for n in args.names] or FAULTS
    if args.write:
        sys.stdout.write(faults[0].text())
        return 0
    if args.source:
        print(faults[0].path)
        return 0
    if args.table:
        print(table())
        return 0
    if not args.names and not args.find and not documented():
        return 1
    killed, began = 0, time.monotonic()
    for f in faults:
        program = build(f)
        found = find(program) if args.find else run(program, f.seed)
        killed += found is not None
        said = f"seed {found[0]}: {found[1]}" if found else "NOT FOUND"
        print(f"{f.name:32} {said:46} {f.what}", flush=True)
    print(f"planted faults: {len(faults)}, found {killed}, survived {len(faults) - killed}; "
          f"{time.monotonic() - began:.0f} s")
    return 0 if killed == len(faults) else 1


if __name__ == "__main__":
    sys.exit(main())
