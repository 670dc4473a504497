#!/usr/bin/python3
"""Every kind of metric that a plan may watch, by the real programs: each brings a bad version back and lets a good one
pass, and none of them disturbs another rollout.

# runner: timeout 300
"""

import threading
import unittest
import urllib.error
import urllib.request

from rollout_case import Together

# Version 2 is good, 3 slow, 4 throttled, 5 fails a part of its requests.
WORLD = """
seed: 11
limits: off
invoke_delay: false
functions:
  f:
    copies: 40
    versions:
      1: {response: one, code: one, latency: 100ms}
      2: {response: two, code: two, latency: 120ms}
      3: {response: three, code: three, latency: 900ms}
      4: {response: four, code: four, throttle_rate: 60%}
      5: {response: five, code: five, error_rate: 60%}
    aliases:
      prod: {version: 1}
apis:
  shop: {function: f-0, id: shop1, routes: [GET /hello], stages: {prod: {alias: prod}}}
  shop2: {function: f-1, type: http, id: abc123, routes: [GET /hello], stages: {prod: {alias: prod}}}
traffic:
  - {function: f-*, alias: prod, rps: 60, arrival: even}
gauges:
  - {namespace: Shop, metric: Age, dimensions: {Queue: orders}, value: 12}
  - {namespace: Shop, metric: Served, value: 4}
alarms:
  - {name: burning, state: ALARM}
  - {name: both, state: ALARM, composite: true}
metrics: {period: 1s, delay: 200ms}
"""

LONG = 3600  # a bake that no test waits for
GOOD = "errors: {max_rate: 20%, min_invocations: 3}"
QUERY = """query:
        metric_data_queries:
          - Id: age
            MetricStat:
              Metric: {Namespace: Shop, MetricName: %s, Dimensions: [{Name: Queue, Value: orders}]}
              Period: 1
              Stat: Average
            ReturnData: false
          - Id: served
            MetricStat: {Metric: {Namespace: Shop, MetricName: Served}, Period: 1, Stat: Average}
            ReturnData: false
          - {Id: ratio, Expression: '%s', Period: 1}
        %s"""


class Metrics(Together):
    WORLD = WORLD

    def function(self):
        """The first two have APIs in front, and belong to those tests."""
        with self.lock:
            return f"f-{next(self.numbers) + 2}"

    def drop(self, name, function, metrics, version=2, steps=((20, 1), (50, 1)), more=""):
        text = (f"apiVersion: rolloutd/v1\nkind: Rollout\nname: {name}\nfunction: {function}\nalias: prod\n"
                f"version: {version}\nsteps:\n")
        text += "".join(f"  - {{weight: {w}%, bake: {b}s}}\n" for w, b in steps)
        text += "analysis:\n  every: 1s\n  settle: 1s\n  period: 1s\n  metrics:\n"
        text += "".join(f"    - {m}\n" for m in metrics)
        self.d.put_plan(f"{name}.yaml", text + more)

    def passes(self, name, metrics, function=None, **kwargs):
        f = function or self.function()
        self.drop(name, f, metrics, **kwargs)
        self.ctl.phase(name, "succeeded")
        self.asked_only(f, "1", "1+2@20", "1+2@50", "2")

    def comes_back(self, name, metrics, why, version, function=None):
        f = function or self.function()
        self.drop(name, f, metrics, version=version)
        s = self.ctl.phase(name, "rolled-back")
        self.assertRegex(s["reason"], why)
        self.assertEqual(self.world.holds(f), "1")

    def keep_asking(self, path):
        """Requests through an API until the test is over."""
        over = threading.Event()

        def ask():
            while not over.is_set():
                try:
                    with urllib.request.urlopen(self.world.url + path, timeout=10) as answer:
                        answer.read()
                except urllib.error.HTTPError as e:
                    e.read()

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for t in threads:
            t.start()

        def end():
            over.set()
            for t in threads:
                t.join()

        return end

    # --- each kind of metric ---

    def test_durations_pass(self):
        self.passes("quick", ["duration: {stat: p99, max: 500ms, max_ratio: 1.5, warm_up: 0s, min_invocations: 2}"])

    def test_slow_by_its_limit(self):
        self.comes_back("slow", ["duration: {stat: p90, max: 500ms, warm_up: 0s, min_invocations: 2}"],
                        r"the canary's p90 duration was 9\d\d(\.\d+)? ms in the period from .*; at most 500 ms is "
                        "allowed", version=3)

    def test_slow_beside_the_stable_version(self):
        self.comes_back("slower", ["duration: {stat: Average, max_ratio: 2, warm_up: 0s, min_invocations: 2}"],
                        r"the stable version's 1\d\d(\.\d+)? ms in the period from .*; at most 2 times that is allowed",
                        version=3)

    def test_the_warm_up_is_not_judged(self):
        """A step waits for the first period behind it."""
        self.passes("warming", ["duration: {stat: p99, max: 500ms, warm_up: 4s, min_invocations: 2}"])

    def test_no_throttles(self):
        self.passes("unthrottled", ["throttles: {max_rate: 1%, min_invocations: 3}"])

    def test_throttles(self):
        self.comes_back("throttled", ["throttles: {max_rate: 5%, min_invocations: 3}"],
                        r"the alias throttled \d+ of \d+ requests \(\d+(\.\d+)?%\) in the period from .*; at most 5% "
                        "is allowed", version=4)

    def test_answers_of_a_rest_api(self):
        end = self.keep_asking("/restapis/shop1/prod/_user_request_/hello")
        try:
            self.comes_back("rest", ["api_5xx: {api: shop, stage: prod, max_rate: 5%, min_invocations: 3}"],
                            r"the API shop answered \d+ of \d+ requests on its stage prod with 5xx", version=5,
                            function="f-0")
        finally:
            end()

    def test_answers_of_an_http_api(self):
        end = self.keep_asking("/restapis/abc123/prod/_user_request_/hello")
        try:
            self.passes("http", ["api_5xx: {api: abc123, type: http, stage: prod, max_rate: 5%, min_invocations: 3}"],
                        function="f-1")
        finally:
            end()

    def test_queries_pass(self):
        self.passes("query", [QUERY % ("Age", "age / served", "max: 3.5")])

    def test_queries_fail_above(self):
        self.comes_back("above", [QUERY % ("Age", "age / served", "max: 2.5")],
                        r"the query ratio was 3 in the period from .*; at most 2\.5 is allowed", version=2)

    def test_queries_fail_below(self):
        self.comes_back("below", [QUERY % ("Age", "SUM([age, served])", "min: 20\n        failure_limit: 2")],
                        r"the query ratio was 16 in the period from .*, the last of 2 that failed; at least 20 is "
                        "asked for", version=2)

    def test_a_query_without_values_holds(self):
        f = self.function()
        self.drop("nothing", f, [GOOD, QUERY % ("Nobody", "age / served", "max: 3.5")])
        s = self.ctl.until("nothing", lambda s: s["verdict"]["gap"] == "no-data", "to miss the values")
        self.assertIn("CloudWatch has no value of the query ratio at the current weight", s["verdict"]["why"])
        self.assertEqual(self.world.holds(f), "1+2@20")

    def test_a_query_that_is_refused_holds_nobody_else_up(self):
        bad = self.function()
        self.drop("refused", bad, [GOOD, QUERY % ("Age", "NOSUCH(age)", "max: 3.5")])
        self.ctl.until("refused", lambda s: "NOSUCH" in s["trouble"], "to be told what CloudWatch refuses")
        self.passes("beside", [GOOD, QUERY % ("Age", "age / served", "max: 3.5")])
        self.assertEqual(self.world.holds(bad), "1+2@20")

    def test_what_runs_dry_is_told(self):
        self.passes("dry", [GOOD, QUERY % ("Age", "age / served", "max: 1\n        dry_run: true")])
        told = [e["text"] for e in self.ctl.events("dry", "verdict") if "dry run" in e["text"]]
        self.assertEqual(len(told), 1)
        self.assertRegex(told[0], r"would have failed \(dry run\): the query ratio was 3 in the period from")

    def test_all_kinds_at_once(self):
        self.passes("all", [
            GOOD, "errors: {compare: stable}", "throttles: {max_rate: 5%, min_invocations: 3}",
            "duration: {stat: p99, max: 500ms, warm_up: 0s, min_invocations: 2}",
            QUERY % ("Age", "age / served", "max: 3.5")
        ])

    # --- compared with the stable version ---

    def test_compared_it_comes_back(self):
        self.comes_back("compared", ["errors: {compare: stable}"], r"the plan acts at 1 of 100", version=5)

    # --- alarms ---

    def test_alarms_before_the_start(self):
        for name, alarm in (("burns", "burning"), ("composite", "both")):
            f = self.function()
            self.drop(name, f, [GOOD, f"alarm: {alarm}"])
            s = self.ctl.phase(name, "failed")
            self.assertIn(f"the alarm {alarm} is in state ALARM already", s["reason"])
            self.asked_only(f, "1")
            self.assertIn("needs --reason", self.ctl.run("retry", name, "--despite-alarms", code=2))
            self.ctl.run("retry", name, "--despite-alarms", "--reason", "INC-7: that is what it mends")
            s = self.ctl.phase(name, "succeeded", attempt=2)
            self.assertTrue(s["despite_alarms"])
            texts = [e["text"] for e in self.ctl.events(name)]
            self.assertTrue(any("retry despite alarms" in t and "INC-7" in t for t in texts), texts)
            self.assertTrue(any(f"the alarm {alarm} is in state ALARM already, which was excused" in t for t in texts))


if __name__ == "__main__":
    unittest.main()
