#!/usr/bin/python3
"""Probes: functions that nobody calls but rolloutd. Version 2 is good, version 3 fails all of its requests, version 6
half of them."""

import json
import os
import re
import signal
import unittest

import report_page
from control_server import Case as CtlCase
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
        # After so many it is no matter of chance any more; until then the step waits.
        self.drop("worse", f, version=6, metrics=COMPARE.replace("10", "60"), analysis=PROBE)
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

    def test_doctor_reads_the_event(self):
        f = self.function()
        plan = make_plan("asked", f, metrics=COMPARE, analysis=PROBE)
        path = os.path.join(self.d.folder, "asked.yaml")

        def findings(text, code):
            with open(path, "w", encoding="utf-8") as out:
                out.write(text)
            found = self.ctl.json("doctor", path, code=code)["findings"]
            return [x for x in found if x["subject"].startswith("probe ") or "3 days" in x["text"]]

        quiet, event = findings(plan, 0)
        self.assertEqual((quiet["level"], event["level"]), ("ok", "ok"))
        self.assertIn("the evidence comes by probes", quiet["text"])
        self.assertEqual(event["subject"], "probe health.json")
        self.assertEqual(event["text"], "its event can be sent: 19 bytes of JSON")
        (event,) = [x for x in findings(plan.replace("health", "lost"), 1) if x["subject"] == "probe lost.json"]
        self.assertEqual(event["level"], "problem")
        self.assertIn("lost.json does not exist: write it, or correct the plan's path", event["text"])
        line = next(i for i, text in enumerate(plan.splitlines()) if "probe:" in text) + 1
        self.assertEqual(event["cure"], f"mend it, or line {line} of the plan, which names it")

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


class Files(CtlCase):
    """`validate` looks at the event where the daemon would, by the plan's folder."""

    PLAN = make_plan("p", "f", metrics=COMPARE, analysis=PROBE)

    def setUp(self):
        super().setUp()
        self.folder = os.path.realpath(self.folder)
        self.event = os.path.join(self.folder, "health.json")
        lines = self.PLAN.splitlines()
        line = next(i for i, text in enumerate(lines) if "probe:" in text)
        self.place = f":{line + 1}:{lines[line].index('health.json') + 1}: "

    def validate(self, code=0, **more):
        return self.run_ctl("validate", self.write("plan.yaml", self.PLAN), code=code, **more).stdout

    def put(self, content):
        with open(self.event, "wb") as f:
            f.write(content)

    def test_one_that_can_be_sent(self):
        for content in (b"{}", b" [1]\n", b"7", b'"' + 262142 * b"x" + b'"'):
            self.put(content)
            text = self.validate()
            self.assertIn(": good\n", text)
            self.assertNotIn("health.json", text)

    def test_one_that_is_not_there_is_a_warning(self):
        """The plan may be for another host."""
        text = self.validate()
        self.assertIn(f"{self.place}warning: {self.event} does not exist; rolloutd looks for it in its plans folder",
                      text)
        self.assertIn(": good\n", text)

    def test_ones_that_can_never_be_sent(self):
        secret = b'{"password": "hunter2", }'
        cases = ((secret, ":1:25: this is no JSON, so AWS would not take it as an event"),
                 (b"", ":1:0: this is no JSON"), (b"{} {}", ": this is no JSON"),
                 (b'{"a": "\xff"}', ": this is no JSON"),
                 (b"[" * 40, " is no event: JSON nested deeper than 32 levels"),
                 (262145 * b" ", " is too large: a probe's event has at most 262144 bytes"))  # fmt: skip
        for content, said in cases:
            self.put(content)
            text = self.validate(code=1)
            self.assertIn(f"{self.place}error: {self.event}", text)
            self.assertIn(said, text)
            self.assertNotIn("hunter2", text)
            self.assertNotIn("good", text)
        self.put(b"{}")
        os.chmod(self.event, 0o646)
        self.assertIn("can be written by everybody (mode 0646)", self.validate(code=1))
        path = os.path.join(self.folder, "plan.yaml")
        answer = json.loads(self.run_ctl("validate", path, "-o", "json", code=1).stdout)
        self.assertEqual(answer["files"][0]["valid"], False)
        os.unlink(self.event)
        os.mkfifo(self.event)
        self.assertIn("is not a regular file", self.validate(code=1))
        os.unlink(self.event)
        os.symlink("/etc/hostname", self.event)
        self.assertIn("is not beneath the plan's folder, links resolved", self.validate(code=1))

    def test_a_service_and_standard_input(self):
        service = ("apiVersion: rolloutd/v1\nkind: Service\nname: s\nfunction: f\naliases:\n"
                   "  dev: {version: $LATEST}\n  prod:\n    version: 2\n    rollout:\n"
                   "      strategy: Canary10Percent5Minutes\n"
                   "      analysis: {probe: {invoke: health.json, rate: 1/s}}\n")
        path = self.write("service.yaml", service)
        self.assertIn(":11:34: warning: ", self.run_ctl("validate", path).stdout)
        self.put(b"{")
        self.assertIn(":11:34: error: ", self.run_ctl("validate", path, code=1).stdout)
        # Nobody knows which folder that is of.
        self.assertIn(": good\n", self.run_ctl("validate", "-", input=service).stdout)


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
