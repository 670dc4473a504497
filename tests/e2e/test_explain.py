#!/usr/bin/python3
"""Rollouts of the real programs told afterwards: what the record has of them, and what explain, report and replay say.

# runner: timeout 300
"""

import json
import os
import signal
import unittest
from datetime import datetime

import report_page
from rollout_case import RolloutCase, Together, make_plan

LONG = 3600


def ms(text):
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def get_record(case, name, attempt=None):
    status, record = case.ctl.get(f"/v1/rollouts/{name}/record" + (f"?attempt={attempt}" if attempt else ""))
    case.assertEqual(status, 200, record)
    return record


def check_judged(case, record, to_the_end):
    """No period from the first traffic on was left out, none was new twice, and the numbers of the polls rise."""
    period = record["rollout"]["plan"]["analysis"]["period_ms"]
    through = ms(record["rollout"]["first_traffic_at"]) // period * period
    judged = []
    for before, j in zip([None, *record["judgements"]], record["judgements"]):
        case.assertTrue(before is None or j["seq"] > before["seq"])
        judged += range(through, ms(j["through_at"]), period)
        through = max(through, ms(j["through_at"]))
    case.assertEqual(len(judged), len(set(judged)))
    case.assertEqual(judged, list(range(judged[0], through, period)))
    if to_the_end:
        bake = record["rollout"]["plan"]["final_bake_ms"]
        case.assertGreaterEqual(through, ms(record["rollout"]["weight_since_at"]) + bake)


def canary_counts(record):
    """Of all periods together, as CloudWatch gave them last. A canary that has all traffic is the whole alias, and in
    the period in which it got that, what the stable version leaves of it."""
    promoted, first = ms(record["rollout"]["promoted_at"]), ms(record["rollout"]["first_traffic_at"])
    newest = {}
    for s in record["samples"]:
        start = ms(s["start_at"])
        counts = s["canary"] or (s["alias"] if start >= promoted else None) or [0, 0]
        if max(first, promoted - 999) <= start < promoted and s["alias"] and s["stable"]:
            counts = [max(c, a - b) for c, a, b in zip(counts, s["alias"], s["stable"], strict=True)]
        newest[start] = counts
    return [sum(c[i] for c in newest.values()) for i in (0, 1)]


class Told(Together):
    def explain(self, name, *more):
        """Without the line breaks."""
        return " ".join(self.ctl.run("explain", name, *more).split())

    def page(self, name, *more):
        return report_page.check(self, self.ctl.run("report", name, "-o", "-", *more))

    def replay(self, name, plan, code=0):
        path = os.path.join(self.d.folder, f"replay-{name}.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(plan)
        return self.ctl.json("replay", path, "--of", name, code=code)

    def test_good(self):
        f = self.function()
        steps = [(10, 2), (50, 2)]
        self.drop("good", f, steps=steps, more="final_bake: 2s")
        self.ctl.phase("good", "succeeded")
        record = get_record(self, "good")
        check_judged(self, record, to_the_end=True)
        self.assertEqual([q["asks"]["alarms"] for q in record["queries"]], [[], []])
        text = self.explain("good")
        for words in (f"alias prod of function {f}", "Version 1 is the stable one", "Version 2 is the canary",
                      "It gives the canary 10% of the traffic for 2s, 50% of the traffic for 2s, then all of it, "
                      "watched for 2s more.", "got 10% of the traffic", "So it went on, to 50% of the traffic.",
                      "So it went on, to all of the traffic.", "[AWS/Lambda Errors and Invocations by ExecutedVersion, "
                      "periods before", "Alias prod holds version 2", "It succeeded at", "rolloutctl rollback good"):
            self.assertIn(words, text)
        served, failed = canary_counts(record)
        self.assertGreater(served, 20)
        self.assertIn(f"and served {served:,} requests, of which {failed:,} failed", text)
        page = self.page("good")
        self.assertIn("✓ succeeded", page.text())
        self.assertEqual(len(page.charts()), 3)
        self.assertIn(f"{served:,}requests; 0 failed (0.00%)", page.text())
        # The plan that it ran by, judged again, says the same at the same times; a plan that nothing passes fails it.
        again = self.replay("good", make_plan("again", f, steps=steps, more="final_bake: 2s"))
        self.assertFalse(again["would_fail"])
        passes = [j["at"] for j in record["judgements"] if j["verdict"] == "pass"]
        self.assertEqual([w["judged_at"] for w in again["weights"]], passes)
        self.assertEqual([w["weight_bp"] for w in again["weights"]], [1000, 5000, 10000])

    def test_bad(self):
        f = self.function()
        self.drop("bad", f, version=3, steps=[(25, 2)])
        self.ctl.phase("bad", "rolled-back")
        record = get_record(self, "bad")
        check_judged(self, record, to_the_end=False)
        self.assertEqual(record["judgements"][-1]["verdict"], "fail")
        text = self.explain("bad")
        for words in ("It was rolled back at", "the verdict was `fail`: the canary failed", "at most 20% is allowed",
                      "So it went back: all traffic to version 1.", "All of the traffic was on version 1",
                      "is in quarantine for this alias", "`rolloutctl retry bad`"):
            self.assertIn(words, text)
        self.assertIn("✗ rolled back", self.page("bad").text())
        # A laxer plan lets it through as far as it came; what was not recorded is named.
        metrics = "metrics: [{errors: {max_rate: 20%, min_invocations: 100000}}, {alarm: on-fire}]"
        lax = self.replay("bad", make_plan("lax", f, steps=[(25, 2)], metrics=metrics))
        self.assertEqual((lax["would_fail"], lax["really"]), (False, "rolled-back"))
        self.assertEqual(lax["not_recorded"], ["alarm on-fire"])
        same = self.replay("bad", make_plan("same", f, steps=[(25, 2)]), code=3)
        self.assertEqual(same["fails_at"], record["judgements"][-1]["at"])
        # The next attempt is another story.
        self.world.admin("PUT", f"functions/{f}/versions/3", {"error_rate": "0%"})
        self.ctl.run("retry", "bad", "--reason", "the table is back")
        self.ctl.phase("bad", "succeeded", attempt=2)
        self.assertIn("Rollout bad, attempt 2,", self.explain("bad"))
        self.assertIn("It was rolled back at", self.explain("bad", "--attempt", "1"))
        self.assertIn("no such attempt", self.ctl.run("explain", "bad", "--attempt", "3", code=1))

    def test_paused_and_resumed(self):
        f = self.function()
        self.drop("held", f, version=6, steps=[(10, 2)], more="final_bake: 1s")
        self.ctl.weight("held", 10)
        self.ctl.run("pause", "held", "--reason", "<b>why</b> & \"how\"")
        self.ctl.phase("held", "paused")
        text = self.explain("held")
        self.assertIn("`rolloutctl resume held` lets it go on", text)
        self.assertIn("said `pause`, for the reason \"<b>why</b> & \"how\"\". The weight stayed where it was", text)
        self.ctl.run("resume", "held")
        self.ctl.phase("held", "succeeded")
        check_judged(self, get_record(self, "held"), to_the_end=True)
        self.assertIn("said `resume` and gave no reason. It went on from where it was.", self.explain("held"))
        page = self.page("held")
        self.assertIn("<b>why</b> & \"how\"", page.text())
        marks = [e for e in page.charts()[0].iter() if e.get("class") == "mark command"]
        self.assertEqual(len(marks), 2)

    def test_never_began(self):
        self.drop("nothing", self.function(), version=77)
        self.ctl.phase("nothing", "failed")
        text = self.explain("nothing")
        self.assertIn("before any traffic had moved: version 77 does not exist", text)
        self.assertIn("never had traffic", self.page("nothing").text())
        path = os.path.join(self.d.folder, "replay-nothing.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(make_plan("x", "x"))
        self.assertIn("was never judged", self.ctl.run("replay", path, "--of", "nothing", code=1))

    def test_who_is_not_there(self):
        self.assertIn("no such attempt of a rollout 'nobody'", self.ctl.run("explain", "nobody", code=1))
        self.assertIn("no such attempt", self.ctl.run("report", "nobody", code=1))
        self.assertIn("--of NAME is missing", self.ctl.run("replay", "/dev/null", code=2))
        status, answer = self.ctl.get("/v1/rollouts/nobody/record?attempt=0")
        self.assertEqual((status, answer["error"]["code"]), (400, "bad_request"))

    def test_report_as_a_file(self):
        self.drop("filed", self.function(), steps=())
        self.ctl.phase("filed", "succeeded")
        path = os.path.join(self.d.folder, "filed.html")
        self.assertIn(f"{path}: open it in a browser", self.ctl.run("report", "filed", "-o", path))
        with open(path, encoding="utf-8") as f:
            report_page.check(self, f.read())
        self.assertIn("cannot be written", self.ctl.run("report", "filed", "-o", "/nowhere/x.html", code=1))
        self.assertEqual(self.ctl.json("report", "filed")["rollout"]["name"], "filed")


class Crash(RolloutCase):
    def test_killed_in_between(self):
        self.begin()
        self.drop("killed", "f-0", steps=[(10, 3), (50, 3)])
        self.ctl.until("killed", lambda s: s["verdict"]["canary"]["invocations"] > 0, "to be judged")
        self.d.process.send_signal(signal.SIGKILL)
        self.d.process.wait()
        self.d.start()
        self.ctl.weight("killed", 50)
        self.d.process.send_signal(signal.SIGKILL)
        self.d.process.wait()
        self.d.start()
        self.ctl.phase("killed", "succeeded")
        record = get_record(self, "killed")
        check_judged(self, record, to_the_end=False)
        text = " ".join(self.ctl.run("explain", "killed").split())
        self.assertIn("So it went on, to all of the traffic.", text)
        served, _ = canary_counts(record)
        self.assertIn(f"served {served:,} requests", text)


if __name__ == "__main__":
    unittest.main()
