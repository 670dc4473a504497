#!/usr/bin/env python3
"""rolloutd against moto, which others wrote from AWS's own models, with moto's signature check switched on. moto
neither routes by weight nor makes metrics of its own, so the test puts them, as Lambda would.

# runner: timeout 200
"""

import datetime
import threading
import unittest

from moto_case import MotoCase, zipped
from rolloutd_case import wait_for


class Traffic(threading.Thread):
    """Puts the datapoints that Lambda would make, several times a second, as if both versions had requests all the
    time: what is from before the canary's first request, the daemon does not ask for."""

    def __init__(self, cloudwatch, function, canary_errors):
        super().__init__()
        self.cloudwatch, self.function, self.canary_errors = cloudwatch, function, canary_errors
        self.over = threading.Event()
        self.problem = None

    def datum(self, metric, value, version):
        dimensions = [("FunctionName", self.function), ("Resource", f"{self.function}:prod"),
                      ("ExecutedVersion", version)]
        return {"MetricName": metric, "Value": value, "Unit": "Count", "Timestamp": datetime.datetime.now(datetime.UTC),
                "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions]}

    def run(self):
        try:
            while not self.over.wait(0.2):
                self.cloudwatch.put_metric_data(Namespace="AWS/Lambda", MetricData=[
                    self.datum("Invocations", 90, "1"), self.datum("Errors", 0, "1"),
                    self.datum("Invocations", 10, "2"), self.datum("Errors", self.canary_errors, "2")])
        except Exception as e:  # told by the test, not by this thread
            self.problem = e

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()
        if self.problem:
            raise self.problem


class Moto(MotoCase):
    def make(self, function):
        """A function with versions 1 and 2 of different code, and `prod` on version 1."""
        self.lam.create_function(FunctionName=function, Runtime="python3.12", Role=self.role, Handler="index.handler",
                                 Code={"ZipFile": zipped(f"{function} one")})
        self.lam.publish_version(FunctionName=function)
        self.lam.update_function_code(FunctionName=function, ZipFile=zipped(f"{function} two"))
        self.lam.publish_version(FunctionName=function)
        self.lam.create_alias(FunctionName=function, Name="prod", FunctionVersion="1")

    def drop(self, d, function, version=2):
        d.put_plan(f"{function}.yaml", (
            f"apiVersion: rolloutd/v1\nkind: Rollout\nname: {function}\nfunction: {function}\nalias: prod\n"
            f"version: {version}\nsteps:\n  - {{weight: 10%, bake: 1s}}\n  - {{weight: 50%, bake: 1s}}\n"
            "analysis: {every: 1s, settle: 1s, period: 1s,\n"
            "  metrics: [{errors: {max_rate: 5%, min_invocations: 10}}]}\n"))

    def alias(self, function):
        self.check_signatures(False)
        try:
            a = self.lam.get_alias(FunctionName=function, Name="prod")
        finally:
            self.check_signatures(True)
        return a["FunctionVersion"], a.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})

    def test_a_good_version_takes_over(self):
        self.make("good")
        d = self.begin()
        with Traffic(self.cloudwatch, "good", canary_errors=0):
            self.drop(d, "good")
            s = self.phase(d, "good", "succeeded", "failed", "rolled-back")
        self.assertEqual(s["phase"], "succeeded", s["reason"])
        self.assertEqual(self.alias("good"), ("2", {}))
        texts = [e["text"] for e in d.get("/v1/events?name=good")[1]["events"] if e["kind"] == "weight"]
        self.assertEqual(texts, ["the alias sends its traffic to version 1 (90%) and version 2 (10%)",
                                 "the alias sends its traffic to version 1 (50%) and version 2 (50%)",
                                 "the alias sends its traffic to version 2"])

    def test_errors_bring_it_home(self):
        self.make("bad")
        d = self.begin()
        with Traffic(self.cloudwatch, "bad", canary_errors=4):
            self.drop(d, "bad")
            s = self.phase(d, "bad", "succeeded", "failed", "rolled-back")
        self.assertEqual(s["phase"], "rolled-back", s["reason"])
        self.assertRegex(s["reason"], r"the canary failed \d+ of \d+ requests \(40%\)")
        self.assertEqual(self.alias("bad"), ("1", {}))
        self.assertNotIn(self.key[1], d.log())

    def test_the_latest_version(self):
        self.make("latest")
        d = self.begin()
        with Traffic(self.cloudwatch, "latest", canary_errors=0):
            self.drop(d, "latest", "latest")
            s = self.phase(d, "latest", "succeeded", "failed", "rolled-back")
        self.assertEqual((s["phase"], s["canary_version"]), ("succeeded", "2"), s["reason"])
        self.assertEqual(self.alias("latest"), ("2", {}))

    def test_without_metrics_it_holds(self):
        self.make("silent")
        d = self.begin()
        self.drop(d, "silent")
        wait_for("the hold", lambda: (self.status(d, "silent", ("progressing",)) or {"verdict": {"gap": ""}})
                 ["verdict"]["gap"] == "no-data")
        self.assertEqual(self.alias("silent"), ("1", {"2": 0.1}))
        self.assertEqual(d.post("/v1/rollouts/silent/rollback")[0], 200)
        self.phase(d, "silent", "rolled-back")
        self.assertEqual(self.alias("silent"), ("1", {}))

    def test_a_wrong_secret_is_refused(self):
        """So the check is on, and all of the above was signed as moto wants it."""
        self.make("unsigned")
        d = self.begin(secret="x" * 40)
        self.drop(d, "unsigned")
        s = wait_for("the trouble", lambda: (self.status(d, "unsigned", ("preparing",)) or {}).get("trouble") and
                     self.status(d, "unsigned", ("preparing",)))
        self.assertIn("SignatureDoesNotMatch", s["trouble"])


if __name__ == "__main__":
    unittest.main()
