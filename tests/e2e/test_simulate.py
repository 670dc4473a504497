#!/usr/bin/python3
"""`rolloutctl simulate`: what it says of plans, that it needs nobody, and that the same seed gives the same."""
# runner: valgrind Outcome.test_json

import json
import os
import unittest

from control_server import Case, plain

THRESHOLD = "analysis: {metrics: [{errors: {max_rate: 5%, min_invocations: 20}}]}\n"
PLAN = ("apiVersion: rolloutd/v1\nkind: Rollout\nname: hello-prod\nfunction: hello\nalias: prod\nversion: 2\n"
        "steps: [{weight: 10%, bake: 2m}, {weight: 50%, bake: 2m}]\n")
SERVICE = """apiVersion: rolloutd/v1
kind: Service
name: hello
function: hello
aliases:
  dev: {version: $LATEST}
  test: {version: 2, rollout: {strategy: AllAtOnce}}
  prod: {version: 2, rollout: {strategy: Canary10Percent5Minutes, ANALYSIS}}
  live: {version: {from_alias: prod, soak: 1h}, rollout: {strategy: Canary10Percent5Minutes, ANALYSIS}}
""".replace("ANALYSIS", THRESHOLD.strip())


class Simulate(Case):
    def simulate(self, *arguments, plan=PLAN + THRESHOLD, rps="20", stable="0.1%", canary="50%", code=0, **more):
        path = self.write("plan.yaml", plan)
        return self.run_ctl("simulate", path, "--rps", rps, "--stable-errors", stable, "--canary-errors", canary,
                            "--runs", "20", *arguments, code=code, **more)

    def json(self, *arguments, **more):
        return json.loads(self.simulate(*arguments, "-o", "json", **more).stdout)


class Outcome(Simulate):
    def test_a_bad_canary_comes_back(self):
        text = self.simulate(LC_ALL="C").stdout
        self.assertRegex(text, r"^hello-prod: 20 rollouts simulated, seed 1; 0\.1% of the stable version's requests "
                               r"fail\nWith 20 requests/s and 50% errors this plan brings the canary back in all 20 "
                               r"rollouts, after 1m \d+s \(median\); \d+ requests fail until then\.\n")
        self.assertRegex(text, r"\n  succeeded +0 +0\.0%\n  rolled back +20 +100\.0%\n")
        self.assertRegex(text, r"\n  first weight to rollback +1m \d+s +1m \d+s +\d+m( \d+s)?\n")
        self.assertRegex(text, r"\n +1m \d+s +\d+\.\d% +#+\n")
        self.assertRegex(text, r" 100\.0% +#+\n$")

    def test_a_good_one_goes_through(self):
        text = self.simulate(canary="0.1%", LC_ALL="C").stdout
        self.assertRegex(text, r"\nWith 20 requests/s and 0\.1% errors the canary is no worse than the stable version: "
                               r"it goes through in all 20 rollouts, in \d+m( \d+s)? \(median\); this plan brings the "
                               r"canary back for nothing in none of 20 rollouts\.\n")
        self.assertRegex(text, r"\n  a rollout that goes through +")
        self.assertNotIn("#", text)

    def test_much_traffic_in_words(self):
        for rps, words in (("20000", "20,000 requests/s"), ("12345.5", "12,346 requests/s"), ("1/m", "1 request/min")):
            self.assertIn(f"With {words} and", self.simulate("--runs", "1", rps=rps).stdout)

    def test_a_pause_is_not_called_a_rollback(self):
        text = self.simulate(plan=PLAN + THRESHOLD + "on_failure: pause\n").stdout
        self.assertIn("this plan pauses the rollout in all 20 rollouts", text)
        self.assertIn("\n  paused, as it failed        20  100.0%\n", text)
        self.assertIn("first weight to pause", text)

    def test_advice(self):
        text = self.simulate(rps="1/m").stdout
        self.assertIn("With 1 request/min and 50% errors this plan brings the canary back in none of 20 rollouts.\n"
                      "In all 20 rollouts there is no verdict within hold_limit (1h): the canary serves about 0.2 "
                      "requests while the first weight bakes. A larger first weight, a longer bake or a probe helps.\n",
                      text)
        self.assertIn("So many errors are allowed: max_rate is 5%. A lower max_rate helps",
                      self.simulate(rps="100", canary="3%").stdout)
        text = self.simulate(plan=PLAN.split("steps:", maxsplit=1)[0] + "strategy: AllAtOnce\n").stdout
        self.assertIn("It moves all traffic at once and watches nothing: steps or a final_bake would.", text)
        self.assertEqual(self.json()["rollouts"][0]["advice"], "")

    def test_probes_are_sent(self):
        probed = PLAN + THRESHOLD.replace("{metrics", "{hold_limit: 10m, probe: {invoke: x.json, rate: 1/s}, metrics")
        text = self.simulate(plan=probed, rps="0").stdout
        self.assertRegex(text, r"\nWith 0 requests/s and 50% errors this plan brings the canary back in all 20 "
                               r"rollouts, after \d+")
        self.assertIn("Taken as fine: probes are answered, and fail as often as users' requests.\n", text)
        self.assertIn("it goes through in all 20 rollouts", self.simulate(plan=probed, rps="0", canary="0%").stdout)
        # Too few of them, and none that counts.
        few = probed.replace("1/s", "1/h").replace("min_invocations: 20", "min_invocations: 1000")
        self.assertIn("or a faster probe helps.", self.simulate(plan=few, rps="0").stdout)
        ignored = probed.replace("min_invocations: 20", "min_invocations: 20, probes: ignore")
        text = self.simulate(plan=ignored, rps="0").stdout
        self.assertIn("the canary serves about 0 requests while the first weight bakes. A larger first weight, a "
                      "longer bake or a metric that counts the probe helps.", text)

    def test_an_experiment_that_goes_back_is_no_rollback(self):
        head = PLAN.split("steps:", maxsplit=1)[0]
        back = head + "experiment: {weight: 50%, for: 10m}\n"
        text = self.simulate(plan=back, stable="0.1%", canary="0.1%", LC_ALL="C").stdout
        self.assertIn("the canary is no worse than the stable version: this plan breaks the experiment off for nothing "
                      "in none of 20 rollouts. It comes to its end in all 20 rollouts, in ", text)
        self.assertIn("and tells there which version fails less in none of 20 rollouts.\n", text)
        self.assertRegex(text, r"\n  experiment over, back as planned +20  100\.0%\n  rolled back +0 +0\.0%\n\n")
        self.assertRegex(text, r"\n  an experiment that comes to its end +1\dm")
        text = self.simulate(plan=back).stdout
        self.assertIn("this plan breaks the experiment off in all 20 rollouts, after ", text)
        answer = self.json(plan=back, stable="20%", canary="1%")["rollouts"][0]
        self.assertEqual((answer["ends"]["concluded"], answer["ends"]["rolled-back"]), (20, 0))
        self.assertEqual(answer["experiment_found"], {"no-data": 0, "open": 0, "canary": 20, "stable": 0})
        self.assertIsNotNone(answer["success_ms"])
        on = back.replace("for: 10m", "for: 10m, then: on")
        answer = self.json(plan=on, stable="20%", canary="1%")["rollouts"][0]
        self.assertEqual((answer["ends"]["succeeded"], answer["ends"]["concluded"]), (20, 0))
        self.assertEqual(answer["experiment_found"]["canary"], 20)
        paused = self.simulate(plan=back + "on_failure: pause\n").stdout
        self.assertIn("this plan pauses the experiment in all 20 rollouts", paused)

    def test_json(self):
        answer = self.json("--seed", "7")
        (r,) = answer.pop("rollouts")
        self.assertEqual(answer, {"requests_per_second": 20.0, "stable_error_rate": 0.001, "canary_error_rate": 0.5,
                                  "runs": 20, "seed": 7})
        self.assertEqual(r["name"], "hello-prod")
        self.assertIsNone(r["experiment_found"])
        self.assertEqual(r["ends"], {"succeeded": 0, "concluded": 0, "rolled-back": 20, "paused": 0, "returned": 0,
                                     "held": 0, "stuck": 0, "unfinished": 0})
        self.assertTrue(60000 < r["until_back_ms"]["p10"] <= r["until_back_ms"]["p50"] <= r["until_back_ms"]["p90"])
        self.assertIsNone(r["success_ms"])
        self.assertEqual(sum(b["rollouts"] for b in r["back_within"]), 20)
        self.assertAlmostEqual(r["failed_share"], 0.05, delta=0.02)
        self.assertEqual((r["taken_as_fine"], r["advice"]), ([], ""))
        self.assertEqual(r["failed_requests"], r["until_back_failed_requests"])
        self.assertTrue(r["summary"].startswith("With 20 requests/s and 50% errors"))

    def test_the_same_seed_gives_the_same(self):
        first = self.simulate(canary="6%").stdout
        self.assertEqual(self.simulate("--seed", "1", canary="6%").stdout, first)
        self.assertNotEqual(self.simulate("--seed", "2", canary="6%").stdout.replace("seed 2", "seed 1"), first)

    def test_rates_are_written_in_several_ways(self):
        for rps, requests in (("20/s", 20.0), ("30/m", 0.5), ("30/min", 0.5), ("36/h", 0.01), ("2.5", 2.5), ("0", 0.0)):
            self.assertAlmostEqual(self.json("--runs", "1", rps=rps)["requests_per_second"], requests)
        self.assertIn("With 1 request/s and 50% errors this plan brings the canary back in the one rollout, after ",
                      self.simulate("--runs", "1", rps="1").stdout)

    def test_much_traffic_takes_no_longer(self):
        """A million requests a second are not drawn one by one: that would take minutes."""
        answer = self.json("--runs", "50", rps="1000000", canary="0.1%")
        self.assertEqual(answer["rollouts"][0]["ends"]["succeeded"], 50)

    def test_a_service_by_its_aliases(self):
        answer = self.json(plan=SERVICE)
        self.assertEqual([r["name"] for r in answer["rollouts"]], ["hello.live", "hello.prod"])
        self.assertRegex(self.simulate(plan=SERVICE).stdout,
                         r"(?s)^hello\.live: 20 rollouts .*\n\nhello\.prod: 20 rollouts ")
        only = "".join(line for line in SERVICE.splitlines(True) if "Canary10" not in line)
        p = self.simulate(plan=only, code=1)
        self.assertEqual(p.stderr, "rolloutctl: hello: no alias of this service moves in steps: there is nothing to "
                                   "simulate\n")

    def test_what_is_taken_as_fine_is_said(self):
        plan = (PLAN.replace("version: 2", "version: {publish: {zip: a.zip}}") +
                "hooks: {pre_traffic: {exec: look}}\nstart: manual\n"
                "analysis: {metrics: [{errors: {max_rate: 5%, min_invocations: 20}}, {alarm: a}]}\n")
        self.assertIn("  Taken as fine: the version is published and ready; somebody starts it (start: manual); hooks "
                      "and verify agree; no alarm goes off.\n", self.simulate(plan=plan).stdout)


class Refusals(Simulate):
    def refused(self, *arguments, **more):
        p = self.simulate(*arguments, **more)
        self.assertEqual(p.stdout, "")
        return p.stderr

    def test_wrong_values(self):
        for rps in ("", "x", "-1", "1e3", "20/d", "2.", ".5", "nan", "0x10", "2000000", "1 "):
            self.assertIn("--rps: expected a rate of requests such as 20, 20/s, 3/m or 10/h, at most 1000000/s, not '",
                          self.refused(rps=rps, code=2))
        for rate in ("", "5", "101%", "-1%", "0.00001%"):
            self.assertIn("--canary-errors: expected a percentage of requests such as 0.1% or 5%, not '",
                          self.refused(canary=rate, code=2))
            self.assertIn("--stable-errors: expected a percentage", self.refused(stable=rate, code=2))
        for runs in ("0", "10001", "x", "-1"):
            self.assertIn("--runs: expected a number from 1 to 10000, not '", self.refused("--runs", runs, code=2))
        self.assertIn("--seed: expected a whole number, not 'x'", self.refused("--seed", "x", code=2))

    def test_what_is_missing(self):
        path = self.write("plan.yaml", PLAN)
        given = {"--rps": "1", "--stable-errors": "0%", "--canary-errors": "1%"}
        for missing in given:
            rest = [w for pair in given.items() if pair[0] != missing for w in pair]
            p = self.run_ctl("simulate", path, *rest, code=2)
            self.assertIn(f"rolloutctl: simulate: {missing} is missing\nusage: rolloutctl simulate FILE --rps R",
                          p.stderr)
        self.assertIn("a FILE is missing", self.run_ctl("simulate", "--rps", "1", code=2).stderr)
        self.assertIn("status does not take --rps", self.run_ctl("status", "x", "--rps", "1", code=2).stderr)

    def test_bad_plans(self):
        path = os.path.join(self.folder, "plan.yaml")
        self.assertIn(f"{path}:6:10: error: ", self.refused(plan=PLAN.replace("version: 2", "version: x"), code=1))
        self.assertIn(": error: ", self.refused(plan="", code=1))
        p = self.run_ctl("simulate", "/no/such", "--rps", "1", "--stable-errors", "0%", "--canary-errors", "1%", code=1)
        self.assertIn("/no/such: cannot be read: No such file", p.stderr)
        self.assertIn("too large for a plan", self.refused(plan="#" * 70000, code=1))

    def test_warnings_of_a_plan_are_shown_beside_the_answer(self):
        plan = PLAN + THRESHOLD.replace("analysis: {", "analysis: {period: 10s, every: 10s, settle: 10s, ")
        p = self.simulate("--runs", "1", plan=plan)
        self.assertIn("warning: ", p.stderr)
        self.assertIn("1 rollout simulated", p.stdout)


class Terminal(Simulate):
    def bars(self, text, cell):
        return max(line.count(cell) for line in text.splitlines())

    def test_the_plot_is_as_wide_as_the_screen(self):
        path = self.write("plan.yaml", PLAN + THRESHOLD)
        for locale, cell in (("C", "#"), ("C.UTF-8", "\u2588")):
            for width in (60, 100):
                t = self.terminal("simulate", path, "--rps", "20", "--stable-errors", "0%", "--canary-errors", "50%",
                                  "--runs", "20", columns=width, LC_ALL=locale)
                self.assertEqual(t.finish(), 0)
                text = plain(t.text)
                plot = [line for line in text.splitlines() if cell in line]
                self.assertEqual(max(line.count(cell) for line in plot), width - 28, text)
                self.assertLessEqual(max(len(line) for line in plot), width)


if __name__ == "__main__":
    unittest.main()
