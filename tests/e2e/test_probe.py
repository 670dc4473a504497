#!/usr/bin/python3
"""Probes: functions that nobody calls but rolloutd. Version 2 is good, version 3 fails all of its requests, version 6
half of them."""

import json
import os
import re
import signal
import unittest

import report_page
from rollout_case import RolloutCase, Together, make_plan, print_policy, wait_long
from rolloutd_case import Case

WORLD = """
seed: 11
limits: off
invoke_delay: false
functions:
  f:
    copies: 16
    versions:
      1: {body: one, code: one}
      2: {body: two, code: two}
      3: {body: three, code: three, error_rate: 100%}
      6: {body: six, code: six, error_rate: 50%}
    aliases:
      prod: {version: 1}
metrics: {period: 1s, delay: 200ms}
"""
PROBE = "probe: {invoke: health.json, rate: 10/s}"
COMPARE = "metrics: [{errors: {compare: stable, min_invocations: 10}}]"
LIMIT = "metrics: [{errors: {max_rate: 20%, min_invocations: 10}}]"


class Quiet(Together):
    """Without a single user. An `Invoke` here is rolloutd's own."""

    WORLD = WORLD

    @classmethod
    def setUpClass(cls):
        # The plans' folder is there before the tests begin, and they all send the same event.
        begin = RolloutCase.begin

        def with_event(self, *args, **kwargs):
            ctl = begin(self, *args, **kwargs)
            with open(os.path.join(self.d.plans, "health.json"), "w", encoding="utf-8") as f:
                json.dump({"path": "/health"}, f)
            return ctl

        RolloutCase.begin = with_event
        try:
            super().setUpClass()
        finally:
            RolloutCase.begin = begin

    def test_evidence_comes_by_probes(self):
        f = self.function()
        self.drop("quiet", f, metrics=COMPARE, analysis=PROBE, steps=((10, 2), (50, 3)))
        s = self.ctl.weight("quiet", 50)
        self.assertGreaterEqual(s["probes"]["canary"]["invocations"], 10)
        self.assertGreaterEqual(s["probes"]["stable"]["invocations"], 10)
        self.assertEqual(s["probes"]["canary"]["errors"], 0)
        self.assertFalse(s["verdict"]["canary"]["seen"], "CloudWatch has no requests of users")
        s = self.ctl.phase("quiet", "succeeded")
        self.assertGreaterEqual(s["probes"]["canary"]["invocations"], 20, "the record keeps them")
        self.asked_only(f, "1", "1+2@10", "1+2@50", "2")
        # And tells them: all, and those of each weight, by the periods in which they were answered.
        _, record = self.ctl.get("/v1/rollouts/quiet/record")
        newest = {x["start_at"]: x.get("probe_canary") or [0, 0] for x in record["samples"]}
        answered = sum(x[0] for x in newest.values())
        self.assertGreaterEqual(answered, s["probes"]["canary"]["invocations"])
        text = self.explain("quiet")
        self.assertIn(f"Of rolloutd's own probes the canary answered {answered:,}, of which 0 failed (0.00%); the "
                      "stable version answered ", text)
        self.assertIn("rolloutd itself invoked it every 0.1s with the event in health.json, and the stable version "
                      "alike", text)
        self.assertIn("They count in metric 1, beside users' requests.", text)
        self.assertIn("ExecutedVersion, and rolloutd's own probes, periods before", text)
        of_weights = [int(n) for n in re.findall(r"Of the probes in that time it answered (\d+), of which 0", text)]
        self.assertEqual(sum(of_weights), answered)
        self.assertGreaterEqual(len(of_weights), 2)
        page = report_page.check(self, self.ctl.run("report", "quiet", "-o", "-"))
        self.assertIn(f"all{answered}00.00%", page.text().replace(",", ""))
        # Nobody else has called it, so there is nothing else to draw.
        self.assertEqual([c.get("aria-labelledby").split()[0] for c in page.charts()],
                         ["weights-title", "probes-title", "evidence-title"])

    def explain(self, name):
        return " ".join(self.ctl.run("explain", name).split())

    def test_without_probes_it_waits(self):
        f = self.function()
        self.drop("waits", f, metrics=COMPARE, analysis="hold_limit: 3s")
        s = self.ctl.phase("waits", "paused")
        self.assertEqual(s["verdict"]["gap"], "no-data")
        self.assertIsNone(s["probes"])
        self.assertNotIn("probe", self.explain("waits"))

    def test_probes_that_are_ignored_are_no_evidence(self):
        f = self.function()
        self.drop("ignores", f, analysis=PROBE + ", hold_limit: 3s",
                  metrics="metrics: [{errors: {max_rate: 20%, min_invocations: 10, probes: ignore}}]")
        s = self.ctl.phase("ignores", "paused")
        self.assertEqual(s["verdict"]["gap"], "no-data")
        self.assertGreater(s["probes"]["canary"]["invocations"], 0)
        self.assertIn("No metric counts them: they are only shown.", self.explain("ignores"))

    def test_a_bad_version_is_found_by_comparison(self):
        f = self.function()
        self.drop("worse", f, version=6, metrics=COMPARE, analysis=PROBE)
        s = self.ctl.phase("worse", "rolled-back")
        self.assertIn("probes included); were it no worse, at most 1 of", s["reason"])
        self.asked_only(f, "1", "1+6@10", "1")

    def test_a_bad_version_is_found_by_a_limit(self):
        f = self.function()
        self.drop("broken", f, version=3, metrics=LIMIT, analysis=PROBE)
        s = self.ctl.phase("broken", "rolled-back")
        self.assertIn("(100%, probes included)", s["reason"])
        self.assertFalse(s["probes"]["stable"]["seen"], "nothing compares")
        self.asked_only(f, "1", "1+3@10", "1")

    def test_status_shows_them(self):
        f = self.function()
        self.drop("shown", f, metrics=COMPARE, analysis=PROBE, steps=((10, 3600),))
        self.ctl.until("shown", lambda s: s["probes"]["canary"]["invocations"] > 3, "to have been probed")
        page = self.ctl.run("status", "shown")
        self.assertRegex(page, r"probes of v1 +\d+ +0 +0\.00%")
        self.assertRegex(page, r"probes of v2 +\d+ +0 +0\.00%")
        self.ctl.run("rollback", "shown")
        self.ctl.phase("shown", "rolled-back")

    def test_an_event_that_is_not_there_is_named(self):
        f = self.function()
        self.d.put_plan("lost.yaml", make_plan("lost", f, metrics=COMPARE, analysis=PROBE.replace("health", "lost"),
                                               steps=((10, 3600),)))
        wait_long("the event", lambda: [e for e in self.ctl.events("lost", "probe") if "lost.json does not exist: "
                                        "write it, or correct the plan's path; it is read again" in e["text"]])
        self.assertIn("About the probes: nothing is probed: ", self.explain("lost"))
        self.assertIn("Of rolloutd's own probes the canary answered none.", self.explain("lost"))
        self.ctl.run("rollback", "lost")
        self.ctl.phase("lost", "rolled-back")


class Ends(RolloutCase):
    WORLD = WORLD

    def begin_probing(self, **kwargs):
        self.begin()
        with open(os.path.join(self.d.plans, "health.json"), "w", encoding="utf-8") as f:
            f.write("{}")
        self.drop("probed", "f-0", metrics=COMPARE, analysis=PROBE, **kwargs)
        wait_long("probes", lambda: self.world.calls("Invoke") > 4)

    def test_rollback_ends_them(self):
        self.begin_probing(steps=((10, 3600),))
        self.ctl.run("rollback", "probed")
        self.ctl.phase("probed", "rolled-back")
        # What was on its way is answered by the time that another rollout has gone all its way.
        self.drop("other", "f-1", steps=())
        self.ctl.phase("other", "succeeded")
        before = self.world.calls("Invoke")
        self.drop("another", "f-2", steps=())
        self.ctl.phase("another", "succeeded")
        self.assertEqual(self.world.calls("Invoke"), before)

    def test_a_restart_goes_on(self):
        self.begin_probing(steps=((10, 4), (50, 1)))
        self.d.stop(signal.SIGKILL)
        before = self.world.calls("Invoke")
        self.d.start()
        wait_long("probes", lambda: self.world.calls("Invoke") > before)
        self.ctl.phase("probed", "succeeded")

    def test_the_right_is_that_of_the_feature(self):
        """lambda:InvokeFunction on the function's versions, and no more."""
        self.begin()
        with open(os.path.join(self.d.plans, "health.json"), "w", encoding="utf-8") as f:
            f.write("{}")
        narrow = ("--function", "f-0", "--region", "us-east-1", "--account", "123456789012")
        self.world.set_key(policy=print_policy("--feature", "probe", *narrow))
        self.drop("allowed", "f-0", metrics=COMPARE, analysis=PROBE)
        self.ctl.phase("allowed", "succeeded")
        self.world.set_key(policy=print_policy("--feature", "rollouts"))
        self.drop("denied", "f-1", metrics=COMPARE, analysis=PROBE, steps=((10, 3600),))
        said = wait_long("the right to be named", lambda: [
            e["text"] for e in self.ctl.events("denied", "probe") if "the canary is not probed" in e["text"]])
        self.assertIn("lambda:InvokeFunction on arn:aws:lambda:us-east-1:123456789012:function:f-1:2", said[0])


if __name__ == "__main__":
    unittest.main()
