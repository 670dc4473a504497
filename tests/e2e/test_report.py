#!/usr/bin/python3
"""explain, report and replay of records that no daemon would give so soon: weeks long, hostile, odd, with evidence."""

import json
import math
import os
import re
import stat
import unittest

import report_page
from control_server import PLAN, Case, utc

START = 1795384800  # 2026-11-22T22:00:00Z
METRICS = [
    {"kind": "compare", "text": "errors compared", "source": "AWS/Lambda Errors and Invocations by ExecutedVersion",
     "dry_run": False, "max_rate_ppm": None, "false_alarm_ppm": 10000, "max_ms": None, "first_value": 0, "values": 0},
    {"kind": "duration", "text": "p99 at most 800 ms", "source": "AWS/Lambda Duration by ExecutedVersion",
     "dry_run": True, "max_rate_ppm": None, "false_alarm_ppm": None, "max_ms": 800.0, "first_value": 0, "values": 2},
]  # fmt: skip
NEEDED = math.log(1 / 0.009)


def event(n, at, kind, text, phase="progressing", by=""):
    return {"id": n, "at": utc(at), "name": "hello-prod", "rollout_id": 7, "kind": kind, "phase": phase, "text": text,
            "by": by}


def make_record(minutes=40, **rollout):
    """Half of the time at 10 %, half at 50 %; evidence rises, and in the end it fails."""
    half, end = START + minutes * 30, START + minutes * 60
    samples, judgements = [], []
    for i in range(minutes):
        at = START + 60 * i
        share = 0.1 if at < half else 0.5
        canary = [round(1000 * share), round(20 * share)]
        samples += [
            {"start_at": utc(at), "read_at": utc(at + 62), "canary": [canary[0] - 5, 0], "stable": None, "alias": None},
            {"start_at": utc(at), "read_at": utc(at + 122), "canary": canary, "stable": [1000 - canary[0], 1],
             "alias": None, "values": [200 + i % 7, None]},
        ]  # fmt: skip
        evidence = NEEDED * (i + 1) / minutes
        last = i + 1 == minutes
        judgements.append({
            "seq": i + 1, "at": utc(at + 122), "through_at": utc(at + 60), "step": 0 if at < half else 1,
            "weight_bp": 1000 if at < half else 5000, "verdict": "fail" if last else "undecided",
            "gap": "none" if last else "not-settled", "metric": 0, "text": f"judged on {i + 1} periods",
            "detail": {"metrics": [{"verdict": "pass", "evidence": evidence, "evidence_needed": NEEDED},
                                   {"verdict": "pass", "why": "fast enough"}],
                       "weight_since_at": utc(START if at < half else half), "bake_until_at": utc(half),
                       "read_through_at": utc(at + 60)},
        })  # fmt: skip
    ended = end + 70
    events = [
        event(1, START - 5, "accepted", "accepted from hello.yaml", "pending"),
        event(2, START, "weight", "the alias sends its traffic to version 41 (90%) and version 42 (10%)"),
        event(3, half - 200, "command", "pause by uid=1000 pid=4711: looks odd", "paused", "uid=1000 pid=4711"),
        event(4, half - 100, "command", "resume by uid=1000 pid=4712", "progressing", "uid=1000 pid=4712"),
        event(5, half, "weight", "the alias sends its traffic to version 41 (50%) and version 42 (50%)"),
        event(6, half + 60, "trouble", "metrics: GetMetricData: throttled"),
        event(7, half + 180, "recovered", "over: metrics: GetMetricData: throttled"),
        event(8, ended - 1, "phase", "rolling-back: it is worse", "rolling-back"),
        event(9, ended, "weight", "all traffic is on version 41", "rolling-back"),
        event(10, ended, "phase", "rolled-back: it is worse", "rolled-back"),
    ]
    steps = [{"weight": w, "weight_bp": w * 100, "bake_ms": minutes * 30000} for w in (10, 50)]
    head = {
        "name": "hello-prod", "attempt": 3, "function": "hello", "alias": "prod", "account": "default",
        "region": "eu-central-1", "source": "hello.yaml", "plan_hash": "c0ffee", "phase": "rolled-back", "live": False,
        "reason": "it is worse", "trouble": "", "pause": [], "stable_version": "41", "canary_version": "42",
        "created_at": utc(START - 5), "first_traffic_at": utc(START), "promoted_at": None, "ended_at": utc(ended),
        "alias_holds": "version 41",
        "plan": {"steps": steps, "final_bake_ms": 0,
                 "analysis": {"every_ms": 60000, "settle_ms": 60000, "period_ms": 60000}},
    }  # fmt: skip
    return {"format": 1, "now": utc(ended + 600), "rollout": {**head, **rollout}, "metrics": METRICS, "plan": PLAN,
            "record": {"quarantine": True}, "intents": [], "events": events, "samples": samples,
            "judgements": judgements, "judgements_omitted": 0,
            "queries": [{"at": utc(START), "asks": {"metric_data_queries": [], "alarms": []}}]}  # fmt: skip


def make_experiment(minutes=40, **experiment):
    """The same with both versions beside each other all the time, probed, and at its end back as planned."""
    record = make_record(minutes)
    end = record["rollout"]["ended_at"]
    reason = "the experiment is over, as planned: version 42 fails less often"
    for i, s in enumerate(record["samples"]):
        s.update(canary=[500, 1], stable=[500, 10], probe_canary=[30, i % 2], probe_stable=[30, 0])
    kept = [e for e in record["events"] if e["kind"] in ("accepted", "weight") and "50%" not in e["text"]]
    at = kept[-1]["at"]
    for text in ("rolling-back: " + reason, "rolled-back: " + reason):
        kept.append({**record["events"][7], "at": at, "text": text, "phase": "rolled-back"})
    counts = {"canary": [20000, 40], "stable": [20000, 400]}
    found = {
        "then": "back", "concluded": True, "finding": "canary", "text": "version 42 fails less often",
        **{k: {"invocations": n, "errors": e, "seen": True} for k, (n, e) in counts.items()},
        "counted_from_at": utc(START), "counted_until_at": utc(START + 60 * minutes), "difference_low": -2.1231,
        "difference_high": -1.4999, **experiment,
    }  # fmt: skip
    plan = record["rollout"]["plan"]
    plan.update(experiment=found["then"], steps=[{"weight": 50, "weight_bp": 5000, "bake_ms": minutes * 60000}])
    plan["analysis"].update(probe={"invoke": "probes/x.json", "every_ms": 2000},
                            metrics=[{"kind": "compare", "probes": "count"}, {"kind": "duration"}])
    record["rollout"].update(reason=reason, experiment=found, ended_at=end,
                             probes={"canary": None, "stable": None, "skipped": 1234})
    record["record"]["quarantine"] = False
    return {**record, "events": kept, "judgements": record["judgements"][:-1]}


HOSTILE = [
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "</style></title></pre><iframe src=//evil>",
    "' onload='x", "]]><!--", "--><svg/onload=x>", "&lt;b&gt; &amp; &#39;", "`rm -rf /` and `", "\u202eesrever\u2066",
    "\x1b[31mred\x07", "%s%n%%", "a" * 4000, "😀 ü \ufeff\u200b", "line\nline\ttab",
]  # fmt: skip
COMMANDING = "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
KEPT = {"verdict", "gap", "kind", "phase"}  # words that choose what is said


def poison(value, text, key=""):
    """Every text but times and the words that choose."""
    if isinstance(value, dict):
        return {k: poison(v, text, k) for k, v in value.items()}
    if isinstance(value, list):
        return [poison(v, text, key) for v in value]
    if isinstance(value, str) and not key.endswith("_at") and key not in ("at", "now") and key not in KEPT:
        return text if key != "text" or "traffic" not in value else value + text
    return value


class ReportCase(Case):
    def setUp(self):
        super().setUp()
        self.control = self.serve()

    def give(self, record, status=200):
        self.control.answers["GET", "/v1/rollouts/hello-prod/record"] = (status, record)

    def page(self):
        return report_page.check(self, self.run_ctl("report", "hello-prod", "-o", "-").stdout)

    def explain(self, **env):
        return self.run_ctl("explain", "hello-prod", **env).stdout


class Pages(ReportCase):
    def test_all_charts(self):
        self.give(make_record())
        page = self.page()
        charts = page.charts()
        self.assertEqual([c.get("aria-labelledby").split()[0] for c in charts],
                         ["weights-title", "requests-title", "rates-title", "evidence-title", "duration1-title"])
        for c in charts:
            labels = [e.text for e in c.iter() if e.get("class") == "tick"]
            self.assertGreaterEqual(len(labels), 8)  # of both axes
            self.assertIn("22:05", labels)
            box = [float(x) for x in c.get("viewBox").split()]
            for e in c.iter():
                for key in ("x", "x1", "x2", "cx", "y", "y1", "y2", "cy"):
                    limit = box[2] if "x" in key else box[3]
                    self.assertTrue(0 <= float(e.get(key, 0)) <= limit, (e.tag, e.attrib))
        limits = [[e.text for e in c.iter() if e.get("class") == "limit-label"] for c in charts]
        self.assertEqual(limits, [[], [], [], ["the plan acts at 1 of 100"], ["limit 800 ms"]])
        marks = [e.get("class") for e in charts[0].iter() if (e.get("class") or "").startswith("mark")]
        self.assertEqual(marks, ["mark command", "mark command", "mark fail"])
        # The line of the evidence ends at the limit, where the judgement failed.
        limit = float(next(e.get("y1") for e in charts[3].iter() if e.get("class") == "limit"))
        dots = [e for e in charts[3].iter() if e.get("class") == "dot canary"]
        self.assertAlmostEqual(float(dots[-1].get("cy")), limit, delta=0.2)

    def test_evidence_in_words(self):
        self.give(make_record())
        text = " ".join(self.explain().split())
        self.assertIn("If the canary were no worse, numbers like these would be seen in at most 1 of 100 rollouts; the "
                      "plan acts at 1 of 100.", text)  # fmt: skip
        self.assertIn("Something went wrong: metrics: GetMetricData: throttled. It was tried again, and was over "
                      "after 2m.", text)  # fmt: skip
        self.assertIn("Metric 2: p99 at most 800 ms. It is shown only: it decides nothing.", text)
        # 20 periods of 100 and 20 of 500 requests, newest versions only; the weight in whose period it landed has it.
        self.assertIn("served 2,000 requests, of which 40 failed (2.00%); the stable one beside it served 18,000 "
                      "requests", text)  # fmt: skip
        self.assertIn("served 10,000 requests, of which 200 failed (2.00%)", text)

    def told(self, record):
        self.give(record)
        return " ".join(self.explain().split())

    def test_how_far_was_counted(self):
        """Nobody reads metrics once a rollout has ended: what came then is no part of the numbers, and that is said."""
        counted = "of which 200 failed (2.00%), counted up to 22:40:00; the stable one"
        text = self.told(make_record())
        self.assertIn(counted, text)
        self.assertIn("What it served after that was not read any more.", text)
        self.assertNotIn("failed (2.00%), counted up to", text[:text.index("10,000 requests")].split("happened")[1])
        # Read to the end, or read without a datapoint.
        read = utc(START + 41 * 60)
        self.assertNotIn("counted up to", self.told(make_record(metrics_read_through_at=read)))

    def test_all_traffic_without_watching(self):
        record = make_record(phase="succeeded", promoted_at=utc(START + 40 * 60 + 70))
        record["judgements"][-1].update(verdict="pass", at=utc(START + 40 * 60 + 70))
        record["events"][7:] = [
            event(9, START + 40 * 60 + 70, "weight", "the alias sends its traffic to version 42", "promoting"),
            event(10, START + 40 * 60 + 70, "phase", "succeeded", "succeeded"),
        ]
        text = self.told(record)
        self.assertIn("got all of the traffic. The plan asks for no watching after that.", text)
        # It came of the judgement of the same millisecond, so it is told after it.
        self.assertLess(text.index("So it went on, to all of the traffic."), text.index("got all of the traffic."))

    def test_other_writers(self):
        record = make_record(phase="blocked", ended_at=None)
        holds = "the alias holds version 5; rolloutd had left it at version 41"
        record["events"][7:] = [event(8, START + 2399, "foreign-write", holds),
                                event(9, START + 2400, "phase", "blocked: somebody else", "blocked")]  # fmt: skip
        text = self.told(record)
        self.assertIn(f"Somebody else had changed the alias: {holds}.", text)
        self.assertIn("rolloutd had left alias prod at version 41. What it holds now is for you to look at", text)
        self.assertNotIn("as rolloutd last saw it", text)

    def test_what_was_excused_and_tried_out(self):
        record = make_record()
        alarm = "the alarm x is in state ALARM already, which was excused: it counts once it was seen in another state"
        record["events"][1:1] = [
            event(2, START - 4, "command", "retry despite alarms by uid=0 pid=1: noise", "pending", "uid=0 pid=1"),
            event(2, START - 3, "verdict", alarm, "preparing"),
            event(2, START + 9, "verdict", "undecided: waits"),
            event(2, START + 10, "verdict", "would have failed (dry run): p99 was 900 ms"),
        ]
        text = self.told(record)
        self.assertIn("That began this attempt, although alarms of the plan were in state ALARM.", text)
        self.assertIn(f"T{alarm[1:]}. [event of 21:59:57]", text)
        self.assertIn("A metric that decides nothing (`dry_run`) failed: p99 was 900 ms. Nothing came of it", text)
        self.assertNotIn("undecided: waits", text)

    def test_alarms_have_no_periods(self):
        record = make_record()
        record["metrics"] = [*METRICS, {**METRICS[0], "kind": "alarm", "source": "CloudWatch alarm"}]
        record["judgements"][-1]["metric"] = 2
        self.assertIn("[CloudWatch alarm, judged at 22:41:02]", self.told(record))

    def test_missing_data_that_passes(self):
        record = make_record()
        for j in record["judgements"][15:20]:
            j["gap"] = "no-data"
        self.assertNotIn("no_data", self.told(record))
        for no_data, words in (("pass", "for a pass"), ("rollback", "for a failure")):
            record["rollout"]["plan"]["analysis"]["no_data"] = no_data
            self.assertIn(f"The plan takes that {words} (`no_data: {no_data}`).", self.told(record))
        # The step's own minimum is none of the metrics, and must be met all the same.
        record["rollout"]["plan"]["analysis"]["no_data"] = "pass"
        for j in record["judgements"][15:20]:
            j.update(gap="few", metric=2)
        self.assertNotIn("no_data", self.told(record))

    def test_nothing_to_change(self):
        record = make_record(phase="succeeded", canary_version="41", reason="the alias points at this version already")
        record.update(events=record["events"][:1], judgements=[], samples=[])
        text = self.told(record)
        self.assertIn("Version 41 was to serve it, and did so already.", text)
        self.assertNotIn("go back", text)

    def test_what_to_do_next(self):
        """Only what the daemon would do when asked, and only what is to blame."""
        text = self.told(make_record(phase="paused", ended_at=None, pause=["failure"]))
        self.assertIn("Nothing else leads on from a failure.", text)
        self.assertNotIn("rolloutctl resume", text)
        self.assertIn("Mend the function", self.told(make_record()))
        good = {**make_record(), "record": {"quarantine": False}}
        text = self.told(good)
        self.assertNotIn("Mend the function", text)
        self.assertIn("The code of version 42 was not found to be bad", text)
        good["rollout"]["superseded"] = True
        self.assertIn("a newer attempt has taken its place", self.told(good))

    def test_ended_before_it_began(self):
        record = make_record(phase="failed", reason="version 77 does not exist")
        text = self.told(record)
        self.assertNotIn("Mend the function", text)
        self.assertIn("Put right what the reason says", text)

    def charts(self, page):
        return [c.get("aria-labelledby").split()[0] for c in page.charts()]

    def test_experiment(self):
        self.give(make_experiment())
        page = self.page()
        self.assertEqual(self.charts(page), ["weights-title", "requests-title", "rates-title", "probes-title",
                                             "difference-title", "evidence-title", "duration1-title"])
        self.assertIn("✓ experiment over", page.text())
        self.assertIn("version 42canary50%20,000400.20% version 41stable50%20,0004002.00% ", page.text())
        self.assertIn("−1.8% of the requests as counted; truly from −2.13% to −1.49%, with 95% confidence at all looks "
                      "together: version 42 fails less often.", page.text())
        self.assertIn("in probes/x.json, every 2s one to each version; 1,234 turns came to nothing.", page.text())
        self.assertIn("all1,200403.33%1,20000.00%", page.text())
        # The band narrows around the line, and both are below the line of zero at the end.
        chart = page.charts()[4]
        zero = next(float(e.get("y1")) for e in chart.iter() if e.get("class") == "base" and e.get("x1") != e.get("x2")
                    and abs(float(e.get("y1")) - 118) < 1)  # fmt: skip
        dots = [float(e.get("cy")) for e in chart.iter() if e.get("class") == "dot canary"]
        self.assertGreater(dots[-1], zero)
        labels = [e.text for e in chart.iter() if e.get("class") == "tick"]
        self.assertIn("0%", labels)
        self.assertIn("−2%", labels)
        text = " ".join(self.explain().split())
        self.assertIn("Version 42 failed 1.8% of the requests less than version 41, as counted. With 95% confidence, "
                      "however often and whenever one looked, the true difference is between 2.13% less and 1.49% "
                      "less: version 42 fails less often.", text)
        self.assertIn("1,234 turns came to nothing, as the probe before was under way", text)
        self.assertIn("So it went back, as it was meant to: all traffic to version 41.", text)
        self.assertNotIn("in quarantine for this alias", text)

    def test_experiments_that_found_nothing(self):
        none = {"difference_low": None, "difference_high": None}
        said = "nothing can be told, as no requests of version 42 were counted"
        unseen = {"invocations": 0, "errors": 0, "seen": False}
        self.give(make_experiment(finding="no-data", text=said, canary=unseen, **none))
        page = self.page()
        self.assertNotIn("difference-title", self.charts(page))
        self.assertIn(said + ".", page.text())
        self.assertIn("how they differ cannot be told", " ".join(self.explain().split()))
        self.give(make_experiment(finding="open", difference_low=-0.00001, difference_high=0.05129))
        self.assertIn("truly from −0.0001% to +0.0513%, with", self.page().text())
        self.give(make_experiment(finding="open", difference_low=-1e300, difference_high=1e300))
        self.assertIn("truly from −100% to +100%, with", self.page().text())
        self.give(make_experiment(finding="open", canary={"invocations": 3, "errors": 1, "seen": True},
                                  stable={"invocations": 6, "errors": 2, "seen": True}))  # fmt: skip
        self.assertIn("Version 42 failed the same share of the requests as version 41",
                      " ".join(self.explain().split()))

    def test_weeks(self):
        """As many periods as are kept: still a page of a size that a browser likes."""
        self.give(make_record(minutes=20160))
        page = self.page()
        self.assertLess(len(page.source), 6_000_000)
        line = next(e for e in page.charts()[2].iter() if e.get("class") == "line canary")
        self.assertLess(len(line.get("d")), 20000)
        self.assertIn("6,048,000requests; 120,960 failed (2.00%)", page.text())
        self.assertIn("Requests per 43m", page.text())

    def test_lonely_points_are_seen(self):
        """Of a quiet function: hours without a request between two that have some."""
        record = make_record(minutes=2880)
        record["samples"] = [x for i, x in enumerate(record["samples"]) if i // 2 % 180 == 0]
        self.give(record)
        rates = self.page().charts()[2]
        dots = [e for e in rates.iter() if e.get("class") == "dot canary"]
        self.assertEqual(len(dots), 16)

    def test_days_have_dates(self):
        self.give(make_record(minutes=4 * 1440))
        labels = [e.text for e in self.page().charts()[0].iter() if e.get("class") == "tick"]
        self.assertEqual([x for x in labels if "%" not in x],
                         ["11-23", "12:00", "11-24", "12:00", "11-25", "12:00", "11-26", "12:00"])

    def test_the_promotion_is_no_gap(self):
        """In its period the versions have counts up to it, and the alias those of the whole."""
        record = make_record(minutes=4, promoted_at=utc(START + 90), phase="succeeded")
        for x in record["samples"]:
            if x["start_at"] == utc(START + 60):
                x.update(canary=[40, 0], stable=[60, 0], alias=[1000, 0])
        self.give(record)
        areas = [e.get("d") for e in self.page().charts()[1].iter() if e.get("class") == "area canary"]
        tops = [float(y) for y in re.findall(r"V([0-9.]+)", areas[0])]
        self.assertLess(tops[1], 90)  # of 230 units from the top: of 1000 requests 940 are the canary's

    def test_hostile_texts(self):
        for text in HOSTILE:
            with self.subTest(text[:30]):
                self.give(poison(make_record(), text))
                page = self.page()
                self.assertNotRegex(page.source, COMMANDING)
                self.assertNotRegex(self.explain(), COMMANDING)
                self.give(poison(make_experiment(minutes=8), text))
                self.assertNotRegex(self.page().source, COMMANDING)
                self.assertNotRegex(self.explain(), COMMANDING)
                form = json.loads(self.run_ctl("explain", "hello-prod", "-o", "json").stdout)
                self.assertEqual(len(form["chapters"]), 4)
                self.assertTrue(all(s["text"] for c in form["chapters"] for s in c["sentences"]))
                plan = self.write("p.yaml", PLAN)
                self.run_ctl("replay", plan, "--of", "hello-prod")

    def test_odd_records(self):
        """A newer daemon may say more, an older one less; nothing of that may make it fall."""
        whole = make_record(minutes=4)
        for key in whole:
            record = {k: v for k, v in whole.items() if k != key}
            self.give(record)
            if key == "rollout":
                self.assertIn("not what rolloutd says", self.run_ctl("explain", "hello-prod", code=1).stderr)
                continue
            self.page()
            self.explain()
        for key in whole["rollout"]:
            self.give({**whole, "rollout": {k: v for k, v in whole["rollout"].items() if k != key}})
            self.page()
            self.explain()
        tried = make_experiment(minutes=4)
        for outer in ("experiment", "probes", "plan"):
            for key in tried["rollout"][outer]:
                without = {k: v for k, v in tried["rollout"][outer].items() if k != key}
                self.give({**tried, "rollout": {**tried["rollout"], outer: without}})
                self.page()
                self.explain()
        self.give({**whole, "format": 2})
        self.assertIn("newer rolloutd", self.run_ctl("report", "hello-prod", "-o", "-", code=1).stderr)
        torn = {"name": "hello-prod", "phase": "blocked", "reason": "torn", "unreadable": True}
        self.give({**whole, "rollout": torn})
        self.assertIn("cannot be told: torn", self.run_ctl("explain", "hello-prod", code=1).stderr)
        self.give(b"[]")
        self.assertIn("not what rolloutd says", self.run_ctl("explain", "hello-prod", code=1).stderr)

    def test_what_comes_late_and_what_was_kept_back(self):
        self.give({**make_record(), "judgements_omitted": 1234})
        self.assertIn("1234 further judgements", " ".join(self.explain().split()))


class Replays(ReportCase):
    """Of records by plans, where what is said is short."""

    def replay(self, record, plan, code=0):
        self.give(record)
        path = self.write("replayed.yaml", plan)
        return " ".join(self.run_ctl("replay", path, "--of", "hello-prod", code=code).stdout.split())

    @staticmethod
    def plan(analysis, steps="[{weight: 10%, bake: 1m}, {weight: 50%, bake: 1m}]", more=""):
        head = "apiVersion: rolloutd/v1\nkind: Rollout\nname: other\nfunction: hello\nalias: prod\nversion: 2\n"
        return f"{head}steps: {steps}\n{more}analysis: {analysis}\n"

    @staticmethod
    def through(record):
        """With all traffic at the end, and never watched with it."""
        end = START + 40 * 60 + 200
        record["events"][7:] = [event(9, end, "weight", "the alias sends its traffic to version 42", "promoting")]
        record["rollout"].update(phase="succeeded", promoted_at=utc(end), ended_at=utc(end))
        record["judgements"][-1]["verdict"] = "pass"
        for j in record["judgements"]:
            j["detail"]["bake_until_at"] = j["detail"]["weight_since_at"]
        return record

    def test_all_traffic_needs_no_verdict_where_it_is_not_watched(self):
        lax = "{metrics: [{errors: {max_rate: 90%}}]}"
        text = self.replay(self.through(make_record()), self.plan(lax))
        self.assertIn("By this plan every weight would have passed. What really happened: succeeded.", text)
        self.assertIn("needs no verdict", text)
        text = self.replay(self.through(make_record()), self.plan(lax, more="final_bake: 10m\n"))
        self.assertIn("at a weight of 100% it would have been undecided: that was not watched", text)
        self.assertIn("never judged", text)

    def test_one_weight_that_does_not_pass(self):
        steps = "[{weight: 10%, bake: 1m, min_invocations: 100000}, {weight: 50%, bake: 1m}]"
        text = self.replay(self.through(make_record()), self.plan("{metrics: [{errors: {max_rate: 90%}}]}", steps))
        self.assertIn("would not have failed, and at a weight of 10% it would have been undecided: ", text)

    def test_still_under_way(self):
        strict = self.plan("{metrics: [{errors: {max_rate: 1%}}]}")
        text = self.replay(make_record(ended_at=None, phase="paused"), strict, 3)
        self.assertIn("It really is still under way: paused.", text)
        self.assertNotIn("none so far", text)

    def test_weeks_take_their_time(self):
        self.give(self.through(make_record(minutes=2000)))
        path = self.write("replayed.yaml", self.plan("{metrics: [{errors: {compare: stable, dry_run: true}}]}"))
        t = self.terminal("replay", path, "--of", "hello-prod")
        self.assertEqual(t.finish(), 0)
        self.assertRegex(t.text, r"\r\x1b\[Khello-prod: \d+ of 2000 judgements\r")

    def test_alarms_that_were_excused(self):
        """Whether an alarm in ALARM failed then is in the record; the plan alone does not say it."""
        for verdict, code in (("pass", 0), ("undecided", 0), ("fail", 3)):
            record = self.through(make_record())
            own = self.plan("{metrics: [{errors: {max_rate: 90%}}, {alarm: on-fire}]}")
            record["plan"] = own
            for j in record["judgements"]:
                j["detail"]["metrics"] = [{"verdict": "pass"}, {"verdict": verdict, "alarm": 3}]
                j["detail"]["alarms_read_at"] = j["at"]
            text = self.replay(record, own, code)
            self.assertIn("the alarm on-fire is in state ALARM" if code else "every weight would have passed", text)


class Files(ReportCase):
    def report(self, path, code=0):
        return self.run_ctl("report", "hello-prod", "-o", path, code=code)

    def test_only_files_are_replaced(self):
        """The operator is often root: a page in place of a device would break the host."""
        self.give(make_record(minutes=4))
        path = os.path.join(self.folder, "pipe")
        os.mkfifo(path)
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, fd)
        self.report(path)
        report_page.check(self, os.read(fd, 65536).decode())
        self.assertTrue(stat.S_ISFIFO(os.stat(path).st_mode))
        self.assertIn("is a directory", self.report(self.folder, code=1).stderr.lower())
        self.assertIn("expected a file, '-' or 'json'", self.report("", code=2).stderr)

    def test_modes_and_links(self):
        self.give(make_record())
        new, old, link = (os.path.join(self.folder, n) for n in ("new.html", "old.html", "link.html"))
        with open(old, "w", encoding="utf-8") as f:
            f.write("old")
        os.chmod(old, 0o640)
        os.symlink("old.html", link)
        before = os.umask(0o077)
        try:
            self.report(new)
            self.report(link)
        finally:
            os.umask(before)
        self.assertEqual([stat.S_IMODE(os.stat(p).st_mode) for p in (new, old)], [0o600, 0o640])
        self.assertTrue(os.path.islink(link))
        with open(old, encoding="utf-8") as f:
            report_page.check(self, f.read())


class Terminals(ReportCase):
    def test_as_wide_as_it_may_be(self):
        self.give(make_record())
        for columns, width in (("60", 60), ("200", 96), ("", 80), ("x", 80)):
            lines = self.explain(COLUMNS=columns).splitlines()
            self.assertLessEqual(max(map(len, lines)), width)
            self.assertGreater(max(map(len, lines)), width - 12)
        t = self.terminal("explain", "hello-prod", columns=50)
        self.assertEqual(t.finish(), 0)
        self.assertIn("\x1b[", t.text)
        self.assertLessEqual(max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", t.text).splitlines()), 50)

    def test_no_colour(self):
        self.give(make_record())
        t = self.terminal("explain", "hello-prod", NO_COLOR="1")
        self.assertEqual(t.finish(), 0)
        self.assertNotIn("\x1b[", t.text)

    def test_named_by_itself(self):
        self.give(make_record())
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        self.assertIn("hello-prod-3.html", self.run_ctl("report", "hello-prod").stdout)
        with open("hello-prod-3.html", encoding="utf-8") as f:
            report_page.check(self, f.read())
        wrong = self.run_ctl("explain", "hello-prod", "-o", "x.html", code=2)
        self.assertIn("expected 'table' or 'json'", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
